//! Idle server connections of one worker. They are found closed or chatty before they are used, and swept
//! every second.

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant},
};

use super::stream::Stream;
use crate::{backend::Backend, id::ServerIndex, server::Server};

/// How long a connection may wait for its next request (HAProxy's `pool-purge-delay`).
const KEPT: Duration = Duration::from_secs(5);

/// A server connection between two requests.
#[derive(Debug)]
struct Idle {
    stream: Stream,
    since: Instant,
    /// Requests it has carried: from the second on it is known to be reusable.
    requests: u32,
    backend: Arc<Backend>,
}

/// The idle connections to the servers, by (backend, server).
#[derive(Debug, Default)]
pub(super) struct IdlePool {
    servers: RefCell<Vec<Vec<Vec<Idle>>>>,
}

impl IdlePool {
    /// Takes the connection used last. With `proven`, only one that has been reused before
    /// (`http-reuse safe` for a client's first request).
    pub(super) fn take(
        &self,
        backend: usize,
        server: usize,
        proven: bool,
    ) -> Option<(Stream, u32)> {
        let mut servers = self.servers.borrow_mut();
        let list = servers.get_mut(backend)?.get_mut(server)?;
        loop {
            let index = list.iter().rposition(|idle| !proven || idle.requests > 1)?;
            let idle = list.remove(index);
            leave(&idle, server);
            if !idle.stream.is_stale() {
                return Some((idle.stream, idle.requests));
            }
        }
    }

    /// Keeps a connection.
    pub(super) fn put(
        &self,
        (backend, server): (usize, usize),
        of: &Arc<Backend>,
        stream: Stream,
        requests: u32,
        now: Instant,
    ) {
        let mut servers = self.servers.borrow_mut();
        if servers.len() <= backend {
            servers.resize_with(backend + 1, Vec::new);
        }
        let Some(of_backend) = servers.get_mut(backend) else {
            return;
        };
        if of_backend.len() <= server {
            of_backend.resize_with(server + 1, Vec::new);
        }
        if let Some(list) = of_backend.get_mut(server) {
            list.push(Idle {
                stream,
                since: now,
                requests,
                backend: Arc::clone(of),
            });
        }
    }

    /// Closes what has been closed by the server, has sent something unasked or has waited too long, and what
    /// belongs to a server in maintenance.
    pub(super) fn sweep(&self, now: Instant) {
        self.retain(|_, server, idle| {
            let serves = idle
                .backend
                .server(ServerIndex::new(server))
                .is_some_and(Server::accepts_persistent);
            serves && now.duration_since(idle.since) < KEPT && !idle.stream.is_stale()
        });
    }

    /// Closes every connection to a server that went down.
    pub(super) fn purge(&self, backend: usize, server: usize) {
        self.retain(|b, s, _| (b, s) != (backend, server));
    }

    /// Closes every connection.
    pub(super) fn clear(&self) {
        self.retain(|_, _, _| false);
    }

    fn retain(&self, stays: impl Fn(usize, usize, &Idle) -> bool) {
        for (backend, servers) in self.servers.borrow_mut().iter_mut().enumerate() {
            for (server, list) in servers.iter_mut().enumerate() {
                list.retain(|idle| {
                    let stays = stays(backend, server, idle);
                    if !stays {
                        leave(idle, server);
                    }
                    stays
                });
            }
        }
    }
}

/// Keeps the server's count of idle connections.
fn leave(idle: &Idle, server: usize) {
    if let Some(server) = idle.backend.server(ServerIndex::new(server)) {
        server.counters().idle.leave();
    }
}
