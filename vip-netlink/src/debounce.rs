//! Links that bounce: a change counts once it has lasted (keepalived.conf(5), `interface_up_down_delays`). Pure: time is
//! passed in.

use std::time::Duration;

/// How long a change of a link must last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkDelay {
    /// The interface.
    pub interface: String,
    /// Until its loss counts.
    pub down: Duration,
    /// Until its return counts.
    pub up: Duration,
}

/// A link while it settles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Debounce {
    /// When the opposite of what counts is to count.
    due: Option<Duration>,
}

impl Debounce {
    /// Nothing is known of it.
    #[must_use]
    pub const fn new() -> Self {
        Self { due: None }
    }

    /// What counts, when `counts` counted until now and the link `is` up or down. What comes first counts at once.
    pub fn settle(
        &mut self,
        delay: Option<&LinkDelay>,
        counts: Option<bool>,
        is: bool,
        now: Duration,
    ) -> bool {
        let Some(counts) = counts.filter(|counts| *counts != is) else {
            self.due = None;
            return is;
        };
        let wait = delay.map_or(
            Duration::ZERO,
            |delay| if is { delay.up } else { delay.down },
        );
        if now < *self.due.get_or_insert(now + wait) {
            return counts;
        }
        self.due = None;
        is
    }

    /// When to look again.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Duration> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_is_short_is_not_seen_and_what_lasts_counts_after_its_delay() {
        let delay = LinkDelay {
            interface: "eth0".to_owned(),
            down: ms(200),
            up: ms(1000),
        };
        let mut link = Debounce::default();
        let mut counts = None;
        let mut at = |now, is| {
            let settled = link.settle(Some(&delay), counts, is, ms(now));
            counts = Some(settled);
            (settled, link.next_deadline())
        };
        assert_eq!(at(0, true), (true, None), "what comes first");
        assert_eq!(at(100, false), (true, Some(ms(300))));
        assert_eq!(at(299, true), (true, None), "it was short");
        assert_eq!(at(400, false), (true, Some(ms(600))));
        assert_eq!(at(599, false), (true, Some(ms(600))));
        assert_eq!(at(600, false), (false, None));
        assert_eq!(at(700, true), (false, Some(ms(1700))));
        assert_eq!(at(1600, false), (false, None));
        assert_eq!(at(1650, true), (false, Some(ms(2650))));
        assert_eq!(at(2650, true), (true, None));
        let mut other = Debounce::default();
        assert!(
            !other.settle(None, Some(true), false, ms(0)),
            "without a delay at once"
        );
    }
}
