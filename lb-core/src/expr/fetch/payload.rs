//! Received bytes before anything is parsed: lengths, slices, TLS hello messages. Manual 7.3.5.

use std::borrow::Cow;

use super::{Eval, Fetch, http::response_body};
use crate::{
    expr::{
        Needs, Settled, Type, Value,
        args::{ArgKind, Argument, may, need},
    },
    head::HeadRef,
    request::RequestView,
};

/// The entries.
pub(super) const TABLE: &[Fetch] = &[
    Fetch::row(
        "req.len",
        &["req_len"],
        &[],
        Type::Int,
        Needs::Payload,
        "Number of bytes received and not yet passed on; of a request of HTTP those of its head, as HAProxy counts them, and of its body.",
        Eval::Growing(|_, view| {
            let head = view.request.filter(|_| view.is_http());
            (Some(length(head, view.payload)), Settled::No)
        }),
    ),
    Fetch::row(
        "req.payload",
        &[],
        &[need("offset", ArgKind::Int), need("length", ArgKind::Int)],
        Type::Binary,
        Needs::Payload,
        "That many received bytes (all for 0) from an offset.",
        Eval::Growing(|args, view| raw(view, |bytes| slice(args, bytes))),
    ),
    Fetch::row(
        "req.payload_lv",
        &[],
        &[
            need("offset", ArgKind::Int),
            need("length", ArgKind::Int),
            may("offset2", ArgKind::Int),
        ],
        Type::Binary,
        Needs::Payload,
        "Received bytes whose length stands before them in that many bytes at an offset.",
        Eval::Growing(|args, view| raw(view, |bytes| counted_slice(args, bytes))),
    ),
    Fetch::row(
        "payload",
        &[],
        &[need("offset", ArgKind::Int), need("length", ArgKind::Int)],
        Type::Binary,
        Needs::Bytes,
        "`req.payload`, and `res.payload` where the server's bytes are looked at.",
        Eval::Growing(|args, view| sent(view, |bytes| slice(args, bytes))),
    ),
    Fetch::row(
        "payload_lv",
        &[],
        &[
            need("offset", ArgKind::Int),
            need("length", ArgKind::Int),
            may("offset2", ArgKind::Int),
        ],
        Type::Binary,
        Needs::Bytes,
        "`req.payload_lv`, and `res.payload_lv` where the server's bytes are looked at.",
        Eval::Growing(|args, view| sent(view, |bytes| counted_slice(args, bytes))),
    ),
    Fetch::row(
        "req.ssl_hello_type",
        &["req_ssl_hello_type"],
        &[],
        Type::Int,
        Needs::Payload,
        "1 if the received bytes are a TLS ClientHello, 0 if they are something else.",
        Eval::Growing(|_, view| {
            raw(view, |bytes| match client_hello(bytes) {
                Hello::Complete(_) => (Some(Value::Int(1)), Settled::Yes),
                Hello::Other => (Some(Value::Int(0)), Settled::Yes),
                Hello::Partial => (None, Settled::No),
            })
        }),
    ),
    Fetch::row(
        "req.ssl_sni",
        &["req_ssl_sni"],
        &[],
        Type::String,
        Needs::Payload,
        "Name asked for in the received TLS ClientHello.",
        Eval::Growing(|_, view| of_hello(view, |body| server_name(body).map(Value::text))),
    ),
    Fetch::row(
        "req.ssl_alpn",
        &[],
        &[],
        Type::String,
        Needs::Payload,
        "Application protocols offered in the received TLS ClientHello: an ACL looks at each, others get the first.",
        Eval::GrowingMany(|view, sink| match client_hello(view.payload) {
            _ if view.is_http() => Settled::Yes,
            Hello::Complete(Cow::Borrowed(hello)) => {
                let _ = offered(hello).map(Value::text).all(sink);
                Settled::Yes
            }
            Hello::Complete(Cow::Owned(hello)) => {
                for name in offered(&hello).map(Value::text) {
                    if !sink(name.into_owned()) {
                        break;
                    }
                }
                Settled::Yes
            }
            Hello::Other => Settled::Yes,
            Hello::Partial => Settled::No,
        }),
    ),
    Fetch::row(
        "req.ssl_ec_ext",
        &[],
        &[],
        Type::Bool,
        Needs::Payload,
        "Whether the received TLS ClientHello names the elliptic curves that its client knows.",
        Eval::Growing(|_, view| {
            of_hello(view, |body| {
                Some(Value::Bool(extension(body, SUPPORTED_GROUPS).is_some()))
            })
        }),
    ),
    Fetch::row(
        "req.ssl_st_ext",
        &[],
        &[],
        Type::Int,
        Needs::Payload,
        "0 if the received TLS ClientHello knows no session tickets, 1 if it does, 2 if it holds one.",
        Eval::Growing(|_, view| {
            of_hello(view, |body| {
                let ticket = extension(body, SESSION_TICKET);
                Some(Value::Int(
                    ticket.map_or(0, |t| if t.is_empty() { 1 } else { 2 }),
                ))
            })
        }),
    ),
    Fetch::row(
        "req.ssl_ver",
        &["req_ssl_ver"],
        &[],
        Type::Int,
        Needs::Payload,
        "Version of the received TLS ClientHello: major * 65536 + minor.",
        Eval::Growing(|_, view| {
            raw(view, |bytes| match client_hello(bytes) {
                Hello::Complete(hello) => {
                    let version = match *hello {
                        [_, _, _, _, major, minor, ..] => i64::from(major) << 16 | i64::from(minor),
                        _ => return (None, Settled::Yes),
                    };
                    (Some(Value::Int(version)), Settled::Yes)
                }
                Hello::Other => (None, Settled::Yes),
                Hello::Partial => (None, Settled::No),
            })
        }),
    ),
    Fetch::row(
        "req.rdp_cookie",
        &["rdp_cookie", "req_rdp_cookie"],
        &[may("name", ArgKind::Text)],
        Type::String,
        Needs::Payload,
        "Value of the RDP cookie of that name (any without one) in the received connection request.",
        Eval::Growing(|args, view| {
            raw(view, |bytes| {
                let found = rdp_cookie(bytes, args.first().and_then(Argument::text));
                (found.map(Value::text), Settled::No)
            })
        }),
    ),
    Fetch::row(
        "req.rdp_cookie_cnt",
        &["rdp_cookie_cnt", "req_rdp_cookie_cnt"],
        &[may("name", ArgKind::Text)],
        Type::Int,
        Needs::Payload,
        "1 if the RDP cookie of that name was received, else 0.",
        Eval::Growing(|args, view| {
            raw(view, |bytes| {
                let found = rdp_cookie(bytes, args.first().and_then(Argument::text));
                (Some(Value::Int(found.is_some().into())), Settled::No)
            })
        }),
    ),
    Fetch::row(
        "res.len",
        &[],
        &[],
        Type::Int,
        Needs::Response,
        "Number of bytes received from the server and not yet passed on; of a response of HTTP as `req.len` counts them.",
        Eval::Growing(|_, view| {
            let known = match view.answer {
                [] => length(view.response, response_body(view).unwrap_or_default()),
                answer => length(None, answer),
            };
            (Some(known), Settled::No)
        }),
    ),
    Fetch::row(
        "res.payload",
        &[],
        &[need("offset", ArgKind::Int), need("length", ArgKind::Int)],
        Type::Binary,
        Needs::Answer,
        "That many received bytes of the server (all for 0) from an offset.",
        Eval::Growing(|args, view| slice(args, view.answer)),
    ),
    Fetch::row(
        "res.payload_lv",
        &["resp.payload_lv"],
        &[
            need("offset", ArgKind::Int),
            need("length", ArgKind::Int),
            may("offset2", ArgKind::Int),
        ],
        Type::Binary,
        Needs::Answer,
        "Received bytes of the server whose length stands before them in that many bytes at an offset.",
        Eval::Growing(|args, view| counted_slice(args, view.answer)),
    ),
    Fetch::row(
        "res.ssl_hello_type",
        &["rep.ssl_hello_type", "rep_ssl_hello_type"],
        &[],
        Type::Int,
        Needs::Answer,
        "2 if the received bytes of the server are a TLS ServerHello, 1 if a ClientHello.",
        Eval::Growing(|_, view| match handshake(view.answer) {
            Handshake::Whole(message) => {
                let kind = message.first().filter(|kind| matches!(kind, 1 | 2));
                (kind.map(|kind| Value::Int((*kind).into())), Settled::Yes)
            }
            Handshake::Other => (None, Settled::Yes),
            Handshake::Partial => (None, Settled::No),
        }),
    ),
];

