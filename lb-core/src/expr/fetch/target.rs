//! Parts of a request target and of header values: pure functions over slices.

use crate::cookie::pairs;

/// A target taken apart: `scheme://authority`, path and query (without `?`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// `http://host:port`, empty in origin form.
    pub(crate) origin: &'a [u8],
    /// From the first `/`; empty for `*` and for the authority form.
    pub(crate) path: &'a [u8],
    /// After the `?`.
    pub(crate) query: Option<&'a [u8]>,
}

impl Target<'_> {
    /// It is absolute: more than a host and port.
    pub(crate) fn has_scheme(&self) -> bool {
        memchr::memmem::find(self.origin, b"://").is_some()
    }
}

/// Takes a target apart.
pub(crate) fn split(target: &[u8]) -> Target<'_> {
    let start = if target.first() == Some(&b'/') {
        0
    } else {
        match memchr::memmem::find(target, b"://") {
            Some(colon) => {
                let authority = target.get(colon + 3..).unwrap_or_default();
                let length = authority
                    .iter()
                    .position(|b| matches!(b, b'/' | b'?'))
                    .unwrap_or(authority.len());
                colon + 3 + length
            }
            None => target.len(),
        }
    };
    let (origin, rest) = target.split_at(start);
    match memchr::memchr(b'?', rest) {
        Some(mark) => Target {
            origin,
            path: rest.get(..mark).unwrap_or_default(),
            query: rest.get(mark + 1..),
        },
        None => Target {
            origin,
            path: rest,
            query: None,
        },
    }
}

/// Host and port text of an absolute target.
pub(crate) fn authority(target: &[u8]) -> Option<&[u8]> {
    let origin = split(target).origin;
    let colon = memchr::memmem::find(origin, b"://")?;
    origin.get(colon + 3..)
}

/// Splits `host[:port]`; brackets of IPv6 literals are part of the host.
pub(crate) fn host_port(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let after_bracket = memchr::memrchr(b']', text).map_or(0, |at| at + 1);
    let (inside, rest) = text.split_at(after_bracket);
    match memchr::memchr(b':', rest) {
        Some(colon) => (
            text.get(..inside.len() + colon).unwrap_or_default(),
            rest.get(colon + 1..),
        ),
        None => (text, None),
    }
}

/// The members of a comma-separated header value, trimmed; quotes protect commas.
pub(crate) fn members(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
    between_commas(value).map(<[u8]>::trim_ascii)
}

/// The same with the blanks around them.
pub(crate) fn between_commas(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
    Members { rest: Some(value) }
}

#[derive(Debug, Clone)]
struct Members<'a> {
    rest: Option<&'a [u8]>,
}

/// The first comma of `value` outside quotes.
fn comma(value: &[u8]) -> Option<usize> {
    // Most values hold no quote.
    if memchr::memchr(b'"', value).is_none() {
        return memchr::memchr(b',', value);
    }
    commas(value).next()
}

/// Whether every quote has its end.
pub(crate) fn is_balanced(value: &[u8]) -> bool {
    let mut quoted = false;
    let mut escaped = false;
    for byte in value {
        let was_escaped = std::mem::take(&mut escaped);
        match byte {
            b'\\' if quoted && !was_escaped => escaped = true,
            b'"' if !was_escaped => quoted = !quoted,
            _ => {}
        }
    }
    !quoted
}

/// Commas outside quotes.
fn commas(value: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let mut quoted = false;
    let mut escaped = false;
    value.iter().enumerate().filter_map(move |(at, byte)| {
        let was_escaped = std::mem::take(&mut escaped);
        match byte {
            b'\\' if quoted && !was_escaped => escaped = true,
            b'"' if !was_escaped => quoted = !quoted,
            b',' if !quoted => return Some(at),
            _ => {}
        }
        None
    })
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let value = self.rest?;
        match comma(value) {
            Some(at) => {
                self.rest = value.get(at + 1..);
                value.get(..at)
            }
            None => {
                self.rest = None;
                Some(value)
            }
        }
    }
}

