//! A response that is kept.

use std::time::{Duration, Instant, SystemTime};

use super::{
    budget::Share,
    fields::{date, members},
    kept::Kept,
    wish::Question,
};
use crate::head::{Head, HeadRef};

/// A response that is kept.
#[derive(Debug)]
pub struct Object {
    pub(super) head: Head,
    pub(super) body: Box<[u8]>,
    pub(super) kept: Kept,
    /// When it came.
    pub(super) since: Instant,
    pub(super) share: Share,
}

impl Object {
    /// Status, reason and fields, without those of one connection; all of the text is its own.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Its content.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Its age in seconds (RFC 9111 §4.2.3).
    pub fn age(&self, now: Instant) -> u64 {
        let here = now.saturating_duration_since(self.since).as_secs();
        self.kept.age.saturating_add(here)
    }

    /// Seconds until it is no longer good; negative after that.
    pub fn expires(&self, now: Instant) -> i64 {
        let whole = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        whole(self.kept.lifetime) - whole(now.saturating_duration_since(self.since))
    }

    /// Whether it is no longer good.
    pub(super) fn is_stale(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= self.kept.lifetime
    }

    /// Whether it answers a question.
    pub(super) fn answers(&self, question: &Question, now: Instant) -> bool {
        !self.is_stale(now)
            && question.takes(self.age(now))
            && self.kept.variant.suits(question.selecting.as_ref())
    }

    /// Whether another one takes its place: the same variant, or one that varies by other fields.
    pub(super) fn is_replaced_by(&self, other: &Self) -> bool {
        let (own, others) = (&self.kept.variant, &other.kept.variant);
        own == others || !own.is_alike(others)
    }

    /// Whether a client has it already (`If-None-Match`, else `If-Modified-Since`; RFC 9110 §13.2.2).
    pub fn is_known_to(&self, request: HeadRef<'_>) -> bool {
        let mut lists = request.values(b"if-none-match").peekable();
        if lists.peek().is_some() {
            let weak = |tag: &'_ [u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
            let own = HeadRef::new(&self.head, b"").value(b"etag").map(weak);
            let is_own = |tag: &[u8]| tag == b"*" || own.as_deref() == Some(&*weak(tag));
            return lists.flat_map(members).any(is_own);
        }
        let since: Option<SystemTime> = request.value(b"if-modified-since").and_then(date);
        since.is_some_and(|since| self.kept.modified <= since)
    }
}
