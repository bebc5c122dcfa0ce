//! What a cache holds, and the order in which it goes.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Listed, Object, Question, keeping::Slot};

type Key = Arc<[u8]>;

/// A response that takes longer than this keeps nobody from having another one of its name kept: its client may read
/// it as slowly as it likes. Where there is no room for others, it is given up.
const SLOW: Duration = Duration::from_secs(1);
/// Most of one name that are on their way at once; for another one the oldest is given up.
const COMING: usize = 4;
/// Most that are looked at for one that may go.
const LOOKS: usize = 256;

/// What a cache holds. What is taken out of it is returned, to be dropped outside of the lock.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// By host and target; several of one where responses vary.
    entries: HashMap<Key, Vec<Entry>>,
    /// The same by their last use.
    uses: BTreeMap<u64, (Key, Arc<Object>)>,
    /// What is on its way, the older ones first.
    coming: HashMap<Key, Vec<Coming>>,
    /// The names of those by their numbers.
    begun: BTreeMap<u64, Key>,
    /// When the last one began.
    latest: Option<Instant>,
    tick: u64,
}

/// Something on its way; void with this.
#[derive(Debug)]
pub(super) struct Coming {
    number: u64,
    since: Instant,
    slot: Arc<Slot>,
}

impl Coming {
    fn is_slow(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= SLOW
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.slot.make_void();
    }
}

/// What was taken out.
#[derive(Debug, Default)]
pub(super) struct Gone {
    objects: Vec<Arc<Object>>,
    coming: Vec<Coming>,
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

    /// Something of that name is on its way since `now`: its number, and what is given up for it. `None` if it is already,
    /// for somebody else.
    pub(super) fn begin(
        &mut self,
        key: &Key,
        now: Instant,
        slot: &Arc<Slot>,
    ) -> Option<(u64, Gone)> {
        let number = self.next_tick();
        let latest = self.latest.map_or(now, |latest| latest.max(now));
        self.latest = Some(latest);
        let coming = self.coming.entry(Arc::clone(key)).or_default();
        if !coming.iter().all(|one| one.is_slow(now)) {
            return None;
        }
        let mut gone = Gone::default();
        if coming.len() >= COMING {
            gone.coming.push(coming.remove(0));
        }
        coming.push(Coming {
            number,
            since: now,
            slot: Arc::clone(slot),
        });
        self.begun.insert(number, Arc::clone(key));
        for one in &gone.coming {
            self.begun.remove(&one.number);
        }
        Some((number, gone))
    }

    /// It is no longer on its way, nor are those that began before it: they are older. `None` if it was not.
    pub(super) fn end(&mut self, key: &Key, number: u64, finished: bool) -> Option<Gone> {
        let coming = self.coming.get_mut(key)?;
        if !coming.iter().any(|one| one.number == number) {
            return None;
        }
        let ends = |one: &mut Coming| match finished {
            true => one.number <= number,
            false => one.number == number,
        };
        let gone: Vec<Coming> = coming.extract_if(.., ends).collect();
        if coming.is_empty() {
            self.coming.remove(key);
        }
        for one in &gone {
            self.begun.remove(&one.number);
        }
        Some(Gone {
            coming: gone,
            ..Gone::default()
        })
    }

    /// Gives up the oldest of what is on its way, if it is slow, and not the one that asks.
    pub(super) fn give_up(&mut self, asking: u64) -> Option<Gone> {
        let (&number, key) = self.begun.first_key_value()?;
        let key = Arc::clone(key);
        let now = self.latest?;
        let mut coming = self.coming.get(&key)?.iter();
        let is_slow = coming.any(|one| one.number == number && one.is_slow(now));
        match is_slow && number != asking {
            true => self.end(&key, number, false),
            false => None,
        }
    }

    /// Takes what was on its way under that number, unless it has become void meanwhile. `most`: so many variants.
    pub(super) fn put(&mut self, key: &Key, number: u64, object: Object, most: usize) -> Gone {
        let Some(mut gone) = self.end(key, number, true) else {
            return Gone {
                objects: vec![Arc::new(object)],
                ..Gone::default()
            };
        };
        let now = object.since;
        gone.objects = self.remove(key, |old| old.is_stale(now) || old.is_replaced_by(&object));
        let object = Arc::new(object);
        let entries = self.entries.entry(Arc::clone(key)).or_default();
        // There is always room for the first.
        if entries.len() >= most {
            gone.objects.push(object);
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
    pub(super) fn forget(&mut self, key: &[u8]) -> Gone {
        let coming = self.coming.remove(key).unwrap_or_default();
        for one in &coming {
            self.begun.remove(&one.number);
        }
        Gone {
            objects: self.remove(key, |_| true),
            coming,
        }
    }

    /// Takes out what was used longest ago. What is being sent is in use: it stays, for its memory would not be free.
    pub(super) fn evict(&mut self) -> Option<Arc<Object>> {
        for _ in 0..LOOKS {
            let (tick, (key, object)) = self.uses.pop_first()?;
            // The other map has it, too.
            if Arc::strong_count(&object) == 2 {
                self.remove(&key, |old| std::ptr::eq(old, &*object));
                return Some(object);
            }
            self.use_again(tick, key, object);
        }
        None
    }

    /// What had its place in the order of uses, and was taken out of it, gets the last one.
    fn use_again(&mut self, before: u64, key: Key, object: Arc<Object>) {
        let now = self.next_tick();
        let entries = self.entries.get_mut(&key).into_iter().flatten();
        for entry in entries.filter(|entry| entry.used == before) {
            entry.used = now;
        }
        self.uses.insert(now, (key, object));
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
