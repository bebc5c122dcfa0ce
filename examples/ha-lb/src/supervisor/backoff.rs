//! How long to wait before a dead child is started again.
//!
//! The first death is answered at once; a child that dies again and again waits longer each time, so that a
//! broken one does not eat a processor. Pure: time is passed in.

use std::time::{Duration, Instant};

/// A child that lived this long starts with a clean sheet.
pub const PROVEN: Duration = Duration::from_secs(10);

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Deaths of one child.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    /// Deaths in a row without a proven life between them.
    in_a_row: u32,
}

impl Backoff {
    /// The child started at `started` is dead: how long to wait.
    pub fn died(&mut self, started: Instant, now: Instant) -> Duration {
        if now.saturating_duration_since(started) >= PROVEN {
            self.in_a_row = 0;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        match self.in_a_row {
            1 => Duration::ZERO,
            again => FIRST.saturating_mul(1 << (again - 2).min(10)).min(LONGEST),
        }
    }

    /// Whether the last death followed another one closely.
    pub fn again(&self) -> bool {
        self.in_a_row > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_immediate_and_a_child_that_keeps_dying_waits_longer_each_time() {
        let start = Instant::now();
        let soon = start + Duration::from_secs(1);
        let mut backoff = Backoff::default();
        assert_eq!(backoff.died(start, soon), Duration::ZERO);
        assert!(!backoff.again());
        let waits: Vec<_> = (0..8)
            .map(|_| backoff.died(start, soon).as_millis())
            .collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert!(backoff.again());
    }

    #[test]
    fn a_child_that_lived_long_enough_is_restarted_at_once() {
        let start = Instant::now();
        let mut backoff = Backoff::default();
        backoff.died(start, start);
        backoff.died(start, start);
        assert_eq!(backoff.died(start, start + PROVEN), Duration::ZERO);
        assert!(!backoff.again());
    }
}
