//! Connection limits. A listener that finds a gate closed leaves connections in the kernel's backlog and waits;
//! each connection that ends wakes one waiting listener, so that no storm follows.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// A limit shared by all workers.
#[derive(Debug)]
pub(super) struct Gate {
    limit: AtomicU32,
    inside: AtomicU32,
    waiting: Mutex<VecDeque<Waker>>,
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
        })
    }

    /// Another limit from now on; those inside stay.
    pub(super) fn set_limit(&self, limit: Option<u32>) {
        self.limit
            .store(limit.unwrap_or(u32::MAX), Ordering::Release);
        let waiting =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for waker in waiting {
            waker.wake();
        }
    }

    /// Enters if there is room.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Pass> {
        self.inside
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |inside| {
                (inside < self.limit.load(Ordering::Acquire)).then(|| inside + 1)
            })
            .ok()
            .map(|_| Pass(Arc::clone(self)))
    }

    /// Completes with a place; the caller's task is woken when one becomes free.
    pub(super) fn poll_enter(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<Pass> {
        if let Some(pass) = self.enter() {
            return Poll::Ready(pass);
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push_back(cx.waker().clone());
        }
        drop(waiting);
        // A place that became free before the waker was queued.
        self.enter().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let inside = self.0.inside.fetch_sub(1, Ordering::AcqRel);
        // Nobody can wait far below the limit; a waker left behind is woken in vain at most once.
        if inside >= self.0.limit.load(Ordering::Acquire) {
            let next = self
                .0
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            if let Some(waker) = next {
                waker.wake();
            }
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
}
