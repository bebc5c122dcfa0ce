//! Leases to be renewed, from the driver's side to the worker. Hundreds of routers ask for hundreds of renewals a second,
//! which the worker carries out together: the first wakes it, those that follow lie there when it gets to them.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use vrrp_fsm::RouterId;

use super::worker::Work;
use super::{LinuxHost, NOBODY};

/// How long a renewal, of which there is one a second, may wait for others.
pub(super) const GATHERED: Duration = Duration::from_millis(100);

/// Routers whose leases are to be renewed, each with when its last advert went out: never more than there are routers,
/// however long the worker waits for the kernel. Held for the time of an insertion, so that no advert waits for it.
#[derive(Debug, Default, Clone)]
pub(super) struct Renewals(Arc<Mutex<BTreeMap<RouterId, Duration>>>);

impl Renewals {
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<RouterId, Duration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more; whether it is the first, which the worker has to be told of. It takes them all thereafter, so that none
    /// is left behind whatever becomes of the first one's router.
    fn add(&self, router: RouterId, sent: Duration) -> bool {
        let mut waiting = self.waiting();
        let is_first = waiting.is_empty();
        waiting.insert(router, sent);
        is_first
    }

    /// All that wait.
    pub(super) fn take(&self) -> BTreeMap<RouterId, Duration> {
        mem::take(&mut self.waiting())
    }
}

impl LinuxHost {
    /// An advert went out at that time, by which its router's lease is due.
    pub(super) fn renew(&mut self, router: RouterId, sent: Duration) {
        if self.renewals.add(router, sent) {
            self.command(NOBODY, Work::Renew { router, sent });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_first_wakes_and_whoever_comes_after_all_were_taken_is_first_again() {
        let driver = Renewals::default();
        let worker = driver.clone();
        assert!(driver.add(RouterId::new(1), ms(0)));
        assert!(!driver.add(RouterId::new(2), ms(1)));
        // However late it comes: nobody looks at clocks.
        assert!(!driver.add(RouterId::new(3), ms(5000)));
        assert_eq!(worker.take().len(), 3);
        assert!(driver.add(RouterId::new(2), ms(5001)));
    }

    #[test]
    fn a_worker_that_is_held_up_finds_the_last_renewal_of_each_router_and_no_heap_of_them() {
        let renewals = Renewals::default();
        for second in 0..3600 {
            renewals.add(RouterId::new(1), ms(second * 1000));
            renewals.add(RouterId::new(2), ms(second * 1000 + 1));
        }
        let last = [
            (RouterId::new(1), ms(3_599_000)),
            (RouterId::new(2), ms(3_599_001)),
        ];
        assert_eq!(renewals.take(), BTreeMap::from(last));
    }
}
