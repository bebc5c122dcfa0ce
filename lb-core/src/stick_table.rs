//! Stick tables: what is remembered of a key (an address, a string, a number) across connections.
//!
//! A table is shared by all workers behind one short lock. An entry lives until nobody has used it for `expire`;
//! each access begins that time anew, so the order of use is the order of expiry, and the entry that goes first
//! when the table is full is the least recently used one. Never here: clocks, what is counted and why.

mod entry;
mod key;
mod lru;

#[cfg(test)]
mod tests;

pub use entry::{Column, Entry};
pub use key::Key;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::config::{StickTableConfig, TableKey};
use lru::Lru;

/// Something that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A connection began: `conn_cnt`, `conn_rate`, `conn_cur`.
    Connection,
    /// A connection ended: `conn_cur`.
    ConnectionEnd,
    /// A session passed the connection rules: `sess_cnt`, `sess_rate`.
    Session,
    /// An HTTP request: `http_req_cnt`, `http_req_rate`.
    HttpRequest,
    /// A request that failed by the client's fault: `http_err_cnt`, `http_err_rate`.
    HttpError,
    /// Bytes from the client: `bytes_in_cnt`, `bytes_in_rate`.
    BytesIn(u64),
    /// Bytes to the client: `bytes_out_cnt`, `bytes_out_rate`.
    BytesOut(u64),
    /// `sc-inc-gpc0`: `gpc0`, `gpc0_rate`.
    Gpc0,
    /// `sc-inc-gpc1`: `gpc1`, `gpc1_rate`.
    Gpc1,
}

/// An entry as `show table` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: Key,
    /// What is left until it expires; `None` for never.
    pub time_to_live: Option<Duration>,
    /// A connection counts on it.
    pub in_use: bool,
    /// Columns in the order of the declaration with their values.
    pub columns: Vec<(Column, u64)>,
}

/// One table.
#[derive(Debug)]
pub struct StickTable {
    config: StickTableConfig,
    epoch: Instant,
    entries: Mutex<Lru>,
}

impl StickTable {
    /// An empty table.
    pub fn new(config: &StickTableConfig, now: Instant) -> Self {
        Self {
            config: config.clone(),
            epoch: now,
            entries: Mutex::new(Lru::default()),
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

    /// Looks an entry up without making one; its time begins anew.
    pub fn look_up<T>(&self, now: Instant, key: &Key, read: impl FnOnce(&Entry) -> T) -> Option<T> {
        let mut entries = self.lock();
        self.expire(&mut entries, now);
        let expires = self.expiry(now);
        entries.touch(key, expires).map(|entry| read(entry))
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
            return Some(change(entry));
        }
        let size = usize::try_from(self.config.size).unwrap_or(usize::MAX);
        if entries.len() >= size && (self.config.nopurge || !entries.pop_oldest_unused()) {
            return None;
        }
        let entry = entries.insert(key.clone(), Entry::new(&self.config.store), expires);
        entry.map(change)
    }

    /// Counts an event of `key`, whose entry is made if need be.
    pub fn count(&self, now: Instant, key: &Key, event: Event) {
        let ms = self.ms(now);
        self.update(now, key, |entry| entry.count(ms, event));
    }

    /// A column of an entry: a number, or the events in the last period. `None` when there is no entry or the
    /// table does not store that column.
    pub fn value(&self, now: Instant, key: &Key, column: Column) -> Option<u64> {
        let ms = self.ms(now);
        self.look_up(now, key, |entry| entry.value(ms, column))
            .flatten()
    }

    /// Sets a plain column (`gpt0`, `gpc0`, `server_id`).
    pub fn set(&self, now: Instant, key: &Key, column: Column, value: u64) {
        self.update(now, key, |entry| entry.set(column, value));
    }

    /// `server_id` of an entry.
    pub fn server(&self, now: Instant, key: &Key) -> Option<u32> {
        let id = self.value(now, key, Column::ServerId)?;
        u32::try_from(id).ok().filter(|id| *id != 0)
    }

    /// Remembers a server.
    pub fn set_server(&self, now: Instant, key: &Key, id: u32) {
        self.set(now, key, Column::ServerId, u64::from(id));
    }

    /// Forgets one key (`clear table T key K`); true if it was there.
    pub fn remove(&self, key: &Key) -> bool {
        self.lock().remove(key)
    }

    /// Forgets everything (`clear table T`).
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
            .map(|(key, entry, expires)| Row {
                key: key.clone(),
                time_to_live: expires.map(|at| at.saturating_duration_since(now)),
                in_use: entry.is_in_use(),
                columns: entry.columns(ms),
            })
            .collect()
    }

    fn expire(&self, entries: &mut Lru, now: Instant) {
        if self.config.expire.is_some() {
            entries.pop_expired(now);
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
