//! What a request says to a cache.

use super::fields::{directives, hides_directives, members, says, seconds};
use crate::{
    compression::weight_of,
    expr::fetch::target::{authority, split},
    head::{HeadRef, Version},
};

/// Content codings that are known by name, each a bit; names of the same one stand in one line.
const CODINGS: &[&[&[u8]]] = &[
    &[b"identity"],
    &[b"gzip", b"x-gzip"],
    &[b"deflate"],
    &[b"br"],
    &[b"zstd"],
    &[b"compress", b"x-compress"],
    &[b"aes128gcm"],
    &[b"exi"],
    &[b"pack200-gzip"],
];

/// The codings of a content, as bits; `None` if one of them is not known.
pub(super) fn codings_of(response: HeadRef<'_>) -> Option<u32> {
    let mut bits = 0;
    for coding in response.values(b"content-encoding").flat_map(members) {
        let is_it = |name: &&[u8]| coding.eq_ignore_ascii_case(name);
        bits |= 1 << CODINGS.iter().position(|names| names.iter().any(is_it))?;
    }
    // The first one is that of a content which has none.
    Some(if bits == 0 { 1 } else { bits })
}

/// What a request asks of caches, remembered until its response comes.
#[derive(Debug, Clone)]
pub struct Question {
    key: Box<[u8]>,
    /// It takes what is kept, so many seconds old at most.
    served: Option<u64>,
    /// Its response may be kept.
    stored: bool,
    /// It changes what it names.
    changes: bool,
    /// What responses may vary by, if that is looked at.
    pub(super) selecting: Option<Selecting>,
}

/// The fields of a request that responses may vary by.
#[derive(Debug, Clone)]
pub(super) struct Selecting {
    /// The codings it takes, as bits.
    pub(super) codings: u32,
    pub(super) referer: Option<Box<[u8]>>,
    pub(super) origin: Option<Box<[u8]>>,
}

impl Question {
    /// Of a request; `None` if it cannot be one. `varies`: what responses may vary by is noted, too. `has_content`: it came
    /// with a content, whatever rules have made of its head.
    pub fn of(request: HeadRef<'_>, varies: bool, has_content: bool) -> Option<Self> {
        let key = key(request)?;
        let method = request.method();
        let (get, head) = (method == b"GET", method == b"HEAD");
        let safe = get || head || matches!(method, b"OPTIONS" | b"TRACE");
        // A content may decide about the answer and is no part of the key.
        let has_content = has_content
            || request.value(b"transfer-encoding").is_some()
            || request
                .values(b"content-length")
                .any(|v| seconds(v) != Some(0));
        let shared = request.version() != Version::Http10
            && request.value(b"authorization").is_none()
            && !has_content;
        let served = shared && (get || head) && !wants_it_fresh(request);
        let mut oldest = directives(request)
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"max-age"))
            .map(|(_, value)| seconds(value).unwrap_or(0));
        let mut question = Self {
            key: key.into(),
            served: served.then(|| oldest.next().unwrap_or(u64::MAX)),
            stored: shared && get && !forbids_keeping(request),
            changes: !safe,
            selecting: None,
        };
        if varies {
            question.note_selecting(request);
        }
        Some(question)
    }

    /// Notes what responses may vary by, as far as that has not been done.
    pub(super) fn note_selecting(&mut self, request: HeadRef<'_>) {
        let joined = |name: &'static [u8]| {
            let values: Vec<&[u8]> = request.values(name).collect();
            (!values.is_empty()).then(|| values.join(&b","[..]).into())
        };
        self.selecting.get_or_insert_with(|| Selecting {
            codings: accepted(request),
            referer: joined(b"referer"),
            origin: joined(b"origin"),
        });
    }

    /// Host and target.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Whether it takes what is kept at all.
    pub(super) fn is_served(&self) -> bool {
        self.served.is_some_and(|oldest| oldest > 0)
    }

    /// Whether it takes something of that age.
    pub(super) fn takes(&self, age: u64) -> bool {
        self.served.is_some_and(|oldest| age <= oldest)
    }

    /// Whether its response may be kept.
    pub(super) fn is_stored(&self) -> bool {
        self.stored
    }

    /// Whether it changes what it names.
    pub(super) fn changes(&self) -> bool {
        self.changes
    }
}

/// RFC 9111 §5.2.1.5.
fn forbids_keeping(request: HeadRef<'_>) -> bool {
    says(request, b"no-store") || hides_directives(request)
}

/// RFC 9111 §5.2.1.4 and §5.4.
fn wants_it_fresh(request: HeadRef<'_>) -> bool {
    let old = || {
        request.value(b"cache-control").is_none()
            && request
                .values(b"pragma")
                .any(|v| v.eq_ignore_ascii_case(b"no-cache"))
    };
    says(request, b"no-cache") || forbids_keeping(request) || old()
}

/// What names a resource: a byte that neither part can have stands between host and path.
fn key(request: HeadRef<'_>) -> Option<Vec<u8>> {
    let target = request.target();
    let host = authority(target).or_else(|| request.value(b"host"))?;
    let mut key = host.to_ascii_lowercase();
    key.push(0);
    let path = target.get(split(target).origin.len()..).unwrap_or_default();
    if !path.starts_with(b"/") {
        key.push(b'/');
    }
    key.extend_from_slice(path);
    Some(key)
}

/// Every coding that a request takes.
fn accepted(request: HeadRef<'_>) -> u32 {
    if request.value(b"accept-encoding").is_none() {
        return u32::MAX;
    }
    let takes = |names: &[&[u8]]| {
        let Some(name) = names.first() else {
            return false;
        };
        weight_of(request, name).map_or(*name == b"identity", |weight| weight > 0)
    };
    let bits = CODINGS.iter().enumerate();
    bits.fold(0, |all, (bit, names)| all | u32::from(takes(names)) << bit)
}
