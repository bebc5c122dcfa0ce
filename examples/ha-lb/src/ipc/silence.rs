//! Hears the signs of life of another process ([`super::beats`]) and says when they cease.
//!
//! Pure: time is passed in.

use std::time::{Duration, Instant};

/// Asked this much after a deadline, this process itself stood still: beats may be waiting unread, and where the whole
/// machine stood still the other process may not have woken yet. One that stood still until shortly after a deadline
/// cannot tell that by its delay: the last this much of its patience begins when it is awake.
const OWN_DELAY: Duration = Duration::from_millis(100);

/// The beats of one process.
#[derive(Debug, Clone, Copy)]
pub struct Listening {
    patience: Duration,
    until: Instant,
    /// Only the last part of its patience is left.
    warned: bool,
    silent: bool,
}

impl Listening {
    /// Begins now; silence is that nothing was heard for `patience`.
    pub fn new(patience: Duration, now: Instant) -> Self {
        Self {
            patience,
            until: now + patience.saturating_sub(OWN_DELAY),
            warned: false,
            silent: false,
        }
    }

    /// When to call [`Listening::timeout`].
    pub fn next_deadline(&self) -> Option<Instant> {
        (!self.silent).then_some(self.until)
    }

    /// A beat; true if that ends a silence.
    pub fn beat(&mut self, now: Instant) -> bool {
        let silent = self.silent;
        *self = Self::new(self.patience, now);
        silent
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
            self.warned = true;
            return false;
        }
        if !std::mem::replace(&mut self.warned, true) {
            self.until = now + OWN_DELAY;
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
        let silent_at = now + PATIENCE / 2 + PATIENCE;
        assert!(!listening.timeout(now + PATIENCE));
        assert!(!listening.timeout(silent_at - OWN_DELAY));
        assert_eq!(listening.next_deadline(), Some(silent_at));
        assert!(listening.timeout(silent_at));
        assert!(!listening.timeout(silent_at + PATIENCE));
        assert_eq!(listening.next_deadline(), None);
        assert!(listening.beat(silent_at + PATIENCE));
        assert!(!listening.beat(silent_at + PATIENCE));
        let next = silent_at + 2 * PATIENCE - OWN_DELAY;
        assert_eq!(listening.next_deadline(), Some(next));
    }

    #[test]
    fn two_that_stood_still_together_are_awake_for_a_while_before_one_judges_the_other() {
        for halt in (500..1500).step_by(7) {
            for before in (0..200).step_by(9) {
                let now = Instant::now();
                let mut listening = Listening::new(PATIENCE, now);
                // Both stood still from shortly after a beat on.
                let woken = now + MILLI * before + MILLI * halt;
                let asked = listening.next_deadline().unwrap().max(woken);
                assert!(!listening.timeout(asked), "{halt} {before}");
                assert!(!listening.timeout(woken + OWN_DELAY - MILLI));
                assert!(!listening.beat(woken + OWN_DELAY));
            }
        }
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
        let late = now + PATIENCE + OWN_DELAY;
        assert!(!listening.timeout(late));
        assert_eq!(listening.next_deadline(), Some(late + 2 * OWN_DELAY));
        assert!(listening.timeout(late + 2 * OWN_DELAY));
    }
}
