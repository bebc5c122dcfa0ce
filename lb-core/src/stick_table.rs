//! Stick tables: what is remembered of a key (an address, a string, a number) across connections.
//!
//! A table is shared by all workers behind one short lock. An entry lives until nobody has used it for `expire`;
//! each access begins that time anew, so the order of use is the order of expiry, and the entry that goes first
//! when the table is full is the least recently used one. Never here: clocks, what is counted and why.

mod column;
mod entry;
mod journal;
mod key;
mod lru;
mod tracker;

#[cfg(test)]
mod tests;

pub use column::Column;
pub use entry::{Cell, Datum, Entry};
pub use journal::{Change, Listener};
pub use key::Key;
pub use tracker::{Level, Tracked, Trackers};

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    config::{ServerIdentity, StickTableConfig, TableKey},
    expr::{Type, Value},
};
use lru::Lru;

impl TableKey {
    /// The type that expressions must have to be its keys.
    pub fn value_type(self) -> Type {
        match self {
            Self::Ip | Self::Ipv6 => Type::Address,
            Self::Integer => Type::Int,
            Self::String(_) => Type::String,
            Self::Binary(_) => Type::Binary,
        }
    }
}

/// Something that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A connection began: `conn_cnt`, `conn_rate`, `conn_cur`.
    Connection,
    /// A session passed the connection rules: `sess_cnt`, `sess_rate`.
    Session,
    /// An HTTP request: `http_req_cnt`, `http_req_rate`.
    HttpRequest,
    /// A request that failed by the client's fault: `http_err_cnt`, `http_err_rate`.
    HttpError,
    /// A response that failed by the server's fault: `http_fail_cnt`, `http_fail_rate`.
    HttpFailure,
    /// Bytes from the client: `bytes_in_cnt`, `bytes_in_rate`.
    BytesIn(u64),
    /// Bytes to the client: `bytes_out_cnt`, `bytes_out_rate`.
    BytesOut(u64),
    /// `sc-inc-gpc0`: `gpc0`, `gpc0_rate`.
    Gpc0,
    /// `sc-inc-gpc1`: `gpc1`, `gpc1_rate`.
    Gpc1,
    /// `sc-inc-gpc`: elements of `gpc(n)` and `gpc_rate(n,period)`.
    Gpc(u8),
}

/// An entry as `show table` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: Key,
    /// What is left until it expires; `None` for never.
    pub time_to_live: Option<Duration>,
    /// How many trackers hold it.
    pub holders: u32,
    /// Columns with their values.
    pub columns: Vec<Cell>,
}

/// One table.
#[derive(Debug)]
pub struct StickTable {
    config: StickTableConfig,
    epoch: Instant,
    entries: Mutex<Lru>,
    /// Those who tell other hosts of changes.
    listeners: journal::Listeners,
}

/// What an entry remembers of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Its number, if it is known by that.
    pub number: Option<u32>,
    /// Its name or address.
    pub key: Option<(ServerIdentity, Arc<str>)>,
}

impl StickTable {
    /// An empty table.
    pub fn new(config: &StickTableConfig, now: Instant) -> Self {
        Self {
            config: config.clone(),
            epoch: now,
            entries: Mutex::new(Lru::default()),
            listeners: journal::Listeners::default(),
        }
    }

    /// Its declaration.
    pub fn config(&self) -> &StickTableConfig {
        &self.config
    }

    /// Entries in use.
    pub fn len(&self, now: Instant) -> usize {
        let mut entries = self.lock();
        self.expire(&mut entries, now);
        entries.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self, now: Instant) -> bool {
        self.len(now) == 0
    }

    /// The key that `bytes` stand for in this table: cut or padded to the type's length, read as an address or
    /// a number. `None` where they cannot be one.
    pub fn key_of_bytes(&self, bytes: &[u8]) -> Option<Key> {
        let text = || std::str::from_utf8(bytes).ok();
        match self.config.key {
            TableKey::Ip | TableKey::Ipv6 => Some(Key::from_ip(text()?.parse().ok()?)),
            TableKey::Integer => Some(Key::from_integer(text()?.parse().ok()?)),
            TableKey::String(most) => {
                Some(Key::from_bytes(bytes.get(..most as usize).unwrap_or(bytes)))
            }
            TableKey::Binary(length) => {
                let mut padded = bytes.to_vec();
                padded.resize(length as usize, 0);
                Some(Key::from_bytes(&padded))
            }
        }
    }

