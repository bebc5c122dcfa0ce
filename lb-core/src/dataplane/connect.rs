//! Getting a server for a request: a place on one, and a connection to it, reused or new, with retries and
//! redispatch.

mod again;
mod open;
mod place;
mod reuse;

use std::{sync::Arc, task::Poll, time::Duration};

use super::{
    clock,
    flow::Side,
    session::Connection,
    trace::{Answerer, Trace},
};
use crate::{
    backend::{Backend, Lease, Outcome},
    config::{Protocol, ProxyConfig, RetryEvent},
    head::Head,
    id::ServerIndex,
    request::ServerSession,
    rules::Stores,
    server::{Seen, Server},
    stats::{Cell, Tally},
};
use again::{Attempt, next_attempt};
pub(super) use again::{First, Terms, again};
pub(super) use reuse::Own;

/// What is needed of a backend.
pub(super) struct Need<'a> {
    /// The backend.
    pub(super) backend: &'a Arc<Backend>,
    /// Its section.
    pub(super) proxy: &'a ProxyConfig,
    /// Persistence cookie of the request.
    pub(super) cookie: Option<&'a [u8]>,
    /// Head of the request, in HTTP mode.
    pub(super) request: Option<&'a Head>,
    /// Hash of the request, for algorithms that want one.
    pub(super) hash: Option<u32>,
    /// Server named by `use-server`.
    pub(super) forced: Option<ServerIndex>,
    /// What its `stick` lines say: the number of a server, and where to remember the one it gets.
    pub(super) sticks: &'a Sticks,
    /// Idle connections may be used: the number of the request on its client connection.
    pub(super) reuse: Option<u32>,
    /// Its cookie leads to a server that is down, too, and to no other (`force-persist`).
    pub(super) insists: bool,
    /// It is for a WebSocket, which a server may want to be spoken to about in another protocol.
    pub(super) websocket: bool,
    /// What the client's end of sending means.
    pub(super) on_end: OnEnd,
}

/// What a client's end of sending means to those who wait for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnEnd {
    /// Nothing.
    Waits,
    /// That it gave up, unless it has said something that waits for the server.
    LeavesIfSilent,
    /// That it gave up (`option abortonclose` in TCP mode).
    Leaves,
}

impl OnEnd {
    /// In HTTP mode, with `option abortonclose` or without.
    pub(super) fn of_request(aborts: bool) -> Self {
        match aborts {
            true => Self::LeavesIfSilent,
            false => Self::Waits,
        }
    }
}

impl Need<'_> {
    /// What the client's end of sending means once a server is reached: who only listens is served.
    pub(super) fn on_end_when_reached(&self) -> OnEnd {
        match (self.request, self.on_end) {
            (None, OnEnd::LeavesIfSilent) => OnEnd::Waits,
            (_, on_end) => on_end,
        }
    }

    /// What follows the last of so many attempts to connect.
    fn after_failure(&self, trace: &mut Trace, lease: &Lease, failures: u32) -> Attempt {
        // `retry-on` is for HTTP.
        let wanted = self.backend.config().retry_on;
        if self.request.is_some() && !wanted.contains(RetryEvent::NoConnection) {
            return Attempt::NoMore;
        }
        let terms = Terms {
            connect: self.proxy.timeouts.connect,
            insists: self.insists,
        };
        next_attempt(trace, lease, terms, failures)
    }

    /// What the leased server is spoken to in, where that is not what others speak to it in.
    fn own_protocol(&self, lease: &Lease) -> Option<Protocol> {
        let server = lease.server().filter(|_| self.websocket)?;
        server.config().own_protocol_of_websockets()
    }
}

/// What `stick` lines say of a stream.
pub(super) type Sticks = (Option<u32>, Stores);

/// Remembers the server of a stream that has a connection.
fn remember(need: &Need<'_>, lease: &Lease) {
    if let Some(server) = lease.server() {
        need.sticks.1.remember(clock::recent(), server);
    }
}

