//! Leases to be renewed, from the driver's side to the worker. Hundreds of routers ask for hundreds of renewals a second,
//! which the worker carries out together: the first wakes it, those that follow lie there when it gets to them. While
//! there are many each time, it looks by itself.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use vrrp_fsm::RouterId;

use super::worker::Work;
use super::{LinuxHost, NOBODY};

/// So many at once that there will be more.
const MANY: usize = 8;

/// Routers whose leases are to be renewed, each with when its last advert went out: never more than there are routers,
/// however long the worker waits for the kernel. Held for the time of an insertion, so that no advert waits for it.
#[derive(Debug, Default, Clone)]
pub(super) struct Renewals(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    routers: BTreeMap<RouterId, Duration>,
    /// The worker will look without being told.
    is_looked_at: bool,
}

impl Renewals {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more; whether the worker has to be told, of the first one. It takes them all thereafter, so that none
    /// is left behind whatever becomes of the first one's router.
    fn add(&self, router: RouterId, sent: Duration) -> bool {
        let mut waiting = self.waiting();
        let is_first = waiting.routers.is_empty() && !waiting.is_looked_at;
        waiting.routers.insert(router, sent);
        is_first
    }

    /// All that wait, and whether the worker is to look again by itself after [`GATHERED`](crate::lease::GATHERED).
    pub(super) fn take(&self) -> (BTreeMap<RouterId, Duration>, bool) {
        let mut waiting = self.waiting();
        waiting.is_looked_at = waiting.routers.len() >= MANY;
        (mem::take(&mut waiting.routers), waiting.is_looked_at)
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
        assert_eq!(worker.take().0.len(), 3);
        assert!(driver.add(RouterId::new(2), ms(5001)));
    }

    #[test]
    fn a_worker_that_found_many_looks_by_itself_until_it_finds_few() {
        let driver = Renewals::default();
        let worker = driver.clone();
        let add = |count| (0..count).map(|number| driver.add(RouterId::new(number), ms(0)));
        assert_eq!(add(8).filter(|told| *told).count(), 1);
        assert!(worker.take().1);
        assert_eq!(add(7).filter(|told| *told).count(), 0);
        let (few, looks) = worker.take();
        assert_eq!((few.len(), looks), (7, false));
        assert_eq!(add(1).filter(|told| *told).count(), 1);
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
        assert_eq!(renewals.take().0, BTreeMap::from(last));
    }
}
