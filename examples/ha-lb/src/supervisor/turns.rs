//! Whether the supervisor's own event loop turns, as its beats to the speaker ask.
//!
//! What it does between two turns may take long (a large file, names looked up at a reload), and the speaker is not to
//! give the addresses up for that; a loop that stands still for half a minute watches nothing any more.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How often the loop turns although nothing happens.
const AT_LEAST: Duration = Duration::from_secs(5);
/// A loop that stands still for so long is stuck.
const STUCK: Duration = Duration::from_secs(30);

/// When the loop turned last.
#[derive(Debug, Clone)]
pub struct Turns {
    begin: Instant,
    last: Arc<AtomicU64>,
}

impl Turns {
    /// The loop begins.
    pub fn new(now: Instant) -> Self {
        Self {
            begin: now,
            last: Arc::default(),
        }
    }

    /// The loop turns; when it has to turn again.
    pub fn turn(&self, now: Instant) -> Instant {
        let millis = now.saturating_duration_since(self.begin).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        self.last.store(millis, Ordering::Relaxed);
        now + AT_LEAST
    }

    /// Whether it turned lately.
    pub fn go_on(&self, now: Instant) -> bool {
        let last = self.begin + Duration::from_millis(self.last.load(Ordering::Relaxed));
        now.saturating_duration_since(last) < STUCK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_stands_still_for_half_a_minute_is_stuck() {
        let now = Instant::now();
        let turns = Turns::new(now);
        assert!(turns.go_on(now + STUCK / 2));
        assert!(!turns.go_on(now + STUCK));
        assert!(turns.turn(now + STUCK) < now + 2 * STUCK);
        assert!(turns.go_on(now + STUCK));
    }
}
