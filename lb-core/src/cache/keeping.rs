//! A response on its way into a cache.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
        let slot = Arc::new(Slot::default());
        let (number, given_up) = self.cache.store().begin(&self.key, self.since, &slot)?;
        drop(given_up);
        let mut part = Part {
            share: Share::of(&self.cache.budget),
            coming: Share::of(&self.cache.coming),
            body: Vec::new(),
            room: 0,
        };
        let room = self.length.unwrap_or(0);
        let keeping = Keeping {
            candidate: self,
            number,
            slot,
        };
        (keeping.make_room(&mut part, room) && keeping.slot.put(part)).then_some(keeping)
    }
}

/// A number of bytes.
fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

/// What has come of a response, and its memory.
#[derive(Debug)]
struct Part {
    share: Share,
    /// The same of what may be on its way.
    coming: Share,
    body: Vec<u8>,
    /// Bytes that the share has room for.
    room: usize,
}

/// Where what has come waits for the rest. The store makes it void where its client keeps others waiting, who may never
/// read on: its memory is free at once.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    /// Its owner has it.
    #[default]
    Away,
    Waits(Part),
    Void,
}

impl Slot {
    pub(super) fn make_void(&self) {
        // Memory is given back after the lock.
        let _before = std::mem::replace(&mut *self.lock(), State::Void);
    }

    /// `None` once it is void.
    fn take(&self) -> Option<Part> {
        let mut state = self.lock();
        match std::mem::take(&mut *state) {
            State::Waits(part) => Some(part),
            other => {
                *state = other;
                None
            }
        }
    }

    /// False if it has become void meanwhile.
    fn put(&self, part: Part) -> bool {
        let mut state = self.lock();
        let is_void = matches!(*state, State::Void);
        if !is_void {
            *state = State::Waits(part);
        }
        !is_void
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A response that is being kept: its content is added as it passes. Dropped, it was never there.
#[derive(Debug)]
pub struct Keeping {
    candidate: Candidate,
    /// What it is known by while it is on its way.
    number: u64,
    slot: Arc<Slot>,
}

impl Keeping {
    /// Adds content; false if there is more than may be kept, or others need the room, which ends it.
    #[must_use]
    pub fn add(&mut self, content: &[u8]) -> bool {
        let Some(mut part) = self.slot.take() else {
            return false;
        };
        let needed = part.body.len() + content.len();
        if needed > part.room {
            let most = self.candidate.cache.config.object;
            let most = most.saturating_sub(self.candidate.head.arena.len());
            let room = needed.max(part.room * 2).min(most);
            if needed > most || !self.make_room(&mut part, room) {
                return false;
            }
        }
        part.body.extend_from_slice(content);
        self.slot.put(part)
    }

    fn make_room(&self, part: &mut Part, room: usize) -> bool {
        let of = &self.candidate;
        let blocks = cost(&of.key, &of.head, room);
        while !part.coming.resize(blocks) {
            let given_up = of.cache.store().give_up(self.number);
            if given_up.is_none() {
                return false;
            }
        }
        if !of.cache.resize(&mut part.share, blocks) {
            return false;
        }
        part.body.reserve_exact(room - part.body.len());
        part.room = room;
        true
    }

    /// All of the content has passed.
    pub fn finish(mut self) {
        let Some(part) = self.slot.take() else {
            return;
        };
        let Part {
            mut share, body, ..
        } = part;
        let body = body.into_boxed_slice();
        let of = &mut self.candidate;
        let (cache, key) = (Arc::clone(&of.cache), Arc::clone(&of.key));
        let head = std::mem::take(&mut of.head);
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
        let _ended = of.cache.store().end(&of.key, self.number, false);
    }
}
