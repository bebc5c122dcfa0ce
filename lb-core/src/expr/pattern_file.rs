//! Files of maps whose contents may change while rules use them (`set map`, `http-request set-map`).
//!
//! A [`PatternFile`] holds the entries in order; each converter that names the file has a view of it, compiled for its
//! kind of comparison. A change is refused as a whole when one of the views cannot take it.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use super::map::{Map, MapMatch};
use crate::rules::RuleError;

/// The files of one configuration.
#[derive(Debug, Default)]
pub struct PatternFiles {
    files: Mutex<Vec<Arc<PatternFile>>>,
}

impl PatternFiles {
    /// The file of that name, read by `load` when it is named first.
    pub(crate) fn file(
        &self,
        name: &str,
        load: impl FnOnce() -> std::io::Result<Vec<u8>>,
    ) -> std::io::Result<Arc<PatternFile>> {
        if let Some(known) = self.named(name) {
            return Ok(known);
        }
        let text = load()?;
        let mut files = lock(&self.files);
        let file = Arc::new(PatternFile::new(files.len(), name, &text));
        files.push(Arc::clone(&file));
        Ok(file)
    }

    /// The file of that name, if rules use it.
    pub fn named(&self, name: &str) -> Option<Arc<PatternFile>> {
        let files = lock(&self.files);
        files.iter().find(|file| *file.name == *name).cloned()
    }

