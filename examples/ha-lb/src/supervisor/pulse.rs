//! Whether the balancer hangs: it shows itself as long as every event loop of it turns ([`crate::ipc::beats`]).
//!
//! One that is silent may only be waiting for a processor that others have: to kill it would make an outage of a busy
//! machine. So it is judged by what it does once it has one. Pure: time and the kernel's word are passed in.

use std::time::{Duration, Instant};

use super::{liveness::HANGS, procfs::Effort};
use crate::ipc::silence::Listening;

/// How often one that is silent is looked at.
const LOOKS: Duration = Duration::from_millis(20);
/// One that had a processor for so long and is still silent hangs.
const PROOF: Duration = Duration::from_millis(60);
/// Looks in a row at which it wanted no processor: it waits for something else.
const RESTS: u32 = 2;
/// A silence that lasts so much longer ends in any case.
const AT_MOST: Duration = Duration::from_secs(3);

/// The signs of life of one balancer.
#[derive(Debug, Clone, Copy)]
pub struct Pulse {
    listening: Listening,
    doubt: Option<Doubt>,
}

/// It is silent, and looked at.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    /// Since then.
    since: Instant,
    /// What it had of processors by then.
    had: Duration,
    rests: u32,
    next: Instant,
}

impl Pulse {
    /// Begins now.
    pub fn new(now: Instant) -> Self {
        Self {
            listening: Listening::new(HANGS, now),
            doubt: None,
        }
    }

    /// When to call [`Pulse::hangs`].
    pub fn next_deadline(&self) -> Option<Instant> {
        match &self.doubt {
            Some(doubt) => Some(doubt.next),
            None => self.listening.next_deadline(),
        }
    }

    /// It shows itself.
    pub fn beat(&mut self, now: Instant) {
        self.listening.beat(now);
        self.doubt = None;
    }

    /// Time has passed; true, once, if it hangs. `look` tells what the kernel knows of the process;
    /// a look at which nothing could be read proves nothing.
    pub fn hangs(&mut self, now: Instant, look: impl FnOnce() -> Option<Effort>) -> bool {
        let mut doubt = match self.doubt {
            Some(doubt) if now < doubt.next => return false,
            Some(doubt) => doubt,
            None if !self.listening.timeout(now) => return false,
            None => Doubt {
                since: now,
                had: Duration::MAX,
                rests: 0,
                next: now,
            },
        };
        let proven = look().is_some_and(|effort| {
            doubt.had = doubt.had.min(effort.had);
            doubt.rests = if effort.wants { 0 } else { doubt.rests + 1 };
            effort.had.saturating_sub(doubt.had) >= PROOF
        });
        doubt.next = now + LOOKS;
        let over = now.saturating_duration_since(doubt.since) >= AT_MOST;
        let hangs = proven || over || doubt.rests >= RESTS;
        self.doubt = (!hangs).then_some(doubt);
        hangs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When it is found to hang, if it is looked at whenever it wants; `effort` by the time since the first look.
    fn found(effort: impl Fn(Duration) -> Option<Effort>) -> Duration {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        let first = start + HANGS;
        let mut now = pulse.next_deadline().unwrap();
        while !pulse.hangs(now, || effort(now - first)) {
            now = pulse.next_deadline().unwrap();
        }
        assert_eq!(pulse.next_deadline(), None);
        assert!(!pulse.hangs(now + AT_MOST, || unreachable!()));
        now - first
    }

    fn effort(wants: bool, had: Duration) -> Option<Effort> {
        Some(Effort { wants, had })
    }

    #[test]
    fn one_that_sleeps_or_is_stopped_hangs() {
        assert_eq!(found(|_| effort(false, Duration::from_secs(9))), LOOKS);
    }

    #[test]
    fn one_that_goes_round_and_round_hangs() {
        let found = found(|since| effort(true, Duration::from_secs(9) + since));
        assert_eq!(found, PROOF);
    }

    #[test]
    fn one_that_gets_no_processor_is_waited_for() {
        assert_eq!(found(|_| effort(true, Duration::ZERO)), AT_MOST);
        let found = found(|since| effort(true, since / 10));
        assert_eq!(found, PROOF * 10);
    }

    #[test]
    fn a_look_that_fails_proves_nothing() {
        assert_eq!(found(|_| None), AT_MOST);
        // Of the time that it had before nothing is to be made.
        let is_even = |since: Duration| since.as_millis().is_multiple_of(40);
        let found = found(|since| {
            let had = Duration::from_secs(9);
            is_even(since).then(|| effort(true, had)).flatten()
        });
        assert_eq!(found, AT_MOST);
    }

    #[test]
    fn one_that_goes_on_is_no_longer_looked_at() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        let (early, late) = (pulse.next_deadline().unwrap(), start + HANGS);
        assert!(!pulse.hangs(early, || unreachable!()));
        assert_eq!(pulse.next_deadline(), Some(late));
        assert!(!pulse.hangs(late, || effort(true, Duration::ZERO)));
        assert_eq!(pulse.next_deadline(), Some(late + LOOKS));
        pulse.beat(late + LOOKS / 2);
        assert!(!pulse.hangs(late + LOOKS, || unreachable!()));
        assert!(pulse.next_deadline() < Some(late + LOOKS / 2 + HANGS));
        assert!(!pulse.hangs(late + HANGS, || unreachable!()));
    }
}
