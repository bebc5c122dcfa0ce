//! Fields of a request as the head of one in HTTP/1.1 (RFC 9113 §8): what HTTP/2 forbids is refused here, the rest is
//! left to whoever reads heads of any client.

use super::hpack::Fields;
use crate::http1::{Method, content_length, is_field_value, is_target, is_token};

/// In what form content follows a head in HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// None does.
    #[default]
    Nothing,
    /// As it is: its length is stated, or it is a tunnel.
    Raw,
    /// In chunks.
    Chunks,
}

/// A head that must not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// No request: the stream is cancelled.
    #[error("not a request of HTTP/2")]
    Cancel,
    /// A request with a method or a scheme that there cannot be: it is answered with 400, as HAProxy does.
    #[error("a request that nobody understands")]
    Answer,
}

/// A request as text.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Its head in HTTP/1.1.
    pub text: Vec<u8>,
    /// Scheme and authority, as logs say them: `https://host`.
    pub origin: Vec<u8>,
    /// How its content follows.
    pub form: Form,
    /// The method as the answer sees it: that of an extended CONNECT is GET.
    pub method: Method,
    /// What follows is a tunnel.
    pub tunnel: bool,
    /// It asks for another protocol (RFC 8441).
    pub upgrades: bool,
    /// The length of its content, if that is stated.
    pub length: Option<u64>,
}

/// The pseudo fields.
#[derive(Default)]
struct Pseudo<'a> {
    method: Option<&'a [u8]>,
    scheme: Option<&'a [u8]>,
    authority: Option<&'a [u8]>,
    path: Option<&'a [u8]>,
    protocol: Option<&'a [u8]>,
}

impl<'a> Pseudo<'a> {
    fn set(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Malformed> {
        let place = match name {
            b":method" => &mut self.method,
            b":scheme" => &mut self.scheme,
            b":authority" => &mut self.authority,
            b":path" => &mut self.path,
            b":protocol" => &mut self.protocol,
            _ => return Err(Malformed::Cancel),
        };
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(Malformed::Cancel),
        }
    }

    /// The verb and the target that HTTP/1.1 says this by.
    fn line(&self) -> Result<(&'a [u8], &'a [u8]), Malformed> {
        let method = self
            .method
            .filter(|m| is_target(m))
            .ok_or(Malformed::Cancel)?;
        let connect = method == b"CONNECT";
        if connect && self.protocol.is_none() {
            // RFC 9113 §8.5.
            return match (self.scheme, self.path, self.authority) {
                (None, None, Some(authority)) if is_target(authority) => Ok((method, authority)),
                _ => Err(Malformed::Cancel),
            };
        }
        if self
            .protocol
            .is_some_and(|protocol| !connect || !is_token(protocol))
        {
            return Err(Malformed::Cancel);
        }
        let scheme = self.scheme.ok_or(Malformed::Cancel)?;
        let path = self.path.ok_or(Malformed::Cancel)?;
        // RFC 9113 §8.3.1: nothing but a path; an absolute target would be a second authority.
        let is_path = path.starts_with(b"/") || path == b"*" && method == b"OPTIONS";
        if !is_path || !is_target(path) || self.authority.is_some_and(|a| !is_target(a)) {
            return Err(Malformed::Cancel);
        }
        if !is_token(method) || !is_scheme(scheme) {
            return Err(Malformed::Answer);
        }
        // RFC 8441 §5: an extended CONNECT is what the upgrade of HTTP/1.1 is a GET for.
        Ok((if connect { b"GET" } else { method }, path))
    }
}

/// Without the port that its scheme has anyway (RFC 3986 §6.2.3).
fn without_default_port<'a>(authority: &'a [u8], scheme: Option<&[u8]>) -> &'a [u8] {
    let port: &[u8] = match scheme {
        Some(b"http") => b":80",
        Some(b"https") => b":443",
        _ => return authority,
    };
    authority.strip_suffix(port).unwrap_or(authority)
}

fn is_scheme(text: &[u8]) -> bool {
    let known = |b: &u8| b.is_ascii_alphanumeric() || b"+-.".contains(b);
    text.first().is_some_and(u8::is_ascii_alphabetic) && text.iter().all(known)
}

/// Sixteen bytes in base64. Its purpose, to keep caches from answering old scripts, is met by CONNECT in HTTP/2.
const WEBSOCKET_KEY: &[u8] = b"aGEtbGIgb3ZlciBodHRwMg==";

