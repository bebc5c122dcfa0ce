//! Heads as they are sent: names in lower case or as they came, order kept, hop-by-hop fields taken out, framing fields
//! written from what was decided and not from what was received.

use super::{ConnectionOption, Framing, text};
use crate::head::{Field, HeadRef, Version};

/// The case of header names in heads that are passed on (RFC 9110 §5.1: it means nothing). What this end says itself is in
/// lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Names {
    /// Lower case, as HAProxy sends them.
    #[default]
    Lower,
    /// As they were received, or set by rules.
    Kept,
}

/// Appends a request head. `head` is the request after the rules, `framing` that of the body that follows.
///
/// The version of the client is kept, so that an HTTP/1.0 client's server does not answer in chunks; a chunked
/// body is HTTP/1.1 in any case.
pub fn write_request_head(
    head: HeadRef<'_>,
    framing: Framing,
    connection: ConnectionOption,
    names: Names,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(head.method());
    out.push(b' ');
    out.extend_from_slice(head.target());
    out.extend_from_slice(match (head.version(), framing) {
        (Version::Http10, Framing::Chunked) => b" HTTP/1.1\r\n",
        (Version::Http10, _) => b" HTTP/1.0\r\n",
        (Version::Http11 | Version::Http2, _) => b" HTTP/1.1\r\n",
    });
    write_fields(head, BodyFields::Stated(framing), connection, names, out);
}

/// Appends a response head. `framing` is the one towards the client.
pub fn write_response_head(
    head: HeadRef<'_>,
    framing: Framing,
    connection: ConnectionOption,
    names: Names,
    out: &mut Vec<u8>,
) {
    let status = head.status();
    out.extend_from_slice(b"HTTP/1.1 ");
    write_number(u64::from(status), out);
    out.push(b' ');
    out.extend_from_slice(head.reason());
    out.extend_from_slice(b"\r\n");
    let body = match (framing, status) {
        // RFC 9110 §8.6: these never carry a length. An answer to HEAD and a 304 may state that of another.
        (Framing::None, 200 | 201 | 203 | 205..) => match head.value(b"transfer-encoding") {
            // RFC 9112 §6.2: never beside a length.
            Some(_) => BodyFields::Stated(Framing::Chunked),
            None => BodyFields::AsReceived,
        },
        (framing, _) => BodyFields::Stated(framing),
    };
    write_fields(head, body, connection, names, out);
}

/// Appends `name: value CR LF`, the name in lower case.
pub fn write_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    write_named(name, value, Names::Lower, out);
}

fn write_named(name: &[u8], value: &[u8], names: Names, out: &mut Vec<u8>) {
    out.reserve(name.len() + value.len() + 4);
    let start = out.len();
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
    write_case(start, name.len(), names, out);
}

/// Appends a field of `head`: in one piece, if it came as it goes.
fn write_line(head: HeadRef<'_>, field: &Field, names: Names, out: &mut Vec<u8>) {
    let Some(line) = head.line(field) else {
        return write_named(head.text(field.name), head.text(field.value), names, out);
    };
    let start = out.len();
    out.extend_from_slice(line);
    write_case(start, field.name.len(), names, out);
}

/// Gives a name that has been written its case.
fn write_case(start: usize, len: usize, names: Names, out: &mut [u8]) {
    if names == Names::Lower
        && let Some(name) = out.get_mut(start..start + len)
    {
        name.make_ascii_lowercase();
    }
}

