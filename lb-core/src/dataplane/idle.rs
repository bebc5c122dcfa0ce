//! Idle server connections of one worker, of which others take one when they have none. They are found closed or
//! chatty before they are used, and swept every second.
//!
//! A connection in HTTP/1 stays with the worker that used it last, known to its event loop, so that a worker that finds
//! one of its own makes no system call for it. Another worker's is moved from loop to loop, with its TLS. Connections
//! in HTTP/2 stay where they are: each is a running task that carries many requests at once, so that one for each
//! worker is few.

mod shelf;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{http2::Trunks, stream::Stream};
use crate::{
    backend::Lease,
    server::{Server, ServerKey},
};
use shelf::Idle;
pub(super) use shelf::{Returned, Shelf, Wanted};

/// How long a connection may wait for its next request (HAProxy's `pool-purge-delay`).
const KEPT: Duration = Duration::from_secs(5);

/// The idle connections by server. A server is the same over reloads, and so are its connections.
#[derive(Debug)]
pub(super) struct IdlePool {
    /// Those in HTTP/2, which carry requests of others meanwhile.
    pub(super) trunks: Trunks,
    own: Arc<Shelf>,
    /// Those of every worker.
    all: RefCell<Arc<[Arc<Shelf>]>>,
    /// Requests take those of other workers (`tune.idle-pool.shared`).
    sharing: Cell<bool>,
    /// The next worker that is asked for one.
    next: Cell<usize>,
}

impl IdlePool {
    /// That of the worker whose shelf this is.
    pub(super) fn new(own: Arc<Shelf>) -> Self {
        Self {
            trunks: Trunks::default(),
            own,
            all: RefCell::default(),
            sharing: Cell::new(false),
            next: Cell::new(0),
        }
    }

    /// The shelves that there are now, and whether requests take from all of them.
    pub(super) fn adopt(&self, all: Arc<[Arc<Shelf>]>, sharing: bool) {
        self.sharing.set(sharing && all.len() > 1);
        self.all.replace(all);
    }

    /// Takes an idle connection, another worker's if this one has none, and the number of requests it has carried.
    pub(super) fn take(&self, server: &Server, wanted: Wanted<'_>) -> Option<(Stream, u32)> {
        let key = server.key();
        if let Some(taken) = self.trunks.take(key, wanted.proven, wanted.name) {
            return Some(taken);
        }
        while let Some(mut idle) = self.own.take(key, wanted) {
            if !idle.stream.is_stale() {
                return Some((idle.stream.into(), idle.requests));
            }
        }
        self.sharing
            .get()
            .then(|| self.take_from_others(server, wanted))
            .flatten()
    }

    /// Takes an idle connection of another worker, unless there are few (`pool-low-conn`).
    #[cold]
    fn take_from_others(&self, server: &Server, wanted: Wanted<'_>) -> Option<(Stream, u32)> {
        let there_are = server.counters().idle.value();
        if there_are < server.config().pool_low_conn.max(1) {
            return None;
        }
        let all = Arc::clone(&self.all.borrow());
        let first = self.next.get();
        for at in (0..all.len()).map(|step| (first + step) % all.len()) {
            let Some(shelf) = all.get(at).filter(|shelf| !Arc::ptr_eq(shelf, &self.own)) else {
                continue;
            };
            while let Some(mut idle) = shelf.take(server.key(), wanted) {
                // Its own worker has not looked at it for a while.
                if idle.stream.settle().is_ok() && !idle.stream.is_stale() {
                    self.next.set(at + 1);
                    return Some((idle.stream.into(), idle.requests));
                }
            }
        }
        None
    }

    /// Keeps the connection of a lease if it is worth that.
    pub(super) fn put(&self, lease: &Lease, returned: Returned, now: Instant) {
        let Some(server) = lease.server() else {
            return;
        };
        let idle = Idle::new(lease, returned, now);
        let closed = match server.config().pool_purge_delay {
            Some(Duration::ZERO) => Some(idle),
            _ => self.own.put(server, idle),
        };
        if let Some(idle) = closed {
            idle.stream.reset();
        }
    }

    /// Closes what has been closed by the server, has sent something unasked or has waited too long, and what
    /// belongs to a server in maintenance.
    pub(super) fn sweep(&self, now: Instant) {
        self.own.age();
        self.trunks.sweep(now);
        self.own.retain(|_, idle| {
            let serves = idle.server().is_some_and(Server::accepts_persistent);
            let kept = idle
                .server()
                .and_then(|server| server.config().pool_purge_delay);
            serves
                && now.duration_since(idle.since) < kept.unwrap_or(KEPT)
                && !idle.stream.is_stale()
        });
    }

    /// Closes every connection to a server that went down.
    pub(super) fn purge(&self, server: ServerKey) {
        self.own.retain(|key, _| key != server);
        self.trunks.retain(|key| key != server);
    }

    /// Closes every connection to servers that are none of these.
    pub(super) fn keep(&self, servers: &BTreeSet<ServerKey>) {
        self.own.retain(|key, _| servers.contains(&key));
        self.trunks.retain(|key| servers.contains(&key));
    }

    /// Closes every connection.
    pub(super) fn clear(&self) {
        self.own.retain(|_, _| false);
        self.trunks.retain(|_| false);
    }

    /// Closes every connection, those of other workers in HTTP/1 as well: their descriptors are missing.
    pub(super) fn clear_everywhere(&self) {
        self.clear();
        for shelf in self.all.borrow().iter() {
            shelf.retain(|_, _| false);
        }
    }
}
