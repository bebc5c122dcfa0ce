//! What rules can see: the connection, the heads of request and response, bytes waiting in the buffer and the
//! state that earlier rules left behind.
//!
//! Everything is borrowed; a view is made anew for each question and costs nothing. It must never own text.

mod assignment;
mod captures;
mod certificate;
mod environment;
mod fault;
mod peeked;
mod process;
mod state;
mod world;

use std::{
    net::{Ipv6Addr, SocketAddr, SocketAddrV6},
    sync::Arc,
    time::{Instant, SystemTime},
};

pub use assignment::Assignment;
pub use captures::{Captures, Side};
pub use certificate::{
    Certificate, ClientCertificate, DistinguishedName, NamePart, ServerCertificate, ServerSession,
    Verified,
};
pub use environment::EnvironmentChanges;
pub use fault::{Failure, TlsReason, Trouble};
pub use peeked::Peeked;
pub use process::ProcessVariables;
pub use state::{Bodies, LogLevel, Marks, Origin, RuleState, Scope, Variables};
pub use world::World;

use crate::head::HeadRef;
pub use crate::proxy_protocol::Told;

/// What is known of a client connection from its acceptance on.
#[derive(Debug, Clone)]
pub struct ConnectionInfo {
    /// Client address (the one of the PROXY header where the bind line accepts it).
    pub source: SocketAddr,
    /// Address the client connected to (the one of the PROXY header where the bind line accepts it).
    pub destination: SocketAddr,
    /// What it was before a PROXY header or `tcp-request session` rules made another of it.
    pub fronted: Option<Box<Fronted>>,
    /// TLS of the client side. (Boxed: most connections have none.)
    pub tls: Option<Box<TlsInfo>>,
    /// Name of the frontend.
    pub frontend: Arc<str>,
    /// `name` of the bind line.
    pub bind: Option<Arc<str>>,
    /// When the connection was accepted; for the next request on it, when it was ready for that.
    pub accepted_at: Instant,
    /// The same moment on the wall clock.
    pub accepted_date: SystemTime,
}

impl ConnectionInfo {
    /// The addresses of the connection itself, whatever later rules made of them.
    pub fn of_connection(&self) -> Addresses {
        let present = Addresses {
            source: self.source,
            destination: self.destination,
        };
        self.fronted.as_ref().map_or(present, |f| f.addresses)
    }

    /// Another request counts as accepted from `at` on, which the wall clock calls `date`.
    #[cfg(feature = "tokio")]
    pub(crate) fn accept_again(&mut self, at: Instant, date: SystemTime) {
        self.accepted_at = at;
        self.accepted_date = date;
    }

    /// A moment from the acceptance on, on the wall clock.
    pub fn date_of(&self, moment: Instant) -> SystemTime {
        self.accepted_date + moment.saturating_duration_since(self.accepted_at)
    }

    /// What a PROXY header said besides addresses; `None` if there was none.
    pub fn told(&self) -> Option<&Told> {
        self.fronted.as_ref()?.told.as_ref()
    }

    #[cfg(feature = "tokio")]
    /// Remembers what the connection is by now; to be called before its addresses change.
    pub(crate) fn front(&mut self, told: Option<Told>) {
        let addresses = self.of_connection();
        let told = told.or_else(|| self.told().cloned());
        self.fronted = Some(Box::new(Fronted { addresses, told }));
    }
}

/// A connection before anybody made another of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fronted {
    /// Its addresses.
    pub addresses: Addresses,
    /// What a PROXY header said besides addresses.
    pub told: Option<Told>,
}

/// The zone of no interface: addresses with it stand for those of UNIX sockets.
const NOWHERE: u32 = u32::MAX;

/// What stands for the address of a connection over a UNIX socket, which has none: in the place of the port the number of
/// the `bind` line. Neither a PROXY header nor a rule can say it.
pub fn of_unix(bind: u16) -> SocketAddr {
    SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, bind, 0, NOWHERE).into()
}

/// Whether it is one that [`of_unix`] made.
pub fn is_unix(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(v6) if v6.scope_id() == NOWHERE)
}

/// Whence and whither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The client's.
    pub source: SocketAddr,
    /// The one that it came to.
    pub destination: SocketAddr,
}

