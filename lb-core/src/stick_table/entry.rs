//! One entry: the columns that its table stores.

use std::sync::Arc;

use super::{Column, Event};
use crate::config::StoreKind;

/// A number, or a frequency over two periods of which the older one fades.
#[derive(Debug, Clone, Copy)]
struct Slot {
    column: Column,
    /// 0 for a plain number, which is in `current`.
    period_ms: u64,
    /// When the period that `current` counts began.
    start: u64,
    current: u64,
    previous: u64,
}

impl Slot {
    fn add(&mut self, ms: u64, n: u64) {
        if self.period_ms > 0 {
            self.roll(ms);
        }
        self.current = self.current.saturating_add(n);
    }

    fn roll(&mut self, ms: u64) {
        let age = ms.saturating_sub(self.start);
        if age < self.period_ms {
            return;
        }
        let next = age < self.period_ms.saturating_mul(2);
        self.previous = if next { self.current } else { 0 };
        self.start = if next {
            self.start + self.period_ms
        } else {
            ms
        };
        self.current = 0;
    }

    /// The number, or current + previous * what is left of the period.
    fn value(mut self, ms: u64) -> u64 {
        if self.period_ms == 0 {
            return self.current;
        }
        self.roll(ms);
        let left = self.period_ms.saturating_sub(ms.saturating_sub(self.start));
        let faded = u128::from(self.previous) * u128::from(left) / u128::from(self.period_ms);
        self.current
            .saturating_add(u64::try_from(faded).unwrap_or(u64::MAX))
    }
}

/// One column of an entry as `show table` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Which.
    pub column: Column,
    /// Period of a rate, in milliseconds.
    pub period_ms: Option<u64>,
    /// Its number, or the events in its last period.
    pub value: u64,
    /// The text of `server_key`, if there is any.
    pub text: Option<Arc<str>>,
}

/// A column as it is told to other hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datum {
    /// A number.
    Number(u64),
    /// A frequency: milliseconds since the beginning of its period, events in it and in the one before.
    Rate {
        /// Milliseconds since the beginning of the period.
        age: u64,
        /// Events in the period.
        current: u64,
        /// Events in the period before.
        previous: u64,
    },
    /// A text, if there is any.
    Text(Option<Arc<str>>),
}

/// Columns of one key.
#[derive(Debug, Clone)]
pub struct Entry {
    slots: Box<[Slot]>,
    server_key: Option<Arc<str>>,
}

impl Entry {
    pub(super) fn new(store: &[StoreKind]) -> Self {
        let slot = |(column, period_ms)| Slot {
            column,
            period_ms,
            start: 0,
            current: 0,
            previous: 0,
        };
        let columns = store.iter().copied().flat_map(Column::each);
        let mut slots: Box<[Slot]> = columns.map(slot).collect();
        slots.sort_by_key(|slot| slot.column);
        Self {
            slots,
            server_key: None,
        }
    }

    pub(super) fn count(&mut self, ms: u64, event: Event) {
        use Column as C;
        let (columns, n): (&[Column], u64) = match event {
            Event::Connection => (&[C::ConnCnt, C::ConnRate, C::ConnCur], 1),
            Event::Session => (&[C::SessCnt, C::SessRate], 1),
            Event::HttpRequest => (&[C::HttpReqCnt, C::HttpReqRate], 1),
            Event::HttpError => (&[C::HttpErrCnt, C::HttpErrRate], 1),
            Event::HttpFailure => (&[C::HttpFailCnt, C::HttpFailRate], 1),
            Event::BytesIn(n) => (&[C::BytesInCnt, C::BytesInRate], n),
            Event::BytesOut(n) => (&[C::BytesOutCnt, C::BytesOutRate], n),
            Event::Gpc0 => (&[C::Gpc0, C::Gpc0Rate, C::Gpc(0), C::GpcRate(0)], 1),
            Event::Gpc1 => (&[C::Gpc1, C::Gpc1Rate, C::Gpc(1), C::GpcRate(1)], 1),
            Event::Gpc(index) => (&[C::Gpc(index), C::GpcRate(index)], 1),
        };
        for slot in &mut self.slots {
            if columns.contains(&slot.column) {
                slot.add(ms, n);
            }
        }
    }

    fn place(&self, column: Column) -> Option<usize> {
        let of = |wanted| self.slots.iter().position(|slot| slot.column == wanted);
        of(column).or_else(|| of(column.in_array()?))
    }

    pub(super) fn value(&self, ms: u64, column: Column) -> Option<u64> {
        let slot = self.slots.get(self.place(column)?)?;
        Some(slot.value(ms))
    }

    /// Name or address of the server that the entry remembers.
    pub(super) fn server_key(&self) -> Option<&Arc<str>> {
        self.server_key.as_ref()
    }

    pub(super) fn set_server_key(&mut self, key: Option<&Arc<str>>) {
        if self.server_key.as_ref() != key && self.place(Column::ServerKey).is_some() {
            self.server_key = key.cloned();
        }
    }

    /// A connection ended: `conn_cur`.
    pub(super) fn end_connection(&mut self) {
        let current = self
            .slots
            .iter_mut()
            .filter(|s| s.column == Column::ConnCur);
        current.for_each(|slot| slot.current = slot.current.saturating_sub(1));
    }

    /// Sets a column; that of a rate is then what happened in the present period.
    pub(super) fn set(&mut self, ms: u64, column: Column, value: u64) {
        let place = self.place(column);
        if let Some(slot) = place.and_then(|place| self.slots.get_mut(place)) {
            slot.start = ms;
            slot.previous = 0;
            slot.current = value;
        }
    }

    pub(super) fn columns(&self, ms: u64) -> Vec<Cell> {
        let cell = |slot: &Slot| Cell {
            column: slot.column,
            period_ms: (slot.period_ms > 0).then_some(slot.period_ms),
            value: slot.value(ms),
            text: self
                .server_key
                .clone()
                .filter(|_| slot.column == Column::ServerKey),
        };
        self.slots.iter().map(cell).collect()
    }

    /// Every column as other hosts are told it.
    pub(super) fn data(&self, ms: u64) -> Vec<Datum> {
        let datum = |slot: &Slot| match slot {
            slot if slot.column == Column::ServerKey => Datum::Text(self.server_key.clone()),
            slot if slot.period_ms == 0 => Datum::Number(slot.current),
            slot => Datum::Rate {
                age: ms.saturating_sub(slot.start),
                current: slot.current,
                previous: slot.previous,
            },
        };
        self.slots.iter().map(datum).collect()
    }

    /// What another host told of a column. Its present connections are not those of this host.
    pub(super) fn learn(&mut self, ms: u64, column: Column, datum: &Datum) {
        let slot = self.slots.iter_mut().find(|slot| slot.column == column);
        let Some(slot) = slot.filter(|_| column != Column::ConnCur) else {
            return;
        };
        match datum {
            Datum::Number(number) if slot.period_ms == 0 => slot.current = *number,
            Datum::Rate {
                age,
                current,
                previous,
            } if slot.period_ms > 0 => {
                slot.start = ms.saturating_sub(*age);
                slot.current = *current;
                slot.previous = *previous;
            }
            Datum::Text(text) if column == Column::ServerKey => self.server_key.clone_from(text),
            _ => {}
        }
    }
}
