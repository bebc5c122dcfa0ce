//! The supervisor's ear for the speaker, whose event loop shows that it turns several times a second.
//!
//! A speaker that is silent answers for no address soon: the fence sees to that. So silence is only told at first, for a
//! loop that is held up by much work goes on; one that lasts is no work, and a speaker that stands still for ever keeps
//! this host from taking over. Pure: time is passed in.

use std::time::{Duration, Instant};

use super::liveness::HANGS;
use crate::ipc::silence::Listening;

/// A speaker that is silent for so long is killed.
pub const LOST: Duration = Duration::from_secs(3);

/// What is to be done about a speaker that says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// To be told.
    Silent,
    /// To be killed.
    Lost,
}

/// Listens to one speaker.
#[derive(Debug, Clone, Copy)]
pub struct Vigil {
    silence: Listening,
    loss: Listening,
    silent: bool,
}

impl Vigil {
    /// Begins now.
    pub fn new(now: Instant) -> Self {
        Self {
            silence: Listening::new(HANGS, now),
            loss: Listening::new(LOST, now),
            silent: false,
        }
    }

    /// Whether nothing is heard of it.
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// When to call [`Vigil::timeout`].
    pub fn next_deadline(&self) -> Option<Instant> {
        let both = [self.silence.next_deadline(), self.loss.next_deadline()];
        both.into_iter().flatten().min()
    }

    /// A sign of life; true if that ends a silence.
    pub fn hears(&mut self, now: Instant) -> bool {
        self.loss.beat(now);
        self.silence.beat(now);
        std::mem::take(&mut self.silent)
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Instant) -> Option<Verdict> {
        if self.loss.timeout(now) {
            return Some(Verdict::Lost);
        }
        self.silence.timeout(now).then(|| {
            self.silent = true;
            Verdict::Silent
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// The next verdict and when it is given, if time passes from deadline to deadline.
    fn next(vigil: &mut Vigil) -> (Instant, Verdict) {
        loop {
            let now = vigil.next_deadline().unwrap();
            if let Some(verdict) = vigil.timeout(now) {
                return (now, verdict);
            }
        }
    }

    #[test]
    fn silence_is_told_within_a_second_and_one_that_lasts_is_the_end() {
        let now = Instant::now();
        let mut vigil = Vigil::new(now);
        assert_eq!(next(&mut vigil), (now + HANGS, Verdict::Silent));
        assert!(vigil.is_silent());
        assert_eq!(next(&mut vigil), (now + LOST, Verdict::Lost));
        assert_eq!(vigil.next_deadline(), None);
    }

    #[test]
    fn one_that_is_heard_again_lives() {
        let now = Instant::now();
        let mut vigil = Vigil::new(now);
        assert_eq!(next(&mut vigil), (now + HANGS, Verdict::Silent));
        let again = now + 2 * HANGS;
        assert!(vigil.hears(again));
        assert!(!vigil.hears(again));
        assert_eq!(next(&mut vigil), (again + HANGS, Verdict::Silent));
        assert_eq!(next(&mut vigil), (again + LOST, Verdict::Lost));
    }

    #[test]
    fn a_pause_of_the_whole_machine_is_nobody_s_silence() {
        let now = Instant::now();
        let woken = now + Duration::from_secs(60);
        let mut vigil = Vigil::new(now);
        assert_eq!(vigil.timeout(woken), None);
        assert!(!vigil.hears(woken + MILLI));
        assert_eq!(vigil.timeout(woken + HANGS), None);
    }
}
