//! What balancing by hash looks at, and how that becomes a number. Manual 4.2 (`balance`, `hash-type`).

use std::{borrow::Cow, net::IpAddr};

use crate::{
    expr::Written,
    hash::{avalanche, crc32, djb2, sdbm, wt6},
    request::RequestView,
};

/// `hash-type`, `hash-balance-factor`, and the key of `balance`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HashConfig {
    /// What is hashed; `None` is the client's address.
    pub key: Option<HashKey>,
    /// How keys are laid over the servers.
    pub layout: HashLayout,
    /// The hash.
    pub function: HashFunction,
    /// `avalanche`: similar keys are scattered.
    pub avalanche: bool,
    /// `hash-balance-factor`: most load of a server in percent of the average; 0 is no limit.
    pub balance_factor: u32,
}

/// How keys are laid over servers: the method of `hash-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HashLayout {
    /// `map-based`: a table by weights, in which a server that comes or goes moves most keys.
    #[default]
    Map,
    /// `consistent`: a ring, on which it moves its own keys only, and shares are rough.
    Ring,
    /// `maglev`: a table in which shares are exact, and it moves few keys of the others.
    Maglev,
}

/// Hashes for `hash-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HashFunction {
    /// SDBM.
    #[default]
    Sdbm,
    /// DJB2.
    Djb2,
    /// WT6.
    Wt6,
    /// CRC-32.
    Crc32,
}

/// What is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashKey {
    /// `balance uri`.
    Uri(UriKey),
    /// `balance url_param`: a parameter of the query; of a request that posts, of what is there of its body.
    Parameter(Box<[u8]>),
    /// `balance hdr(...)`: the first value of a header, if there is anything in it.
    Header(Written),
    /// The value of an expression (`rdp-cookie`, `hash`).
    Value(Written),
    /// `balance hdr(...) use_domain_only`: the domain's own label of a host name.
    Domain(Written),
}

/// Which part of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UriKey {
    /// `whole`: the query too.
    pub whole: bool,
    /// `path-only`: no scheme and no authority.
    pub path_only: bool,
    /// `len`: so many bytes at most.
    pub len: Option<usize>,
    /// `depth`: so many directories at most.
    pub depth: Option<usize>,
}

impl HashConfig {
    /// Hash of the key of a request; `None` without a key: the servers take turns.
    pub fn of_request(&self, view: &RequestView<'_>) -> Option<u32> {
        match self.key.as_ref()? {
            HashKey::Uri(part) => part.find(view.request?.target()).map(|k| self.of(k)),
            HashKey::Parameter(name) => parameter(view, name).map(|k| self.of(k)),
            HashKey::Value(key) => key.bytes(view).map(|k| self.of(&k)),
            HashKey::Header(key) => filled(key, view).map(|k| self.of(&k)),
            HashKey::Domain(key) => filled(key, view).map(|k| self.of(domain(&k))),
        }
    }

    /// Hash of a client's address: its 32-bit words in network order, combined by exclusive or.
    pub fn of_address(&self, address: IpAddr) -> u32 {
        let hash = match address.to_canonical() {
            IpAddr::V4(v4) => v4.to_bits(),
            IpAddr::V6(v6) => v6.octets().chunks(4).fold(0, |hash, word| {
                let word = word
                    .iter()
                    .fold(0, |word, byte| word << 8 | u32::from(*byte));
                hash ^ word
            }),
        };
        self.scatter(hash)
    }

    fn of(&self, key: &[u8]) -> u32 {
        self.scatter(match self.function {
            HashFunction::Sdbm => sdbm(key),
            HashFunction::Djb2 => djb2(key),
            HashFunction::Wt6 => wt6(key),
            HashFunction::Crc32 => crc32(key),
        })
    }

    fn scatter(&self, hash: u32) -> u32 {
        if self.avalanche {
            avalanche(hash)
        } else {
            hash
        }
    }
}

