//! Changes of a table in their order, for those who tell other hosts of them, and what other hosts tell.
//!
//! Nothing is queued: whoever tells has the number of the last change it told of, and asks for the next.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use super::{Column, Datum, Entry, Key, Lru, StickTable};

/// Who is to be woken by the next change.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    any: AtomicBool,
    /// By the number of the listener, of which each has one at most.
    wakers: Mutex<BTreeMap<u64, Waker>>,
    numbers: AtomicU64,
}

/// Hears of the changes of a table until it is dropped.
#[derive(Debug)]
pub struct Listener {
    table: Arc<StickTable>,
    number: u64,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.table.listeners.lock().remove(&self.number);
    }
}

impl Listeners {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if self.any.load(Ordering::Relaxed) && self.any.swap(false, Ordering::Relaxed) {
            let wakers = std::mem::take(&mut *self.lock());
            wakers.into_values().for_each(Waker::wake);
        }
    }
}

/// A change as other hosts are told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its number: each is higher than the one before.
    pub number: u64,
    /// It was made here.
    pub local: bool,
    /// The key of the entry.
    pub key: Key,
    /// What is left until the entry expires; `None` for never.
    pub left: Option<Duration>,
    /// The columns of the entry now, in the order of [`StickTable::columns`].
    pub data: Vec<Datum>,
}

impl StickTable {
    /// An entry was used or changed here.
    pub(super) fn note(&self, entries: &mut Lru, key: &Key) {
        if self.config.peers.is_some() {
            entries.note(key, true);
            self.listeners.wake();
        }
    }

    /// The number of the last change, and of the last that was made here.
    pub fn last_changes(&self) -> (u64, u64) {
        self.lock().last_changes()
    }

    /// The first change after that of number `after`, with `only_local` the first that was made here; or the number of
    /// the last change of all if there is none.
    pub fn next_change(&self, now: Instant, after: u64, only_local: bool) -> Result<Change, u64> {
        let ms = self.ms(now);
        let mut entries = self.lock();
        self.expire(&mut entries, now);
        let last = entries.last_changes().0;
        let changed = entries.next_change(after, only_local).ok_or(last)?;
        Ok(Change {
            number: changed.number,
            local: changed.local,
            key: changed.key.clone(),
            left: changed.expires.map(|at| at.saturating_duration_since(now)),
            data: changed.entry.data(ms),
        })
    }

    /// Whoever wants to hear of its changes.
    pub fn listen(self: &Arc<Self>) -> Listener {
        Listener {
            number: self.listeners.numbers.fetch_add(1, Ordering::Relaxed),
            table: Arc::clone(self),
        }
    }

    /// What another host tells of an entry, which expires in `left` (in the table's own time without it).
    pub fn learn(&self, now: Instant, key: &Key, left: Option<Duration>, data: &[(Column, Datum)]) {
        let ms = self.ms(now);
        let mut entries = self.lock();
        self.expire(&mut entries, now);
        let own = self.expiry(now);
        // Nobody's clock makes an entry live longer than the table lets it.
        let expires = match left {
            Some(left) => now.checked_add(left).min(own).or(own),
            None => own,
        };
        if entries.peek(key).is_none() && !self.make_room(&mut entries) {
            return;
        }
        if entries.peek(key).is_none() {
            entries.insert(key.clone(), Entry::new(&self.config.store), expires);
        }
        if let Some(entry) = entries.touch(key, expires) {
            for (column, datum) in data {
                entry.learn(ms, *column, datum);
            }
        }
        entries.note(key, false);
    }
}

impl Listener {
    /// Ready once something changed there after the change of number `after`.
    pub fn poll_change(&self, after: u64, cx: &mut Context<'_>) -> Poll<()> {
        let entries = self.table.lock();
        if entries.last_changes().1 > after {
            return Poll::Ready(());
        }
        // Under the lock of the entries: no change can come between the look and the entry in the list.
        let mut wakers = self.table.listeners.lock();
        let known = wakers.get(&self.number);
        if known.is_none_or(|waker| !waker.will_wake(cx.waker())) {
            wakers.insert(self.number, cx.waker().clone());
        }
        self.table.listeners.any.store(true, Ordering::Relaxed);
        Poll::Pending
    }
}
