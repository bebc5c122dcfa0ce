//! Entries by key, in the order of their expiry and last use, and in the order of their changes.
//!
//! Using an entry moves nothing: its place in the order is put right when it is its turn to go.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use super::{Entry, Key};

/// When an entry expires, and the number of its last use.
type Place = (Option<Instant>, u64);

#[derive(Debug)]
struct Node {
    entry: Entry,
    used: u64,
    expires: Option<Instant>,
    /// Where it stands in the order.
    placed: Place,
    /// Trackers that hold it: it is neither purged nor expired.
    holders: u32,
    /// Number of its last change, 0 for none.
    change: u64,
    /// That change was made here.
    local: bool,
}

/// A map whose entries are numbered by their last use and by their last change.
#[derive(Debug, Default)]
pub(super) struct Lru {
    nodes: HashMap<Key, Node>,
    order: BTreeMap<Place, Key>,
    uses: u64,
    changes: BTreeMap<u64, Key>,
    last_change: u64,
    last_local: u64,
    /// The highest number that somebody has been told of.
    told: u64,
}

/// A change of an entry.
pub(super) struct Changed<'l> {
    pub(super) number: u64,
    pub(super) local: bool,
    pub(super) key: &'l Key,
    pub(super) entry: &'l Entry,
    pub(super) expires: Option<Instant>,
}

impl Lru {
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The entry of `key`, now the most recently used one.
    pub(super) fn touch(&mut self, key: &Key, expires: Option<Instant>) -> Option<&mut Entry> {
        let node = self.nodes.get_mut(key)?;
        self.uses += 1;
        node.used = self.uses;
        node.expires = expires;
        if expires < node.placed.0 {
            self.order.remove(&node.placed);
            node.placed = (expires, node.used);
            self.order.insert(node.placed, key.clone());
        }
        Some(&mut node.entry)
    }

    pub(super) fn insert(
        &mut self,
        key: Key,
        entry: Entry,
        expires: Option<Instant>,
    ) -> Option<&mut Entry> {
        self.uses += 1;
        let placed = (expires, self.uses);
        self.order.insert(placed, key.clone());
        let node = Node {
            entry,
            used: self.uses,
            expires,
            placed,
            holders: 0,
            change: 0,
            local: false,
        };
        self.nodes.insert(key.clone(), node);
        self.nodes.get_mut(&key).map(|node| &mut node.entry)
    }

    /// One more, or one less, tracker holds the entry.
    pub(super) fn hold(&mut self, key: &Key, more: bool) -> Option<&mut Entry> {
        let node = self.nodes.get_mut(key)?;
        node.holders = match more {
            true => node.holders.saturating_add(1),
            false => node.holders.saturating_sub(1),
        };
        Some(&mut node.entry)
    }

    /// The entry of `key` without using it, and how many trackers hold it.
    pub(super) fn peek(&self, key: &Key) -> Option<(&Entry, u32)> {
        let node = self.nodes.get(key)?;
        Some((&node.entry, node.holders))
    }

    /// When the entry of `key` expires.
    pub(super) fn expiry(&self, key: &Key) -> Option<Instant> {
        self.nodes.get(key)?.expires
    }

    pub(super) fn remove(&mut self, key: &Key) -> bool {
        let Some(node) = self.nodes.remove(key) else {
            return false;
        };
        self.changes.remove(&node.change);
        self.order.remove(&node.placed).is_some()
    }

    /// Keeps what is held.
    pub(super) fn clear(&mut self) {
        self.nodes.retain(|_, node| node.holders > 0);
        let nodes = &self.nodes;
        self.order.retain(|_, key| nodes.contains_key(key));
        self.changes.retain(|_, key| nodes.contains_key(key));
    }

    /// Puts the first of the order where it belongs; false if it is there already.
    fn place_first(&mut self, first: Place) -> bool {
        let Some(key) = self.order.get(&first) else {
            return false;
        };
        let Some(node) = self.nodes.get_mut(key) else {
            self.order.remove(&first);
            return true;
        };
        let place = (node.expires, node.used);
        if place == first {
            return false;
        }
        node.placed = place;
        if let Some(key) = self.order.remove(&first) {
            self.order.insert(place, key);
        }
        true
    }

    /// Drops what expired. What is held is in use all the time: it expires at `renewed`.
    pub(super) fn pop_expired(&mut self, now: Instant, renewed: Option<Instant>) {
        while let Some((&first, key)) = self.order.first_key_value() {
            if first.0.is_none_or(|at| at > now) {
                break;
            }
            match self.nodes.get_mut(key) {
                // A table that keeps nothing would be renewed for ever.
                Some(node) if node.holders > 0 && renewed.is_some_and(|at| at <= now) => break,
                Some(node) if node.holders > 0 => {
                    self.uses += 1;
                    node.used = self.uses;
                    node.expires = renewed.max(node.expires);
                }
                Some(node) if node.expires.is_some_and(|at| at <= now) => {
                    let key = key.clone();
                    self.remove(&key);
                    continue;
                }
                _ => {}
            }
            if !self.place_first(first) {
                break;
            }
        }
    }

    /// Makes room by the least recently used entry that no connection counts on; false if there is none.
    pub(super) fn pop_oldest_unused(&mut self) -> bool {
        loop {
            let unused = self
                .order
                .iter()
                .find(|(_, key)| self.nodes.get(*key).is_none_or(|node| node.holders == 0));
            let Some((&place, key)) = unused else {
                return false;
            };
            let key = key.clone();
            if !self.place_first(place) {
                return self.remove(&key);
            }
        }
    }

    /// Least recently used first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Entry, Option<Instant>, u32)> {
        let mut all: Vec<_> = self.nodes.iter().collect();
        all.sort_by_key(|(_, node)| (node.expires, node.used));
        all.into_iter()
            .map(|(key, node)| (key, &node.entry, node.expires, node.holders))
    }

    /// The entry of `key` has changed, here or elsewhere. One that changes again before anybody was told of it keeps
    /// its number.
    pub(super) fn note(&mut self, key: &Key, local: bool) {
        let Some(node) = self.nodes.get_mut(key) else {
            return;
        };
        if node.local == local && node.change > self.told {
            return;
        }
        self.changes.remove(&node.change);
        self.last_change += 1;
        node.change = self.last_change;
        node.local = local;
        if local {
            self.last_local = self.last_change;
        }
        self.changes.insert(self.last_change, key.clone());
    }

    /// The number of the last change, and of the last that was made here.
    pub(super) fn last_changes(&self) -> (u64, u64) {
        (self.last_change, self.last_local)
    }

    /// The first change behind that of number `after`, which somebody is told of now.
    pub(super) fn next_change(&mut self, after: u64, only_local: bool) -> Option<Changed<'_>> {
        let nodes = &self.nodes;
        let mut later = self.changes.range(after.checked_add(1)?..);
        let (number, key, node) = later.find_map(|(number, key)| {
            let node = nodes.get(key)?;
            (node.local || !only_local).then_some((*number, key, node))
        })?;
        self.told = self.told.max(number);
        Some(Changed {
            number,
            local: node.local,
            key,
            entry: &node.entry,
            expires: node.expires,
        })
    }
}
