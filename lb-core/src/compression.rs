//! `compression`: whether a response is compressed on its way, how, and what its head says then (manual 4.2).
//!
//! Pure: what compresses is the data plane's.

use std::sync::Arc;

use crate::head::{HeadMut, HeadRef, Version};

/// What a content is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Nothing, but in chunks.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// deflate as RFC 9110 has it: within zlib (RFC 1950).
    Deflate,
    /// deflate alone (RFC 1951), under the same name.
    RawDeflate,
}

impl Algorithm {
    /// The word of `compression algo`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::RawDeflate => "raw-deflate",
        }
    }

    /// The coding that clients know.
    pub fn coding(self) -> &'static str {
        match self {
            Self::RawDeflate => "deflate",
            other => other.name(),
        }
    }

    /// The algorithm of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Identity, Self::Gzip, Self::Deflate, Self::RawDeflate]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

/// `compression` of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compression {
    /// `algo`, the preferred ones first.
    pub algorithms: Vec<Algorithm>,
    /// `type`: what content types begin with; any if there is none.
    pub types: Vec<Arc<str>>,
    /// `offload`: servers are not to compress.
    pub offload: bool,
}

impl Compression {
    /// The algorithm for whoever sends this request.
    pub fn choose(&self, request: HeadRef<'_>) -> Option<Algorithm> {
        if request.version() == Version::Http10 || request.method() == b"HEAD" || is_odd(request) {
            return None;
        }
        let mut best: Option<(u16, Algorithm)> = None;
        for algorithm in &self.algorithms {
            let weight = weight_of(request, algorithm.coding().as_bytes());
            // The identity is always welcome, and is taken for want of anything better.
            let weight = match (*algorithm, weight) {
                (Algorithm::Identity, None) => Some(1),
                (_, weight) => weight,
            };
            if let Some(weight @ 1..) = weight
                && best.is_none_or(|(most, _)| weight > most)
            {
                best = Some((weight, *algorithm));
            }
        }
        best.map(|(_, algorithm)| algorithm)
    }

    /// Whether this response may be compressed. Its framing is the caller's matter.
    pub fn suits(&self, response: HeadRef<'_>) -> bool {
        if !matches!(response.status(), 200..=203) || response.version() == Version::Http10 {
            return false;
        }
        let says = |name: &[u8], word: &[u8]| {
            response
                .values(b"cache-control")
                .filter(|_| name == b"cache-control")
                .flat_map(|value| value.split(|b| *b == b','))
                .any(|member| member.trim_ascii().eq_ignore_ascii_case(word))
        };
        if says(b"cache-control", b"no-transform") || response.value(b"content-encoding").is_some()
        {
            return false;
        }
        let mut tags = response.values(b"etag");
        if tags.next().is_some_and(|tag| !is_tag(tag)) || tags.next().is_some() {
            return false;
        }
        let Some(kind) = response.value(b"content-type") else {
            return self.types.is_empty();
        };
        let begins = |with: &[u8]| {
            kind.get(..with.len())
                .is_some_and(|front| front.eq_ignore_ascii_case(with))
        };
        !begins(b"multipart")
            && (self.types.is_empty() || self.types.iter().any(|t| begins(t.as_bytes())))
    }
}

/// Says in the head of a response that its content is another now.
pub fn announce(algorithm: Algorithm, head: &mut HeadMut<'_>) {
    head.remove(b"content-length");
    if algorithm == Algorithm::Identity {
        return;
    }
    head.add(b"content-encoding", algorithm.coding().as_bytes());
    head.add(b"vary", b"Accept-Encoding");
    // RFC 9110 §8.8.3: the bytes are others, and only the meaning is the same.
    let strong = head
        .as_ref()
        .value(b"etag")
        .filter(|tag| !tag.starts_with(b"W/"));
    if let Some(weak) = strong.map(|tag| [b"W/", tag].concat()) {
        head.set(b"etag", &weak);
    }
}

/// Takes away what would have a server compress.
pub fn hide_from_server(request: &mut HeadMut<'_>) {
    request.remove(b"accept-encoding");
}

/// `"..."` or `W/"..."`.
fn is_tag(tag: &[u8]) -> bool {
    let opaque = tag.strip_prefix(b"W/").unwrap_or(tag);
    opaque.len() >= 2 && opaque.starts_with(b"\"") && opaque.ends_with(b"\"")
}

/// Browsers of the nineties say that they can what they cannot, except Internet Explorer from 7 on.
fn is_odd(request: HeadRef<'_>) -> bool {
    let Some(agent) = request.value(b"user-agent") else {
        return false;
    };
    if agent.get(..9) != Some(b"Mozilla/4") {
        return false;
    }
    let Some(at) = memchr::memmem::find(agent, b"MSIE ") else {
        return true;
    };
    let version = agent.get(at + 5..).unwrap_or_default();
    let digits = version.iter().take_while(|b| b.is_ascii_digit()).count();
    let newer = match version.get(..digits) {
        Some([digit]) => *digit >= b'7',
        Some(digits) => !digits.is_empty(),
        None => false,
    };
    // The second service pack of Windows XP mended version 6.
    !(newer || version.starts_with(b"6") && memchr::memmem::find(agent, b"SV1").is_some())
}