/// A value, and whether further bytes may make another of it.
type Grown<'a> = (Option<Value<'a>>, Settled);

/// What `read` finds in the client's bytes. A message of HTTP has been parsed: there are none, and none are waited for.
fn raw<'a>(view: &RequestView<'a>, read: impl FnOnce(&'a [u8]) -> Grown<'a>) -> Grown<'a> {
    match view.is_http() {
        true => (None, Settled::Yes),
        false => read(view.payload),
    }
}

/// What `read` finds in the bytes of the side that is looked at: rules see those of one side only.
fn sent<'a>(view: &RequestView<'a>, read: impl FnOnce(&'a [u8]) -> Grown<'a>) -> Grown<'a> {
    match view.answer {
        [] => raw(view, read),
        answer => read(answer),
    }
}

fn length<'a>(head: Option<HeadRef<'_>>, bytes: &[u8]) -> Value<'a> {
    let length = head.map_or(0, HeadRef::weight) + bytes.len() as u64;
    Value::Int(i64::try_from(length).unwrap_or(i64::MAX))
}

fn position(args: &[Argument], index: usize) -> usize {
    args.get(index)
        .and_then(Argument::int)
        .and_then(|i| usize::try_from(i).ok())
        .unwrap_or(0)
}

fn slice<'a>(args: &[Argument], bytes: &'a [u8]) -> Grown<'a> {
    let (offset, length) = (position(args, 0), position(args, 1));
    if length == 0 {
        let rest = bytes.get(offset..).filter(|rest| !rest.is_empty());
        return (rest.map(|r| Value::Binary(r.into())), Settled::No);
    }
    match bytes.get(offset..offset.saturating_add(length)) {
        Some(bytes) => (Some(Value::Binary(bytes.into())), Settled::Yes),
        None => (None, Settled::No),
    }
}