/// TLS parameters of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.2`, `TLSv1.3`.
    pub version: &'static str,
    /// Cipher suite in OpenSSL's spelling.
    pub cipher: &'static str,
    /// Bits of the cipher's key.
    pub bits: u16,
    /// Name the client asked for.
    pub sni: Option<Arc<str>>,
    /// Negotiated application protocol.
    pub alpn: Option<Arc<str>>,
    /// The session was resumed.
    pub resumed: bool,
    /// The certificate of the client.
    pub client: Option<Arc<ClientCertificate>>,
    /// The certificate that the client was shown.
    pub own: Option<Arc<Certificate>>,
}

/// What an expression is evaluated over.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'a> {
    /// Time of the evaluation.
    pub now: Instant,
    /// The client connection.
    pub connection: &'a ConnectionInfo,
    /// Variables and captures.
    pub state: &'a RuleState,
    /// Head of the request, once it is parsed; in TCP mode if the bytes are one.
    pub request: Option<HeadRef<'a>>,
    /// In TCP mode: the bytes of `payload` were looked at for a request.
    pub peeked: bool,
    /// In TCP mode: further bytes may make a head of a request of `payload`.
    pub awaits_request: bool,
    /// Head of the response, once there is one.
    pub response: Option<HeadRef<'a>>,
    /// Bytes of the client that wait in the buffer: all of them in TCP mode, the body in HTTP mode.
    pub payload: &'a [u8],
    /// Bytes of the server that wait in the buffer, while `tcp-response` rules look at them.
    pub answer: &'a [u8],
    /// Nothing will be added to `payload`, or to `answer`: the end was read, the buffer is full or the inspection time is over.
    pub complete: bool,
    /// Name of the chosen backend.
    pub backend: Option<&'a str>,
    /// Name of the chosen server.
    pub server: Option<&'a str>,
}

impl<'a> RequestView<'a> {
    /// A view of the connection and of what `state` knows.
    pub fn new(now: Instant, connection: &'a ConnectionInfo, state: &'a RuleState) -> Self {
        Self {
            now,
            connection,
            state,
            request: None,
            peeked: false,
            awaits_request: false,
            response: None,
            payload: state.marks.as_ref().map_or(&[], |m| &m.bodies.request),
            answer: &[],
            complete: true,
            backend: state.backend.as_deref(),
            server: state.server.as_deref(),
        }
    }

    /// Address of the client, as rules have it.
    pub fn source(&self) -> SocketAddr {
        let changed = self.state.addresses();
        changed.map_or(self.connection.source, |addresses| addresses.source)
    }

    /// Address that the client came to, as rules have it.
    pub fn destination(&self) -> SocketAddr {
        let changed = self.state.addresses();
        changed.map_or(self.connection.destination, |addresses| {
            addresses.destination
        })
    }

    /// The same with the head of a request.
    #[must_use]
    pub fn with_request(mut self, head: HeadRef<'a>) -> Self {
        self.request = Some(head);
        self
    }

    /// The same with what bytes of TCP mode were found to be; `bytes` are all of them.
    #[must_use]
    pub fn with_peeked(mut self, peeked: &'a Peeked, bytes: &'a [u8], complete: bool) -> Self {
        self.peeked = true;
        self.request = peeked.head(bytes);
        self.awaits_request = peeked.is_awaited();
        self.with_payload(bytes, complete)
    }

    /// The same with the head of a response.
    #[must_use]
    pub fn with_response(mut self, head: HeadRef<'a>) -> Self {
        self.response = Some(head);
        self
    }

    /// The same with buffered bytes; `complete` as the field of that name.
    #[must_use]
    pub fn with_payload(mut self, payload: &'a [u8], complete: bool) -> Self {
        self.payload = payload;
        self.complete = complete;
        self
    }

    /// The same with buffered bytes of the server; `complete` as the field of that name.
    #[must_use]
    pub fn with_answer(mut self, answer: &'a [u8], complete: bool) -> Self {
        self.answer = answer;
        self.complete = complete;
        self
    }

    /// The same with the name of the chosen backend.
    #[must_use]
    pub fn with_backend(mut self, name: &'a str) -> Self {
        self.backend = Some(name);
        self
    }

    /// Whether a message of HTTP is looked at, and not bytes of TCP mode that may be one.
    pub fn is_http(&self) -> bool {
        !self.peeked && (self.request.is_some() || self.response.is_some())
    }

    /// The evaluation's time on the wall clock.
    pub fn date(&self) -> SystemTime {
        self.connection.date_of(self.now)
    }
}