/// Weight of a coding in thousandths; `None` if it is not named.
pub(crate) fn weight_of(request: HeadRef<'_>, coding: &[u8]) -> Option<u16> {
    let members = request
        .values(b"accept-encoding")
        .flat_map(|value| value.split(|b| *b == b','));
    let mut any = None;
    for member in members {
        let mut parts = member.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let mut weight = || parts.find_map(quality).unwrap_or(1000);
        if name.eq_ignore_ascii_case(coding) {
            return Some(weight());
        }
        if name == b"*" {
            any = Some(weight());
        }
    }
    any
}

/// The weight in `q=0.5`, in thousandths.
fn quality(part: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', number @ ..] = part else {
        return None;
    };
    let (whole, fraction) = match number {
        [whole @ b'0'..=b'1', b'.', fraction @ ..] => (*whole, fraction),
        [whole @ b'0'..=b'1'] => (*whole, &[][..]),
        // RFC 9110 §12.4.2 knows no other; it is no wish for this coding.
        _ => return Some(0),
    };
    let digit = |at: usize| match fraction.get(at) {
        Some(digit @ b'0'..=b'9') => u16::from(digit - b'0'),
        _ => 0,
    };
    let weight = u16::from(whole - b'0') * 1000 + digit(0) * 100 + digit(1) * 10 + digit(2);
    Some(weight.min(1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::Head;

    fn with<T>(fields: &[(&str, &str)], read: impl FnOnce(&mut Head) -> T) -> T {
        let mut head = Head::default();
        let mut edit = HeadMut::new(&mut head, b"");
        for (name, value) in fields {
            edit.add(name.as_bytes(), value.as_bytes());
        }
        read(&mut head)
    }

    fn chosen(algorithms: &[Algorithm], fields: &[(&str, &str)]) -> Option<Algorithm> {
        let compression = Compression {
            algorithms: algorithms.to_vec(),
            ..Compression::default()
        };
        with(fields, |head| compression.choose(HeadRef::new(head, b"")))
    }

    #[test]
    fn the_client_chooses_and_the_order_decides_where_it_does_not() {
        use Algorithm::{Deflate, Gzip, Identity};
        let both = [Gzip, Deflate];
        let accept = |value: &'static str| [("accept-encoding", value)];
        for (wishes, expected) in [
            ("gzip, deflate", Some(Gzip)),
            ("deflate, gzip", Some(Gzip)),
            ("*;q=0, gzip;q=0.500, deflate;q=0.750", Some(Deflate)),
            ("*", Some(Gzip)),
            ("*;q=0", None),
            ("gzip;q=0", None),
            ("GZIP;q=1.0", Some(Gzip)),
            ("br", None),
            ("gzip;q=2", None),
        ] {
            assert_eq!(chosen(&both, &accept(wishes)), expected, "{wishes}");
        }
        assert_eq!(chosen(&both, &[]), None);
        assert_eq!(chosen(&[Identity], &[]), Some(Identity));
    }

    #[test]
    fn browsers_that_cannot_are_not_believed() {
        for (agent, believed) in [
            ("Mozilla/4.08 (x)", false),
            ("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", false),
            (
                "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)",
                true,
            ),
            ("Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 6.0)", true),
            ("Mozilla/4.0 (compatible; MSIE 10.0)", true),
            ("Mozilla/5.0", true),
        ] {
            let fields = [("accept-encoding", "gzip"), ("user-agent", agent)];
            let found = chosen(&[Algorithm::Gzip], &fields).is_some();
            assert_eq!(found, believed, "{agent}");
        }
    }

    #[test]
    fn responses_that_must_stay_as_they_are_stay_so() {
        let typed = Compression {
            algorithms: vec![Algorithm::Gzip],
            types: vec!["text/".into()],
            offload: false,
        };
        let suits = |status, fields: &[(&str, &str)]| {
            with(fields, |head| {
                head.status = status;
                typed.suits(HeadRef::new(head, b""))
            })
        };
        let text = ("content-type", "Text/plain; charset=utf-8");
        assert!(suits(200, &[text]));
        assert!(suits(200, &[text, ("etag", "W/\"\"")]));
        for (status, field) in [
            (206, ("a", "b")),
            (404, ("a", "b")),
            (200, ("cache-control", "public, No-Transform")),
            (200, ("content-encoding", "br")),
            (200, ("etag", "\"open")),
            (200, ("etag", "W/x")),
        ] {
            assert!(!suits(status, &[text, field]), "{status} {field:?}");
        }
        assert!(!suits(200, &[text, ("etag", "\"1\""), ("etag", "\"2\"")]));
        assert!(!suits(200, &[("content-type", "image/png")]));
        assert!(!suits(200, &[]));
        let any = Compression {
            types: Vec::new(),
            ..typed
        };
        with(&[("content-type", "multipart/mixed")], |head| {
            head.status = 200;
            assert!(!any.suits(HeadRef::new(head, b"")));
        });
    }

    #[test]
    fn the_head_says_what_became_of_the_content() {
        with(&[("content-length", "5"), ("etag", "\"v1\"")], |head| {
            announce(Algorithm::RawDeflate, &mut HeadMut::new(head, b""));
            let view = HeadRef::new(head, b"");
            assert_eq!(view.value(b"content-length"), None);
            assert_eq!(view.value(b"content-encoding"), Some(&b"deflate"[..]));
            assert_eq!(view.value(b"vary"), Some(&b"Accept-Encoding"[..]));
            assert_eq!(view.value(b"etag"), Some(&b"W/\"v1\""[..]));
        });
    }
}