/// A place on a server and a connection to it.
#[derive(Debug)]
pub(super) struct Dialed {
    pub(super) lease: Lease,
    pub(super) server: Side,
    /// What tells it from other connections to the server: the name that was asked for, and what of the client it
    /// depends on.
    pub(super) key: Option<Box<[u8]>>,
    /// Requests the connection has carried; 0 for a new one.
    pub(super) carried: u32,
    /// How often its server had moved when the connection was made.
    pub(super) moves: u32,
    /// The server knows who is on the connection (NTLM, Negotiate): nobody else may be.
    pub(super) bound: bool,
}

/// What a new connection is told.
#[derive(Debug, Clone, Copy)]
struct Told<'a> {
    /// What it is spoken to in, where that is not what others are.
    protocol: Option<Protocol>,
    /// The name that a TLS server is asked for.
    name: Option<&'a [u8]>,
    /// See [`Dialed::key`].
    key: Option<&'a [u8]>,
    /// A PROXY header.
    header: Option<&'a [u8]>,
    /// See [`Dialed::moves`].
    moves: u32,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotDialed {
    /// No server is up.
    NoServer,
    /// The time in the queue was over.
    Queue,
    /// The queue was full.
    QueueFull,
    /// Every attempt was refused.
    Refused,
    /// The last attempt got no answer in time.
    TimedOut,
    /// The client went away while waiting in the queue.
    GoneInQueue,
    /// The client went away while connecting.
    GoneConnecting,
    /// An order ended it.
    Killed,
    /// This machine could not make a connection.
    Local,
}

impl NotDialed {
    /// Whether another attempt may do better.
    fn is_of_server(self) -> bool {
        matches!(self, Self::Refused | Self::TimedOut | Self::Local)
    }

    /// Whether no server was even tried, for a reason that the client has no part in.
    fn is_for_want_of_a_place(self) -> bool {
        matches!(self, Self::NoServer | Self::Queue | Self::QueueFull)
    }

    /// Status for the client, cause and phase of the termination (manual 8.5).
    pub(super) fn outcome(self) -> (u16, u8, u8) {
        match self {
            Self::NoServer => (503, b'S', b'C'),
            Self::Queue => (503, b's', b'Q'),
            Self::QueueFull => (503, b'S', b'Q'),
            Self::Refused => (503, b'S', b'C'),
            Self::TimedOut => (503, b's', b'C'),
            Self::GoneInQueue => (503, b'C', b'Q'),
            Self::GoneConnecting => (503, b'C', b'C'),
            Self::Killed => (503, b'K', b'C'),
            Self::Local => (503, b'R', b'C'),
        }
    }
}