    /// All of them; their places are their numbers.
    pub fn all(&self) -> Vec<Arc<PatternFile>> {
        lock(&self.files).clone()
    }
}

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
    number: usize,
    name: Arc<str>,
    contents: Mutex<Contents>,
    views: Mutex<Vec<Weak<LiveMap>>>,
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
    fn new(number: usize, name: &str, text: &[u8]) -> Self {
        let mut contents = Contents::default();
        for (line, key, value) in super::map::entries(text) {
            // Its line is its number: findings name it.
            contents.next = u64::try_from(line).unwrap_or(u64::MAX);
            contents.push(key, value);
        }
        Self {
            number,
            name: Arc::from(name),
            contents: Mutex::new(contents),
            views: Mutex::default(),
        }
    }

    /// Its number in commands.
    pub fn number(&self) -> usize {
        self.number
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

    /// Adds an entry behind the others.
    pub fn add(&self, key: &[u8], value: &[u8]) -> Result<(), RuleError> {
        self.change(|contents| contents.push(key, value))
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

    /// Sets the value of a key, which is added if it is not there (`http-request set-map`).
    pub fn put(&self, key: &[u8], value: &[u8]) {
        let same = |entry: &&Entry| *entry.key == *key;
        let known = lock(&self.contents).entries.values().find(same).cloned();
        let done = match known {
            Some(entry) if *entry.value == *value => return,
            Some(_) => self.set(Which::Key(key), value).map(drop),
            None => self.add(key, value),
        };
        // A key that cannot be one (of a network, say) changes nothing.
        drop(done);
    }

    /// Takes entries away; false if there is none.
    pub fn remove(&self, which: Which<'_>) -> bool {
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
        let contents = lock(&self.contents);
        let view = Arc::new(LiveMap {
            by,
            fingerprint: contents.fingerprint(),
            first: contents.compile(&self.name, by)?,
            changed: AtomicBool::new(false),
            now: RwLock::new(None),
        });
        lock(&self.views).push(Arc::downgrade(&view));
        Ok(view)
    }

    /// Carries out a change, if every view can follow.
    fn change(&self, change: impl FnOnce(&mut Contents)) -> Result<(), RuleError> {
        let mut contents = lock(&self.contents);
        let mut changed = Contents {
            entries: contents.entries.clone(),
            prepared: contents.prepared.clone(),
            ..*contents
        };
        change(&mut changed);
        let mut views = lock(&self.views);
        views.retain(|view| view.strong_count() > 0);
        let mut compiled = Vec::new();
        for view in views.iter().filter_map(Weak::upgrade) {
            let map = changed.compile(&self.name, view.by)?;
            compiled.push((view, map));
        }
        for (view, map) in compiled {
            *view.now.write().unwrap_or_else(PoisonError::into_inner) = Some(map);
            view.changed.store(true, Relaxed);
        }
        *contents = changed;
        Ok(())
    }
}

fn entry(key: &[u8], value: &[u8]) -> Entry {
    Entry {
        key: key.into(),
        value: value.into(),
    }
}

impl Contents {
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

/// A map as a converter sees it.
pub struct LiveMap {
    by: MapMatch,
    /// Of the contents as they were first, by which configurations are compared.
    fingerprint: u64,
    /// As it was when the rules were compiled: as long as nobody changes it, values need no copy.
    first: Map,
    changed: AtomicBool,
    now: RwLock<Option<Map>>,
}

impl fmt::Debug for LiveMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveMap")
            .field("by", &self.by)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

impl LiveMap {
    /// The value of the key that fits `text`.
    pub(crate) fn of_text(&self, text: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.look(|map| map.of_text(text))
    }

    /// The value of the network that `address` is in.
    pub(crate) fn of_address(&self, address: IpAddr) -> Option<Cow<'_, [u8]>> {
        self.look(|map| map.of_address(address))
    }

    /// The value of the range that `number` is in.
    pub(crate) fn of_number(&self, number: i64) -> Option<Cow<'_, [u8]>> {
        self.look(|map| map.of_number(number))
    }

    /// The value of the expression that matches `text`, with its groups put in.
    pub(crate) fn expanded(&self, text: &[u8]) -> Option<Vec<u8>> {
        if !self.changed.load(Relaxed) {
            return self.first.expanded(text);
        }
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        now.as_ref()?.expanded(text)
    }

    fn look(&self, at: impl Fn(&Map) -> Option<&[u8]>) -> Option<Cow<'_, [u8]>> {
        if !self.changed.load(Relaxed) {
            return at(&self.first).map(Cow::Borrowed);
        }
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        at(now.as_ref()?).map(|value| Cow::Owned(value.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(text: &str) -> (PatternFiles, Arc<PatternFile>) {
        let files = PatternFiles::default();
        let file = files.file("m", || Ok(text.as_bytes().to_vec())).unwrap();
        (files, file)
    }

    fn found(view: &LiveMap, text: &str) -> Option<String> {
        let value = view.of_text(text.as_bytes())?;
        Some(String::from_utf8(value.into_owned()).unwrap())
    }

    #[test]
    fn views_follow_changes() {
        let (files, file) = files("a 1\nb 2\n");
        let view = file.view(MapMatch::Exact).unwrap();
        assert_eq!(found(&view, "a").as_deref(), Some("1"));
        file.add(b"c", b"3").unwrap();
        assert_eq!(found(&view, "c").as_deref(), Some("3"));
        assert!(file.set(Which::Key(b"a"), b"one").unwrap());
        assert!(!file.set(Which::Key(b"x"), b"one").unwrap());
        assert_eq!(found(&view, "a").as_deref(), Some("one"));
        assert!(file.remove(Which::Number(2)));
        assert!(!file.remove(Which::Number(2)));
        assert_eq!(found(&view, "b"), None);
        file.put(b"d", b"4");
        file.put(b"d", b"5");
        assert_eq!(found(&view, "d").as_deref(), Some("5"));
        assert_eq!(file.entries().len(), 3);
        assert!(file.remove(Which::All));
        assert_eq!(found(&view, "a"), None);
        assert_eq!(files.named("m").unwrap().number(), 0);
    }

    #[test]
    fn a_change_that_one_view_cannot_take_is_none() {
        let (_, file) = files("10.0.0.0/8 ten\n");
        let text = file.view(MapMatch::Exact).unwrap();
        let networks = file.view(MapMatch::Network).unwrap();
        file.add(b"nonsense", b"x").unwrap_err();
        assert_eq!(found(&text, "nonsense"), None);
        file.add(b"10.1.0.0/16", b"small").unwrap();
        let pairs: [(&[u8], &[u8]); 2] = [(b"10.2.0.0/16", b"two"), (b"nonsense", b"x")];
        file.add_all(pairs).unwrap_err();
        assert_eq!(file.entries().len(), 2);
        file.add_all(pairs[..1].iter().copied()).unwrap();
        assert_eq!(file.entries().len(), 3);
        let address = "10.1.2.3".parse().unwrap();
        assert_eq!(networks.of_address(address).as_deref(), Some(&b"small"[..]));
    }

    #[test]
    fn a_version_is_prepared_aside() {
        let (_, file) = files("a 1\n");
        let view = file.view(MapMatch::Exact).unwrap();
        let version = file.prepare();
        assert!(file.add_prepared(version, b"b", b"2"));
        assert!(!file.add_prepared(version + 1, b"b", b"2"));
        assert_eq!(found(&view, "b"), None);
        assert!(file.commit(version).unwrap());
        assert!(!file.commit(version).unwrap());
        assert_eq!(found(&view, "a"), None);
        assert_eq!(found(&view, "b").as_deref(), Some("2"));
        assert_eq!(file.versions(), (version, version, 1));
        let other = file.prepare();
        assert!(file.discard(other));
    }
}
