//! Whether a response may be kept, for how long, and for whom.

use std::time::{Duration, SystemTime};

use super::{
    CacheConfig,
    fields::{date, directives, hides_directives, members, says, seconds},
    wish::{Question, Selecting, codings_of},
};
use crate::head::{Head, HeadMut, HeadRef};

/// What is known of a response that is kept.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// How long it is good, from when it came.
    pub(super) lifetime: Duration,
    /// Its age in seconds when it came.
    pub(super) age: u64,
    /// When it was changed last, or made.
    pub(super) modified: SystemTime,
    pub(super) variant: Variant,
}

/// What a response varies by (`Vary`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Variant {
    /// The codings of its content, as bits: good for whoever takes them all.
    pub(super) codings: Option<u32>,
    /// The `Referer` of the request that it answered.
    pub(super) referer: Option<Option<Box<[u8]>>>,
    /// The `Origin` of that request.
    pub(super) origin: Option<Option<Box<[u8]>>>,
}

impl Variant {
    /// `None` if the response varies by something that is not looked at, or is not what was asked for.
    fn of(
        response: HeadRef<'_>,
        selecting: Option<&Selecting>,
        config: &CacheConfig,
    ) -> Option<Self> {
        let mut variant = Self::default();
        for name in response.values(b"vary").flat_map(members) {
            let selecting = selecting.filter(|_| config.process_vary)?;
            let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
            if is(b"accept-encoding") {
                let codings = codings_of(response)?;
                // What its own client did not wish for is no good for others.
                if codings & !selecting.codings != 0 {
                    return None;
                }
                variant.codings = Some(codings);
            } else if is(b"referer") {
                variant.referer = Some(selecting.referer.clone());
            } else if is(b"origin") {
                variant.origin = Some(selecting.origin.clone());
            } else {
                return None;
            }
        }
        Some(variant)
    }

    /// Whether it answers such a request, too.
    pub(super) fn suits(&self, selecting: Option<&Selecting>) -> bool {
        let Some(selecting) = selecting else {
            return !self.varies();
        };
        self.codings
            .is_none_or(|codings| codings & !selecting.codings == 0)
            && self
                .referer
                .as_ref()
                .is_none_or(|own| *own == selecting.referer)
            && self
                .origin
                .as_ref()
                .is_none_or(|own| *own == selecting.origin)
    }

    /// Whether it varies by anything.
    pub(super) fn varies(&self) -> bool {
        *self != Self::default()
    }

    /// Whether both vary by the same fields.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        self.codings.is_some() == other.codings.is_some()
            && self.referer.is_some() == other.referer.is_some()
            && self.origin.is_some() == other.origin.is_some()
    }
}

impl Kept {
    /// `None` if it may not be kept.
    pub(super) fn of(
        response: HeadRef<'_>,
        question: &Question,
        config: &CacheConfig,
        now: SystemTime,
    ) -> Option<Self> {
        if response.status() != 200 || !question.is_stored() || is_forbidden(response) {
            return None;
        }
        let variant = Variant::of(response, question.selecting.as_ref(), config)?;
        let mut ages = response.values(b"age");
        let age = match (ages.next(), ages.next()) {
            (None, _) => 0,
            (Some(age), None) => seconds(age)?,
            (Some(_), Some(_)) => return None,
        };
        let modified = response.value(b"last-modified");
        let validated = modified.is_some() || response.value(b"etag").is_some();
        let most = config.max_age.as_secs();
        let stated = match stated_lifetime(response, now) {
            Some(stated) => stated,
            None if validated => most,
            None => return None,
        };
        let left = stated.checked_sub(age).filter(|left| *left > 0)?;
        let made = modified.or(response.value(b"date")).and_then(date);
        Some(Self {
            lifetime: Duration::from_secs(left.min(most)),
            age,
            modified: made.unwrap_or(now),
            variant,
        })
    }
}

/// What says that a response is not for everybody, or not for later.
fn is_forbidden(response: HeadRef<'_>) -> bool {
    let says_no = [&b"no-store"[..], b"no-cache", b"private"]
        .iter()
        .any(|word| says(response, word));
    let old = || {
        response
            .values(b"pragma")
            .any(|v| v.eq_ignore_ascii_case(b"no-cache"))
    };
    // RFC 9111 §7.3: who sets cookies for everybody has to say so.
    let personal = || {
        response.value(b"set-cookie").is_some()
            && !says(response, b"public")
            && !says(response, b"s-maxage")
    };
    says_no || hides_directives(response) || old() || personal()
}

/// `s-maxage`, else `max-age`, else what `Expires` comes to; the least of contradicting ones.
fn stated_lifetime(response: HeadRef<'_>, now: SystemTime) -> Option<u64> {
    let stated = |word: &[u8]| {
        directives(response)
            .filter(|(name, _)| name.eq_ignore_ascii_case(word))
            .map(|(_, value)| seconds(value).unwrap_or(0))
            .min()
    };
    stated(b"s-maxage")
        .or_else(|| stated(b"max-age"))
        .or_else(|| {
            let expires = response.value(b"expires")?;
            // RFC 9111 §5.3: what is no date is in the past.
            let at = date(expires).unwrap_or(SystemTime::UNIX_EPOCH);
            Some(at.duration_since(now).map_or(0, |left| left.as_secs()))
        })
}

/// The head as it is kept: without what belongs to one connection, or to one moment.
pub(super) fn head(response: HeadRef<'_>) -> Head {
    const GONE: [&[u8]; 11] = [
        b"age",
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    ];
    let named: Vec<&[u8]> = response.values(b"connection").flat_map(members).collect();
    let goes = |name: &[u8]| {
        GONE.iter()
            .chain(&named)
            .any(|other| name.eq_ignore_ascii_case(other))
    };
    let mut head = Head::default();
    let mut copy = HeadMut::new(&mut head, b"");
    copy.set_status(response.status(), response.reason());
    for (name, value) in response.fields().filter(|(name, _)| !goes(name)) {
        copy.add(name, value);
    }
    head.fields.shrink_to_fit();
    head.arena.shrink_to_fit();
    head
}
