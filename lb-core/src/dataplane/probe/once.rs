//! One check: connect, speak TLS if need be, ask, judge.

mod talk;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};

use crate::{
    config::{CheckConfig, CheckKind},
    dataplane::{
        destination::{Destination, NotBegun},
        stream::Plain,
        tls::Connector,
    },
    health::{CheckStatus, Pace, Probe},
};

/// Most bytes of an answer that are looked at.
const ANSWER: usize = 4096;

/// How a server is checked.
#[derive(PartialEq)]
pub(super) struct Method {
    pub(super) destination: Destination,
    pub(super) source: Option<SocketAddr>,
    pub(super) check: CheckConfig,
    pub(super) kind: CheckKind,
    pub(super) pace: Pace,
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
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// Checks once. `tls` speaks to servers that are checked in TLS.
pub(super) async fn run(method: &Method, tls: Option<&Connector>, probe: Probe) -> Found {
    if let CheckKind::Script(script) = &method.kind {
        return talk::run(method, script, tls, probe).await;
    }
    let open = open(method, &method.destination, tls, false, probe);
    let mut stream = match open.await {
        Ok(stream) => stream,
        Err(found) => return found,
    };
    let asking = match &method.kind {
        CheckKind::Http { .. } => ask(method, &mut stream),
        _ if tls.is_some() => return Found::new(CheckStatus::L6Ok),
        _ => return Found::new(CheckStatus::L4Ok),
    };
    match tokio::time::timeout(probe.read_timeout, asking).await {
        Ok(found) => found,
        Err(_) => Found::new(CheckStatus::L7Timeout),
    }
}

/// What a check talks through.
trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// Connects, and shakes hands if there is `tls`. `linger` leaves the connection to end in order.
async fn open(
    method: &Method,
    destination: &Destination,
    tls: Option<&Connector>,
    linger: bool,
    probe: Probe,
) -> Result<Box<dyn Io>, Found> {
    let connecting = connect(destination, method.source);
    let stream = match tokio::time::timeout(probe.connect_timeout, connecting).await {
        Err(_) => return Err(Found::new(CheckStatus::L4Timeout)),
        Ok(Err(NotBegun::Local(e))) => return Err(Found::failed(CheckStatus::SocketError, &e)),
        Ok(Err(NotBegun::Refused(e))) => return Err(Found::failed(CheckStatus::L4Connection, &e)),
        Ok(Ok(stream)) => stream,
    };
    if !linger {
        // The port is free again at once, and the server is not left with a connection it never accepted.
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
    let Some(connector) = tls else {
        return Ok(Box::new(stream));
    };
    let name = method
        .check
        .tls
        .as_ref()
        .and_then(|t| t.check_sni.as_deref());
    let shaking = connector.connect(name.map(str::as_bytes), stream);
    match tokio::time::timeout(probe.connect_timeout, shaking).await {
        Err(_) => Err(Found::new(CheckStatus::L6Timeout)),
        Ok(Err(e)) => Err(Found {
            detail: format!("SSL handshake failure: {e}").into(),
            ..Found::new(CheckStatus::L6Response)
        }),
        Ok(Ok(stream)) => Ok(Box::new(stream)),
    }
}

async fn connect(destination: &Destination, source: Option<SocketAddr>) -> Result<Plain, NotBegun> {
    let stream = destination.begin(source, false)?;
    let ready = stream.ready(Interest::WRITABLE).await.map(drop);
    let failed = ready.err().or_else(|| stream.take_error().ok().flatten());
    failed.map_or(Ok(stream), |e| Err(NotBegun::Refused(e)))
}

/// Sends the request of `option httpchk` and judges the answer.
async fn ask(method: &Method, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Found {
    let CheckKind::Http {
        method,
        uri,
        version,
        headers,
        expect_status,
    } = &method.kind
    else {
        return Found::new(CheckStatus::L4Ok);
    };
    let mut request = format!("{method} {uri} {version}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    // HTTP/1.0 closes unless told otherwise.
    let closes = &**version == "HTTP/1.0"
        || headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("connection"));
    if !closes {
        request.push_str("connection: close\r\n");
    }
    request.push_str("\r\n");
    if let Err(e) = stream.write_all(request.as_bytes()).await {
        return Found::failed(CheckStatus::L4Connection, &e);
    }
    let mut answer = Vec::new();
    let mut room = [0; ANSWER];
    let line = loop {
        if let Some(end) = memchr::memchr(b'\n', &answer) {
            break answer.get(..end).unwrap_or_default();
        }
        match stream.read(&mut room).await {
            Ok(0) | Err(_) => return Found::new(CheckStatus::L7Response),
            Ok(_) if answer.len() > ANSWER => return Found::new(CheckStatus::L7Response),
            Ok(count) => answer.extend_from_slice(room.get(..count).unwrap_or_default()),
        }
    };
    judge(line.strip_suffix(b"\r").unwrap_or(line), expect_status)
}

/// `HTTP/1.1 200 OK`: status and reason against what is expected (200-399 unless told).
fn judge(line: &[u8], expected: &[std::ops::RangeInclusive<u16>]) -> Found {
    let text = String::from_utf8_lossy(line);
    let mut words = text.splitn(3, ' ');
    let version = words.next().unwrap_or_default();
    let code = words.next().and_then(|w| w.parse::<u16>().ok());
    let Some(code) = code.filter(|_| version.starts_with("HTTP/")) else {
        return Found::new(CheckStatus::L7Response);
    };
    let good = if expected.is_empty() {
        (200..400).contains(&code)
    } else {
        expected.iter().any(|range| range.contains(&code))
    };
    Found {
        code: Some(code),
        // What a good answer says is not told.
        detail: match good {
            true => "".into(),
            false => words.next().unwrap_or_default().into(),
        },
        ..Found::new(if good {
            CheckStatus::L7Ok
        } else {
            CheckStatus::L7Status
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged_by_their_status() {
        let status = |line: &[u8], expected: &[_]| judge(line, expected).status;
        assert_eq!(status(b"HTTP/1.0 200 OK", &[]), CheckStatus::L7Ok);
        assert_eq!(status(b"HTTP/1.1 302 Found", &[]), CheckStatus::L7Ok);
        assert_eq!(status(b"HTTP/1.1 503 x", &[]), CheckStatus::L7Status);
        assert_eq!(status(b"HTTP/1.1 503 x", &[503..=503]), CheckStatus::L7Ok);
        assert_eq!(status(b"SSH-2.0-x", &[]), CheckStatus::L7Response);
        assert_eq!(judge(b"HTTP/1.1 404 Not Found", &[]).code, Some(404));
        assert_eq!(&*judge(b"HTTP/1.1 404 Not Found", &[]).detail, "Not Found");
    }
}
