//! Heads of HTTP/2 as the HTTP/1.1 text that exchanges read and write, and back (RFC 9113 §8).
//!
//! What HTTP/2 forbids and HTTP/1.1 would understand is refused here or by the library that decodes fields: neither
//! makes text of a field that could end a line, and the text is read with the same rules as that of any client.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method as Verb, Request, Response, StatusCode, Uri, header,
    request, response, uri::PathAndQuery,
};

use crate::{
    head::{Head, HeadRef},
    http1::{
        Leniency, Limits, Progress, RequestDecoder, RequestSummary, ResponseDecoder,
        ResponseSummary,
    },
};

/// In what form content follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// None does.
    Nothing,
    /// As it is: its length is stated, or it is a tunnel.
    Raw,
    /// In chunks.
    Chunks,
}

/// A head that must not go on.
#[derive(Debug)]
pub(super) struct Malformed;

/// Appends the head of a request; `ended` if no content follows.
pub(super) fn write_request(
    request: &request::Parts,
    ended: bool,
    out: &mut Vec<u8>,
) -> Result<Form, Malformed> {
    let authority = request.uri.authority().map(http::uri::Authority::as_str);
    let protocol = request.extensions.get::<h2::ext::Protocol>();
    let path = request.uri.path_and_query().map(PathAndQuery::as_str);
    // RFC 8441 §5: an extended CONNECT is what the upgrade of HTTP/1.1 is a GET for.
    let (verb, target) = match (&request.method, protocol) {
        (&Verb::CONNECT, None) => ("CONNECT", authority.ok_or(Malformed)?),
        (&Verb::CONNECT, Some(_)) => ("GET", path.ok_or(Malformed)?),
        (verb, _) => (verb.as_str(), path.ok_or(Malformed)?),
    };
    // The library takes any text for a protocol; a token it must be, as a method is.
    if protocol.is_some_and(|protocol| Verb::from_bytes(protocol.as_ref()).is_err()) {
        return Err(Malformed);
    }
    let tunnel = request.method == Verb::CONNECT;
    // RFC 9113 §8.3.1: nothing but a path; an absolute target would be a second authority.
    let is_path = target.starts_with('/') || target == "*" && verb == "OPTIONS";
    if !is_path && verb != "CONNECT" {
        return Err(Malformed);
    }
    for part in [verb, " ", target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    if let Some(authority) = authority {
        field(b"host", authority.as_bytes(), out);
    }
    let mut crumbs = false;
    for (name, value) in &request.headers {
        let value = value.as_bytes();
        match *name {
            // Said already; another one is left for the reader to refuse.
            header::HOST if authority.is_some_and(|a| same(a, value)) => {}
            // RFC 9113 §8.2.3: one line in HTTP/1.1. (Fields of a name come one after the other.)
            header::COOKIE if crumbs => {
                out.truncate(out.len() - 2);
                out.extend_from_slice(b"; ");
                out.extend_from_slice(value);
                out.extend_from_slice(b"\r\n");
            }
            // Its length is that of other content: the tunnel has none.
            header::CONTENT_LENGTH if tunnel => {}
            _ => {
                crumbs |= name == header::COOKIE;
                field(name.as_str().as_bytes(), value, out);
            }
        }
    }
    let form = match (tunnel, ended) {
        (true, _) => Form::Raw,
        (false, true) => Form::Nothing,
        (false, false) if request.headers.contains_key(header::CONTENT_LENGTH) => Form::Raw,
        (false, false) => Form::Chunks,
    };
    if let Some(protocol) = protocol {
        field(b"connection", b"upgrade", out);
        field(b"upgrade", protocol.as_str().as_bytes(), out);
        // RFC 8441 §5: HTTP/2 has no key; a server of HTTP/1.1 wants one.
        if protocol.as_str() == "websocket" && !request.headers.contains_key("sec-websocket-key") {
            field(b"sec-websocket-key", WEBSOCKET_KEY, out);
        }
    }
    if form == Form::Chunks {
        field(b"transfer-encoding", b"chunked", out);
    }
    out.extend_from_slice(b"\r\n");
    Ok(form)
}

/// Sixteen bytes in base64. Its purpose, to keep caches from answering old scripts, is met by CONNECT in HTTP/2.
const WEBSOCKET_KEY: &[u8] = b"aGEtbGIgb3ZlciBodHRwMg==";

fn same(authority: &str, value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(authority.as_bytes())
}

fn field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// What the log says before the path of a request, as HAProxy does: `https://host`.
pub(super) fn origin(request: &request::Parts) -> Vec<u8> {
    match (request.uri.scheme_str(), request.uri.authority()) {
        (Some(scheme), Some(authority)) => format!("{scheme}://{authority}").into_bytes(),
        _ => Vec::new(),
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

/// Appends the end of a body in chunks.
pub(super) fn write_trailers(trailers: Option<&HeaderMap>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        field(name.as_str().as_bytes(), value.as_bytes(), out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Reads trailers from lines of text.
pub(super) fn read_trailers(text: &[u8]) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let name = HeaderName::from_bytes(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            trailers.append(name, value);
        }
    }
    trailers
}

/// Reads the head of a response from `text`, which holds all of it.
pub(super) fn read_response(
    text: &Bytes,
    decoder: &mut ResponseDecoder,
) -> Result<(ResponseSummary, Response<()>), Malformed> {
    with_scratch(|head| {
        let Ok(Progress::Complete(summary)) = decoder.decode(text, head) else {
            return Err(Malformed);
        };
        decoder.next();
        let mut response = Response::new(());
        // RFC 8441 §5: switching protocols is success.
        let status = if summary.status == 101 {
            200
        } else {
            summary.status
        };
        *response.status_mut() = StatusCode::from_u16(status).map_err(|_| Malformed)?;
        fields(HeadRef::new(head, text), text, response.headers_mut());
        Ok((summary, response))
    })
}

/// Reads the head of a request to a server that is spoken to by `scheme`.
pub(super) fn read_request(
    text: &Bytes,
    scheme: &'static str,
) -> Result<(RequestSummary, Request<()>), Malformed> {
    with_scratch(|head| {
        let mut decoder = RequestDecoder::new(Limits::default(), Leniency::HAPROXY);
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
        Ok((summary, request))
    })
}

/// The pseudo fields of a request. One without `Host` has no authority.
fn uri(view: HeadRef<'_>, scheme: &'static str, connect: bool) -> Result<Uri, Malformed> {
    let target = view.target();
    let origin_form = target.starts_with(b"/") || target == b"*";
    let uri = match view.value(b"host") {
        Some(host) if origin_form && !connect => {
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
    for (name, value) in head.fields() {
        let Ok(name) = HeaderName::from_bytes(name) else {
            continue;
        };
        let of_connection = match name {
            header::CONNECTION | header::TRANSFER_ENCODING | header::UPGRADE => true,
            header::TE => !value.eq_ignore_ascii_case(b"trailers"),
            _ => matches!(
                name.as_str(),
                "keep-alive"
                    | "proxy-connection"
                    | "http2-settings"
                    | "sec-websocket-accept"
                    | "sec-websocket-key"
            ),
        };
        if of_connection {
            continue;
        }
        if let Ok(value) = HeaderValue::from_maybe_shared(piece(text, value)) {
            to.append(name, value);
        }
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
