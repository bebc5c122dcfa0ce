//! `cache` sections: small responses kept in memory and shared by every worker (manual 6; RFC 9111).
//!
//! Keys are whole (host and target), and not their hashes. The scheme is no part of them, as in HAProxy: pages that differ
//! by it need a cache of their own. Everything that is kept, and
//! what is still on its way into the cache, is charged to `total-max-size` in blocks of 1 kB; what was used longest ago
//! goes first. What is on its way has half of it at most, so that clients that read slowly, whose responses take as long to
//! come, neither drive out what is kept nor have the memory of all that could be: where that half is full, or too many of
//! one name are on their way, the oldest that has been for a second is given up. What is being sent keeps its memory until
//! its last client has it, even if something newer has taken its place. Nobody but `cache-use`, `cache-store` and responses that are being kept takes the lock.
//!
//! A request passes by like this: [`Visit::look`] (`cache-use`) may find an [`Object`]; if not, [`Visit::store`]
//! (`cache-store`) may make the response a [`Candidate`], which becomes [`Keeping`] once its content is under way, and
//! an object when all of it has come.

mod budget;
mod fields;
mod keeping;
mod kept;
mod listing;
mod object;
mod store;
mod visit;
mod wish;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

pub use keeping::{Candidate, Keeping};
pub use listing::Listed;
pub use object::Object;
pub use visit::{Found, Visit};
pub use wish::Question;

use crate::head::HeadRef;
use budget::{Budget, Share};
use store::Store;

/// The caches of a configuration by name.
pub type Caches = BTreeMap<Arc<str>, Arc<Cache>>;

/// A `cache` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    /// `total-max-size`, in bytes.
    pub total: usize,
    /// `max-object-size`: most bytes of a head and its content; the 256th part of the whole unless told.
    pub object: usize,
    /// `max-age` (60 s).
    pub max_age: Duration,
    /// `process-vary`.
    pub process_vary: bool,
    /// `max-secondary-entries` (10).
    pub variants: usize,
}

impl CacheConfig {
    /// A cache of so many bytes.
    pub fn new(total: usize) -> Self {
        Self {
            total,
            object: total / 256,
            max_age: Duration::from_secs(60),
            process_vary: false,
            variants: 10,
        }
    }
}

/// A cache.
pub struct Cache {
    name: Arc<str>,
    config: CacheConfig,
    budget: Arc<Budget>,
    /// What may be on its way.
    coming: Arc<Budget>,
    store: Mutex<Store>,
}

/// Caches that do the same read the same, whatever they hold: configurations are compared by it.
impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// What an object of half the cache takes beside its content.
const ROOM: usize = 16 << 10;

impl Cache {
    /// An empty one.
    pub fn new(name: impl Into<Arc<str>>, config: CacheConfig) -> Self {
        Self {
            name: name.into(),
            budget: Arc::new(Budget::new(config.total)),
            coming: Arc::new(Budget::new(config.total / 2 + ROOM)),
            config,
            store: Mutex::default(),
        }
    }

    /// Name of the section.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its settings.
    pub fn config(&self) -> &CacheConfig {
        &self.config
    }

    /// Blocks of 1 kB that are free.
    pub fn available_blocks(&self) -> usize {
        self.budget.available()
    }

    /// What is kept, the longest unused first.
    pub fn listed(&self, now: Instant) -> Vec<Listed> {
        /// As many as the others wait for.
        const PAGE: usize = 1000;
        let (mut listed, mut after, end) = (Vec::new(), 0, self.store().tick());
        loop {
            let before = listed.len();
            after = self.store().list(after..end, PAGE, now, &mut listed);
            if listed.len() - before < PAGE {
                return listed;
            }
        }
    }

    /// What is kept for a question.
    pub fn find(&self, now: Instant, question: &Question) -> Option<Arc<Object>> {
        if !question.is_served() {
            return None;
        }
        self.store().find(now, question)
    }

    /// The response to a question, if it may be kept; `date` is that of its arrival. One to a request that changes what it
    /// names makes what is kept void (RFC 9111 §4.4).
    pub fn consider(
        self: &Arc<Self>,
        (now, date): (Instant, SystemTime),
        question: &Question,
        response: HeadRef<'_>,
    ) -> Option<Candidate> {
        if question.changes() {
            if (200..400).contains(&response.status()) {
                // Memory is given back after the lock.
                let _void = self.store().forget(question.key());
            }
            return None;
        }
        Candidate::of(self, (now, date), question, response)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a share as large as that, at the cost of what was used longest ago. False if there is not so much.
    fn resize(&self, share: &mut Share, blocks: usize) -> bool {
        while !share.resize(blocks) {
            let evicted = self.store().evict();
            if evicted.is_none() {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
