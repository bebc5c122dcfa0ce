//! What a connection or a stream is counted on: `track-sc0` to `track-sc2`.
//!
//! An entry that is tracked stays in its table; a [`Tracked`] gives it back when it is dropped. Never here: which
//! rule tracks what.

use std::{sync::Arc, time::Instant};

use super::{Column, Event, Key, StickTable};

/// An entry on which a connection counts, until this is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the counting"]
pub struct Tracked {
    table: Arc<StickTable>,
    key: Key,
}

impl Tracked {
    pub(super) fn new(table: Arc<StickTable>, key: Key) -> Self {
        Self { table, key }
    }

    /// Its table.
    pub fn table(&self) -> &Arc<StickTable> {
        &self.table
    }

    /// Its key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Counts something on it.
    pub fn count(&self, now: Instant, event: Event) {
        self.table.count(now, &self.key, event);
    }

    /// A column of it.
    pub fn value(&self, now: Instant, column: Column) -> Option<u64> {
        self.table.value(now, &self.key, column)
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.table.release(&self.key);
    }
}

/// Who tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `tcp-request connection` and `session`: until the connection ends.
    Connection,
    /// `tcp-request content` and `http-request`: until the stream, in HTTP the request, ends.
    Stream,
}

/// Number of counters: `sc0` to `sc2`.
const SLOTS: usize = 3;

/// The counters of one connection and of its present stream. Costs nothing until something is tracked.
#[derive(Debug, Default)]
pub struct Trackers {
    slots: Option<Box<Slots>>,
}

#[derive(Debug, Default)]
struct Slots {
    /// Shared by the streams of the connection.
    connection: [Option<Arc<Tracked>>; SLOTS],
    stream: [Option<Tracked>; SLOTS],
}

impl Trackers {
    /// What counter `number` tracks: the stream's, else the connection's.
    pub fn tracked(&self, number: usize) -> Option<&Tracked> {
        let slots = self.slots.as_deref()?;
        let of_stream = slots.stream.get(number)?.as_ref();
        of_stream.or_else(|| slots.connection.get(number)?.as_deref())
    }

    /// Whether counter `number` is free at this level: a counter that tracks something goes on with it.
    pub fn is_free(&self, level: Level, number: usize) -> bool {
        let Some(slots) = self.slots.as_deref() else {
            return number < SLOTS;
        };
        match level {
            Level::Connection => slots.connection.get(number).is_some_and(Option::is_none),
            Level::Stream => slots.stream.get(number).is_some_and(Option::is_none),
        }
    }

    /// Counter `number` tracks this from now on.
    pub fn begin(&mut self, level: Level, number: usize, tracked: Tracked) {
        let slots = self.slots.get_or_insert_default();
        match level {
            Level::Connection => {
                if let Some(slot) = slots.connection.get_mut(number) {
                    *slot = Some(Arc::new(tracked));
                }
            }
            Level::Stream => {
                if let Some(slot) = slots.stream.get_mut(number) {
                    *slot = Some(tracked);
                }
            }
        }
    }

    /// The counters of another stream of the same connection.
    pub fn of_connection(&self) -> Self {
        Self {
            slots: self.slots.as_deref().map(|slots| {
                Box::new(Slots {
                    connection: slots.connection.clone(),
                    stream: Default::default(),
                })
            }),
        }
    }

    /// Counts something on everything that is tracked.
    pub fn count(&self, now: Instant, event: Event) {
        if self.slots.is_some() {
            let tracked = (0..SLOTS).filter_map(|number| self.tracked(number));
            tracked.for_each(|tracked| tracked.count(now, event));
        }
    }

    /// The stream is over.
    pub fn end_stream(&mut self) {
        if let Some(slots) = &mut self.slots {
            slots.stream = Default::default();
        }
    }
}
