//! Hears the signs of life of another process ([`super::beats`]) and says when they cease.
//!
//! Pure: time is passed in.

use std::time::{Duration, Instant};

/// Asked this much after a deadline, this process itself stood still: beats may be waiting unread, and where the whole
/// machine stood still the other process may not have woken yet.
const OWN_DELAY: Duration = Duration::from_millis(100);

/// The beats of one process.
#[derive(Debug, Clone, Copy)]
pub struct Listening {
    patience: Duration,
    until: Instant,
    silent: bool,
}

impl Listening {
    /// Begins now; silence is that nothing was heard for `patience`.
    pub fn new(patience: Duration, now: Instant) -> Self {
        Self {
            patience,
            until: now + patience,
            silent: false,
        }
    }

    /// When to call [`Listening::timeout`].
    pub fn next_deadline(&self) -> Option<Instant> {
        (!self.silent).then_some(self.until)
    }

    /// A beat; true if that ends a silence.
    pub fn beat(&mut self, now: Instant) -> bool {
        self.until = now + self.patience;
        std::mem::take(&mut self.silent)
    }

    /// Time has passed; true if there is silence from now on.
    pub fn timeout(&mut self, now: Instant) -> bool {
        if self.silent || now < self.until {
            return false;
        }
        let late = now.saturating_duration_since(self.until);
        if late > OWN_DELAY {
            // As long as this process was late, but not for ever.
            self.until = now + late.min(self.patience);
            return false;
        }
        self.silent = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(700);
    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn silence_is_told_once_and_so_is_its_end() {
        let now = Instant::now();
        let mut listening = Listening::new(PATIENCE, now);
        assert!(!listening.beat(now + PATIENCE / 2));
        assert!(!listening.timeout(now + PATIENCE));
        let silent_at = now + PATIENCE / 2 + PATIENCE;
        assert_eq!(listening.next_deadline(), Some(silent_at));
        assert!(listening.timeout(silent_at));
        assert!(!listening.timeout(silent_at + PATIENCE));
        assert_eq!(listening.next_deadline(), None);
        assert!(listening.beat(silent_at + PATIENCE));
        assert!(!listening.beat(silent_at + PATIENCE));
        assert_eq!(listening.next_deadline(), Some(silent_at + 2 * PATIENCE));
    }

    #[test]
    fn a_listener_that_stood_still_itself_listens_before_it_judges() {
        let now = Instant::now();
        let woken = now + Duration::from_secs(60);
        let mut listening = Listening::new(PATIENCE, now);
        assert!(!listening.timeout(woken));
        assert!(!listening.timeout(woken + PATIENCE - MILLI));
        assert!(listening.timeout(woken + PATIENCE));
        let mut listening = Listening::new(PATIENCE, now);
        assert!(!listening.timeout(woken));
        assert!(!listening.beat(woken + MILLI));
        assert!(!listening.timeout(woken + PATIENCE));
        // A little late: a little more.
        let mut listening = Listening::new(PATIENCE, now);
        let late = now + PATIENCE + 2 * OWN_DELAY;
        assert!(!listening.timeout(late));
        assert_eq!(listening.next_deadline(), Some(late + 2 * OWN_DELAY));
        assert!(listening.timeout(late + 2 * OWN_DELAY));
    }
}
