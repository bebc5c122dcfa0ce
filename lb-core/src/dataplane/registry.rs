//! The connections of one worker, so that they can be told to end.

use std::{
    cell::{Cell, RefCell},
    net::{IpAddr, SocketAddr},
    rc::{Rc, Weak},
    sync::Arc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use slab::Slab;

use super::{api::Session, clock, listener::Listener};
use crate::{
    request::{ConnectionInfo, is_unix, of_unix},
    server::ServerKey,
};

/// What a connection is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Order {
    /// Go on.
    #[default]
    Run,
    /// End after the answer that comes next: nobody listens any more where it came from.
    Leave,
    /// End when the running request is done.
    Finish,
    /// End at once: the server went down.
    ServerDown,
    /// End at once: an active server came up, and this one is a backup.
    ServerUp,
    /// End at once: the time to finish is over.
    Killed,
}

/// As small as it can be: it is there for every client that waits.
struct Entry {
    /// Its number in the process, by which commands name it.
    id: u64,
    /// The client's address.
    /// None over a UNIX socket.
    ip: Option<IpAddr>,
    port: u16,
    /// When it began, in tenths of a second of the registry.
    since: u32,
    order: Cell<Order>,
    waker: Cell<Option<Waker>>,
    /// The server that the connection uses now.
    server: Cell<Option<ServerKey>>,
    /// What accepted it, or has taken it over since.
    listener: Cell<Weak<Listener>>,
}

/// What [`Entry::since`] counts.
const TICK: Duration = Duration::from_millis(1000 / TICKS_A_SECOND);
const TICKS_A_SECOND: u64 = 10;

impl Entry {
    /// Something of the listener, if it is still there.
    fn accepted_by<T>(&self, look: impl FnOnce(&Listener) -> T) -> Option<T> {
        let listener = self.listener.take();
        let found = listener.upgrade();
        self.listener.set(listener);
        found.map(|listener| look(&listener))
    }
}

/// Every connection of a worker.
pub(super) struct Registry {
    began: Instant,
    /// The number of the connection that comes next; those of another worker begin elsewhere.
    next: Cell<u64>,
    entries: RefCell<Slab<Rc<Entry>>>,
    finishing: Cell<bool>,
    on_empty: RefCell<Vec<tokio::sync::oneshot::Sender<()>>>,
}

/// A connection's own end of its entry; leaves the registry on drop.
pub(super) struct Membership {
    registry: Rc<Registry>,
    entry: Rc<Entry>,
    key: usize,
}

impl Registry {
    /// That of a worker.
    pub(super) fn new(worker: usize) -> Self {
        let first = u64::try_from(worker).unwrap_or_default() << 40 | 1;
        Self {
            began: clock::now(),
            next: Cell::new(first),
            entries: RefCell::default(),
            finishing: Cell::default(),
            on_empty: RefCell::default(),
        }
    }

    /// The connections there are from place `at` on, `most` of them; and where the rest begins.
    pub(super) fn sessions(&self, at: usize, most: usize) -> (Vec<Session>, Option<usize>) {
        let entries = self.entries.borrow();
        let mut sessions = Vec::new();
        for key in at..entries.capacity() {
            if sessions.len() == most {
                return (sessions, Some(key));
            }
            sessions.extend(entries.get(key).map(|entry| {
                Session {
                    id: entry.id,
                    source: entry
                        .ip
                        .map_or_else(|| of_unix(entry.port), |ip| SocketAddr::new(ip, entry.port)),
                    since: self.began + TICK * entry.since,
                    frontend: entry.accepted_by(|l| Arc::clone(&l.frontend.config().name)),
                    server: entry.server.get(),
                }
            }));
        }
        (sessions, None)
    }

    /// Cuts the connection of that number; false if there is none.
    pub(super) fn kill_one(&self, id: u64) -> bool {
        let found = self
            .entries
            .borrow()
            .iter()
            .any(|(_, entry)| entry.id == id);
        self.order(Order::Killed, |entry| entry.id == id);
        found
    }

