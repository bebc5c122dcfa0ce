//! A channel of what is so now: of each thing the last that was told of it. However fast one side tells, nothing waits but one
//! entry for each thing there is, and telling never waits.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// A channel. The order is that in which things began to wait.
pub(crate) fn latest<K: Ord + Clone, V>() -> (Teller<K, V>, Latest<K, V>) {
    let line = Arc::new(Line {
        waiting: Mutex::new(Waiting {
            order: VecDeque::new(),
            values: BTreeMap::new(),
            is_over: false,
        }),
        told: Notify::new(),
    });
    (Teller(Arc::clone(&line)), Latest(line))
}

/// The side that tells.
pub(crate) struct Teller<K, V>(Arc<Line<K, V>>);

/// The side that hears.
pub(crate) struct Latest<K, V>(Arc<Line<K, V>>);

struct Line<K, V> {
    waiting: Mutex<Waiting<K, V>>,
    told: Notify,
}

struct Waiting<K, V> {
    /// Each once.
    order: VecDeque<K>,
    values: BTreeMap<K, V>,
    is_over: bool,
}

impl<K: Ord + Clone, V> Teller<K, V> {
    /// What was told of `thing` before and not heard yet is forgotten.
    pub(crate) fn tell(&self, thing: K, value: V) {
        let mut waiting = self.0.lock();
        if waiting.values.insert(thing.clone(), value).is_none() {
            waiting.order.push_back(thing);
        }
        drop(waiting);
        self.0.told.notify_one();
    }
}

impl<K: Ord, V> Latest<K, V> {
    /// What was told and not heard yet; nothing any more once all is heard and the other side is gone. May be dropped at
    /// any moment, and nothing is lost.
    pub(crate) async fn recv(&mut self) -> Option<(K, V)> {
        loop {
            // Made before the look: what is told after that wakes it.
            let told = self.0.told.notified();
            if let Some(next) = self.try_recv() {
                return Some(next);
            }
            if self.0.lock().is_over {
                return self.try_recv();
            }
            told.await;
        }
    }

    /// The same at once; nothing if nothing waits.
    pub(crate) fn try_recv(&self) -> Option<(K, V)> {
        let mut waiting = self.0.lock();
        let thing = waiting.order.pop_front()?;
        waiting.values.remove_entry(&thing)
    }
}

impl<K, V> Line<K, V> {
    fn lock(&self) -> MutexGuard<'_, Waiting<K, V>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Drop for Teller<K, V> {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.told.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_each_thing_the_last_word_waits_and_who_waits_longest_goes_first() {
        let (teller, mut latest) = latest();
        for round in 0..100_000 {
            teller.tell("a", round);
            teller.tell("b", round);
        }
        assert_eq!(latest.recv().await, Some(("a", 99_999)));
        // It is behind the other one now, however often it changes.
        teller.tell("a", 1);
        assert_eq!(latest.recv().await, Some(("b", 99_999)));
        assert_eq!(latest.recv().await, Some(("a", 1)));
        assert_eq!(latest.try_recv(), None);
        teller.tell("c", 2);
        drop(teller);
        assert_eq!(latest.recv().await, Some(("c", 2)));
        assert_eq!(latest.recv().await, None);
    }

    #[tokio::test]
    async fn who_waits_hears_what_is_told_on_another_thread() {
        let (teller, mut latest) = latest();
        let telling = std::thread::spawn(move || (0..1000).for_each(|n| teller.tell(n % 10, n)));
        let mut last = BTreeMap::new();
        while let Some((thing, value)) = latest.recv().await {
            last.insert(thing, value);
        }
        telling.join().unwrap();
        assert_eq!(last, (0..10).map(|n| (n, 990 + n)).collect());
    }
}
