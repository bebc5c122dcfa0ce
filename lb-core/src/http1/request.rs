//! Request heads (RFC 9112 §3).

use super::{
    Error, Framing, Leniency, Limits, Method, Progress, authority,
    fields::{self, Line},
    framing::{self, Facts},
    text,
};
use crate::head::{Head, HeadRef, Text, Version};

/// What a complete request head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestSummary {
    /// Length of the head with its empty line and the empty lines before it; the body begins there.
    pub head_len: usize,
    /// The method.
    pub method: Method,
    /// The version.
    pub version: Version,
    /// How the body ends. A CONNECT request has none: what follows waits for the response.
    pub framing: Framing,
    /// Whether the client lets the connection live on.
    pub persistent: bool,
    /// The framing was doubtful and accepted: both sides must be closed after this exchange.
    pub close_after: bool,
    /// `Expect: 100-continue`: the client waits for an interim response before it sends the body.
    pub expect_continue: bool,
    /// The client asks for another protocol; a tunnel begins only with the server's `101`.
    pub upgrade: bool,
    /// There is no `Host`: HTTP/1.0, or HTTP/2 without an authority.
    pub hostless: bool,
}

/// Decoder of one request head after the other on one connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestDecoder {
    limits: Limits,
    leniency: Leniency,
    at: usize,
    line_done: bool,
    /// A request needs no `Host`.
    no_host: bool,
}

impl RequestDecoder {
    /// A decoder at the beginning of a request.
    pub fn new(limits: Limits, leniency: Leniency) -> Self {
        Self {
            limits,
            leniency,
            ..Self::default()
        }
    }

    /// Makes ready for the next request.
    pub fn reset(&mut self) {
        self.at = 0;
        self.line_done = false;
    }

    /// Makes ready for the next request, to be read like this.
    pub fn reset_to(&mut self, leniency: Leniency) {
        self.leniency = leniency;
        self.reset();
    }

    /// Makes ready for requests that may hold so much.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Lets requests go without a `Host`: those of HTTP/2 may (RFC 9113 §8.3.1).
    pub fn allow_no_host(&mut self, allowed: bool) {
        self.no_host = allowed;
    }

    /// Whether any byte but empty lines was seen of the present request.
    pub fn has_started(&self, bytes: &[u8]) -> bool {
        self.line_done || bytes.iter().any(|b| !matches!(b, b'\r' | b'\n'))
    }

    /// Reads on. `bytes` begin with the first byte of the request and hold all that has arrived of it; `head`
    /// must be the same and untouched between calls for one request.
    pub fn decode(
        &mut self,
        bytes: &[u8],
        head: &mut Head,
    ) -> Result<Progress<RequestSummary>, Error> {
        if !self.line_done {
            let Some(line) = self.request_line(bytes)? else {
                return Ok(Progress::Partial);
            };
            head.clear();
            parse_line(bytes, line, head, self.leniency)?;
            self.line_done = true;
        }
        if !fields::read(bytes, &mut self.at, head, self.limits, self.leniency)? {
            return Ok(Progress::Partial);
        }
        let facts = framing::examine(head, bytes, self.leniency)?;
        self.finish(&facts, bytes, head).map(Progress::Complete)
    }

    /// The first line that is not empty (RFC 9112 §2.2 lets empty lines come before it).
    fn request_line(&mut self, bytes: &[u8]) -> Result<Option<Line>, Error> {
        loop {
            let rest = bytes
                .get(self.at..bytes.len().min(self.limits.head_bytes))
                .unwrap_or_default();
            // What is no HTTP at all (a TLS hello, say) has no line end to wait for.
            if let Some(&b) = rest.iter().find(|&&b| !text::is_tchar(b)) {
                let begins = rest.first() == Some(&b);
                if !(b == b' ' && !begins || begins && matches!(b, b'\r' | b'\n')) {
                    return Err(Error::Method);
                }
            }
            let Some(line) = fields::line(bytes, self.at, self.limits, self.leniency)? else {
                return Ok(None);
            };
            self.at = line.next;
            if line.end > line.start {
                return Ok(Some(line));
            }
        }
    }

    fn finish(
        &self,
        facts: &Facts,
        bytes: &[u8],
        head: &mut Head,
    ) -> Result<RequestSummary, Error> {
        self.check_host(facts, bytes, head)?;
        let view = HeadRef::new(head, bytes);
        // RFC 6455 §4.2.1: without a key this is no handshake.
        let websocket = |value: &[u8]| value.eq_ignore_ascii_case(b"websocket");
        if facts.upgrade
            && view.values(b"upgrade").any(websocket)
            && view.value(b"sec-websocket-key").is_none()
        {
            return Err(Error::WebSocketKey);
        }
        let method = Method::of(view.method());
        let framing = match (facts.chunked, facts.content_length) {
            // RFC 9110 §9.3.6: content of CONNECT has no meaning, and readers differ about it.
            (true, _) | (_, Some(1..)) if method == Method::Connect => return Err(Error::Conflict),
            (true, _) => Framing::Chunked,
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::None,
        };
        let without = matches!(method, Method::Get | Method::Head | Method::Delete);
        let old = head.version == Version::Http10 && !self.leniency.old_content;
        if old && without && !framing.is_empty() {
            return Err(Error::OldContent);
        }
        Ok(RequestSummary {
            head_len: self.at,
            method,
            version: head.version,
            framing,
            persistent: facts.persistent(head.version),
            close_after: facts.doubtful,
            expect_continue: facts.expect_continue && head.version != Version::Http10,
            upgrade: facts.upgrade,
            hostless: facts.host.is_none(),
        })
    }

