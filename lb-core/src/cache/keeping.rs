//! A response on its way into a cache.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::{
    Cache, Object, Question, Share,
    budget::cost,
    kept::{self, Kept},
};
use crate::head::{Head, HeadRef};

/// A response that may be kept. Nothing is reserved for it: rules may yet refuse it.
#[derive(Debug)]
pub struct Candidate {
    cache: Arc<Cache>,
    key: Arc<[u8]>,
    head: Head,
    kept: Kept,
    since: Instant,
    /// `Content-Length`.
    length: Option<usize>,
}

impl Candidate {
    pub(super) fn of(
        cache: &Arc<Cache>,
        (now, date): (Instant, SystemTime),
        question: &Question,
        response: HeadRef<'_>,
    ) -> Option<Self> {
        let kept = Kept::of(response, question, &cache.config, date)?;
        let head = kept::head(response);
        let length = match response.value(b"content-length") {
            Some(text) => Some(usize::try_from(number(text)?).ok()?),
            None => None,
        };
        let whole = head.arena.len().checked_add(length.unwrap_or(0))?;
        (whole <= cache.config.object).then(|| Self {
            cache: Arc::clone(cache),
            key: question.key().into(),
            head,
            kept,
            since: now,
            length,
        })
    }

    /// The cache.
    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// Its content is under way. `None` if the same is being kept already, or there is no memory.
    pub fn begin(self) -> Option<Keeping> {
        let number = self.cache.store().begin(&self.key, self.since)?;
        let room = self.length.unwrap_or(0);
        let mut keeping = Keeping {
            number,
            share: Share::of(&self.cache.budget),
            coming: Share::of(&self.cache.coming),
            body: Vec::new(),
            candidate: self,
            room: 0,
        };
        keeping.make_room(room).then_some(keeping)
    }
}

/// A number of bytes.
fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

/// A response that is being kept: its content is added as it passes. Dropped, it was never there.
#[derive(Debug)]
pub struct Keeping {
    candidate: Candidate,
    /// What it is known by while it is on its way.
    number: u64,
    share: Share,
    /// The same of what may be on its way.
    coming: Share,
    body: Vec<u8>,
    /// Bytes that the share has room for.
    room: usize,
}

impl Keeping {
    /// Adds content; false if there is more than may be kept, which ends it.
    #[must_use]
    pub fn add(&mut self, content: &[u8]) -> bool {
        let needed = self.body.len() + content.len();
        if needed > self.room {
            let most = self.candidate.cache.config.object;
            let most = most.saturating_sub(self.candidate.head.arena.len());
            if needed > most || !self.make_room(needed.max(self.room * 2).min(most)) {
                return false;
            }
        }
        self.body.extend_from_slice(content);
        true
    }

    fn make_room(&mut self, room: usize) -> bool {
        let of = &self.candidate;
        let blocks = cost(&of.key, &of.head, room);
        if !self.coming.resize(blocks) || !of.cache.resize(&mut self.share, blocks) {
            return false;
        }
        self.body.reserve_exact(room - self.body.len());
        self.room = room;
        true
    }

    /// All of the content has passed.
    pub fn finish(mut self) {
        let body = std::mem::take(&mut self.body).into_boxed_slice();
        let of = &mut self.candidate;
        let (cache, key) = (Arc::clone(&of.cache), Arc::clone(&of.key));
        let head = std::mem::take(&mut of.head);
        let mut share = std::mem::replace(&mut self.share, Share::of(&cache.budget));
        // It is what was reserved, or less.
        share.resize(cost(&key, &head, body.len()));
        let object = Object {
            head,
            body,
            kept: of.kept.clone(),
            since: of.since,
            share,
        };
        let most = cache.config.variants.max(1);
        // Memory is given back after the lock.
        let _replaced = cache.store().put(&key, self.number, object, most);
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        let of = &self.candidate;
        of.cache.store().end(&of.key, self.number, false);
    }
}