fn counted_slice<'a>(args: &[Argument], bytes: &'a [u8]) -> Grown<'a> {
    let (offset, width) = (position(args, 0), position(args, 1));
    let Some(length) = bytes.get(offset..offset.saturating_add(width)) else {
        return (None, Settled::No);
    };
    let length = length.iter().fold(0_usize, |sum, byte| {
        sum.saturating_mul(256).saturating_add(usize::from(*byte))
    });
    let start = match args.get(2).and_then(Argument::int) {
        Some(_) => position(args, 2),
        None => offset.saturating_add(width),
    };
    match bytes.get(start..start.saturating_add(length)) {
        Some(bytes) => (Some(Value::Binary(bytes.into())), Settled::Yes),
        None => (None, Settled::No),
    }
}

/// What received bytes look like.
enum Hello<'a> {
    /// A whole ClientHello, from its type and length on.
    Complete(Cow<'a, [u8]>),
    /// The beginning of one.
    Partial,
    /// Something else.
    Other,
}

/// A message of the handshake.
enum Handshake<'a> {
    /// All of it, its type in front; what follows in its last record too.
    Whole(Cow<'a, [u8]>),
    /// The beginning of one.
    Partial,
    /// Something else.
    Other,
}

/// Recognises a message of the handshake, which may be spread over records (RFC 8446 §5.1): who cuts a name in two
/// does not get past those who look for it.
fn handshake(bytes: &[u8]) -> Handshake<'_> {
    let mut message = Cow::Borrowed(&[][..]);
    let mut rest = bytes;
    loop {
        match rest.first() {
            None => return Handshake::Partial,
            Some(22) => {}
            Some(_) => return Handshake::Other,
        }
        let &[_, major, _, high, low, ref behind @ ..] = rest else {
            return Handshake::Partial;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        // A record holds 16 KiB at most, and none of the handshake is empty.
        if major != 3 || !(1..=16_640).contains(&length) {
            return Handshake::Other;
        }
        let Some((record, next)) = behind.split_at_checked(length) else {
            return Handshake::Partial;
        };
        match message.is_empty() {
            true => message = Cow::Borrowed(record),
            false => message.to_mut().extend_from_slice(record),
        }
        if let [_, high, middle, low, ref body @ ..] = *message
            && body.len() >= u32::from_be_bytes([0, high, middle, low]) as usize
        {
            return Handshake::Whole(message);
        }
        rest = next;
    }
}

