//! Connections to servers in HTTP/2: each carries the requests of many clients.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::{Future as _, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{
    SendStream,
    client::{Builder, ResponseFuture, SendRequest},
};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    alone::Alone,
    heads::{Counted, Handle, Heads, Untaken},
    preface::Preface,
    upstream::Upstream,
    wire::Wire,
};
use crate::{
    config::{Http2Settings, MessageSizes},
    dataplane::{clock, rt, stream::Stream},
    request::ServerSession,
    server::ServerKey,
};

/// Request bytes of a stream that wait for the socket.
const SEND_BUFFER: usize = 64 * 1024;
/// Response content of one connection that may wait, in windows of a stream.
const WINDOWS: u32 = 16;
/// The largest window (RFC 9113 §6.9.1).
const MAX_WINDOW: u32 = (1 << 31) - 1;
/// How long a connection may be without a stream, as one of HTTP/1.
const KEPT: Duration = Duration::from_secs(5);
/// A server that leaves a request unanswered and sends nothing else for so long may be gone.
const SILENT: Duration = Duration::from_secs(1);
/// Streams that a client can number (RFC 9113 §5.1.1).
const NUMBERS: u32 = 1 << 30;

/// A connection.
#[derive(Debug)]
pub(super) struct Trunk {
    requests: SendRequest<Bytes>,
    scheme: &'static str,
    /// What rules may know of TLS to the server.
    session: Option<Arc<ServerSession>>,
    /// The name that a TLS server was asked for.
    name: Option<Box<[u8]>>,
    limit: u32,
    streams: Cell<u32>,
    /// Requests so far.
    carried: Cell<u32>,
    idle_since: Cell<Instant>,
    /// It takes no more requests.
    ended: Rc<Cell<bool>>,
    preface: Rc<Preface>,
    /// How often its server has sent something.
    heard: Rc<Cell<u64>>,
    /// Heads that its streams have not taken.
    untaken: Rc<Untaken>,
}

impl Trunk {
    pub(super) fn scheme(&self) -> &'static str {
        self.scheme
    }

    pub(super) fn session(&self) -> Option<&Arc<ServerSession>> {
        self.session.as_ref()
    }

    pub(super) fn enter(&self) {
        self.streams.set(self.streams.get() + 1);
        self.carried.set(self.carried.get().saturating_add(1));
    }

    pub(super) fn leave(&self) {
        self.streams.set(self.streams.get().saturating_sub(1));
        self.idle_since.set(clock::recent());
    }

    /// Sends a head.
    pub(super) fn open(
        &self,
        request: Request<()>,
        ended: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        self.requests.clone().send_request(request, ended)
    }

    /// Counts what the library keeps of the heads of a stream.
    pub(super) fn count_heads(&self, stream: &Rc<Handle>) -> Counted {
        self.untaken.count(stream)
    }

    /// Whether the server takes requests for another protocol (RFC 8441 §3), as soon as it has said what it takes.
    pub(super) fn poll_takes_upgrades(&self, cx: &Context<'_>) -> Poll<bool> {
        let settled = self.preface.poll(cx);
        settled.map(|()| self.requests.is_extended_connect_protocol_enabled())
    }

    /// It takes no more requests: its server said so, or refused one.
    pub(super) fn retire(&self) {
        self.ended.set(true);
    }

    /// What had been heard of the server by now.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            at: clock::recent(),
            heard: self.heard.get(),
        }
    }

    /// A stream gives up that got no answer. A server that has sent nothing at all since then may be gone without a
    /// word: others try another connection.
    pub(super) fn unanswered(&self, since: Mark) {
        let waited = clock::recent().saturating_duration_since(since.at);
        if since.heard == self.heard.get() && waited >= SILENT {
            self.retire();
        }
    }

    /// Whether there is room for another stream.
    fn has_room(&self) -> bool {
        let allowed = u32::try_from(self.requests.current_max_send_streams()).unwrap_or(u32::MAX);
        !self.ended.get()
            && self.streams.get() < self.limit.min(allowed)
            && self.carried.get() < NUMBERS
    }
}

/// A moment of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    at: Instant,
    heard: u64,
}

/// What a connection is, apart from its frames.
struct About {
    scheme: &'static str,
    session: Option<Arc<ServerSession>>,
    name: Option<Box<[u8]>>,
    preface: Rc<Preface>,
    heard: Rc<Cell<u64>>,
    /// Heads that its streams have not taken.
    untaken: Rc<Untaken>,
}

/// What a server is told that it may do, and how large its heads may be.
type Terms = (Http2Settings, MessageSizes);

/// A connection that has just been made, and its first stream.
#[derive(Debug)]
pub(in crate::dataplane) struct Made {
    trunk: Rc<Trunk>,
}

impl Made {
    /// Begins HTTP/2 on a connection to a server.
    pub(in crate::dataplane) async fn new(
        stream: Stream,
        terms: Terms,
        name: Option<&[u8]>,
    ) -> Option<Self> {
        let heads = Heads::default();
        let about = About {
            scheme: match stream {
                Stream::Tls(_) => "https",
                _ => "http",
            },
            session: stream.server_session().cloned(),
            name: name.map(Box::from),
            preface: Rc::default(),
            heard: Rc::default(),
            untaken: Rc::clone(&heads.untaken),
        };
        let wire = Wire {
            stream,
            preface: Rc::clone(&about.preface),
            heard: Rc::clone(&about.heard),
            heads,
        };
        Self::over(wire, terms, about).await
    }