/// Appends a decimal number.
pub(super) fn write_number(number: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut rest = number;
    let mut first = digits.len();
    for slot in digits.iter_mut().rev() {
        first -= 1;
        *slot = b"0123456789"
            .get((rest % 10) as usize)
            .copied()
            .unwrap_or(b'0');
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

/// What becomes of `content-length` and `transfer-encoding`.
#[derive(Debug, Clone, Copy)]
enum BodyFields {
    Stated(Framing),
    AsReceived,
}

/// What becomes of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pass,
    Drop,
    /// The place of the framing field.
    Framing,
    /// `te: trailers`, whatever else was wished for.
    Trailers,
}

fn write_fields(
    head: HeadRef<'_>,
    body: BodyFields,
    connection: ConnectionOption,
    names: Names,
    out: &mut Vec<u8>,
) {
    let nominates = head.values(b"connection").any(nominates_others);
    let mut stated = match body {
        BodyFields::Stated(framing) => framing,
        BodyFields::AsReceived => Framing::None,
    };
    for field in head.lines() {
        let (name, value) = (head.text(field.name), head.text(field.value));
        let mut fate = fate(name, value, body, connection);
        if nominates && fate == Fate::Pass && is_nominated(head, name) {
            fate = Fate::Drop;
        }
        match fate {
            Fate::Pass => write_line(head, field, names, out),
            Fate::Framing => write_framing(std::mem::take(&mut stated), out),
            Fate::Trailers => out.extend_from_slice(b"te: trailers\r\n"),
            Fate::Drop => {}
        }
    }
    write_framing(stated, out);
    out.extend_from_slice(match connection {
        ConnectionOption::Absent => b"",
        ConnectionOption::Close => b"connection: close\r\n",
        ConnectionOption::KeepAlive => b"connection: keep-alive\r\n".as_slice(),
        ConnectionOption::Upgrade => b"connection: upgrade\r\n",
    });
    out.extend_from_slice(b"\r\n");
}

fn fate(name: &[u8], value: &[u8], body: BodyFields, connection: ConnectionOption) -> Fate {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    match name.len() {
        // `trailers` is the one value that a proxy which passes trailers may say in its own name.
        2 if is(b"te") => match text::members(value).any(|m| m.eq_ignore_ascii_case(b"trailers")) {
            true => Fate::Trailers,
            false => Fate::Drop,
        },
        7 if is(b"upgrade") && connection != ConnectionOption::Upgrade => Fate::Drop,
        10 if is(b"connection") || is(b"keep-alive") => Fate::Drop,
        14 if is(b"http2-settings") => Fate::Drop,
        16 if is(b"proxy-connection") => Fate::Drop,
        14 if is(b"content-length") => {
            framing_fate(body, matches!(body, BodyFields::Stated(Framing::Length(_))))
        }
        17 if is(b"transfer-encoding") => {
            framing_fate(body, matches!(body, BodyFields::Stated(Framing::Chunked)))
        }
        _ => Fate::Pass,
    }
}

fn framing_fate(body: BodyFields, same_kind: bool) -> Fate {
    match body {
        BodyFields::AsReceived => Fate::Pass,
        BodyFields::Stated(_) if same_kind => Fate::Framing,
        BodyFields::Stated(_) => Fate::Drop,
    }
}

fn write_framing(framing: Framing, out: &mut Vec<u8>) {
    match framing {
        Framing::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            write_number(length, out);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::None | Framing::UntilClose | Framing::Tunnel => {}
    }
}

/// Whether a `Connection` value names fields beyond those that [`fate`] handles anyway.
fn nominates_others(value: &[u8]) -> bool {
    text::members(value).any(|option| {
        ![&b"close"[..], b"keep-alive", b"upgrade", b"te"]
            .iter()
            .any(|known| option.eq_ignore_ascii_case(known))
    })
}

/// RFC 9110 §7.6.1: fields that `Connection` names go no further, except those whose loss would change the
/// message or hide who sent it (CVE-2021-32813, CVE-2024-45410).
fn is_nominated(head: HeadRef<'_>, name: &[u8]) -> bool {
    let forwarded = name
        .get(..12)
        .is_some_and(|n| n.eq_ignore_ascii_case(b"x-forwarded-"));
    let kept = forwarded
        || [
            &b"host"[..],
            b"content-length",
            b"transfer-encoding",
            b"te",
            b"upgrade",
            b"forwarded",
            b"x-real-ip",
            b"via",
        ]
        .iter()
        .any(|kept| name.eq_ignore_ascii_case(kept));
    !kept
        && head
            .values(b"connection")
            .any(|value| text::members(value).any(|option| option.eq_ignore_ascii_case(name)))
}