/// Recognises a ClientHello (RFC 8446 §4.1.2).
fn client_hello(bytes: &[u8]) -> Hello<'_> {
    match handshake(bytes) {
        Handshake::Whole(message) if message.first() == Some(&1) => Hello::Complete(message),
        // The type of the message is known before the rest has come.
        Handshake::Partial if bytes.get(5).is_none_or(|kind| *kind == 1) => Hello::Partial,
        _ => Hello::Other,
    }
}

/// What `ask` finds in a received ClientHello, once it is whole.
fn of_hello<'a>(
    view: &RequestView<'a>,
    ask: impl for<'b> Fn(&'b [u8]) -> Option<Value<'b>>,
) -> Grown<'a> {
    raw(view, |bytes| match client_hello(bytes) {
        Hello::Complete(hello) => (asked(&hello, ask), Settled::Yes),
        Hello::Other => (None, Settled::Yes),
        Hello::Partial => (None, Settled::No),
    })
}

/// Numbers of extensions: RFC 8422 §5.1.1 and RFC 5077 §3.2.
const SUPPORTED_GROUPS: u16 = 10;
const SESSION_TICKET: u16 = 35;

/// Type, length and version of a ClientHello, before its random.
const BEFORE: usize = 6;

/// What `ask` finds in the body of a ClientHello, from its random on.
fn asked<'a>(
    hello: &Cow<'a, [u8]>,
    ask: impl for<'b> Fn(&'b [u8]) -> Option<Value<'b>>,
) -> Option<Value<'a>> {
    match hello {
        Cow::Borrowed(hello) => ask((*hello).get(BEFORE..)?),
        Cow::Owned(hello) => ask(hello.get(BEFORE..)?).map(Value::into_owned),
    }
}

/// Takes bytes from the front of a slice.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A vector whose length stands before it in `width` bytes.
    fn vector(&mut self, width: usize) -> Option<&'a [u8]> {
        let length = self
            .take(width)?
            .iter()
            .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        self.take(length)
    }
}

/// The content of an extension of a ClientHello.
fn extension(body: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut hello = Cursor(body);
    hello.take(32)?;
    hello.vector(1)?;
    hello.vector(2)?;
    hello.vector(1)?;
    let mut extensions = Cursor(hello.vector(2)?);
    loop {
        let kind = extensions.take(2)?;
        let content = extensions.vector(2)?;
        if kind == wanted.to_be_bytes() {
            return Some(content);
        }
    }
}

/// RFC 6066 §3: the host name of the server_name extension.
fn server_name(body: &[u8]) -> Option<&[u8]> {
    let mut names = Cursor(Cursor(extension(body, 0)?).vector(2)?);
    loop {
        let kind = names.take(1)?;
        let name = names.vector(2)?;
        if kind == [0] {
            return Some(name);
        }
    }
}

/// RFC 7301 §3.1: the protocol names.
fn protocols(body: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let mut names = Cursor(Cursor(extension(body, 16)?).vector(2)?);
    Some(std::iter::from_fn(move || names.vector(1)))
}

/// The same of a whole ClientHello.
fn offered(hello: &[u8]) -> impl Iterator<Item = &[u8]> {
    let names = hello.get(BEFORE..).and_then(protocols);
    names.into_iter().flatten()
}

/// `Cookie: name=value` in an RDP connection request: TPKT header, X.224 connection request, text line.
fn rdp_cookie<'a>(bytes: &'a [u8], wanted: Option<&[u8]>) -> Option<&'a [u8]> {
    let &[3, _, high, low, ref rest @ ..] = bytes else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let request = rest.get(..length.checked_sub(4)?)?;
    // X.224: length, 0xE0, two references and a class.
    let text = request.get(7..).filter(|_| request.get(1) == Some(&0xe0))?;
    let end = memchr::memmem::find(text, b"\r\n")?;
    let line = text.get(..end)?.strip_prefix(b"Cookie:")?.trim_ascii();
    let equals = memchr::memchr(b'=', line)?;
    let (name, value) = line.split_at(equals);
    if wanted.is_some_and(|w| !w.eq_ignore_ascii_case(name)) {
        return None;
    }
    value.get(1..)
}
