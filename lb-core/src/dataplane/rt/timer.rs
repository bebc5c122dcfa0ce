//! Deadlines. A task that moves its deadline often, as every connection does, notes it only: the loop hears of it
//! when it is earlier than the one it knows, or when that one has passed.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use super::Core;
use crate::dataplane::clock;

/// Whom a loop wakes when.
#[derive(Default)]
pub(super) struct Timers {
    queue: RefCell<BTreeMap<(Instant, u64), Waker>>,
    numbers: Cell<u64>,
}

impl Timers {
    /// The next deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue
            .borrow()
            .first_key_value()
            .map(|((at, _), _)| *at)
    }

    /// Wakes those whose deadline has passed.
    pub(super) fn fire(&self, now: Instant) {
        while self.next().is_some_and(|at| at <= now) {
            let due = self.queue.borrow_mut().pop_first();
            if let Some((_, waker)) = due {
                waker.wake();
            }
        }
    }
}

/// A deadline that the loop knows; it forgets it on drop.
struct Alarm {
    core: Rc<Core>,
    at: Instant,
    number: u64,
    /// Whom it wakes, as [`Waker::data`].
    wakes: usize,
}

impl Alarm {
    fn new(at: Instant, waker: &Waker) -> Option<Self> {
        let core = Core::current()?;
        let number = core.timers.numbers.get() + 1;
        core.timers.numbers.set(number);
        let mut queue = core.timers.queue.borrow_mut();
        queue.insert((at, number), waker.clone());
        drop(queue);
        Some(Self {
            core,
            at,
            number,
            wakes: waker.data().addr(),
        })
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let mut queue = self.core.timers.queue.borrow_mut();
        queue.remove(&(self.at, self.number));
    }
}

/// A deadline that may move at no cost.
#[derive(Default)]
pub(in crate::dataplane) struct Timer {
    deadline: Option<Instant>,
    alarm: Option<Alarm>,
}

impl Timer {
    /// Expires at `deadline`, or never.
    pub(in crate::dataplane) fn set(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Expires `timeout` after `now`, or never.
    pub(in crate::dataplane) fn after(&mut self, now: Instant, timeout: Option<Duration>) {
        self.deadline = timeout.map(|t| now + t);
    }

    /// Expires at `deadline` at the latest.
    pub(in crate::dataplane) fn no_later_than(&mut self, deadline: Instant) {
        self.deadline = Some(self.deadline.map_or(deadline, |own| own.min(deadline)));
    }

    /// Completes once the deadline has passed.
    pub(in crate::dataplane) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let now = clock::recent();
        if now >= deadline {
            return Poll::Ready(());
        }
        let stands = self.alarm.as_ref().is_some_and(|alarm| {
            // One that has passed may have been heard already.
            (now < alarm.at && alarm.at <= deadline) && alarm.wakes == cx.waker().data().addr()
        });
        if !stands {
            self.alarm = Alarm::new(deadline, cx.waker());
        }
        Poll::Pending
    }
}

/// Completes at `deadline`.
pub(in crate::dataplane) async fn sleep_until(deadline: Instant) {
    let mut timer = Timer::default();
    timer.set(Some(deadline));
    std::future::poll_fn(|cx| timer.poll_expired(cx)).await;
}

/// Completes after `pause`.
pub(in crate::dataplane) async fn sleep(pause: Duration) {
    sleep_until(clock::now() + pause).await;
}

/// What `future` gives, or `None` if it has not by `deadline`.
pub(in crate::dataplane) async fn timeout_at<T>(
    deadline: Instant,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut timer = Timer::default();
    timer.set(Some(deadline));
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => timer.poll_expired(cx).map(|()| None),
    })
    .await
}

/// What `future` gives, or `None` if it takes longer than `patience`.
pub(in crate::dataplane) async fn timeout<T>(
    patience: Duration,
    future: impl Future<Output = T>,
) -> Option<T> {
    timeout_at(clock::now() + patience, future).await
}
