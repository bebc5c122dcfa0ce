//! What a cache holds, and the order in which it goes.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::Arc,
    time::Instant,
};

use super::{Listed, Object, Question};

type Key = Arc<[u8]>;

/// What a cache holds. What is taken out of it is returned, to be dropped outside of the lock.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// By host and target; several of one where responses vary.
    entries: HashMap<Key, Vec<Entry>>,
    /// The same by their last use.
    uses: BTreeMap<u64, (Key, Arc<Object>)>,
    /// What is on its way, and its number.
    coming: HashMap<Key, u64>,
    tick: u64,
}

#[derive(Debug)]
struct Entry {
    object: Arc<Object>,
    used: u64,
}

impl Store {
    /// Behind the last use.
    pub(super) fn tick(&self) -> u64 {
        self.tick + 1
    }

    fn next_tick(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }

    pub(super) fn find(&mut self, now: Instant, question: &Question) -> Option<Arc<Object>> {
        let tick = self.next_tick();
        let entries = self.entries.get_mut(question.key())?;
        let entry = entries
            .iter_mut()
            .find(|entry| entry.object.answers(question, now))?;
        let before = std::mem::replace(&mut entry.used, tick);
        let object = Arc::clone(&entry.object);
        if let Some(used) = self.uses.remove(&before) {
            self.uses.insert(tick, used);
        }
        Some(object)
    }

    /// Something of that name is on its way. `None` if it is already, for somebody else.
    pub(super) fn begin(&mut self, key: &Key) -> Option<u64> {
        if self.coming.contains_key(key) {
            return None;
        }
        let number = self.next_tick();
        self.coming.insert(Arc::clone(key), number);
        Some(number)
    }

    /// It is no longer on its way.
    pub(super) fn end(&mut self, key: &Key, number: u64) {
        if self.coming.get(key) == Some(&number) {
            self.coming.remove(key);
        }
    }

    /// Takes what was on its way under that number, unless it has become void meanwhile. `most`: so many variants.
    pub(super) fn put(
        &mut self,
        key: &Key,
        number: u64,
        object: Object,
        most: usize,
    ) -> Vec<Arc<Object>> {
        if self.coming.get(key) != Some(&number) {
            return vec![Arc::new(object)];
        }
        let now = object.since;
        let mut gone = self.remove(key, |old| old.is_stale(now) || old.is_replaced_by(&object));
        let object = Arc::new(object);
        let entries = self.entries.entry(Arc::clone(key)).or_default();
        // There is always room for the first.
        if entries.len() >= most {
            gone.push(object);
            return gone;
        }
        self.tick += 1;
        let used = self.tick;
        self.uses
            .insert(used, (Arc::clone(key), Arc::clone(&object)));
        entries.push(Entry { object, used });
        gone
    }

    /// Nothing of that name is good any more, nor what is on its way.
    pub(super) fn forget(&mut self, key: &[u8]) -> Vec<Arc<Object>> {
        self.coming.remove(key);
        self.remove(key, |_| true)
    }

    /// Takes out what was used longest ago. What is being sent stays: its memory would not be free.
    pub(super) fn evict(&mut self) -> Option<Arc<Object>> {
        // Each is held by the two maps.
        let mut idle = self.uses.iter();
        let (tick, (key, object)) = idle.find(|(_, (_, object))| Arc::strong_count(object) == 2)?;
        let (tick, key, object) = (*tick, Arc::clone(key), Arc::clone(object));
        self.remove(&key, |old| std::ptr::eq(old, &*object));
        self.uses.remove(&tick);
        Some(object)
    }

    fn remove(&mut self, key: &[u8], condemned: impl Fn(&Object) -> bool) -> Vec<Arc<Object>> {
        let Some(entries) = self.entries.get_mut(key) else {
            return Vec::new();
        };
        let (mut gone, uses) = (Vec::new(), &mut self.uses);
        entries.retain(|entry| {
            let goes = condemned(&entry.object);
            if goes {
                uses.remove(&entry.used);
                gone.push(Arc::clone(&entry.object));
            }
            !goes
        });
        if entries.is_empty() {
            self.entries.remove(key);
        }
        gone
    }

    /// Adds at most `most` of those whose last use is in `uses`; tells where the next ones begin.
    pub(super) fn list(
        &self,
        uses: Range<u64>,
        most: usize,
        now: Instant,
        listed: &mut Vec<Listed>,
    ) -> u64 {
        let mut next = uses.start;
        for (tick, (key, object)) in self.uses.range(uses).take(most) {
            // Not counting the two maps.
            let users = Arc::strong_count(object).saturating_sub(2);
            listed.push(Listed::of(key, object, users, now));
            next = tick + 1;
        }
        next
    }
}
