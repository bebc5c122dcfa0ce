//! The connections of one worker, so that they can be told to end.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    task::{Poll, Waker},
};

use slab::Slab;

use super::listener::Listener;
use crate::server::ServerKey;

/// What a connection is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Order {
    /// Go on.
    #[default]
    Run,
    /// End when the running request is done.
    Finish,
    /// End at once: the server went down.
    ServerDown,
    /// End at once: an active server came up, and this one is a backup.
    ServerUp,
    /// End at once: the time to finish is over.
    Killed,
}

#[derive(Default)]
struct Entry {
    order: Cell<Order>,
    waker: Cell<Option<Waker>>,
    /// The server that the connection uses now.
    server: Cell<Option<ServerKey>>,
    /// What accepted it, or has taken it over since.
    listener: Cell<Weak<Listener>>,
}

/// Every connection of a worker.
#[derive(Default)]
pub(super) struct Registry {
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
    /// Enters a connection.
    pub(super) fn join(self: &Rc<Self>, listener: &Rc<Listener>) -> Membership {
        let entry = Rc::new(Entry {
            listener: Cell::new(Rc::downgrade(listener)),
            ..Entry::default()
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
            let listener = entry.listener.take();
            let found = listener.upgrade();
            entry.listener.set(listener);
            found.is_some_and(|l| of(&l))
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
