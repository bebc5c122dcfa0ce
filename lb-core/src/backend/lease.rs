//! What [`Backend::assign`] gives out and takes back.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{Backend, Persistence};
use crate::{
    id::ServerIndex,
    queue::{Ahead, Number},
    server::Server,
};

/// A slot on a server. Dropping it gives the slot back and wakes the next in line.
#[must_use = "dropping a lease gives its slot back"]
pub struct Lease {
    backend: Arc<Backend>,
    server: ServerIndex,
    persistence: Persistence,
}

/// How a leased stream ended, for the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Served.
    Completed,
    /// No connection to the server (`econ`).
    ConnectFailed,
    /// No valid response (`eresp`).
    ResponseFailed,
    /// The client went away during the transfer (`cli_abrt`).
    ClientAborted,
    /// The server went away during the transfer (`srv_abrt`).
    ServerAborted,
}

impl Lease {
    pub(super) fn new(
        backend: Arc<Backend>,
        server: ServerIndex,
        persistence: Persistence,
    ) -> Self {
        Self {
            backend,
            server,
            persistence,
        }
    }

    /// The server, `None` only if the backend lost it (which does not happen: servers live as long as it).
    pub fn server(&self) -> Option<&Server> {
        self.backend.server(self.server)
    }

    /// Its number.
    pub fn server_index(&self) -> ServerIndex {
        self.server
    }

    /// The backend.
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// How the server was chosen.
    pub fn persistence(&self) -> Persistence {
        self.persistence
    }

    /// Gives the slot back and counts how the stream ended, on the server and on the backend.
    pub fn finish(self, outcome: Outcome) {
        let cells = [
            self.server().map(|s| s.counters().traffic.cell()),
            Some(self.backend.counters().traffic.cell()),
        ];
        for cell in cells.into_iter().flatten() {
            match outcome {
                Outcome::Completed => {}
                Outcome::ConnectFailed => cell.connect_errors.increment(),
                Outcome::ResponseFailed => cell.response_errors.increment(),
                Outcome::ClientAborted => cell.client_aborts.increment(),
                Outcome::ServerAborted => cell.server_aborts.increment(),
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.backend.release(self.server);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("backend", &self.backend.name())
            .field("server", &self.server)
            .field("persistence", &self.persistence)
            .finish()
    }
}

/// A place in a queue: a future that becomes a [`Lease`], first come first served. Any executor may poll it, and
/// the wake may come from any thread. Dropping it leaves the queue (or gives back the slot that just came).
#[must_use = "dropping a ticket leaves the queue"]
pub struct Ticket {
    backend: Arc<Backend>,
    number: Option<Number>,
    server: Option<ServerIndex>,
    /// As it was when its wait ended.
    ahead: Ahead,
}

impl Ticket {
    pub(super) fn new(backend: Arc<Backend>, number: Number, server: Option<ServerIndex>) -> Self {
        Self {
            backend,
            number: Some(number),
            server,
            ahead: Ahead::default(),
        }
    }

    /// How many were served before it until now, or until its wait ended (`%sq`, `%bq`).
    pub fn ahead(&self) -> Ahead {
        match self.number {
            Some(number) => self.backend.ahead(number),
            None => self.ahead,
        }
    }

    /// The server it waits for, `None` for any.
    pub fn server_index(&self) -> Option<ServerIndex> {
        self.server
    }
}

impl Future for Ticket {
    type Output = Lease;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(number) = self.number else {
            return Poll::Pending;
        };
        let Some((server, persistence, ahead)) = self.backend.poll_ticket(number, cx.waker())
        else {
            return Poll::Pending;
        };
        (self.number, self.ahead) = (None, ahead);
        let backend = Arc::clone(&self.backend);
        Poll::Ready(Lease::new(backend, server, persistence))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(number) = mem::take(&mut self.number) {
            self.backend.abandon(number);
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("backend", &self.backend.name())
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
