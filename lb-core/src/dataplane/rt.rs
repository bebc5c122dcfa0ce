//! The event loop of a thread: one epoll, tasks that are only ever polled there, and their timers.
//!
//! It does less than a runtime for everybody, and so costs less: no lock and no allocation to wake a task of the same
//! thread, no system call to forget a socket before it is closed, one look at the clock for all that happens at
//! once. Wakers may be used by any thread, and a socket may go to another one while nobody waits for it; everything else
//! stays where it was made.

mod pulse;
mod reactor;
mod socket;
mod task;
mod timer;

use std::{
    cell::RefCell,
    io,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use reactor::{Home, Reactor};
use task::{Header, ROOT, Shared, Tasks};
use timer::Timers;

pub(super) use pulse::Pulse;
pub(super) use socket::{Direction, Listener, Socket, accept};
pub(super) use task::{Task, spawn, yield_now};
pub(super) use timer::{Timer, sleep, sleep_until, timeout, timeout_at};

use super::clock;

/// After so many tasks a loop looks whether another thread wants something of it.
const GLANCE: usize = 32;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Core>>> = const { RefCell::new(None) };
}

/// The loop of this thread, and what it turns over.
struct Core {
    home: Arc<Home>,
    tasks: Tasks,
    timers: Timers,
    shared: Arc<Shared>,
    pulse: Arc<Pulse>,
}

impl Core {
    /// That of this thread: sockets, tasks and timers are made by what runs in a loop.
    fn current() -> Option<Rc<Self>> {
        let current = CURRENT.with_borrow(Option::clone);
        debug_assert!(current.is_some(), "called from a task of an event loop");
        current
    }

    /// Waits for events and deadlines, unless there is something to do, and wakes whom they concern.
    fn turn(&self) {
        let busy = task::ready() > 0;
        let timeout = match self.timers.next() {
            _ if busy => Some(Duration::ZERO),
            // From the beginning of the turn, which spares a look at the clock: late by no more than the turn has taken.
            Some(deadline) => Some(deadline.saturating_duration_since(clock::recent())),
            None => None,
        };
        if !busy {
            self.pulse.waits();
        }
        reactor::here(|reactor| reactor.wait(&self.home, timeout));
        // What another thread did before its peer sent something comes before that.
        self.shared.collect();
        reactor::here(Reactor::tell);
        let now = clock::now();
        self.pulse.turns(now);
        self.timers.fire(now);
    }
}

/// A loop that nobody turns yet; it may be taken to another thread.
pub(super) struct EventLoop {
    home: Arc<Home>,
    shared: Arc<Shared>,
    pulse: Arc<Pulse>,
}

impl EventLoop {
    /// Gets what is needed of the system.
    pub(super) fn new() -> io::Result<Self> {
        let shared = Arc::new(Shared::new()?);
        Ok(Self {
            home: Arc::new(Home::new(shared.bell())?),
            shared,
            pulse: Arc::new(Pulse::new(clock::now())),
        })
    }

    /// Shows whether it turns.
    pub(super) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Runs `root`, and every task that is spawned meanwhile, until `root` is done; tasks that are left are dropped.
    pub(super) fn block_on(self, root: impl Future<Output = ()>) {
        let core = Rc::new(Core {
            tasks: Tasks::new(&self.shared),
            home: self.home,
            timers: Timers::default(),
            shared: self.shared,
            pulse: self.pulse,
        });
        CURRENT.set(Some(Rc::clone(&core)));
        let _entered = Entered(&core);
        task::enter(&core.shared);
        reactor::enter(&core.home);
        clock::now();
        let header = Header::new(ROOT, &core.shared);
        let waker = Waker::from(Arc::clone(&header));
        waker.wake_by_ref();
        let mut root = pin!(root);
        'turns: loop {
            for polled in 1..=task::ready() {
                if polled % GLANCE == 0 {
                    core.shared.collect();
                }
                match task::next() {
                    Some(ROOT) => {
                        header.begin();
                        let polled = root.as_mut().poll(&mut Context::from_waker(&waker));
                        if polled.is_ready() {
                            break 'turns;
                        }
                    }
                    Some(key) => core.tasks.run(key),
                    None => break,
                }
            }
            core.turn();
        }
    }
}

/// A loop that this thread turns, until it is dropped: also where a task panics, for nothing else empties what the thread has.
struct Entered<'c>(&'c Core);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.tasks.clear();
        reactor::leave();
        task::leave();
        CURRENT.set(None);
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "peers are threads that take their time"
)]
mod tests;
