//! Files of patterns whose contents may change while rules use them (`set map`, `add acl`, `http-request set-map`).
//!
//! A [`PatternFile`] holds the entries in order; each converter or ACL that names the file has a view of it, compiled for
//! its kind of comparison. A change is refused as a whole when one of the views cannot take it. A change of one key is
//! made in the views as they are; for any other, and where an ACL looks at the file and a key is taken away, they are
//! compiled anew. The patterns that an ACL has in its own line are a file without a name.

mod files;
mod growing;
mod live;
mod look;
mod single;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

pub use files::{PatternFiles, Use};
pub use live::LiveMap;
pub(crate) use live::LiveMatcher;
pub use look::Found;

use super::{
    map::{Map, MapMatch},
    matcher::{Matcher, Method},
};
use crate::{request::Origin, rules::RuleError};
use growing::Layers;
use live::Live;
use single::Index;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One line of a map.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Key.
    pub key: Box<[u8]>,
    /// Value; empty for a key alone.
    pub value: Box<[u8]>,
}

/// A file and what became of it.
#[derive(Debug)]
pub struct PatternFile {
    /// The number that an ACL asks for (`-u`).
    forced: Option<usize>,
    /// Empty for the patterns of an ACL's own line.
    name: Arc<str>,
    kind: Use,
    /// Who uses it.
    description: Mutex<String>,
    contents: Mutex<Contents>,
    views: Mutex<Vec<View>>,
}

/// What has to follow a change.
#[derive(Debug)]
enum View {
    Map(Weak<LiveMap>),
    Matcher(Weak<LiveMatcher>),
}

#[derive(Debug, Default)]
struct Contents {
    /// By numbers that only grow, so that an entry keeps its own.
    entries: BTreeMap<u64, Entry>,
    next: u64,
    version: u32,
    last_version: u32,
    /// Versions that are prepared and not in force.
    prepared: BTreeMap<u32, Vec<Entry>>,
    /// Where the views have what keys; none once something else than a key has changed.
    index: Option<Index>,
}

/// Which entries a change is for.
#[derive(Debug, Clone, Copy)]
pub enum Which<'k> {
    /// Those with this key.
    Key(&'k [u8]),
    /// The one with this number.
    Number(u64),
    /// All.
    All,
}

impl Which<'_> {
    fn is(self, number: u64, entry: &Entry) -> bool {
        match self {
            Self::Key(key) => *entry.key == *key,
            Self::Number(wanted) => wanted == number,
            Self::All => true,
        }
    }
}

impl PatternFile {
    fn new(name: &str, kind: Use, description: String) -> Self {
        Self {
            forced: None,
            name: Arc::from(name),
            kind,
            description: Mutex::new(description),
            contents: Mutex::default(),
            views: Mutex::default(),
        }
    }

    fn used_at(&self, origin: Option<&Origin>) {
        let mut description = lock(&self.description);
        let comma = if description.ends_with("used") {
            ""
        } else {
            ","
        };
        let _ = write!(description, "{comma} by {}", self.kind.name());
        if let Some(origin) = origin {
            let _ = write!(
                description,
                " at file '{}' line {}",
                origin.file, origin.line
            );
        }
    }

    /// Whether maps or ACLs use it.
    pub fn kind(&self) -> Use {
        self.kind
    }

    /// Who uses it.
    pub fn description(&self) -> String {
        lock(&self.description).clone()
    }

    /// Its name, as rules write it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version in force, the one prepared last, and how many entries there are.
    pub fn versions(&self) -> (u32, u32, usize) {
        let contents = lock(&self.contents);
        (
            contents.version,
            contents.last_version,
            contents.entries.len(),
        )
    }

    /// The entries in force with their numbers.
    pub fn entries(&self) -> Vec<(u64, Entry)> {
        let contents = lock(&self.contents);
        let entries = contents.entries.iter();
        entries.map(|(number, e)| (*number, e.clone())).collect()
    }

    /// The entries of a version that is prepared; none if there is none such.
    pub fn prepared(&self, version: u32) -> Vec<Entry> {
        let contents = lock(&self.contents);
        contents.prepared.get(&version).cloned().unwrap_or_default()
    }

