//! Whether a loop turns, for other threads to see.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// What a loop shows of itself: when it began the turn it is in.
#[derive(Debug)]
pub(in crate::dataplane) struct Pulse {
    base: Instant,
    /// Microseconds from the base to the beginning of the turn, and one more; 0 while it waits for events.
    turn: AtomicU64,
}

impl Pulse {
    pub(super) fn new(base: Instant) -> Self {
        Self {
            base,
            turn: AtomicU64::new(0),
        }
    }

    /// A turn begins.
    pub(super) fn turns(&self, now: Instant) {
        let since = now.saturating_duration_since(self.base).as_micros();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        self.turn.store(since.saturating_add(1), Ordering::Relaxed);
    }

    /// It waits for whatever comes next.
    pub(super) fn waits(&self) {
        self.turn.store(0, Ordering::Relaxed);
    }

    /// Whether it has been in one turn for so long at `now`.
    pub(in crate::dataplane) fn stands_still(&self, now: Instant, patience: Duration) -> bool {
        let Some(since) = self.turn.load(Ordering::Relaxed).checked_sub(1) else {
            return false;
        };
        let begun = self.base + Duration::from_micros(since);
        now.saturating_duration_since(begun) >= patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock;

    #[test]
    fn a_loop_stands_still_in_a_long_turn_and_never_while_it_waits() {
        let begin = test_clock::now();
        let pulse = Pulse::new(begin);
        let patience = Duration::from_millis(5);
        let at = |ms| begin + Duration::from_millis(ms);
        assert!(!pulse.stands_still(at(100), patience));
        pulse.turns(at(100));
        assert!(!pulse.stands_still(at(104), patience));
        assert!(pulse.stands_still(at(105), patience));
        pulse.turns(at(105));
        assert!(!pulse.stands_still(at(106), patience));
        pulse.waits();
        assert!(!pulse.stands_still(at(1000), patience));
    }
}
