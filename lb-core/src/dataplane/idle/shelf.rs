//! The idle HTTP/1 connections of one worker, where others find them.
//!
//! Whoever has a request to serve never waits for the lock: it is held for as long as it takes to look through a list,
//! and who finds it taken goes on without (who is out of descriptors has to wait for one anyway). No socket is closed meanwhile: what leaves a list is closed when the lock is
//! free again, for the end of a socket may take the kernel, or TLS, a while.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    time::Instant,
};

use super::super::stream::Resting;
use crate::{
    backend::{Backend, Lease},
    id::ServerIndex,
    server::{Server, ServerKey},
};

/// Idle connections to a server of which each is good for few requests only.
const KEYED: usize = 256;
/// How often the lock is tried: its holder is done within the time of one or two.
const TRIES: u32 = 32;

/// A connection that a request gives back.
#[derive(Debug)]
pub(in super::super) struct Returned {
    pub(in super::super) stream: Resting,
    /// What tells it from other connections to the server.
    pub(in super::super) name: Option<Box<[u8]>>,
    /// Requests it has carried.
    pub(in super::super) requests: u32,
    /// See [`Dialed::moves`](super::super::connect::Dialed::moves).
    pub(in super::super) moves: u32,
}

/// A server connection between two requests.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) stream: Resting,
    /// What tells it from other connections to the server.
    name: Option<Box<[u8]>>,
    pub(super) since: Instant,
    /// Requests it has carried: from the second on it is known to be reusable.
    pub(super) requests: u32,
    moves: u32,
    backend: Arc<Backend>,
    server: ServerIndex,
}

impl Idle {
    /// The connection of a lease.
    pub(super) fn new(lease: &Lease, returned: Returned, since: Instant) -> Self {
        Self {
            stream: returned.stream,
            name: returned.name,
            since,
            requests: returned.requests,
            moves: returned.moves,
            backend: Arc::clone(lease.backend()),
            server: lease.server_index(),
        }
    }

    pub(super) fn server(&self) -> Option<&Server> {
        self.backend.server(self.server)
    }

    /// Keeps the server's count of idle connections.
    fn leave(&self) {
        if let Some(server) = self.server() {
            server.counters().idle.leave();
        }
    }
}

/// What a request asks of a connection.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Wanted<'a> {
    /// It must have been reused before (`http-reuse aggressive` for a client's first request).
    pub(in super::super) proven: bool,
    /// See [`Dialed::key`](super::super::connect::Dialed::key).
    pub(in super::super) name: Option<&'a [u8]>,
    /// It must lead to where the server has been since it moved so often.
    pub(in super::super) moves: u32,
}

impl Wanted<'_> {
    fn is(&self, idle: &Idle) -> bool {
        (!self.proven || idle.requests > 1)
            && idle.name.as_deref() == self.name
            && idle.moves == self.moves
    }
}

/// What is kept to one server.
#[derive(Debug, Default)]
struct Kept {
    idle: Vec<Idle>,
    /// Most streams at once since the last sweep, as seen when connections came back.
    peak: u32,
    /// The same of earlier times, halved with every sweep: no more connections than this are worth keeping.
    need: u32,
}

impl Kept {
    /// Whether a connection that comes back is worth keeping: while there are no more than were needed at once, else
    /// clients that come and go would leave one each. One of each kind is kept in any case, so that not every request
    /// has to look at what other workers have.
    fn wants(&mut self, idle: &Idle, server: &Server) -> bool {
        // This one is still among those in use, and then idle.
        let used = server.served();
        self.peak = self.peak.max(used);
        let mut alike = self.idle.iter().filter(|kept| kept.name == idle.name);
        if alike.next().is_none() {
            return true;
        }
        // Those with a key serve few: of them it is these that count.
        let spare = match idle.name {
            None => server.counters().idle.value(),
            Some(_) => u32::try_from(alike.count())
                .unwrap_or(u32::MAX)
                .saturating_add(1),
        };
        let low = server.config().pool_low_conn;
        used.saturating_add(spare) <= self.peak.max(self.need).saturating_add(low)
    }
}

impl Kept {
    /// Counts a connection that is to be kept; false if it is not.
    fn admits(&mut self, idle: &Idle, server: &Server) -> bool {
        let limit = server.config().pool_max_conn;
        limit != Some(0)
            && self.wants(idle, server)
            && server.counters().idle.enter_below(limit.unwrap_or(0))
    }

    /// Takes out those for which `stays` is false, behind what has been taken out before.
    fn take_out(&mut self, mut stays: impl FnMut(&mut Idle) -> bool, gone: &mut Vec<Idle>) {
        let before = gone.len();
        gone.extend(self.idle.extract_if(.., |idle| !stays(idle)));
        for idle in gone.iter().skip(before) {
            idle.leave();
        }
    }
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(in super::super) struct Shelf {
    servers: Mutex<BTreeMap<ServerKey, Kept>>,
}

type Servers<'a> = MutexGuard<'a, BTreeMap<ServerKey, Kept>>;

impl Shelf {
    /// For whoever has no request to serve.
    fn wait(&self) -> Servers<'_> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a request.
    fn try_enter(&self) -> Option<Servers<'_>> {
        for _ in 0..TRIES {
            match self.servers.try_lock() {
                Ok(servers) => return Some(servers),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
            }
        }
        None
    }

    /// Takes the connection used last of those that will do.
    pub(super) fn take(&self, server: ServerKey, wanted: Wanted<'_>) -> Option<Idle> {
        let mut servers = self.try_enter()?;
        let list = &mut servers.get_mut(&server)?.idle;
        let index = list.iter().rposition(|idle| wanted.is(idle))?;
        let idle = list.remove(index);
        drop(servers);
        idle.leave();
        Some(idle)
    }

    /// Keeps a connection. What comes back is to be closed: this one, or one that is kept no longer in its favour.
    pub(super) fn put(&self, server: &Server, idle: Idle) -> Option<Idle> {
        // Declared before the lock is taken, so that it is closed after that.
        let mut stale = Vec::new();
        let Some(mut servers) = self.try_enter() else {
            return Some(idle);
        };
        let kept = servers.entry(server.key()).or_default();
        if !kept.admits(&idle, server) {
            // Those that their server has closed are no reason: they are swept later.
            kept.take_out(|idle| !idle.stream.is_stale(), &mut stale);
            if !kept.admits(&idle, server) {
                return Some(idle);
            }
        }
        let mut gone = None;
        if idle.name.is_some() && kept.idle.len() >= KEYED {
            let oldest = kept.idle.remove(0);
            oldest.leave();
            gone = Some(oldest);
        }
        kept.idle.push(idle);
        gone
    }

    /// What was needed long ago counts less and less.
    pub(super) fn age(&self) {
        for kept in self.wait().values_mut() {
            kept.need = std::mem::take(&mut kept.peak).max(kept.need / 2);
        }
    }

    /// Closes the connections for which `stays` is false.
    pub(super) fn retain(&self, stays: impl Fn(ServerKey, &mut Idle) -> bool) {
        let mut gone = Vec::new();
        self.wait().retain(|key, kept| {
            kept.take_out(|idle| stays(*key, idle), &mut gone);
            // A key is only good as long as its server lives.
            !kept.idle.is_empty()
        });
        drop(gone);
    }
}
