//! Getting a server for a request: a place on one, and a connection to it, reused or new, with retries and
//! redispatch.

use std::{
    io,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use super::{
    clock,
    destination::{Destination, NotBegun},
    flow::Side,
    http2::Made,
    session::{Connection, Gone},
    stream::Stream,
    trace::{Answerer, Trace},
};
use crate::{
    backend::{AfterFailure, AssignKey, Assignment, Backend, Lease, Outcome, Refusal},
    config::{HttpReuse, Protocol, ProxyConfig},
    head::Head,
    id::ServerIndex,
    proxy_protocol::{self, Tlvs},
    request::Addresses,
    rules::Stores,
    server::{Seen, Server, ServerKey},
    stats::{Cell, Tally},
};

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
    /// The client's end of sending means that it gave up.
    pub(super) end_is_abort: bool,
}

/// What `stick` lines say of a stream.
pub(super) type Sticks = (Option<u32>, Stores);

/// Remembers the server of a stream that has a connection.
fn remember(need: &Need<'_>, lease: &Lease) {
    if let Some(server) = lease.server() {
        need.sticks.1.remember(clock::recent(), server.number());
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
}

/// A server connection that stays with its client.
pub(super) struct Own {
    server: ServerKey,
    stream: Stream,
    key: Option<Box<[u8]>>,
    carried: u32,
}

/// What a new connection is told.
#[derive(Debug, Clone, Copy)]
struct Told<'a> {
    /// The name that a TLS server is asked for.
    name: Option<&'a [u8]>,
    /// See [`Dialed::key`].
    key: Option<&'a [u8]>,
    /// A PROXY header.
    header: Option<&'a [u8]>,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotDialed {
    /// No server is up.
    NoServer,
    /// The queue is full or its time was over.
    Queue,
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

    /// Status for the client, cause and phase of the termination (lb.md trap 10).
    pub(super) fn outcome(self) -> (u16, u8, u8) {
        match self {
            Self::NoServer => (503, b'S', b'C'),
            Self::Queue => (503, b's', b'Q'),
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
    /// Gets a place and a connection; notes what happens in `trace`.
    pub(super) async fn dial(
        &mut self,
        trace: &mut Trace,
        need: &Need<'_>,
    ) -> Result<Dialed, NotDialed> {
        let mut exclude = None;
        let mut failures = 0;
        loop {
            let lease = self.place(trace, need, exclude).await?;
            let server = lease.server_index();
            let cell = |of: fn(&Cell) -> &Tally| count(&lease, of);
            trace.answerer = Answerer::Server(server);
            self.member.uses(lease.server().map(Server::key));
            let name = self.server_name(need, &lease);
            let header = self.proxy_header(&lease);
            let own = self.own_key(&lease, name.as_deref(), header.as_deref());
            let key = own.as_deref().or(name.as_deref());
            if let Some((stream, carried)) = self.reuse(need, &lease, key) {
                trace.timers.connect.get_or_insert(Duration::ZERO);
                cell(|c| &c.reuses);
                remember(need, &lease);
                self.state.to_server = stream.server_session().cloned();
                return Ok(Dialed {
                    lease,
                    server: Side::new(stream, clock::recent()),
                    key: own.or(name),
                    carried,
                });
            }
            let failure = loop {
                let begun = clock::recent();
                let told = Told {
                    name: name.as_deref(),
                    key,
                    header: header.as_deref(),
                };
                let tried = self.open(need, &lease, told).await;
                *trace.timers.connect.get_or_insert_default() +=
                    clock::recent().saturating_duration_since(begun);
                let failure = match tried {
                    Ok(server) => {
                        note(&lease, Seen::Connected);
                        cell(|c| &c.connects);
                        remember(need, &lease);
                        self.state.to_server = server.stream.server_session().cloned();
                        return Ok(Dialed {
                            lease,
                            server,
                            key: own.or(name),
                            carried: 0,
                        });
                    }
                    Err(failure) => failure,
                };
                if !failure.is_of_server() {
                    trace.timers.connect = None;
                    return Err(failure);
                }
                failures += 1;
                note(&lease, Seen::NotConnected);
                let connect = need.proxy.timeouts.connect;
                match need
                    .backend
                    .after_failure(failures, lease.persistence(), connect)
                {
                    AfterFailure::Retry(pause) => {
                        trace.retries += 1;
                        cell(|c| &c.retries);
                        // An attempt that ran into its timeout has waited enough.
                        if failure != NotDialed::TimedOut {
                            self.pause(need, pause).await?;
                        }
                    }
                    AfterFailure::Redispatch => {
                        trace.retries += 1;
                        trace.redispatched = true;
                        cell(|c| &c.redispatches);
                        break None;
                    }
                    AfterFailure::GiveUp => break Some(failure),
                }
            };
            match failure {
                None => exclude = Some(server),
                Some(failure) => {
                    trace.timers.connect = None;
                    lease.finish(Outcome::ConnectFailed);
                    return Err(failure);
                }
            }
        }
    }

    /// A place on a server, after waiting in the queue if need be.
    async fn place(
        &mut self,
        trace: &mut Trace,
        need: &Need<'_>,
        exclude: Option<ServerIndex>,
    ) -> Result<Lease, NotDialed> {
        let now = clock::recent();
        let key = AssignKey {
            source: self.addresses().source.ip(),
            cookie: need.cookie,
            hash: need.hash,
            exclude,
            forced: need.forced,
            stuck: need.sticks.0,
        };
        let mut ticket = match need.backend.assign(now, &key) {
            Assignment::Leased(lease) => {
                trace.timers.queue.get_or_insert_default();
                return Ok(lease);
            }
            Assignment::Refused(Refusal::NoServer) => return Err(NotDialed::NoServer),
            Assignment::Queued(ticket) => Box::pin(ticket),
        };
        // Whoever has waited counts itself: HAProxy logs 1 for the head of a queue, 0 for who never was in one.
        let (of_server, of_backend) = ticket.ahead();
        let place = |before: usize| u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1);
        match ticket.server_index() {
            Some(_) => trace.server_queue = place(of_server),
            None => trace.backend_queue = place(of_backend),
        }
        let timeouts = &need.proxy.timeouts;
        self.timer.after(now, timeouts.queue.or(timeouts.connect));
        let granted = self
            .wait(|client, cx| {
                if let Poll::Ready(granted) = ticket.as_mut().poll(cx) {
                    return Poll::Ready(Some(granted));
                }
                gave_up(client, need.end_is_abort, cx).map(|()| None)
            })
            .await;
        let waited = clock::recent().saturating_duration_since(now);
        match granted {
            Ok(Some(Ok(lease))) => {
                *trace.timers.queue.get_or_insert_default() += waited;
                Ok(lease)
            }
            Ok(Some(Err(Refusal::NoServer))) => Err(NotDialed::NoServer),
            Err(Gone::TimedOut) => {
                trace.timers.queue = Some(waited);
                Err(NotDialed::Queue)
            }
            Ok(None) | Err(Gone::Client) => {
                trace.timers.queue = Some(waited);
                Err(NotDialed::GoneInQueue)
            }
            Err(Gone::Killed) => Err(NotDialed::Killed),
        }
    }

    /// An idle connection to the leased server, and the number of requests it has carried.
    fn reuse(
        &mut self,
        need: &Need<'_>,
        lease: &Lease,
        key: Option<&[u8]>,
    ) -> Option<(Stream, u32)> {
        let number = need.reuse?;
        let server = lease.server()?.key();
        let proven = match need.backend.config().http_reuse {
            HttpReuse::Never => {
                let mut own = self.own.take()?;
                let fits = own.server == server && own.key.as_deref() == key;
                return (fits && !own.stream.is_stale()).then_some((own.stream, own.carried));
            }
            HttpReuse::Safe if number == 0 => return None,
            HttpReuse::Safe | HttpReuse::Always => false,
            HttpReuse::Aggressive => number == 0,
        };
        self.worker.idle.take(server, proven, key)
    }

    /// Keeps the connection for another request, and gives the place back.
    pub(super) fn keep(&mut self, dialed: Dialed, now: Instant) {
        let Dialed {
            lease,
            server,
            key,
            carried,
        } = dialed;
        let Some(config) = lease.server() else {
            return;
        };
        if server.stream.is_of_many() {
            return;
        }
        // Bytes behind the response belong to nobody, and must not become another client's answer.
        if server.ended || !server.input.is_empty() {
            return;
        }
        if !leads_to(&server.stream, config) {
            return;
        }
        let carried = carried.saturating_add(1);
        // The first request of a connection is no reuse.
        if config.config().max_reuse.is_some_and(|most| carried > most) {
            return;
        }
        if lease.backend().config().http_reuse == HttpReuse::Never {
            self.own = Some(Box::new(Own {
                server: config.key(),
                stream: server.stream,
                key,
                carried,
            }));
            return;
        }
        // Idle connections count towards the server's limit: those in use, this one's place included, and the
        // idle ones of every worker together.
        let limit = config.maxconn();
        let idle = &config.counters().idle;
        if limit != 0 && config.served() + idle.value() > limit {
            return;
        }
        self.worker
            .idle
            .put(&lease, server.stream, key, carried, now);
    }

    /// One attempt to connect to the leased server.
    async fn open(
        &mut self,
        need: &Need<'_>,
        lease: &Lease,
        told: Told<'_>,
    ) -> Result<Side, NotDialed> {
        let leased = lease.server().ok_or(NotDialed::NoServer)?;
        let config = leased.config();
        let destination = self.destination(leased).ok_or(NotDialed::NoServer)?;
        let begin = || destination.begin(config.source, need.proxy.tcp_keepalive.1);
        let begun = begin().or_else(|why| {
            if !why.is_of_descriptors() {
                return Err(why);
            }
            // Idle connections of other servers may hold what is missing.
            self.worker.idle.clear();
            begin()
        });
        let begun = begun.map_err(|why| match why {
            NotBegun::Local(_) => NotDialed::Local,
            NotBegun::Refused(_) => NotDialed::Refused,
        })?;
        let now = clock::recent();
        self.timer.after(now, need.proxy.timeouts.connect);
        let connected = self
            .wait(|client, cx| {
                if let Poll::Ready(connected) = begun.poll_connected(cx) {
                    return Poll::Ready(Some(connected));
                }
                gave_up(client, need.end_is_abort, cx).map(|()| None)
            })
            .await;
        match connected {
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(_))) => return Err(NotDialed::Refused),
            Ok(None) | Err(Gone::Client) => return Err(NotDialed::GoneConnecting),
            Err(Gone::TimedOut) => return Err(NotDialed::TimedOut),
            Err(Gone::Killed) => return Err(NotDialed::Killed),
        }
        let mut server = Side::new(Stream::from(begun), clock::recent());
        if let Some(header) = told.header {
            send_proxy_header(header, &mut server).await?;
        }
        if config.tls.is_some() {
            server = self.secure(need, lease, server, told.name).await?;
        }
        let negotiated =
            config.protocol == Protocol::Negotiated && server.stream.alpn() == Some(b"h2");
        if need.request.is_some() && (negotiated || config.protocol == Protocol::Http2) {
            // Boxed: few need it.
            return Box::pin(self.multiplex(need, lease, server, told.key)).await;
        }
        Ok(server)
    }

    /// Goes over to HTTP/2 on a new connection; others share it if they may.
    async fn multiplex(
        &mut self,
        need: &Need<'_>,
        lease: &Lease,
        server: Side,
        key: Option<&[u8]>,
    ) -> Result<Side, NotDialed> {
        let settings = self.listener.balancer.config.global.http2;
        let mut making = Box::pin(Made::new(server.stream, settings, key));
        let made = self
            .wait(|client, cx| {
                if let Poll::Ready(made) = making.as_mut().poll(cx) {
                    return Poll::Ready(Some(made));
                }
                gave_up(client, need.end_is_abort, cx).map(|()| None)
            })
            .await;
        let made = match made {
            Ok(Some(Some(made))) => made,
            Ok(Some(None)) => return Err(NotDialed::Refused),
            Ok(None) | Err(Gone::Client) => return Err(NotDialed::GoneConnecting),
            Err(Gone::TimedOut) => return Err(NotDialed::TimedOut),
            Err(Gone::Killed) => return Err(NotDialed::Killed),
        };
        let sharing = need.backend.config().http_reuse != HttpReuse::Never;
        if let Some(leased) = lease.server()
            && sharing
        {
            self.worker.idle.trunks.share(leased.key(), &made);
        }
        Ok(Side::new(made.stream(), clock::recent()))
    }

    /// Where a server listens. What is not its own (the port, or with 0.0.0.0 the address) is that which the client
    /// came to.
    fn destination(&self, server: &Server) -> Option<Destination> {
        let config = server.config();
        if let Some(unix) = &config.unix {
            return Some(Destination::Unix(unix.clone()));
        }
        let mut address = server.address()?;
        if address.ip().is_unspecified() {
            address.set_ip(self.addresses().destination.ip());
        }
        if let Some(offset) = config.map_port.filter(|_| address.port() == 0) {
            let port = i32::from(self.addresses().destination.port()) + offset;
            address.set_port(u16::try_from(port).ok()?);
        }
        Some(Destination::Ip(address))
    }

    /// What the server is told of the client before anything else.
    fn proxy_header(&self, lease: &Lease) -> Option<Vec<u8>> {
        let config = lease.server()?.config();
        let version = config.send_proxy?;
        let mut header = Vec::new();
        let Addresses {
            source,
            destination,
        } = self.addresses();
        if version == 1 {
            proxy_protocol::encode_v1(source, destination, &mut header);
            return Some(header);
        }
        proxy_protocol::encode_v2(source, destination, &mut header);
        let tlvs = Tlvs {
            options: config.proxy_options,
            tls: self.info.tls.as_deref(),
            told: self.info.told(),
            unique_id: self.state.unique_id(),
        };
        tlvs.add(&mut header);
        Some(header)
    }

    /// What tells a connection from others to the same server, where it depends on the client: only requests for
    /// which all of it is the same may share one.
    fn own_key(
        &self,
        lease: &Lease,
        name: Option<&[u8]>,
        header: Option<&[u8]>,
    ) -> Option<Box<[u8]>> {
        let server = lease.server()?;
        let config = server.config();
        let anywhere =
            config.map_port.is_some() || config.address.is_some_and(|at| at.ip().is_unspecified());
        if header.is_none() && !anywhere {
            return None;
        }
        let mut key = name.unwrap_or_default().to_vec();
        key.push(0);
        if let Some(Destination::Ip(at)) = self.destination(server) {
            key.extend_from_slice(at.to_string().as_bytes());
        }
        key.push(0);
        key.extend_from_slice(header.unwrap_or_default());
        Some(key.into())
    }

    /// The pause between two attempts on one server.
    async fn pause(&mut self, need: &Need<'_>, pause: Duration) -> Result<(), NotDialed> {
        self.timer.after(clock::recent(), Some(pause));
        match self
            .wait(|client, cx| gave_up(client, need.end_is_abort, cx))
            .await
        {
            Err(Gone::TimedOut) => Ok(()),
            Ok(()) | Err(Gone::Client) => Err(NotDialed::GoneConnecting),
            Err(Gone::Killed) => Err(NotDialed::Killed),
        }
    }
}

