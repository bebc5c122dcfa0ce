//! One check: connect, speak TLS if need be, talk.

mod talk;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::{
    config::{CheckConfig, CheckKind, ProxyOptions},
    dataplane::{
        destination::{Destination, NotBegun, SocketOptions},
        http2::Made,
        rt,
        stream::Plain,
        tls::{self, Connector},
    },
    health::{CheckStatus, Pace, Probe, script::Known},
    proxy_protocol::{self, Tlvs},
    request::{ServerSession, TlsInfo},
};

/// How a server is checked.
#[derive(PartialEq)]
pub(super) struct Method {
    pub(super) destination: Destination,
    pub(super) source: Option<SocketAddr>,
    pub(super) check: CheckConfig,
    pub(super) kind: CheckKind,
    pub(super) pace: Pace,
    /// Requests are made in HTTP.
    pub(super) asks: bool,
    /// They are made in HTTP/2, as the server's line has it.
    pub(super) over_http2: bool,
    /// The version of its PROXY headers, and what they say besides addresses.
    pub(super) proxy: (u8, ProxyOptions),
}

/// What a probe found, without its duration.
pub(super) struct Found {
    pub(super) status: CheckStatus,
    pub(super) code: Option<u16>,
    pub(super) detail: Arc<str>,
}

impl Found {
    fn new(status: CheckStatus) -> Self {
        Self {
            status,
            code: None,
            detail: Arc::from(""),
        }
    }

    pub(super) fn unknown() -> Self {
        Self::new(CheckStatus::Unknown)
    }

    fn failed(status: CheckStatus, error: &io::Error) -> Self {
        Self {
            detail: words(error).into(),
            ..Self::new(status)
        }
    }
}

/// The system's words for an error, without the number that Rust adds.
pub(super) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// Checks once. `tls` speaks to servers that are checked in TLS.
pub(super) async fn run(
    method: &Method,
    known: Known<'_>,
    tls: Option<&Connector>,
    probe: Probe,
) -> Found {
    if let CheckKind::Script(script) = &method.kind {
        return talk::run(method, script, known, tls, probe).await;
    }
    let how = How {
        tls: method.secure(tls),
        linger: false,
        proxy: method.check.send_proxy,
    };
    match open(method, &method.destination, how, probe).await {
        Ok(opened) if opened.session.is_some() => Found::new(CheckStatus::L6Ok),
        Ok(_) => Found::new(CheckStatus::L4Ok),
        Err(found) => found,
    }
}

/// How a connection is secured.
#[derive(Clone, Copy)]
struct Secure<'c> {
    connector: &'c Connector,
    /// The name that is asked for.
    name: Option<&'c str>,
    /// Other protocols than those of the server's line.
    protocols: &'c [String],
}

impl Method {
    /// How the server's line secures its checks, if it does.
    fn secure<'c>(&'c self, connector: Option<&'c Connector>) -> Option<Secure<'c>> {
        Some(Secure {
            name: self.check.tls.as_ref()?.check_sni.as_deref(),
            connector: connector?,
            protocols: &[],
        })
    }
}

/// Goes over to HTTP/2, in which the rest of the check is carried.
async fn multiplex(io: Box<dyn Io>, is_tls: bool, probe: Probe) -> Result<Box<dyn Io>, Found> {
    let scheme = if is_tls { "https" } else { "http" };
    let made = rt::timeout(probe.connect_timeout, Made::for_check(io, scheme)).await;
    match made {
        Some(Some(made)) => Ok(Box::new(made.alone())),
        Some(None) => Err(Found::new(CheckStatus::L7Response)),
        None => Err(Found::new(CheckStatus::L7Timeout)),
    }
}

/// What a check talks through.
trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// How a connection is opened.
struct How<'c> {
    tls: Option<Secure<'c>>,
    /// It is left to end in order.
    linger: bool,
    /// It begins with a PROXY header.
    proxy: bool,
}

