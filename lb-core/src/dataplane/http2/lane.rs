//! Tasks that serve streams, one after the other: a new task for each would be a new future of some kilobytes, and new
//! memory for what is read and written.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};

use super::Lives;
use crate::dataplane::{
    http1::{self, Exchange},
    rt::{self, Timer},
    session::Connection,
    worker::Worker,
};

/// Tasks without a stream that a worker keeps for ever.
const KEPT: usize = 64;
/// Of more than those, the ones that were not needed for so long end.
const PATIENCE: Duration = Duration::from_secs(1);

/// A stream, how many there were before it, and its place among those of its connection.
type Job = (Box<Option<Connection>>, u32, Lives);

/// The tasks of a worker that wait for a stream.
#[derive(Default)]
pub(in crate::dataplane) struct Lanes {
    free: RefCell<Vec<Rc<Lane>>>,
    /// The fewest there were since the last look: so many were not needed.
    fewest: Cell<usize>,
    /// Somebody looks whether there are too many.
    watched: Cell<bool>,
}

/// A task, as those see it who have a stream for it.
#[derive(Default)]
struct Lane {
    job: RefCell<Option<Job>>,
    /// Memory for the connection of the next one.
    room: Cell<Option<Box<Option<Connection>>>>,
    ends: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// Serves a stream.
pub(super) fn serve(worker: &Rc<Worker>, connection: Connection, (number, lives): (u32, Lives)) {
    let waiting = worker.lanes.take();
    let fresh = waiting.is_none();
    let lane = waiting.unwrap_or_default();
    let mut room = lane.room.take().unwrap_or_default();
    *room = Some(connection);
    lane.job.replace(Some((room, number, lives)));
    if fresh {
        rt::spawn(run(Rc::clone(worker), lane));
    } else {
        lane.wake();
    }
}

async fn run(worker: Rc<Worker>, lane: Rc<Lane>) {
    let mut exchange = Exchange::new();
    // The loop goes on knowing a deadline: the next stream's is later, and need not be made known.
    let mut timer = Timer::default();
    while let Some((mut room, number, lives)) = lane.next().await {
        if let Some(connection) = room.as_mut() {
            std::mem::swap(&mut connection.timer, &mut timer);
            http1::serve_one(connection, &mut exchange, number).await;
            std::mem::swap(&mut connection.timer, &mut timer);
            timer.set(None);
        }
        *room = None;
        lane.room.set(Some(room));
        drop(lives);
        if worker.lanes.keep(Rc::clone(&lane)) {
            rt::spawn(watch(Rc::clone(&worker)));
        }
    }
}

/// Ends what many streams at once have left, until no more than the usual ones are there.
async fn watch(worker: Rc<Worker>) {
    loop {
        rt::sleep(PATIENCE).await;
        if !worker.lanes.thin_out() {
            return;
        }
    }
}

impl Lanes {
    fn take(&self) -> Option<Rc<Lane>> {
        let mut free = self.free.borrow_mut();
        let lane = free.pop();
        self.fewest.set(self.fewest.get().min(free.len()));
        lane
    }

    /// True if there are more than usual, and nobody watches them yet.
    fn keep(&self, lane: Rc<Lane>) -> bool {
        let mut free = self.free.borrow_mut();
        free.push(lane);
        free.len() > KEPT && !self.watched.replace(true)
    }

    /// Whether there are still more than usual.
    fn thin_out(&self) -> bool {
        let mut free = self.free.borrow_mut();
        let spare = free.len().saturating_sub(KEPT);
        for lane in free.drain(..spare.min(self.fewest.get())) {
            lane.ends.set(true);
            lane.wake();
        }
        self.fewest.set(free.len());
        self.watched.set(free.len() > KEPT);
        self.watched.get()
    }
}

impl Lane {
    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// `None` if there will be none.
    async fn next(&self) -> Option<Job> {
        std::future::poll_fn(|cx| match self.job.take() {
            Some(job) => Poll::Ready(Some(job)),
            None if self.ends.get() => Poll::Ready(None),
            None => {
                self.waker.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(count: usize) -> Vec<Rc<Lane>> {
        std::iter::repeat_with(Rc::default).take(count).collect()
    }

    #[test]
    fn what_many_streams_left_ends_once_it_is_not_needed() {
        let waiting = Lanes::default();
        let watchers = lanes(KEPT + 10)
            .into_iter()
            .filter(|lane| waiting.keep(Rc::clone(lane)));
        assert_eq!(watchers.count(), 1);
        // Within a second eight of the ten were needed.
        assert!(waiting.thin_out());
        let taken: Vec<_> = std::iter::from_fn(|| waiting.take())
            .take(KEPT + 8)
            .collect();
        taken.into_iter().for_each(|lane| {
            waiting.keep(lane);
        });
        assert!(waiting.thin_out());
        assert_eq!(waiting.free.borrow().len(), KEPT + 8);
        assert!(!waiting.thin_out());
        assert_eq!(waiting.free.borrow().len(), KEPT);
    }

    #[test]
    fn a_task_that_is_not_needed_ends() {
        let waiting = Lanes::default();
        let all = lanes(KEPT + 1);
        for lane in &all {
            waiting.keep(Rc::clone(lane));
        }
        waiting.thin_out();
        waiting.thin_out();
        assert_eq!(all.iter().filter(|lane| lane.ends.get()).count(), 1);
    }
}