/// Whether a connection goes where its server is now: an operator may have moved that meanwhile.
fn leads_to(stream: &Stream, server: &Server) -> bool {
    let Some(moved) = server.moved_to() else {
        return true;
    };
    stream.peer() == Some(moved)
}

/// Tells the leased server what was seen of it.
fn note(lease: &Lease, seen: Seen) {
    if let Some(server) = lease.server() {
        server.observe(seen);
    }
}

/// Counts on the leased server and on its backend.
fn count(lease: &Lease, of: impl Fn(&Cell) -> &Tally) {
    if let Some(server) = lease.server() {
        of(server.counters().traffic.cell()).increment();
    }
    of(lease.backend().counters().traffic.cell()).increment();
}

/// Whether the client is gone for good.
pub(super) fn gave_up(
    client: &mut Side,
    end_is_abort: bool,
    cx: &mut std::task::Context<'_>,
) -> Poll<()> {
    if Connection::poll_lost(client, cx).is_ready() {
        return Poll::Ready(());
    }
    if end_is_abort && client.ended && client.input.is_empty() {
        return Poll::Ready(());
    }
    Poll::Pending
}

/// A header of some hundred bytes always fits a new connection's buffer.
async fn send_proxy_header(header: &[u8], server: &mut Side) -> Result<(), NotDialed> {
    let slices = [io::IoSlice::new(header)];
    let written = std::future::poll_fn(|cx| server.stream.poll_write(cx, &slices)).await;
    match written {
        Ok(count) if count == header.len() => Ok(()),
        _ => Err(NotDialed::Refused),
    }
}
