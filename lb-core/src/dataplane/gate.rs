//! Connection limits. A listener that finds a gate closed leaves connections in the kernel's backlog and waits;
//! each connection that ends wakes one waiting listener, so that no storm follows. One that is woken and has nobody to
//! let in passes the place on to the next.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// A limit shared by all workers.
#[derive(Debug)]
pub(super) struct Gate {
    limit: AtomicU32,
    inside: AtomicU32,
    waiting: Mutex<VecDeque<Waker>>,
    /// How many wait: most connections end while nobody does.
    queued: AtomicUsize,
}

/// One place inside a [`Gate`]; leaves on drop.
#[derive(Debug)]
#[must_use]
pub(super) struct Pass(Arc<Gate>);

impl Gate {
    /// A gate for `limit` connections; `None` is no limit.
    pub(super) fn new(limit: Option<u32>) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicU32::new(limit.unwrap_or(u32::MAX)),
            inside: AtomicU32::new(0),
            waiting: Mutex::default(),
            queued: AtomicUsize::new(0),
        })
    }

    /// Another limit from now on; those inside stay.
    pub(super) fn set_limit(&self, limit: Option<u32>) {
        self.limit
            .store(limit.unwrap_or(u32::MAX), Ordering::Release);
        for waker in self.change(std::mem::take) {
            waker.wake();
        }
    }

    /// Enters if there is room.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Pass> {
        self.inside
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |inside| {
                (inside < self.limit.load(Ordering::Acquire)).then(|| inside + 1)
            })
            .ok()
            .map(|_| Pass(Arc::clone(self)))
    }

    /// Completes with a place; the caller's task is woken when one becomes free.
    pub(super) fn poll_enter(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<Pass> {
        if let Some(pass) = self.enter() {
            if self.queued.load(Ordering::SeqCst) > 0 {
                // Who is inside must not be woken in another's place.
                self.change(|waiting| waiting.retain(|waker| !waker.will_wake(cx.waker())));
            }
            return Poll::Ready(pass);
        }
        self.change(|waiting| {
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push_back(cx.waker().clone());
            }
        });
        // A place that became free before the waker was queued.
        self.enter().map_or(Poll::Pending, Poll::Ready)
    }

    fn change<T>(&self, change: impl FnOnce(&mut VecDeque<Waker>) -> T) -> T {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut waiting);
        self.queued.store(waiting.len(), Ordering::SeqCst);
        changed
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
        if self.0.queued.load(Ordering::SeqCst) > 0
            && let Some(waker) = self.0.change(VecDeque::pop_front)
        {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_admits_its_limit_and_wakes_one_waiter_a_place() {
        let gate = Gate::new(Some(1));
        let first = gate.enter().unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(gate.poll_enter(&mut cx).is_pending());
        assert_eq!(gate.waiting.lock().unwrap().len(), 1);
        drop(first);
        assert_eq!(gate.waiting.lock().unwrap().len(), 0);
        assert!(gate.poll_enter(&mut cx).is_ready());
        assert_eq!(gate.inside.load(Ordering::Relaxed), 0);
    }

    /// Remembers that it was woken.
    struct Woken(std::sync::atomic::AtomicBool);

    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_place_that_one_listener_does_not_need_goes_to_the_next() {
        let gate = Gate::new(Some(2));
        let places = [gate.enter().unwrap(), gate.enter().unwrap()];
        let listeners = [(); 2].map(|()| Arc::new(Woken(false.into())));
        let wakers = listeners.clone().map(Waker::from);
        for waker in &wakers {
            assert!(
                gate.poll_enter(&mut Context::from_waker(waker))
                    .is_pending()
            );
        }
        let woken = || listeners.each_ref().map(|l| l.0.load(Ordering::SeqCst));
        let [first, second] = places;
        drop(first);
        assert_eq!(woken(), [true, false]);
        // The first has nobody to let in; the other place is not even free yet.
        assert!(
            gate.poll_enter(&mut Context::from_waker(&wakers[0]))
                .is_ready()
        );
        assert_eq!(woken(), [true, true]);
        drop(second);
    }

    #[test]
    fn one_who_got_in_otherwise_is_not_woken_in_place_of_another() {
        let gate = Gate::new(Some(1));
        let place = gate.enter().unwrap();
        let listeners = [(); 2].map(|()| Arc::new(Woken(false.into())));
        let wakers = listeners.clone().map(Waker::from);
        assert!(
            gate.poll_enter(&mut Context::from_waker(&wakers[0]))
                .is_pending()
        );
        assert!(
            gate.poll_enter(&mut Context::from_waker(&wakers[1]))
                .is_pending()
        );
        gate.limit.store(2, Ordering::SeqCst);
        let Poll::Ready(inside) = gate.poll_enter(&mut Context::from_waker(&wakers[0])) else {
            panic!("there is a place");
        };
        drop(place);
        let woken = listeners.each_ref().map(|l| l.0.load(Ordering::SeqCst));
        assert_eq!(woken, [false, true]);
        drop(inside);
    }
}