    /// The key that a value is in this table; `None` where it cannot be one, or is empty.
    pub fn key_of(&self, value: Value<'_>) -> Option<Key> {
        match self.config.key {
            TableKey::Ip => {
                let address = value.address().filter(std::net::IpAddr::is_ipv4)?;
                Some(Key::from_ip(address))
            }
            TableKey::Ipv6 => Some(Key::from_ip(value.address()?)),
            TableKey::Integer => {
                let number = u32::try_from(value.integer()? & i64::from(u32::MAX)).ok()?;
                Some(Key::from_integer(number))
            }
            TableKey::String(_) => {
                let text = value.into_text();
                (!text.is_empty()).then(|| self.key_of_bytes(&text))?
            }
            TableKey::Binary(_) => match value.cast(Type::Binary)? {
                Value::Binary(bytes) if !bytes.is_empty() => self.key_of_bytes(&bytes),
                _ => None,
            },
        }
    }

    /// Looks an entry up without making one; its time begins anew.
    pub fn look_up<T>(&self, now: Instant, key: &Key, read: impl FnOnce(&Entry) -> T) -> Option<T> {
        let mut entries = self.lock();
        self.expire(&mut entries, now);
        let expires = self.expiry(now);
        let found = entries.touch(key, expires).map(|entry| read(entry));
        self.note(&mut entries, key);
        found
    }

    /// Looks an entry up or makes it; `None` when the table is full and `nopurge`.
    pub fn update<T>(
        &self,
        now: Instant,
        key: &Key,
        change: impl FnOnce(&mut Entry) -> T,
    ) -> Option<T> {
        let mut entries = self.lock();
        self.expire(&mut entries, now);
        let expires = self.expiry(now);
        if let Some(entry) = entries.touch(key, expires) {
            let changed = change(entry);
            self.note(&mut entries, key);
            return Some(changed);
        }
        if !self.make_room(&mut entries) {
            return None;
        }
        let entry = entries.insert(key.clone(), Entry::new(&self.config.store), expires);
        let changed = entry.map(change);
        self.note(&mut entries, key);
        changed
    }

    /// Counts an event of `key`, whose entry is made if need be.
    pub fn count(&self, now: Instant, key: &Key, event: Event) {
        let ms = self.ms(now);
        self.update(now, key, |entry| entry.count(ms, event));
    }

    /// A column of an entry: a number, or the events in the last period. `None` when there is no entry or the
    /// table does not store that column. Does not count as a use of the entry.
    pub fn value(&self, now: Instant, key: &Key, column: Column) -> Option<u64> {
        let ms = self.ms(now);
        let mut entries = self.lock();
        self.expire(&mut entries, now);
        entries.peek(key)?.0.value(ms, column)
    }

    /// How many trackers hold an entry; `None` when there is none.
    pub fn holders(&self, now: Instant, key: &Key) -> Option<u32> {
        let mut entries = self.lock();
        self.expire(&mut entries, now);
        entries.peek(key).map(|(_, holders)| holders)
    }

    /// How long the entry still lives that is not used; `None` if there is none, or if it does not expire.
    pub fn left(&self, now: Instant, key: &Key) -> Option<Duration> {
        let mut entries = self.lock();
        self.expire(&mut entries, now);
        let expires = entries.expiry(key)?;
        Some(expires.saturating_duration_since(now))
    }

    /// Counts an event and tells what a column is then.
    pub fn count_and_read(
        &self,
        now: Instant,
        key: &Key,
        event: Event,
        column: Column,
    ) -> Option<u64> {
        let ms = self.ms(now);
        let counted = self.update(now, key, |entry| {
            entry.count(ms, event);
            entry.value(ms, column)
        });
        counted.flatten()
    }

