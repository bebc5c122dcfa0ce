//! Contents of pattern files as rules see them: compiled once, and again when a command changes the contents.

use std::{
    borrow::Cow,
    fmt,
    net::IpAddr,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use super::growing::Layers;
use crate::expr::{
    Value,
    map::{Map, MapMatch},
    matcher::Method,
};

/// Something compiled, and what it was replaced by.
#[derive(Debug)]
pub(super) struct Live<T> {
    /// As it was when the rules were compiled: as long as nobody changes it, it can be borrowed.
    first: T,
    changed: AtomicBool,
    now: RwLock<Option<T>>,
}

impl<T> Live<T> {
    pub(super) fn new(first: T) -> Self {
        Self {
            first,
            changed: AtomicBool::new(false),
            now: RwLock::new(None),
        }
    }

    pub(super) fn replace(&self, by: T) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Some(by);
        self.changed.store(true, Relaxed);
    }

    /// Changes what it was replaced by.
    pub(super) fn change(&self, change: impl FnOnce(&mut T)) {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = &mut *now {
            change(now);
        }
    }

    /// Changes what it is now, or a copy of the first one.
    pub(super) fn grow(&self, change: impl FnOnce(&mut T))
    where
        T: Clone,
    {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        change(now.get_or_insert_with(|| self.first.clone()));
        self.changed.store(true, Relaxed);
    }

    /// The first one, unless it was replaced.
    fn unchanged(&self) -> Option<&T> {
        (!self.changed.load(Relaxed)).then_some(&self.first)
    }

    pub(super) fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        if let Some(first) = self.unchanged() {
            return look(first);
        }
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        look(now.as_ref().unwrap_or(&self.first))
    }
}

/// A map as a converter sees it.
pub struct LiveMap {
    pub(super) by: MapMatch,
    /// Of the contents as they were first, by which configurations are compared.
    pub(super) fingerprint: u64,
    pub(super) map: Live<Map>,
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
        self.map.with(|map| map.expanded(text))
    }

    fn look(&self, at: impl Fn(&Map) -> Option<&[u8]>) -> Option<Cow<'_, [u8]>> {
        if let Some(first) = self.map.unchanged() {
            return at(first).map(Cow::Borrowed);
        }
        self.map
            .with(|map| at(map).map(|value| Cow::Owned(value.to_vec())))
    }
}

/// Patterns as an ACL sees them.
pub(crate) struct LiveMatcher {
    pub(super) method: Method,
    pub(super) ignore_case: bool,
    /// Of the contents as they were first, by which configurations are compared.
    pub(super) fingerprint: u64,
    pub(super) matcher: Live<Layers>,
}

impl fmt::Debug for LiveMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveMatcher")
            .field("method", &self.method)
            .field("ignore_case", &self.ignore_case)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

impl LiveMatcher {
    /// Whether the value matches one of the patterns.
    pub(crate) fn matches(&self, value: &Value<'_>) -> bool {
        self.matcher.with(|matcher| matcher.matches(value))
    }
}
