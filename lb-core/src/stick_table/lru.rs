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
            },
        );
        self.nodes.get_mut(&key).map(|node| &mut node.entry)
    }

    pub(super) fn remove(&mut self, key: &Key) -> bool {
        match self.nodes.remove(key) {
            Some(node) => self.order.remove(&node.used).is_some(),
            None => false,
        }
    }

    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.order.clear();
    }

    /// Drops what expired; those in use live on.
    pub(super) fn pop_expired(&mut self, now: Instant) {
        let mut kept = Vec::new();
        while let Some(oldest) = self.order.first_entry() {
            let Some(node) = self.nodes.get(oldest.get()) else {
                oldest.remove();
                continue;
            };
            if node.expires.is_none_or(|at| at > now) {
                break;
            }
            let in_use = node.entry.is_in_use();
            let (used, key) = oldest.remove_entry();
            if in_use {
                kept.push((used, key));
            } else {
                self.nodes.remove(&key);
            }
        }
        self.order.extend(kept);
    }

    /// Makes room by the least recently used entry that no connection counts on; false if there is none.
    pub(super) fn pop_oldest_unused(&mut self) -> bool {
        let unused = self.order.values().find(|key| {
            self.nodes
                .get(*key)
                .is_some_and(|node| !node.entry.is_in_use())
        });
        match unused.cloned() {
            Some(key) => self.remove(&key),
            None => false,
        }
    }

    /// Least recently used first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Entry, Option<Instant>)> {
        self.order.values().filter_map(|key| {
            let node = self.nodes.get(key)?;
            Some((key, &node.entry, node.expires))
        })
    }
}