impl Connection {
    /// Gets a place and a connection, at `first` where that says; notes what happens in `trace`.
    pub(super) async fn dial(
        &mut self,
        trace: &mut Trace,
        need: &Need<'_>,
        first: First,
    ) -> Result<Dialed, NotDialed> {
        let (mut kept, mut exclude) = match first {
            First::Any => (None, None),
            First::Same(lease) => (Some(lease), None),
            First::Another(failed) => (None, Some(failed)),
        };
        // What failed before counts.
        let mut failures = trace.failures();
        loop {
            let placed = match kept.take() {
                Some(lease) => Ok(lease),
                None => {
                    // It is with the one that has failed no longer.
                    if exclude.is_some() {
                        self.member.uses(None);
                    }
                    self.place(trace, need, exclude).await
                }
            };
            let lease = match placed {
                Ok(lease) => lease,
                Err(why) => {
                    if why.is_for_want_of_a_place() {
                        let counters = need.backend.counters();
                        counters.traffic.cell().connect_errors.increment();
                    }
                    return Err(why);
                }
            };
            trace.answerer = Answerer::Server(lease.server_index());
            trace.found = Some(lease.persistence());
            self.member.uses(lease.server().map(Server::key));
            let name = self.server_name(need, &lease);
            let header = self.proxy_header(&lease);
            let protocol = need.own_protocol(&lease);
            // Looked at before the address.
            let moves = lease.server().map_or(0, Server::moves);
            let own = self.own_key(&lease, (name.as_deref(), header.as_deref()), protocol);
            let key = own.as_deref().or(name.as_deref());
            if let Some(taken) = self.reuse(need, &lease, (key, moves)) {
                trace.timers.connect.get_or_insert(Duration::ZERO);
                count(&lease, |c| &c.reuses);
                let server = Side::new(taken.stream, clock::recent());
                let dialed = self.dialed(need, lease, server, (own.or(name), moves));
                return Ok(Dialed {
                    carried: taken.carried,
                    bound: taken.bound,
                    ..dialed
                });
            }
            let told = Told {
                protocol,
                name: name.as_deref(),
                key,
                header: header.as_deref(),
                moves,
            };
            // One attempt after the other at this server.
            loop {
                let begun = clock::recent();
                let tried = self.open(need, &lease, told).await;
                *trace.timers.connect.get_or_insert_default() +=
                    clock::recent().saturating_duration_since(begun);
                let failure = match tried {
                    Ok(server) => {
                        note(&lease, Seen::Connected);
                        count(&lease, |c| &c.connects);
                        return Ok(self.dialed(need, lease, server, (own.or(name), moves)));
                    }
                    Err(failure) => failure,
                };
                if !failure.is_of_server() {
                    trace.timers.connect = None;
                    return Err(failure);
                }
                failures += 1;
                note(&lease, Seen::NotConnected);
                match need.after_failure(trace, &lease, failures) {
                    // An attempt that ran into its timeout has waited enough.
                    Attempt::Again(_) if failure == NotDialed::TimedOut => {}
                    Attempt::Again(pause) => self.pause(need, pause).await?,
                    Attempt::Elsewhere => break,
                    Attempt::NoMore => {
                        trace.timers.connect = None;
                        lease.finish(Outcome::ConnectFailed);
                        return Err(failure);
                    }
                }
            }
            exclude = Some(lease.server_index());
        }
    }

    /// There is a connection, a new one unless more is said of it.
    #[inline]
    fn dialed(
        &mut self,
        need: &Need<'_>,
        lease: Lease,
        server: Side,
        (key, moves): (Option<Box<[u8]>>, u32),
    ) -> Dialed {
        remember(need, &lease);
        self.note_session(server.stream.server_session());
        Dialed {
            lease,
            server,
            key,
            carried: 0,
            moves,
            bound: false,
        }
    }
}

impl Connection {
    /// There is a connection to a server: rules may ask about its TLS.
    fn note_session(&mut self, session: Option<&Arc<ServerSession>>) {
        self.state.to_server = session.cloned();
        if let Some(marks) = &mut self.state.marks {
            marks.server_failure = None;
        }
    }
}

/// Tells the leased server what was seen of it.
fn note(lease: &Lease, seen: Seen) {
    if let Some(server) = lease.server() {
        server.observe(seen);
    }
}

/// Counts on the leased server and on its backend.
pub(super) fn count(lease: &Lease, of: impl Fn(&Cell) -> &Tally) {
    if let Some(server) = lease.server() {
        of(server.counters().traffic.cell()).increment();
    }
    of(lease.backend().counters().traffic.cell()).increment();
}

/// Whether the client is gone for good.
pub(super) fn gave_up(
    client: &mut Side,
    on_end: OnEnd,
    cx: &mut std::task::Context<'_>,
) -> Poll<()> {
    if Connection::poll_lost(client, cx).is_ready() {
        return Poll::Ready(());
    }
    let leaves = match on_end {
        OnEnd::Waits => false,
        OnEnd::LeavesIfSilent => client.input.is_empty(),
        OnEnd::Leaves => true,
    };
    if leaves && client.has_ended() {
        return Poll::Ready(());
    }
    Poll::Pending
}
