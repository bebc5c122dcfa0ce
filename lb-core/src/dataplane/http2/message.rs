//! Heads of HTTP/2 as the HTTP/1.1 text that exchanges read and write, and back (RFC 9113 §8).
//!
//! What HTTP/2 forbids and HTTP/1.1 would understand is refused by whoever decodes fields: none makes text of a field
//! that could end a line, and the text is read with the same rules as that of any peer. (Requests of clients:
//! `crate::http2`.)

use bytes::Bytes;
use h2::ext::Protocol;
use http::{HeaderMap, HeaderName, HeaderValue, Method as Verb, Request, Uri, header, response};

use crate::{
    head::{Head, HeadRef},
    http1::{
        Leniency, Limits, Progress, RequestDecoder, RequestSummary, ResponseDecoder,
        ResponseSummary, is_field_value, is_token,
    },
    http2::{Form, is_of_connection},
};

/// What a request wants to go over to, as HTTP/1.1 says it.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) protocol: HeaderValue,
    /// The key of one for a WebSocket, which HTTP/2 has no place for.
    pub(super) key: Option<Box<[u8]>>,
}

/// The one protocol that a request with an `Upgrade` wants to go over to, if HTTP/2 has a name for it (RFC 8441 §4).
fn wanted(head: HeadRef<'_>) -> Option<&str> {
    if head.method() != b"GET" {
        return None;
    }
    let mut values = head.values(b"upgrade");
    let websocket = |value: &&[u8]| value.eq_ignore_ascii_case(b"websocket");
    if values.clone().any(|value| websocket(&value)) {
        return Some("websocket");
    }
    let only = values.next().filter(|value| is_token(value))?;
    match values.next() {
        None => std::str::from_utf8(only).ok(),
        Some(_) => None,
    }
}

/// A head that must not go on.
#[derive(Debug)]
pub(super) struct Malformed;

fn field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Appends the head of a response; `ended` if no content follows, whatever `bodiless` says: that the request or the
/// status allow none.
pub(super) fn write_response(
    response: &response::Parts,
    ended: bool,
    bodiless: bool,
    out: &mut Vec<u8>,
) -> Form {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(response.status.as_str().as_bytes());
    out.push(b' ');
    let reason = response.status.canonical_reason().unwrap_or_default();
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in &response.headers {
        field(name.as_str().as_bytes(), value.as_bytes(), out);
    }
    let known = response.headers.contains_key(header::CONTENT_LENGTH);
    let form = match (bodiless, known) {
        (true, _) => Form::Nothing,
        (false, true) if ended => Form::Nothing,
        (false, true) => Form::Raw,
        (false, false) => Form::Chunks,
    };
    if form == Form::Chunks {
        field(b"transfer-encoding", b"chunked", out);
    }
    out.extend_from_slice(b"\r\n");
    form
}

/// Appends the lines of trailers.
pub(super) fn write_trailers(trailers: Option<&HeaderMap>, out: &mut Vec<u8>) {
    for (name, value) in trailers.into_iter().flatten() {
        field(name.as_str().as_bytes(), value.as_bytes(), out);
    }
}

/// Reads trailers from lines of text.
pub(super) fn read_trailers(text: &[u8]) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    for (name, value) in lines(text) {
        let name = HeaderName::from_bytes(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            trailers.append(name, value);
        }
    }
    trailers
}

/// Names and values of lines, without those that HTTP/2 has no place for.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let fields = text.split(|&byte| byte == b'\n').filter_map(|line| {
        let (name, value) = line.split_at(memchr::memchr(b':', line)?);
        Some((name, value.get(1..).unwrap_or_default().trim_ascii()))
    });
    fields.filter(|(name, value)| {
        is_token(name) && is_field_value(value) && !is_hop_by_hop(name, value)
    })
}