    /// Enters a connection.
    pub(super) fn join(
        self: &Rc<Self>,
        listener: &Rc<Listener>,
        info: &ConnectionInfo,
        now: Instant,
    ) -> Membership {
        let id = self.next.get();
        self.next.set(id + 1);
        let since = now.saturating_duration_since(self.began);
        // In parts: a division of 128 bits would cost what all the rest here does.
        let part = u64::from(since.subsec_millis()) * TICKS_A_SECOND / 1000;
        let ticks = since.as_secs() * TICKS_A_SECOND + part;
        let entry = Rc::new(Entry {
            id,
            ip: (!is_unix(info.source)).then_some(info.source.ip()),
            port: info.source.port(),
            since: u32::try_from(ticks).unwrap_or(u32::MAX),
            order: Cell::default(),
            waker: Cell::default(),
            server: Cell::default(),
            listener: Cell::new(Rc::downgrade(listener)),
        });
        if self.finishing.get() {
            entry.order.set(Order::Finish);
        }
        Membership {
            key: self.entries.borrow_mut().insert(Rc::clone(&entry)),
            entry,
            registry: Rc::clone(self),
        }
    }

    /// Asks every connection, present and future, to finish.
    pub(super) fn finish_all(&self) {
        self.finishing.set(true);
        self.order(Order::Finish, |_| true);
    }

    /// Cuts the connections that use this server.
    pub(super) fn server_down(&self, server: ServerKey) {
        self.order(Order::ServerDown, |entry| {
            entry.server.get() == Some(server)
        });
    }

    /// Cuts the connections that use this backup server, because an active one came up.
    pub(super) fn server_up(&self, backup: ServerKey) {
        self.order(Order::ServerUp, |entry| entry.server.get() == Some(backup));
    }

    /// Cuts the connections that use this server, because somebody said so.
    pub(super) fn kill(&self, server: ServerKey) {
        self.order(Order::Killed, |entry| entry.server.get() == Some(server));
    }

    /// Cuts the connections whose listener is one of those.
    pub(super) fn cut(&self, of: impl Fn(&Listener) -> bool) {
        self.order(Order::Killed, |entry| {
            entry.accepted_by(&of).unwrap_or_default()
        });
    }

    /// Whether connections are asked to finish.
    pub(super) fn is_finishing(&self) -> bool {
        self.finishing.get()
    }

    /// Replies once no connection is left.
    pub(super) fn when_empty(&self, reply: tokio::sync::oneshot::Sender<()>) {
        self.on_empty.borrow_mut().push(reply);
        self.tell_if_empty();
    }

    fn order(&self, order: Order, concerned: impl Fn(&Entry) -> bool) {
        for (_, entry) in self.entries.borrow().iter() {
            if concerned(entry) && entry.order.get() < order {
                entry.order.set(order);
                let waker = entry.waker.take();
                if let Some(waker) = &waker {
                    waker.wake_by_ref();
                }
                entry.waker.set(waker);
            }
        }
    }

    fn tell_if_empty(&self) {
        if self.entries.borrow().is_empty() {
            for reply in self.on_empty.borrow_mut().drain(..) {
                let _ = reply.send(());
            }
        }
    }
}

impl Membership {
    /// Lets orders wake the task that polls this; called once at the beginning.
    pub(super) async fn listen(&self) {
        std::future::poll_fn(|cx| {
            self.entry.waker.set(Some(cx.waker().clone()));
            Poll::Ready(())
        })
        .await;
    }

    /// What is asked of this connection.
    pub(super) fn order(&self) -> Order {
        self.entry.order.get()
    }

    /// Notes the listener that stands for the one that accepted the connection.
    pub(super) fn belongs_to(&self, listener: &Rc<Listener>) {
        self.entry.listener.set(Rc::downgrade(listener));
    }

    /// Nobody listens any more where the connection came from.
    pub(super) fn is_left_over(&self) {
        if self.entry.order.get() == Order::Run {
            self.entry.order.set(Order::Leave);
        }
    }

    /// Notes the server in use.
    pub(super) fn uses(&self, server: Option<ServerKey>) {
        self.entry.server.set(server);
        if matches!(self.entry.order.get(), Order::ServerDown | Order::ServerUp) {
            let finishing = self.registry.finishing.get();
            self.entry
                .order
                .set(if finishing { Order::Finish } else { Order::Run });
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.registry.entries.borrow_mut().try_remove(self.key);
        self.registry.tell_if_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_of_a_waiting_client_is_small() {
        assert!(size_of::<Entry>() <= 64, "{} bytes", size_of::<Entry>());
    }
}