/// A connection.
struct Opened {
    io: Box<dyn Io>,
    /// What is known of TLS, if that is spoken.
    session: Option<ServerSession>,
    agreed_on_http2: bool,
}

/// Connects, says what is said first, and shakes hands if there is TLS.
async fn open(
    method: &Method,
    destination: &Destination,
    how: How<'_>,
    probe: Probe,
) -> Result<Opened, Found> {
    let connecting = connect(destination, method.source);
    let mut stream = match rt::timeout(probe.connect_timeout, connecting).await {
        None => return Err(Found::new(CheckStatus::L4Timeout)),
        Some(Err(NotBegun::Local(e))) => return Err(Found::failed(CheckStatus::SocketError, &e)),
        Some(Err(NotBegun::Refused(e))) => {
            return Err(Found::failed(CheckStatus::L4Connection, &e));
        }
        Some(Ok(stream)) => stream,
    };
    if !how.linger {
        // The port is free again at once, and the server is not left with a connection it never accepted.
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
    if how.proxy {
        let header = proxy_header(&stream, method.proxy, how.tls);
        let written = stream.write_all(&header).await;
        written.map_err(|e| Found::failed(CheckStatus::SocketError, &e))?;
    }
    let Some(tls) = how.tls else {
        return Ok(Opened {
            io: Box::new(stream),
            session: None,
            agreed_on_http2: false,
        });
    };
    let name = tls.name.map(str::as_bytes);
    let shaking = tls.connector.connect(tls.protocols, name, stream);
    match rt::timeout(probe.connect_timeout, shaking).await {
        None => Err(Found::new(CheckStatus::L6Timeout)),
        Some(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => Err(Found {
            detail: "Connection closed during SSL handshake".into(),
            ..Found::new(CheckStatus::L6Response)
        }),
        Some(Err(e)) => Err(Found {
            detail: format!("SSL handshake failure: {e}").into(),
            ..Found::new(CheckStatus::L6Response)
        }),
        Some(Ok(stream)) => Ok(Opened {
            agreed_on_http2: stream.get_ref().1.alpn_protocol() == Some(b"h2"),
            session: Some(tls.connector.session(stream.get_ref().1)),
            io: Box::new(stream),
        }),
    }
}

/// The header of a connection that is this host's own. What it says of TLS is about the connection that it opens, before
/// the handshake: that is what HAProxy's checks say.
fn proxy_header(
    stream: &Plain,
    (version, options): (u8, ProxyOptions),
    secure: Option<Secure<'_>>,
) -> Vec<u8> {
    let socket = SockRef::from(stream);
    let ends = || {
        let (own, other) = (socket.local_addr().ok()?, socket.peer_addr().ok()?);
        Some((own.as_socket()?, other.as_socket()?))
    };
    let mut header = Vec::new();
    match (ends(), version) {
        (Some((own, other)), 1) => proxy_protocol::encode_v1(own, other, &mut header),
        (None, 1) => header.extend_from_slice(b"PROXY UNKNOWN\r\n"),
        _ => {
            proxy_protocol::encode_local(&mut header);
            let session = secure.map(|secure| TlsInfo {
                sni: secure.name.map(Arc::from),
                own: secure.connector.own(),
                ..tls::unbegun()
            });
            let tlvs = Tlvs {
                options,
                tls: session.as_ref(),
                told: None,
                unique_id: None,
            };
            tlvs.add(&mut header);
        }
    }
    header
}

async fn connect(destination: &Destination, source: Option<SocketAddr>) -> Result<Plain, NotBegun> {
    let stream = destination
        .begin(source, SocketOptions::default())
        .map_err(|error| match error {
            NotBegun::Refused(e) => {
                // Told from a refusal by the other end.
                let told = format!("General socket error ({})", words(&e));
                NotBegun::Refused(io::Error::other(told))
            }
            local => local,
        })?;
    let connected = std::future::poll_fn(|cx| stream.poll_connected(cx)).await;
    connected.map(|()| stream).map_err(NotBegun::Refused)
}
