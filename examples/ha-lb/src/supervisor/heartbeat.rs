//! Notices a balancer that hangs: a ping that passes through every worker's event loop, four times a second.
//!
//! Pure: time is passed in, pings go out as numbers.

use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(250);
/// Asked this much after a deadline, the supervisor itself stood still: an answer may be waiting unread.
const OWN_DELAY: Duration = Duration::from_millis(100);
/// An unanswered ping this old means that the balancer hangs.
pub const HANGS: Duration = Duration::from_secs(1);
/// An unanswered ping this old means that it will not come back by itself.
pub const HOPELESS: Duration = Duration::from_secs(5);

/// What the heartbeat has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Send this ping.
    Ping(u64),
    /// It hangs since the last ping.
    Hangs,
    /// Kill it.
    Hopeless,
}

/// The pings of one balancer process.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    number: u64,
    sent: Option<Instant>,
    due: Instant,
    hangs: bool,
}

impl Heartbeat {
    /// Begins when a balancer reports that it serves.
    pub fn new(now: Instant) -> Self {
        Self {
            number: 0,
            sent: None,
            due: now,
            hangs: false,
        }
    }

    /// When to call [`Heartbeat::timeout`].
    pub fn next_deadline(&self) -> Instant {
        match self.sent {
            None => self.due,
            Some(sent) if self.hangs => sent + HOPELESS,
            Some(sent) => sent + HANGS,
        }
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Instant) -> Option<Beat> {
        let deadline = self.next_deadline();
        if now < deadline {
            return None;
        }
        let late = now.saturating_duration_since(deadline);
        match &mut self.sent {
            Some(sent) if late > OWN_DELAY => {
                *sent += late + OWN_DELAY;
                None
            }
            None => {
                self.number += 1;
                self.sent = Some(now);
                Some(Beat::Ping(self.number))
            }
            Some(_) if self.hangs => {
                self.sent = Some(now);
                Some(Beat::Hopeless)
            }
            Some(_) => {
                self.hangs = true;
                Some(Beat::Hangs)
            }
        }
    }

    /// A ping was answered; true if the balancer had been taken for hanging.
    pub fn pong(&mut self, number: u64, now: Instant) -> bool {
        if number != self.number {
            return false;
        }
        self.sent = None;
        self.due = now + EVERY;
        std::mem::take(&mut self.hangs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answered_ping_is_followed_by_the_next_one_a_quarter_second_later() {
        let now = Instant::now();
        let mut heart = Heartbeat::new(now);
        assert_eq!(heart.timeout(now), Some(Beat::Ping(1)));
        assert_eq!(heart.timeout(now), None);
        assert!(!heart.pong(1, now));
        assert_eq!(heart.timeout(now), None);
        assert_eq!(heart.timeout(now + EVERY), Some(Beat::Ping(2)));
    }

    #[test]
    fn silence_is_reported_once_after_a_second_and_is_hopeless_after_five() {
        let now = Instant::now();
        let mut heart = Heartbeat::new(now);
        heart.timeout(now);
        assert_eq!(heart.timeout(now + HANGS), Some(Beat::Hangs));
        assert_eq!(heart.timeout(now + HANGS), None);
        assert_eq!(heart.timeout(now + HOPELESS), Some(Beat::Hopeless));
        assert_eq!(heart.timeout(now + HOPELESS), None);
    }

    #[test]
    fn a_supervisor_that_stood_still_itself_listens_before_it_judges() {
        let now = Instant::now();
        let mut heart = Heartbeat::new(now);
        heart.timeout(now);
        let woken = now + Duration::from_secs(60);
        assert_eq!(heart.timeout(woken), None);
        assert_eq!(heart.timeout(woken + OWN_DELAY), Some(Beat::Hangs));
        let mut heart = Heartbeat::new(now);
        heart.timeout(now);
        assert_eq!(heart.timeout(woken), None);
        assert!(!heart.pong(1, woken));
        assert_eq!(heart.timeout(woken + EVERY), Some(Beat::Ping(2)));
    }

    #[test]
    fn an_answer_after_a_hang_says_that_it_is_over() {
        let now = Instant::now();
        let mut heart = Heartbeat::new(now);
        heart.timeout(now);
        heart.timeout(now + HANGS);
        assert!(!heart.pong(7, now + HANGS));
        assert!(heart.pong(1, now + HANGS));
        assert_eq!(heart.timeout(now + HANGS + EVERY), Some(Beat::Ping(2)));
    }
}