    /// RFC 9112 §3.2: exactly one valid `Host` in HTTP/1.1, the same as the authority of an absolute target. The
    /// port that a scheme has anyway is taken off both (RFC 3986 §6.2.3), as HAProxy does.
    fn check_host(&self, facts: &Facts, bytes: &[u8], head: &mut Head) -> Result<(), Error> {
        let view = HeadRef::new(head, bytes);
        let Some(host) = facts.host.map(|host| view.text(host)) else {
            let lenient = self.leniency.loose_syntax || self.no_host;
            let required = view.version() != Version::Http10 && !lenient;
            return if required { Err(Error::Host) } else { Ok(()) };
        };
        // RFC 9112 §3.2: an empty one says that there is no authority; it is none that any other target has.
        if facts.hosts > 1 || !(host.is_empty() || is_authority(host)) {
            return Err(Error::Host);
        }
        let target = view.target();
        if view.method() == b"CONNECT" {
            // RFC 9112 §3.2: `Host` is to be the same as the target, port and all.
            return match authority::is_that_of_connect(target, host) {
                true => Ok(()),
                false => Err(Error::Host),
            };
        }
        let Some((scheme, named)) = authority::split(target) else {
            return Ok(());
        };
        if !authority::are_same(scheme, named, host) {
            return Err(Error::Host);
        }
        if let Some(bare) = authority::without_default_port(scheme, named) {
            let behind = scheme.len() + 3 + named.len();
            let mut short = Vec::with_capacity(target.len());
            short.extend_from_slice(target.get(..scheme.len() + 3).unwrap_or_default());
            short.extend_from_slice(bare);
            short.extend_from_slice(target.get(behind..).unwrap_or_default());
            let bare = bare.to_vec();
            head.target = head.store(&short);
            authority::set_host(head, bytes, &bare);
        }
        Ok(())
    }
}

/// `method SP target SP version`, each separated by exactly one space.
fn parse_line(bytes: &[u8], line: Line, head: &mut Head, leniency: Leniency) -> Result<(), Error> {
    let content = line.of(bytes);
    let method_len = memchr::memchr(b' ', content).ok_or(Error::Method)?;
    let (method, rest) = content.split_at(method_len);
    // RFC 9113 §11.6: PRI is the word that connections in HTTP/2 begin with, and no method.
    if !text::is_token(method) || method == b"PRI" {
        return Err(Error::Method);
    }
    let rest = rest.get(1..).unwrap_or_default();
    let target_len = memchr::memchr(b' ', rest).ok_or(Error::VersionSyntax)?;
    let (target, version) = rest.split_at(target_len);
    let version = self::version(version.get(1..).unwrap_or_default())?;
    let valid = text::is_target(target) || leniency.odd_characters && text::is_unbroken(target);
    if !valid || !has_valid_form(method, target) {
        return Err(Error::Target);
    }
    head.set_request(
        Text::received(line.start, method_len),
        Text::received(line.start + method_len + 1, target_len),
        version,
    );
    Ok(())
}

/// `HTTP/1.0` or `HTTP/1.1`.
pub(super) fn version(text: &[u8]) -> Result<Version, Error> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(Error::Version),
        _ => Err(Error::VersionSyntax),
    }
}

/// RFC 9112 §3.2: origin, absolute, authority (CONNECT alone) or asterisk form (OPTIONS alone). A query right behind
/// the authority is no path to rules, and one to servers.
fn has_valid_form(method: &[u8], target: &[u8]) -> bool {
    if method == b"CONNECT" {
        return is_authority(target)
            && authority::port(target).is_some_and(|port| !port.is_empty());
    }
    match target {
        [b'/', ..] => true,
        b"*" => method == b"OPTIONS",
        _ => authority::split(target).is_some_and(|(scheme, named)| {
            let behind = target.get(scheme.len() + 3 + named.len());
            !named.is_empty() && matches!(behind, None | Some(b'/'))
        }),
    }
}

/// Host and optional port: not empty, no user information, no delimiter that a URI would end at.
pub(crate) fn is_authority(host: &[u8]) -> bool {
    match host.iter().fold(0, |seen, &b| seen | text::host_class(b)) {
        text::HOST => return true,
        seen if seen == 0 || seen & text::NO_HOST != 0 => return false,
        _ => {}
    }
    let after = match host.iter().position(|&b| b == b']') {
        Some(end) if host.first() == Some(&b'[') => host.get(end + 1..).unwrap_or_default(),
        Some(_) => return false,
        None if host.contains(&b'[') => return false,
        None => match memchr::memchr(b':', host) {
            Some(0) => return false,
            Some(colon) => host.get(colon..).unwrap_or_default(),
            None => &[],
        },
    };
    match after {
        [] => true,
        [b':', port @ ..] => port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}