    /// Begins HTTP/2 on a connection that asks whether a server is well, and nothing else.
    pub(in crate::dataplane) async fn for_check<T>(io: T, scheme: &'static str) -> Option<Self>
    where
        T: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let about = About {
            scheme,
            session: None,
            name: None,
            preface: Rc::default(),
            heard: Rc::default(),
            untaken: Rc::default(),
        };
        Self::over(io, Terms::default(), about).await
    }

    async fn over<T>(io: T, (settings, sizes): Terms, about: About) -> Option<Self>
    where
        T: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let About {
            scheme,
            session,
            name,
            preface,
            heard,
            untaken,
        } = about;
        let window = settings.initial_window_size;
        let begun = Builder::new()
            .initial_window_size(window)
            .initial_connection_window_size(window.saturating_mul(WINDOWS).min(MAX_WINDOW))
            .max_frame_size(settings.max_frame_size)
            .header_table_size(settings.header_table_size)
            .max_header_list_size(sizes.head())
            .max_send_buffer_size(SEND_BUFFER)
            .enable_push(false)
            .handshake::<T, Bytes>(io)
            .await;
        let (requests, mut connection) = begun.ok()?;
        let ended = Rc::new(Cell::new(false));
        let trunk = Rc::new(Trunk {
            requests,
            scheme,
            session,
            name,
            limit: settings.max_concurrent_streams,
            streams: Cell::new(0),
            carried: Cell::new(0),
            idle_since: Cell::new(clock::recent()),
            ended: Rc::clone(&ended),
            preface: Rc::clone(&preface),
            heard,
            untaken: Rc::clone(&untaken),
        });
        rt::spawn(async move {
            // It ends with the server's end of it, or when nobody holds it any more.
            let _ = poll_fn(|cx| {
                let polled = Pin::new(&mut connection).poll(cx);
                preface.looked_at();
                untaken.cut();
                polled
            })
            .await;
            ended.set(true);
            preface.end();
        });
        Some(Self { trunk })
    }

    /// The stream that it was made for.
    pub(in crate::dataplane) fn stream(&self) -> Stream {
        Stream::Upstream(Box::new(Upstream::new(Rc::clone(&self.trunk))))
    }

    /// The stream of a check.
    pub(in crate::dataplane) fn alone(&self) -> Alone {
        Alone(Upstream::new(Rc::clone(&self.trunk)))
    }
}

/// The connections of one worker that clients may share, by server.
#[derive(Debug, Default)]
pub(in crate::dataplane) struct Trunks {
    servers: RefCell<BTreeMap<ServerKey, Vec<Rc<Trunk>>>>,
}

impl Trunks {
    /// Lets others use it.
    pub(in crate::dataplane) fn share(&self, server: ServerKey, made: &Made) {
        let mut servers = self.servers.borrow_mut();
        servers
            .entry(server)
            .or_default()
            .push(Rc::clone(&made.trunk));
    }

    /// A stream of a connection to `name`, and the number of requests before it. With `proven`, only of one that has
    /// carried one before.
    pub(in crate::dataplane) fn take(
        &self,
        server: ServerKey,
        proven: bool,
        name: Option<&[u8]>,
    ) -> Option<(Stream, u32)> {
        let servers = self.servers.borrow();
        let fits = |trunk: &&Rc<Trunk>| {
            trunk.has_room()
                && trunk.name.as_deref() == name
                && (!proven || trunk.carried.get() > 1)
        };
        let trunk = servers.get(&server)?.iter().find(fits)?;
        let carried = trunk.carried.get();
        let stream = Upstream::new(Rc::clone(trunk));
        Some((Stream::Upstream(Box::new(stream)), carried))
    }

    /// Lets go of those for which `stays` is false, and of those that have ended; their streams go on.
    pub(in crate::dataplane) fn retain(&self, stays: impl Fn(ServerKey) -> bool) {
        self.servers.borrow_mut().retain(|key, trunks| {
            trunks.retain(|trunk| stays(*key) && !trunk.ended.get());
            !trunks.is_empty()
        });
    }

    /// Lets go of those that nobody has used for a while.
    pub(in crate::dataplane) fn sweep(&self, now: Instant) {
        self.servers.borrow_mut().retain(|_, trunks| {
            trunks.retain(|trunk| {
                let idle = now.saturating_duration_since(trunk.idle_since.get());
                !trunk.ended.get() && (trunk.streams.get() > 0 || idle < KEPT)
            });
            !trunks.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_takes_requests_until_the_numbers_of_its_streams_are_used_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let (near, _far) = tokio::io::duplex(1024);
        let begun = h2::client::handshake(near);
        let (requests, _connection) = runtime.unwrap().block_on(begun).unwrap();
        let trunk = Trunk {
            requests,
            scheme: "http",
            session: None,
            name: None,
            limit: 100,
            streams: Cell::new(0),
            carried: Cell::new(NUMBERS - 1),
            idle_since: Cell::new(clock::recent()),
            ended: Rc::default(),
            preface: Rc::default(),
            heard: Rc::default(),
            untaken: Rc::default(),
        };
        assert!(trunk.has_room());
        trunk.enter();
        trunk.leave();
        assert!(!trunk.has_room());
    }
}