/// Reads the head of a response at the front of `text`, and gives it to `tell`, with its status as HTTP/2 has it. `None`
/// where it is not whole: it is read anew with more of it.
pub(super) fn read_response<E: From<Malformed>>(
    text: &[u8],
    decoder: &mut ResponseDecoder,
    tell: impl FnOnce(&ResponseSummary, u16, HeadRef<'_>) -> Result<(), E>,
) -> Result<Option<ResponseSummary>, E> {
    with_scratch(|head| {
        let read = decoder.decode(text, head);
        decoder.next();
        let summary = match read {
            Ok(Progress::Complete(summary)) => summary,
            Ok(Progress::Partial) => return Ok(None),
            Err(_) => return Err(Malformed.into()),
        };
        // RFC 8441 §5: switching protocols is success.
        let status = if summary.status == 101 {
            200
        } else {
            summary.status
        };
        tell(&summary, status, HeadRef::new(head, text))?;
        Ok(Some(summary))
    })
}

/// Reads the head of a request to a server that is spoken to by `scheme`.
pub(super) fn read_request(
    text: &Bytes,
    scheme: &'static str,
) -> Result<(RequestSummary, Request<()>), Malformed> {
    with_scratch(|head| {
        let mut decoder = RequestDecoder::new(Limits::NONE, Leniency::HAPROXY);
        decoder.allow_no_host(true);
        let Ok(Progress::Complete(summary)) = decoder.decode(text, head) else {
            return Err(Malformed);
        };
        let view = HeadRef::new(head, text);
        let mut request = Request::new(());
        let verb = Verb::from_bytes(view.method()).map_err(|_| Malformed)?;
        *request.uri_mut() = uri(view, scheme, verb == Verb::CONNECT)?;
        *request.method_mut() = verb;
        fields(view, text, request.headers_mut());
        request.headers_mut().remove(header::HOST);
        if summary.upgrade
            && let Some(protocol) = wanted(view)
        {
            if request.uri().authority().is_none() {
                return Err(Malformed);
            }
            *request.method_mut() = Verb::CONNECT;
            let key = view.value(b"sec-websocket-key");
            let wanted = Wanted {
                protocol: HeaderValue::from_str(protocol).map_err(|_| Malformed)?,
                key: key.filter(|_| protocol == "websocket").map(Box::from),
            };
            let extensions = request.extensions_mut();
            extensions.insert(Protocol::from(protocol));
            extensions.insert(wanted);
        }
        Ok((summary, request))
    })
}

/// The pseudo fields of a request. One without `Host`, or with an empty one, has no authority.
fn uri(view: HeadRef<'_>, scheme: &'static str, connect: bool) -> Result<Uri, Malformed> {
    let target = view.target();
    let origin_form = target.starts_with(b"/") || target == b"*";
    let uri = match view.value(b"host") {
        Some(host) if origin_form && !connect && !host.is_empty() => {
            let builder = Uri::builder().scheme(scheme).authority(host);
            return builder
                .path_and_query(target)
                .build()
                .map_err(|_| Malformed);
        }
        _ => Uri::try_from(target),
    };
    uri.map_err(|_| Malformed)
}

/// Copies fields, without those that speak of a connection of HTTP/1.1 (RFC 9113 §8.2.2).
fn fields(head: HeadRef<'_>, text: &Bytes, to: &mut HeaderMap) {
    to.reserve(head.fields().count());
    for (name, value) in kept(head) {
        let Ok(name) = HeaderName::from_bytes(name) else {
            continue;
        };
        if let Ok(value) = HeaderValue::from_maybe_shared(piece(text, value)) {
            to.append(name, value);
        }
    }
}

/// The fields that HTTP/2 has a place for.
pub(super) fn kept<'a>(head: HeadRef<'a>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    head.fields()
        .filter(|(name, value)| !is_hop_by_hop(name, value))
}

/// Whether a field speaks of a connection of HTTP/1.1, or of its change to another protocol.
fn is_hop_by_hop(name: &[u8], value: &[u8]) -> bool {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    is_of_connection(name, value)
        || match name.len() {
            14 => is(b"http2-settings"),
            17 => is(b"sec-websocket-key"),
            20 => is(b"sec-websocket-accept"),
            _ => false,
        }
}

/// `value` as a part of `text`, without a copy where it is one.
fn piece(text: &Bytes, value: &[u8]) -> Bytes {
    let (whole, part) = (text.as_ptr_range(), value.as_ptr_range());
    if whole.start <= part.start && part.end <= whole.end {
        text.slice_ref(value)
    } else {
        Bytes::copy_from_slice(value)
    }
}

/// Memory for a head that is read and written in one go.
fn with_scratch<T>(work: impl FnOnce(&mut Head) -> T) -> T {
    thread_local! {
        static SCRATCH: std::cell::RefCell<Head> = std::cell::RefCell::default();
    }
    SCRATCH.with_borrow_mut(work)
}
