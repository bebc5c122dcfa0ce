//! A takeover on the dot. The kernel wakes a process some fifty to two hundred microseconds after its timer, more if the
//! processor slept: the driver asks to be woken that much before a Backup takes over, and waits for the rest awake. A
//! Backup that hears its Active router never comes to that point: its deadline moves away with each advert.

use core::{hint::spin_loop, time::Duration};

use super::now;
use crate::Instant;

/// How long before.
const AHEAD: Duration = Duration::from_micros(150);
/// At most once in that time: hundreds of routers that take over one after the other must not take a processor.
const SELDOM: Duration = Duration::from_millis(10);

/// When the driver was awake early.
#[derive(Debug, Default)]
pub(super) struct Early {
    last: Option<Instant>,
}

impl Early {
    fn may_at(&self, at: Instant) -> bool {
        self.last.is_none_or(|last| at.since(last) >= SELDOM)
    }

    /// When to wake for a takeover at that time.
    pub(super) fn wake(&self, takeover: Option<Instant>) -> Option<Instant> {
        takeover
            .filter(|at| self.may_at(*at))
            .map(|at| at.before(AHEAD))
    }

    /// Waits for a takeover that is about to be; whether there was one.
    pub(super) fn wait_for(&mut self, takeover: Option<Instant>) -> bool {
        let begins = now();
        let Some(at) =
            takeover.filter(|at| *at > begins && at.since(begins) <= AHEAD && self.may_at(*at))
        else {
            return false;
        };
        self.last = Some(at);
        while now() < at {
            spin_loop();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_takeover_is_waited_for_to_its_moment_and_not_a_second_time_soon() {
        let mut early = Early::default();
        let far = now() + Duration::from_secs(1);
        assert_eq!(early.wake(Some(far)), Some(far.before(AHEAD)));
        assert!(!early.wait_for(Some(far)));
        assert!(!early.wait_for(None));
        // One that has come already is not waited for.
        assert!(!early.wait_for(Some(now())));
        let mut soon = now() + AHEAD / 2;
        // A test may be kept from running for longer than that.
        while !early.wait_for(Some(soon)) {
            soon = now() + AHEAD / 2;
        }
        assert!(now() >= soon);
        let next = soon + SELDOM / 2;
        assert_eq!(early.wake(Some(next)), None);
        assert_eq!(
            early.wake(Some(soon + SELDOM)),
            Some((soon + SELDOM).before(AHEAD))
        );
        let mut early = Early {
            last: Some(far + SELDOM),
        };
        assert!(!early.wait_for(Some(now() + AHEAD / 2)));
    }
}