impl DoubleEndedIterator for Members<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let value = self.rest?;
        match commas(value).last() {
            Some(at) => {
                self.rest = value.get(..at);
                value.get(at + 1..)
            }
            None => {
                self.rest = None;
                Some(value)
            }
        }
    }
}

/// Cookies of a Cookie value: (name, value).
pub(crate) fn cookies(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    pairs(value).filter_map(|pair| Some((pair.name, pair.value?)))
}

/// Parameters of a query or form body: (name, value). A word without `=` is none.
pub(crate) fn parameters(query: &[u8], delimiter: u8) -> impl Iterator<Item = (&[u8], &[u8])> {
    query
        .split(move |b| *b == delimiter || matches!(b, b'&' | b';'))
        .filter_map(|pair| {
            let (name, value) = pair.split_at_checked(memchr::memchr(b'=', pair)?)?;
            Some((name, value.get(1..)?))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_come_apart_in_every_form() {
        for (text, origin, path, query) in [
            ("/a/b?c=d?e", "", "/a/b", Some("c=d?e")),
            ("/", "", "/", None),
            ("http://h:80/p?q", "http://h:80", "/p", Some("q")),
            ("http://h?q", "http://h", "", Some("q")),
            ("http://h", "http://h", "", None),
            ("*", "*", "", None),
            ("h:443", "h:443", "", None),
            ("/a?u=http://x/", "", "/a", Some("u=http://x/")),
        ] {
            let expected = Target {
                origin: origin.as_bytes(),
                path: path.as_bytes(),
                query: query.map(str::as_bytes),
            };
            assert_eq!(split(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(authority(b"http://h:80/p"), Some(&b"h:80"[..]));
        assert_eq!(authority(b"/p"), None);
    }

    #[test]
    fn hosts_and_ports_come_apart() {
        assert_eq!(host_port(b"h:80"), (&b"h"[..], Some(&b"80"[..])));
        assert_eq!(host_port(b"h"), (&b"h"[..], None));
        assert_eq!(host_port(b"[::1]:80"), (&b"[::1]"[..], Some(&b"80"[..])));
        assert_eq!(host_port(b"[::1]"), (&b"[::1]"[..], None));
    }

    #[test]
    fn list_members_respect_quotes_from_both_ends() {
        let value = br#"a, "b,c\",d" ,e"#;
        let forward: Vec<_> = members(value).collect();
        let expected: [&[u8]; 3] = [b"a", br#""b,c\",d""#, b"e"];
        assert_eq!(forward, expected);
        let mut backward: Vec<_> = members(value).rev().collect();
        backward.reverse();
        assert_eq!(backward, expected);
        assert_eq!(members(b"").count(), 1);
    }

    #[test]
    fn quotes_without_an_end_are_seen() {
        for whole in [&b""[..], b"a", br#"a="b""#, br#"a="b\"c", d"#, br#"a="\\""#] {
            assert!(is_balanced(whole), "{whole:?}");
        }
        for open in [&b"\""[..], br#"a="b"#, br#"a="b\""#, br#"a="b", c=""#] {
            assert!(!is_balanced(open), "{open:?}");
        }
    }

    #[test]
    fn cookies_and_parameters() {
        let found: Vec<_> = cookies(b"a=1; b = 2;junk;c=x=y").collect();
        let expected: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"b", b"2"), (b"c", b"x=y")];
        assert_eq!(found, expected);
        let found: Vec<_> = cookies(br#"a=1,b="2;,\";3"; c={"d":4,"e"#).collect();
        let expected: [(&[u8], &[u8]); 3] =
            [(b"a", b"1"), (b"b", br#""2;,\";3""#), (b"c", br#"{"d":4"#)];
        assert_eq!(found, expected);
        let found: Vec<_> = parameters(b"a=1&b;c=", b'&').collect();
        let expected: [(&[u8], &[u8]); 2] = [(b"a", b"1"), (b"c", b"")];
        assert_eq!(found, expected);
    }
}
