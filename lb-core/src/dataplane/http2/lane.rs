//! Tasks that serve streams, one after the other: a new task for each would be a new future of some kilobytes.

use std::{
    cell::RefCell,
    rc::Rc,
    task::{Poll, Waker},
};

use super::Lives;
use crate::dataplane::{http1, rt, session::Connection, worker::Worker};

/// Tasks without a stream that a worker keeps.
const KEPT: usize = 64;

/// A stream, how many there were before it, and its place among those of its connection.
type Job = (Box<Connection>, u32, Lives);

/// A task, as those see it who have a stream for it.
#[derive(Default)]
pub(in crate::dataplane) struct Lane {
    job: RefCell<Option<Job>>,
    waker: RefCell<Option<Waker>>,
}

/// Serves a stream.
pub(super) fn serve(worker: &Rc<Worker>, job: Job) {
    let free = worker.lanes.borrow_mut().pop();
    if let Some(lane) = free {
        lane.job.replace(Some(job));
        if let Some(waker) = lane.waker.take() {
            waker.wake();
        }
        return;
    }
    let lane = Rc::new(Lane::default());
    lane.job.replace(Some(job));
    rt::spawn(run(Rc::clone(worker), lane));
}

async fn run(worker: Rc<Worker>, lane: Rc<Lane>) {
    loop {
        let (connection, number, lives) = lane.next().await;
        http1::serve_one(connection, number).await;
        drop(lives);
        let mut lanes = worker.lanes.borrow_mut();
        if lanes.len() >= KEPT {
            return;
        }
        lanes.push(Rc::clone(&lane));
    }
}

impl Lane {
    async fn next(&self) -> Job {
        std::future::poll_fn(|cx| match self.job.take() {
            Some(job) => Poll::Ready(job),
            None => {
                self.waker.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }
}