    /// Whether entries have that column.
    pub fn stores(&self, column: Column) -> bool {
        let stored = || self.columns().map(|(column, _)| column);
        let in_array = column.in_array();
        stored().any(|own| own == column || Some(own) == in_array)
    }

    /// Sets a column (`gpt0`, `gpc0`, `server_id`) of an entry, which is made if need be.
    pub fn set(&self, now: Instant, key: &Key, column: Column, value: u64) {
        let ms = self.ms(now);
        self.update(now, key, |entry| entry.set(ms, column, value));
    }

    /// Makes an entry if there is none; false when the table is full and `nopurge`.
    pub fn enter(&self, now: Instant, key: &Key) -> bool {
        self.update(now, key, |_| ()).is_some()
    }

    /// Counts a connection on an entry and holds it until the tracker is dropped; `None` when the table is full.
    pub fn track(self: &Arc<Self>, now: Instant, key: Key) -> Option<Tracked> {
        let ms = self.ms(now);
        self.update(now, &key, |entry| entry.count(ms, Event::Connection))?;
        self.lock().hold(&key, true)?;
        Some(Tracked::new(Arc::clone(self), key))
    }

    /// The end of [`StickTable::track`].
    fn release(&self, key: &Key) {
        if let Some(entry) = self.lock().hold(key, false) {
            entry.end_connection();
        }
    }

    /// The server that an entry remembers.
    pub fn server(&self, now: Instant, key: &Key) -> Option<Remembered> {
        let ms = self.ms(now);
        let (id, known_by) = self.look_up(now, key, |entry| {
            let known_by = entry.server_key().cloned();
            (entry.value(ms, Column::ServerId), known_by)
        })?;
        let number = id.and_then(|id| u32::try_from(id).ok());
        let number = number.filter(|id| *id != 0);
        let key = known_by.map(|text| (self.config.server_key, text));
        (number.is_some() || key.is_some()).then_some(Remembered { number, key })
    }

    /// Remembers a server by its number and, where the table has it, by its name or address.
    pub fn set_server(&self, now: Instant, key: &Key, id: u32, known_by: Option<&Arc<str>>) {
        let ms = self.ms(now);
        self.update(now, key, |entry| {
            entry.set(ms, Column::ServerId, u64::from(id));
            entry.set_server_key(known_by);
        });
    }

    /// Columns in the order of [`Column`] with their period in milliseconds, 0 for those without.
    pub fn columns(&self) -> impl Iterator<Item = (Column, u64)> {
        let mut columns: Vec<_> = self
            .config
            .store
            .iter()
            .copied()
            .flat_map(Column::each)
            .collect();
        columns.sort_unstable();
        columns.into_iter()
    }

    /// Forgets one key (`clear table T key K`), unless something holds it: then false.
    pub fn remove(&self, key: &Key) -> bool {
        let mut entries = self.lock();
        let held = entries.peek(key).is_some_and(|(_, holders)| holders > 0);
        if !held {
            entries.remove(key);
        }
        !held
    }

    /// Forgets everything that nothing holds (`clear table T`).
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// All entries, least recently used first (`show table`).
    pub fn dump(&self, now: Instant) -> Vec<Row> {
        let ms = self.ms(now);
        let mut entries = self.lock();
        self.expire(&mut entries, now);
        entries
            .iter()
            .map(|(key, entry, expires, holders)| Row {
                key: key.clone(),
                time_to_live: expires.map(|at| at.saturating_duration_since(now)),
                holders,
                columns: entry.columns(ms),
            })
            .collect()
    }

    /// Whether there is room for one more entry; makes some if need be.
    fn make_room(&self, entries: &mut Lru) -> bool {
        let size = usize::try_from(self.config.size).unwrap_or(usize::MAX);
        entries.len() < size || !self.config.nopurge && entries.pop_oldest_unused()
    }

    fn expire(&self, entries: &mut Lru, now: Instant) {
        if self.config.expire.is_some() {
            entries.pop_expired(now, self.expiry(now));
        }
    }

    fn expiry(&self, now: Instant) -> Option<Instant> {
        self.config
            .expire
            .and_then(|expire| now.checked_add(expire))
    }

    fn ms(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Lru> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