impl Request {
    /// Makes text of the fields of a request; `ended` if no content follows. The memory of the request before is
    /// used again.
    pub(super) fn read(&mut self, fields: &Fields, ended: bool) -> Result<(), Malformed> {
        self.text.clear();
        self.origin.clear();
        let mut pseudo = Pseudo::default();
        let mut regular = fields.iter();
        while let Some((name, value)) = regular.clone().next().filter(|(n, _)| n.starts_with(b":"))
        {
            pseudo.set(name, value)?;
            regular.next();
        }
        let (verb, target) = pseudo.line()?;
        self.upgrades = pseudo.protocol.is_some();
        self.tunnel = self.upgrades || verb == b"CONNECT";
        self.method = Method::of(verb);
        self.length = None;
        for part in [verb, b" ", target, b" HTTP/1.1\r\n"] {
            self.text.extend_from_slice(part);
        }
        let authority = pseudo
            .authority
            .map(|authority| without_default_port(authority, pseudo.scheme));
        if let Some(authority) = authority {
            line(b"host", authority, &mut self.text);
        }
        if let (Some(scheme), Some(authority)) = (pseudo.scheme, authority) {
            for part in [scheme, b"://", authority] {
                self.origin.extend_from_slice(part);
            }
        }
        self.write_fields(regular, authority.is_some())?;
        if ended && self.length.is_some_and(|length| length > 0) && !self.tunnel {
            return Err(Malformed::Cancel);
        }
        self.form = match (self.tunnel, ended) {
            (true, _) => Form::Raw,
            (false, true) => Form::Nothing,
            (false, false) if self.length.is_some() => Form::Raw,
            (false, false) => Form::Chunks,
        };
        if let Some(protocol) = pseudo.protocol {
            line(b"connection", b"upgrade", &mut self.text);
            line(b"upgrade", protocol, &mut self.text);
            let has_key = fields.iter().any(|(name, _)| name == b"sec-websocket-key");
            // RFC 8441 §5: HTTP/2 has no key; a server of HTTP/1.1 wants one.
            if protocol == b"websocket" && !has_key {
                line(b"sec-websocket-key", WEBSOCKET_KEY, &mut self.text);
            }
        }
        if self.form == Form::Chunks {
            line(b"transfer-encoding", b"chunked", &mut self.text);
        }
        self.text.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// The fields behind the pseudo fields.
    fn write_fields<'a>(
        &mut self,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
        has_authority: bool,
    ) -> Result<(), Malformed> {
        let mut rest = fields;
        let mut crumbs = false;
        while let Some((name, value)) = rest.next() {
            check(name, value)?;
            match name {
                // RFC 9113 §8.3.1: the authority says it, whatever this says.
                b"host" if has_authority => {}
                b"cookie" if crumbs => {}
                // RFC 9113 §8.2.3: one line in HTTP/1.1.
                b"cookie" => {
                    crumbs = true;
                    self.text.extend_from_slice(b"cookie: ");
                    self.text.extend_from_slice(value);
                    for (_, crumb) in rest.clone().filter(|(name, _)| name == b"cookie") {
                        self.text.extend_from_slice(b"; ");
                        self.text.extend_from_slice(crumb);
                    }
                    self.text.extend_from_slice(b"\r\n");
                }
                b"content-length" => self.note_length(value)?,
                _ => line(name, value, &mut self.text),
            }
        }
        Ok(())
    }

    fn note_length(&mut self, value: &[u8]) -> Result<(), Malformed> {
        let is_first = self.length.is_none();
        content_length(value, &mut self.length).map_err(|_| Malformed::Cancel)?;
        // Its length is that of other content: a tunnel has none.
        if is_first && !self.tunnel {
            // RFC 9110 §8.6: of a list of equal numbers one goes on.
            let one = value.split(|b| *b == b',').next().unwrap_or_default();
            line(b"content-length", one.trim_ascii(), &mut self.text);
        }
        Ok(())
    }
}

/// Appends the lines of trailers.
pub(super) fn write_trailers(fields: &Fields, text: &mut Vec<u8>) -> Result<(), Malformed> {
    for (name, value) in fields.iter() {
        check(name, value)?;
        line(name, value, text);
    }
    Ok(())
}

/// Refuses what a field must not be (RFC 9113 §8.2): one that could end a line, and those of a connection.
fn check(name: &[u8], value: &[u8]) -> Result<(), Malformed> {
    let is_name = is_token(name) && !name.iter().any(u8::is_ascii_uppercase);
    if !is_name || !is_field_value(value) || is_of_connection(name, value) {
        return Err(Malformed::Cancel);
    }
    Ok(())
}

/// Whether a field speaks of a connection of HTTP/1.1, which HTTP/2 has no place for (RFC 9113 §8.2.2).
pub fn is_of_connection(name: &[u8], value: &[u8]) -> bool {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    match name.len() {
        2 => is(b"te") && !value.eq_ignore_ascii_case(b"trailers"),
        7 => is(b"upgrade"),
        10 => is(b"connection") || is(b"keep-alive"),
        16 => is(b"proxy-connection"),
        17 => is(b"transfer-encoding"),
        _ => false,
    }
}

fn line(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}