    /// Adds entries behind the others: all of them, or none if one cannot be.
    pub fn add_all<'e>(
        &self,
        entries: impl IntoIterator<Item = (&'e [u8], &'e [u8])>,
    ) -> Result<(), RuleError> {
        self.change(|contents| {
            for (key, value) in entries {
                contents.push(key, value);
            }
        })
    }

    /// Sets the value of entries; false if there is none.
    pub fn set(&self, which: Which<'_>, value: &[u8]) -> Result<bool, RuleError> {
        if let Which::Key(key) = which
            && let Some(done) = self.set_key(key, value)
        {
            return Ok(done);
        }
        let found = |contents: &Contents| contents.entries.iter().any(|(n, e)| which.is(*n, e));
        if !found(&lock(&self.contents)) {
            return Ok(false);
        }
        self.change(|contents| {
            for (number, entry) in &mut contents.entries {
                if which.is(*number, entry) {
                    entry.value = value.into();
                }
            }
        })?;
        Ok(true)
    }

    /// Takes entries away; false if there is none.
    pub fn remove(&self, which: Which<'_>) -> bool {
        if let Which::Key(key) = which
            && let Some(done) = self.remove_key(key)
        {
            return done;
        }
        let before = lock(&self.contents).entries.len();
        let changed = self.change(|contents| {
            contents
                .entries
                .retain(|number, entry| !which.is(*number, entry));
        });
        changed.is_ok() && lock(&self.contents).entries.len() < before
    }

    /// Begins another version, which takes nothing over; its number.
    pub fn prepare(&self) -> u32 {
        let mut contents = lock(&self.contents);
        contents.last_version += 1;
        let version = contents.last_version;
        contents.prepared.insert(version, Vec::new());
        version
    }

    /// Adds an entry to a version that is prepared; false if there is none such.
    pub fn add_prepared(&self, version: u32, key: &[u8], value: &[u8]) -> bool {
        let mut contents = lock(&self.contents);
        let prepared = contents.prepared.get_mut(&version);
        prepared
            .map(|entries| entries.push(entry(key, value)))
            .is_some()
    }

    /// Forgets a version that is prepared; false if there is none such.
    pub fn discard(&self, version: u32) -> bool {
        lock(&self.contents).prepared.remove(&version).is_some()
    }

    /// Puts a version that is prepared into force, and forgets the older ones; false if there is none such.
    pub fn commit(&self, version: u32) -> Result<bool, RuleError> {
        if !lock(&self.contents).prepared.contains_key(&version) {
            return Ok(false);
        }
        let entries = self.prepared(version);
        self.change(|contents| {
            contents.entries.clear();
            for entry in &entries {
                contents.push(&entry.key, &entry.value);
            }
            contents.version = version;
            contents.prepared.retain(|prepared, _| *prepared > version);
        })?;
        Ok(true)
    }

    /// A view for one kind of comparison.
    pub(crate) fn view(&self, by: MapMatch) -> Result<Arc<LiveMap>, RuleError> {
        let mut contents = lock(&self.contents);
        contents.index = None;
        let view = Arc::new(LiveMap {
            by,
            fingerprint: contents.fingerprint(),
            map: Live::new(contents.compile(&self.name, by)?),
        });
        lock(&self.views).push(View::Map(Arc::downgrade(&view)));
        Ok(view)
    }

    /// A view for an ACL.
    pub(crate) fn matcher(
        &self,
        method: Method,
        ignore_case: bool,
    ) -> Result<Arc<LiveMatcher>, RuleError> {
        let contents = lock(&self.contents);
        let view = Arc::new(LiveMatcher {
            method,
            ignore_case,
            fingerprint: contents.fingerprint(),
            matcher: Live::new(contents.layers(method, ignore_case)?),
        });
        lock(&self.views).push(View::Matcher(Arc::downgrade(&view)));
        Ok(view)
    }

    /// Carries out a change, if every view can follow.
    fn change(&self, change: impl FnOnce(&mut Contents)) -> Result<(), RuleError> {
        let mut contents = lock(&self.contents);
        let mut changed = Contents {
            entries: contents.entries.clone(),
            prepared: contents.prepared.clone(),
            index: None,
            ..*contents
        };
        change(&mut changed);
        let mut views = lock(&self.views);
        views.retain(View::is_used);
        let mut maps = Vec::new();
        let mut matchers = Vec::new();
        for view in views.iter() {
            match view {
                View::Map(view) => maps.extend(view.upgrade()),
                View::Matcher(view) => matchers.extend(view.upgrade()),
            }
        }
        let compiled = maps.iter().map(|view| changed.compile(&self.name, view.by));
        let compiled: Vec<Map> = compiled.collect::<Result<_, _>>()?;
        let prepared = matchers
            .iter()
            .map(|view| changed.layers(view.method, view.ignore_case));
        let prepared: Vec<Layers> = prepared.collect::<Result<_, _>>()?;
        for (view, map) in maps.iter().zip(compiled) {
            view.map.replace(map);
        }
        for (view, matcher) in matchers.iter().zip(prepared) {
            view.matcher.replace(matcher);
        }
        *contents = changed;
        Ok(())
    }
}

impl View {
    fn is_used(&self) -> bool {
        match self {
            Self::Map(view) => view.strong_count() > 0,
            Self::Matcher(view) => view.strong_count() > 0,
        }
    }
}

fn entry(key: &[u8], value: &[u8]) -> Entry {
    Entry {
        key: key.into(),
        value: value.into(),
    }
}

impl Contents {
    /// Lines of keys and values, or of patterns. Their numbers are those of their lines: findings name them.
    fn read(&mut self, text: &[u8], kind: Use) {
        let number = |line: usize| u64::try_from(line).unwrap_or(u64::MAX);
        match kind {
            Use::Map => {
                for (line, key, value) in super::map::entries(text) {
                    self.next = number(line);
                    self.push(key, value);
                }
            }
            Use::Acl => {
                let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
                let patterns = (1..).zip(lines);
                for (line, pattern) in patterns.filter(|(_, p)| !matches!(p, [] | [b'#', ..])) {
                    self.next = number(line);
                    self.push(pattern, b"");
                }
            }
        }
    }

    /// All of the patterns.
    fn layers(&self, method: Method, ignore_case: bool) -> Result<Layers, RuleError> {
        let all = self.entries.len();
        Ok(Layers::of(self.last(all, method, ignore_case)?, all))
    }

    /// The last `count` patterns.
    fn last(&self, count: usize, method: Method, ignore_case: bool) -> Result<Matcher, RuleError> {
        let entries = self.entries.values().rev().take(count);
        let mut patterns: Vec<(usize, String)> = entries
            .map(|entry| (0, String::from_utf8_lossy(&entry.key).into_owned()))
            .collect();
        // The first one that is wrong is named.
        patterns.reverse();
        Matcher::new(method, &patterns, ignore_case)
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.entries.insert(self.next, entry(key, value));
        self.next += 1;
    }

    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.entries.hash(&mut hasher);
        hasher.finish()
    }

    fn compile(&self, name: &str, by: MapMatch) -> Result<Map, RuleError> {
        let entries = self.entries.iter();
        let entries = entries.map(|(number, e)| (*number, &*e.key, &*e.value));
        Map::build(name, entries, by)
    }
}

#[cfg(test)]
mod tests;
