//! Changes of one key, whose cost does not grow with the file: `set map`, `add map`, `del map` and the actions of their
//! names; `add acl` by [`growing`](super::growing).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{Contents, Entry, LiveMap, PatternFile, View, Which, lock};
use crate::{expr::map::Key, rules::RuleError};

/// Entries that are gone and still have places in the views, before those are compiled anew.
const GONE: usize = 1024;

/// Where the entries of each key are.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Numbers of entries, and their places in every view.
    places: HashMap<Box<[u8]>, Vec<(u64, usize)>>,
    /// The place of the entry that comes next.
    next: usize,
    /// Places of entries that are gone.
    gone: usize,
}

impl Index {
    /// Of entries whose places are their ranks: so they are when views are compiled.
    pub(super) fn of(entries: &BTreeMap<u64, Entry>) -> Self {
        let mut index = Self::default();
        for (number, entry) in entries {
            index.add(&entry.key, *number);
        }
        index
    }

    /// The number of the first entry with this key.
    pub(super) fn first(&self, key: &[u8]) -> Option<u64> {
        self.places.get(key)?.first().map(|(number, _)| *number)
    }

    pub(super) fn add(&mut self, key: &[u8], number: u64) {
        let place = (number, self.next);
        self.next += 1;
        match self.places.get_mut(key) {
            Some(places) => places.push(place),
            None => {
                self.places.insert(key.into(), vec![place]);
            }
        }
    }
}

/// A file whose views are changed as they are.
struct Open<'c> {
    entries: &'c mut BTreeMap<u64, Entry>,
    next: &'c mut u64,
    index: &'c mut Index,
    views: Vec<Arc<LiveMap>>,
    name: &'c str,
}

impl PatternFile {
    /// Adds an entry behind the others.
    pub fn add(&self, key: &[u8], value: &[u8]) -> Result<(), RuleError> {
        let mut contents = lock(&self.contents);
        if let Some(mut open) = self.open(&mut contents) {
            return open.push(key, value);
        }
        if let Some(done) = self.grow(&mut contents, key, value) {
            return done;
        }
        drop(contents);
        self.change(|contents| contents.push(key, value))
    }

    /// Sets the value of a key, which is added if it is not there (`http-request set-map`).
    pub fn put(&self, key: &[u8], value: &[u8]) {
        let known = {
            let mut contents = lock(&self.contents);
            if let Some(mut open) = self.open(&mut contents) {
                if !open.set(key, value) {
                    // A key that cannot be one (of a network, say) changes nothing.
                    let _ = open.push(key, value);
                }
                return;
            }
            let known = self.value(&mut contents, key);
            known.map(|known| *known == *value)
        };
        let done = match known {
            Some(true) => return,
            Some(false) => self.set(Which::Key(key), value).map(drop),
            None => self.add(key, value),
        };
        // The same.
        drop(done);
    }

    /// Sets the value of a key; false if it is not there. `None`: the views are to be compiled anew.
    pub(super) fn set_key(&self, key: &[u8], value: &[u8]) -> Option<bool> {
        let mut contents = lock(&self.contents);
        self.open(&mut contents)
            .map(|mut open| open.set(key, value))
    }

    /// Takes a key away; false if it is not there. `None`: the views are to be compiled anew.
    pub(super) fn remove_key(&self, key: &[u8]) -> Option<bool> {
        let mut contents = lock(&self.contents);
        let done = self.open(&mut contents)?.remove(key);
        let crowded = |index: &Index| index.gone > GONE && index.gone > contents.entries.len();
        if contents.index.as_ref().is_some_and(crowded) {
            contents.index = None;
        }
        Some(done)
    }

    /// Makes the views ready to be changed as they are; `None` where an ACL has one.
    fn open<'c>(&'c self, contents: &'c mut Contents) -> Option<Open<'c>> {
        let mut views = lock(&self.views);
        views.retain(View::is_used);
        let maps = views.iter().map(|view| match view {
            View::Map(view) => view.upgrade(),
            View::Matcher(_) => None,
        });
        let maps: Vec<Arc<LiveMap>> = maps.collect::<Option<_>>()?;
        if contents.index.is_none() {
            for view in &maps {
                view.map
                    .replace(contents.compile(&self.name, view.by).ok()?);
            }
            contents.index = Some(Index::of(&contents.entries));
        }
        Some(Open {
            entries: &mut contents.entries,
            next: &mut contents.next,
            index: contents.index.as_mut()?,
            views: maps,
            name: &self.name,
        })
    }
}

impl Open<'_> {
    /// Sets the value of a key; false if it is not there.
    fn set(&mut self, key: &[u8], value: &[u8]) -> bool {
        let Some(places) = self.index.places.get(key) else {
            return false;
        };
        for (number, place) in places {
            let Some(entry) = self.entries.get_mut(number) else {
                continue;
            };
            if *entry.value == *value {
                continue;
            }
            entry.value = value.into();
            for view in &self.views {
                view.map.change(|map| map.set(*place, value));
            }
        }
        true
    }

    /// Adds an entry, if every view can take it.
    fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), RuleError> {
        let wrong = |what: String| {
            let (name, line) = (self.name, *self.next);
            RuleError::new(0, format!("{name}:{line}: {what}"))
        };
        let keys = self.views.iter().map(|view| Key::read(view.by, key));
        let keys: Vec<Key> = keys.collect::<Result<_, _>>().map_err(wrong)?;
        for (view, ready) in self.views.iter().zip(keys) {
            view.map.change(|map| map.push(ready, value));
        }
        self.entries.insert(*self.next, super::entry(key, value));
        self.index.add(key, *self.next);
        *self.next += 1;
        Ok(())
    }

    /// Takes a key away; false if it is not there.
    fn remove(&mut self, key: &[u8]) -> bool {
        let Some(places) = self.index.places.remove(key) else {
            return false;
        };
        let (numbers, places): (Vec<u64>, Vec<usize>) = places.into_iter().unzip();
        for number in numbers {
            self.entries.remove(&number);
        }
        self.index.gone += places.len();
        for view in &self.views {
            view.map.change(|map| map.remove(key, &places));
        }
        true
    }
}
