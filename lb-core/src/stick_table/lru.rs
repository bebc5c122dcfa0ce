//! Entries by key and in the order of their last use.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use super::{Entry, Key};

#[derive(Debug)]
struct Node {
    entry: Entry,
    used: u64,
    expires: Option<Instant>,
    /// Trackers that hold it: it is neither purged nor expired.
    holders: u32,
}

/// A map whose entries are numbered by their last use.
#[derive(Debug, Default)]
pub(super) struct Lru {
    nodes: HashMap<Key, Node>,
    order: BTreeMap<u64, Key>,
    uses: u64,
}

impl Lru {
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The entry of `key`, now the most recently used one.
    pub(super) fn touch(&mut self, key: &Key, expires: Option<Instant>) -> Option<&mut Entry> {
        let node = self.nodes.get_mut(key)?;
        if node.used != self.uses {
            self.uses += 1;
            if let Some(key) = self.order.remove(&node.used) {
                self.order.insert(self.uses, key);
            }
            node.used = self.uses;
        }
        node.expires = expires;
        Some(&mut node.entry)
    }

    pub(super) fn insert(
        &mut self,
        key: Key,
        entry: Entry,
        expires: Option<Instant>,
    ) -> Option<&mut Entry> {
        self.uses += 1;
        let used = self.uses;
        self.order.insert(used, key.clone());
        self.nodes.insert(
            key.clone(),
            Node {
                entry,
                used,
                expires,
                holders: 0,
            },
        );
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

    pub(super) fn remove(&mut self, key: &Key) -> bool {
        match self.nodes.remove(key) {
            Some(node) => self.order.remove(&node.used).is_some(),
            None => false,
        }
    }

    /// Keeps what is held.
    pub(super) fn clear(&mut self) {
        self.nodes.retain(|_, node| node.holders > 0);
        let nodes = &self.nodes;
        self.order.retain(|_, key| nodes.contains_key(key));
    }

    /// Drops what expired. What is held is in use all the time: it expires at `renewed`.
    pub(super) fn pop_expired(&mut self, now: Instant, renewed: Option<Instant>) {
        let mut held = Vec::new();
        while let Some(oldest) = self.order.first_entry() {
            let Some(node) = self.nodes.get_mut(oldest.get()) else {
                oldest.remove();
                continue;
            };
            if node.expires.is_none_or(|at| at > now) {
                break;
            }
            let key = oldest.remove();
            if node.holders > 0 {
                self.uses += 1;
                node.used = self.uses;
                node.expires = renewed;
                held.push((node.used, key));
            } else {
                self.nodes.remove(&key);
            }
        }
        self.order.extend(held);
    }

    /// Makes room by the least recently used entry that no connection counts on; false if there is none.
    pub(super) fn pop_oldest_unused(&mut self) -> bool {
        let unused = self
            .order
            .values()
            .find(|key| self.nodes.get(*key).is_some_and(|node| node.holders == 0));
        match unused.cloned() {
            Some(key) => self.remove(&key),
            None => false,
        }
    }

    /// Least recently used first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Entry, Option<Instant>, u32)> {
        self.order.values().filter_map(|key| {
            let node = self.nodes.get(key)?;
            Some((key, &node.entry, node.expires, node.holders))
        })
    }
}