impl UriKey {
    fn find<'t>(&self, target: &'t [u8]) -> Option<&'t [u8]> {
        let target = if self.path_only {
            without_authority(target)
        } else {
            target
        };
        let mut key = target.get(..self.len.unwrap_or(usize::MAX).min(target.len()))?;
        if !self.whole
            && let Some(query) = memchr::memchr(b'?', key)
        {
            key = key.get(..query)?;
        }
        if let Some(depth) = self.depth {
            // The slash that a path begins with counts for its first directory.
            let end = memchr::memchr_iter(b'/', key).nth(depth);
            key = key.get(..end.unwrap_or(key.len()))?;
        }
        Some(key)
    }
}

fn filled<'a>(key: &'a Written, view: &RequestView<'a>) -> Option<Cow<'a, [u8]>> {
    key.bytes(view).filter(|value| !value.is_empty())
}

fn parameter<'a>(view: &RequestView<'a>, name: &[u8]) -> Option<&'a [u8]> {
    let head = view.request?;
    let target = head.target();
    let query = memchr::memchr(b'?', target).and_then(|mark| target.get(mark + 1..));
    let posted = (head.method() == b"POST").then_some(view.payload);
    [query, posted]
        .into_iter()
        .flatten()
        .find_map(|form| value_in(form, name))
}

/// The value of the first `name=value` between the ampersands of a form; a name without `=` is none.
fn value_in<'f>(form: &'f [u8], name: &[u8]) -> Option<&'f [u8]> {
    let mut pairs = form.split(|byte| *byte == b'&');
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

/// The path of `http://host/path?query`, with the query.
fn without_authority(target: &[u8]) -> &[u8] {
    if target == b"*" {
        return b"";
    }
    let Some(scheme) = memchr::memmem::find(target, b"://") else {
        return target;
    };
    if target.first() == Some(&b'/') {
        return target;
    }
    let rest = target.get(scheme + 3..).unwrap_or_default();
    let path = memchr::memchr(b'/', rest).unwrap_or(rest.len());
    rest.get(path..).unwrap_or_default()
}

/// `example` of `www.example.org`.
fn domain(host: &[u8]) -> &[u8] {
    let Some(top) = memchr::memrchr(b'.', host) else {
        return host;
    };
    let below = host.get(..top).unwrap_or_default();
    let start = memchr::memrchr(b'.', below).map_or(0, |dot| dot + 1);
    below.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_cut_as_it_says() {
        let find = |key: UriKey, target: &'static str| key.find(target.as_bytes()).unwrap();
        let plain = UriKey::default();
        assert_eq!(find(plain, "/a/b?c=d"), b"/a/b");
        let whole = UriKey {
            whole: true,
            ..plain
        };
        assert_eq!(find(whole, "/a/b?c=d"), b"/a/b?c=d");
        let short = UriKey {
            len: Some(3),
            ..plain
        };
        assert_eq!(find(short, "/abcd"), b"/ab");
        assert_eq!(find(short, "/"), b"/");
        let path = UriKey {
            path_only: true,
            ..plain
        };
        assert_eq!(find(path, "http://example.org/a?b"), b"/a");
        assert_eq!(find(path, "/to/http://x/y"), b"/to/http://x/y");
    }

    #[test]
    fn a_parameter_is_found_between_ampersands() {
        let find = |form: &'static str| value_in(form.as_bytes(), b"id");
        assert_eq!(find("x=1&id=5&id=6"), Some(&b"5"[..]));
        assert_eq!(find("&&id=a=b;id=c?d"), Some(&b"a=b;id=c?d"[..]));
        assert_eq!(find("id="), Some(&b""[..]));
        for none in ["", "id", "id&x", "xid=1", "id2=1", "x=1;id=2", "ID=1"] {
            assert_eq!(find(none), None, "{none}");
        }
    }

    #[test]
    fn the_domain_is_the_label_below_the_top() {
        assert_eq!(domain(b"www.example.org"), b"example");
        assert_eq!(domain(b"example.org"), b"example");
        assert_eq!(domain(b"localhost"), b"localhost");
    }
}
