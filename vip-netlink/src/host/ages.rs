//! How old a packet is taken for that waited for the driver: down timers run from there.
//!
//! As old as the kernel says, but no older than the look before it, which heard everything. A driver that stood still for
//! longer than it means to may find a socket that was full, and what came last, from a living router, lost: what waits
//! there is as old as its hearing, unless the kernel says that nothing was lost.

use std::time::Duration;

/// Longer than any time between two looks at the sockets, of which the longest is fifty milliseconds, if by little: what
/// came meanwhile is to be heard in one round.
const STANDSTILL: Duration = Duration::from_millis(60);
/// The host may have been suspended, or its clock set: packets do not wait for so long.
const SUSPENDED: Duration = Duration::from_secs(1);
/// Not worth a question to the kernel, and no harm whatever was lost: a successor that counts from when its Active router
/// spoke, not from when it was woken, is on the dot.
const LITTLE: Duration = Duration::from_millis(1);

/// How long packets may have waited.
#[derive(Debug, Default)]
pub(super) struct Ages {
    drained_at: Duration,
    /// Something was lost since then, which the kernel tells only once.
    lossy: bool,
    longest: Longest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Longest {
    Known(Duration),
    /// If nothing was lost meanwhile.
    Doubtful(Duration),
}

impl Default for Longest {
    fn default() -> Self {
        Self::Known(Duration::ZERO)
    }
}

impl Ages {
    /// Every socket was empty at that time.
    pub(super) const fn drained(&mut self, now: Duration) {
        self.drained_at = now;
        self.lossy = false;
    }

    /// Packets are taken in at that time.
    pub(super) fn look(&mut self, now: Duration) {
        let unheard = now.saturating_sub(self.drained_at);
        self.longest = match unheard {
            _ if unheard < STANDSTILL => Longest::Known(unheard),
            _ if unheard < SUSPENDED && !self.lossy => Longest::Doubtful(unheard),
            _ => Longest::default(),
        };
    }

    /// The age of a packet that waited for so long, as the kernel says; `lost_nothing` asks it whether every socket had room
    /// for all that came.
    pub(super) fn of(&mut self, waited: Duration, lost_nothing: impl FnOnce() -> bool) -> Duration {
        if waited < LITTLE {
            return waited;
        }
        let longest = match self.longest {
            Longest::Known(longest) => longest,
            Longest::Doubtful(unheard) => {
                self.lossy = !lost_nothing();
                let longest = if self.lossy { Duration::ZERO } else { unheard };
                self.longest = Longest::Known(longest);
                longest
            }
        };
        waited.min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn not_asked() -> bool {
        unreachable!("nobody is to ask the kernel")
    }

    /// Everything was heard at 1 s, and there was a look `later`.
    fn looked(later: Duration) -> Ages {
        let mut ages = Ages::default();
        ages.drained(ms(1000));
        ages.look(ms(1000) + later);
        ages
    }

    #[test]
    fn a_packet_is_as_old_as_the_kernel_says_but_no_older_than_the_look_before() {
        let mut ages = looked(ms(50));
        assert_eq!(ages.of(ms(30), not_asked), ms(30));
        // The clock of the day was set.
        assert_eq!(ages.of(ms(700), not_asked), ms(50));
    }

    #[test]
    fn the_time_by_which_the_driver_was_woken_late_counts_after_any_silence() {
        for silence in [ms(10), ms(100), ms(1000), ms(40_000)] {
            let little = Duration::from_micros(180);
            assert_eq!(looked(silence).of(little, not_asked), little);
        }
    }

    #[test]
    fn after_a_standstill_the_kernel_is_asked_once_whether_anything_was_lost() {
        let mut ages = looked(ms(90));
        assert_eq!(ages.of(Duration::ZERO, not_asked), Duration::ZERO);
        assert_eq!(ages.of(ms(70), || true), ms(70));
        assert_eq!(ages.of(ms(20), not_asked), ms(20));
        // Else the last of a living router may have been lost, and the first ones of its packets would end its time.
        let mut ages = looked(ms(90));
        assert_eq!(ages.of(ms(70), || false), Duration::ZERO);
        assert_eq!(ages.of(ms(20), not_asked), Duration::ZERO);
        // What was received since has told of the loss, and older packets still wait.
        ages.look(ms(1095));
        assert_eq!(ages.of(ms(75), not_asked), Duration::ZERO);
        ages.drained(ms(1100));
        ages.look(ms(1190));
        assert_eq!(ages.of(ms(75), || true), ms(75));
    }

    #[test]
    fn whoever_was_suspended_hears_everything_now() {
        let mut ages = looked(ms(1500));
        assert_eq!(ages.of(ms(900), not_asked), Duration::ZERO);
    }
}
