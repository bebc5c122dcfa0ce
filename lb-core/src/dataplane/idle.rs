//! Idle server connections of one worker. They are found closed or chatty before they are used, and swept
//! every second.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{http2::Trunks, stream::Stream};
use crate::{
    backend::{Backend, Lease},
    id::ServerIndex,
    server::{Server, ServerKey},
};

/// How long a connection may wait for its next request (HAProxy's `pool-purge-delay`).
const KEPT: Duration = Duration::from_secs(5);

/// Idle connections to a server of which each is good for few requests only.
const KEYED: usize = 256;

/// A server connection between two requests.
#[derive(Debug)]
struct Idle {
    stream: Stream,
    /// What tells it from other connections to the server.
    name: Option<Box<[u8]>>,
    since: Instant,
    /// Requests it has carried: from the second on it is known to be reusable.
    requests: u32,
    backend: Arc<Backend>,
    server: ServerIndex,
}

impl Idle {
    fn server(&self) -> Option<&Server> {
        self.backend.server(self.server)
    }

    /// Keeps the server's count of idle connections.
    fn leave(&self) {
        if let Some(server) = self.server() {
            server.counters().idle.leave();
        }
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

/// The idle connections by server. A server is the same over reloads, and so are its connections.
#[derive(Debug, Default)]
pub(super) struct IdlePool {
    /// Those in HTTP/2, which carry requests of others meanwhile.
    pub(super) trunks: Trunks,
    servers: RefCell<BTreeMap<ServerKey, Kept>>,
}

impl IdlePool {
    /// Takes the connection used last of those to `name`. With `proven`, only one that has been reused before
    /// (`http-reuse safe` for a client's first request).
    pub(super) fn take(
        &self,
        server: ServerKey,
        proven: bool,
        name: Option<&[u8]>,
    ) -> Option<(Stream, u32)> {
        if let Some(taken) = self.trunks.take(server, proven, name) {
            return Some(taken);
        }
        let mut servers = self.servers.borrow_mut();
        let list = &mut servers.get_mut(&server)?.idle;
        loop {
            let fits = |idle: &Idle| (!proven || idle.requests > 1) && idle.name.as_deref() == name;
            let index = list.iter().rposition(fits)?;
            let mut idle = list.remove(index);
            idle.leave();
            if !idle.stream.is_stale() {
                return Some((idle.stream, idle.requests));
            }
        }
    }

    /// Keeps the connection of a lease, unless there are already more than were needed at once: clients that come
    /// and go would leave one each.
    pub(super) fn put(
        &self,
        lease: &Lease,
        mut stream: Stream,
        name: Option<Box<[u8]>>,
        requests: u32,
        now: Instant,
    ) {
        let Some(server) = lease.server() else {
            return;
        };
        let mut servers = self.servers.borrow_mut();
        let kept = servers.entry(server.key()).or_default();
        // This one is still among those in use, and then idle.
        let used = server.served();
        kept.peak = kept.peak.max(used);
        let idle = &server.counters().idle;
        let most = server.config().pool_max_conn.unwrap_or(u32::MAX);
        // Of the idle ones this worker's alone, and of those with a key those with the same one: no others can be taken.
        let alike = match &name {
            None => kept.idle.len(),
            Some(_) => kept.idle.iter().filter(|other| other.name == name).count(),
        };
        let own = u32::try_from(alike).unwrap_or(u32::MAX);
        if used.saturating_add(own) > kept.peak.max(kept.need) || idle.value() >= most {
            return stream.reset_on_close();
        }
        if name.is_some() && kept.idle.len() >= KEYED {
            kept.idle.remove(0).leave();
        }
        idle.enter();
        kept.idle.push(Idle {
            stream,
            name,
            since: now,
            requests,
            backend: Arc::clone(lease.backend()),
            server: server.index(),
        });
    }

    /// Closes what has been closed by the server, has sent something unasked or has waited too long, and what
    /// belongs to a server in maintenance.
    pub(super) fn sweep(&self, now: Instant) {
        for kept in self.servers.borrow_mut().values_mut() {
            kept.need = std::mem::take(&mut kept.peak).max(kept.need / 2);
        }
        self.trunks.sweep(now);
        self.retain(|_, idle| {
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
        self.retain(|key, _| key != server);
        self.trunks.retain(|key| key != server);
    }

    /// Closes every connection to servers that are none of these.
    pub(super) fn keep(&self, servers: &BTreeSet<ServerKey>) {
        self.retain(|key, _| servers.contains(&key));
        self.trunks.retain(|key| servers.contains(&key));
    }

    /// Closes every connection.
    pub(super) fn clear(&self) {
        self.retain(|_, _| false);
        self.trunks.retain(|_| false);
    }

    fn retain(&self, stays: impl Fn(ServerKey, &mut Idle) -> bool) {
        self.servers.borrow_mut().retain(|key, kept| {
            kept.idle.retain_mut(|idle| {
                let stays = stays(*key, idle);
                if !stays {
                    idle.leave();
                }
                stays
            });
            // A key is only good as long as its server lives.
            !kept.idle.is_empty()
        });
    }
}
