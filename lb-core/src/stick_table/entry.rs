//! One entry: the columns that its table stores.

use std::time::Duration;

use super::Event;
use crate::config::StoreKind;

/// A column, without the period of the `*_rate` ones; in the order in which `show table` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Column {
    /// `server_id`.
    ServerId,
    /// `gpt0`.
    Gpt0,
    /// `gpc0`.
    Gpc0,
    /// `gpc0_rate`.
    Gpc0Rate,
    /// `conn_cnt`.
    ConnCnt,
    /// `conn_rate`.
    ConnRate,
    /// `conn_cur`.
    ConnCur,
    /// `sess_cnt`.
    SessCnt,
    /// `sess_rate`.
    SessRate,
    /// `http_req_cnt`.
    HttpReqCnt,
    /// `http_req_rate`.
    HttpReqRate,
    /// `http_err_cnt`.
    HttpErrCnt,
    /// `http_err_rate`.
    HttpErrRate,
    /// `bytes_in_cnt`.
    BytesInCnt,
    /// `bytes_in_rate`.
    BytesInRate,
    /// `bytes_out_cnt`.
    BytesOutCnt,
    /// `bytes_out_rate`.
    BytesOutRate,
    /// `gpc1`.
    Gpc1,
    /// `gpc1_rate`.
    Gpc1Rate,
    /// `http_fail_cnt`.
    HttpFailCnt,
    /// `http_fail_rate`.
    HttpFailRate,
}

impl Column {
    /// The column of a `store` word and its period in milliseconds, 0 for those without.
    pub(super) fn of(kind: StoreKind) -> (Self, u64) {
        let ms = |period: Duration| u64::try_from(period.as_millis()).unwrap_or(u64::MAX).max(1);
        match kind {
            StoreKind::ServerId => (Self::ServerId, 0),
            StoreKind::Gpc0 => (Self::Gpc0, 0),
            StoreKind::Gpc0Rate(p) => (Self::Gpc0Rate, ms(p)),
            StoreKind::Gpc1 => (Self::Gpc1, 0),
            StoreKind::Gpc1Rate(p) => (Self::Gpc1Rate, ms(p)),
            StoreKind::Gpt0 => (Self::Gpt0, 0),
            StoreKind::ConnCnt => (Self::ConnCnt, 0),
            StoreKind::ConnCur => (Self::ConnCur, 0),
            StoreKind::ConnRate(p) => (Self::ConnRate, ms(p)),
            StoreKind::SessCnt => (Self::SessCnt, 0),
            StoreKind::SessRate(p) => (Self::SessRate, ms(p)),
            StoreKind::HttpReqCnt => (Self::HttpReqCnt, 0),
            StoreKind::HttpReqRate(p) => (Self::HttpReqRate, ms(p)),
            StoreKind::HttpErrCnt => (Self::HttpErrCnt, 0),
            StoreKind::HttpErrRate(p) => (Self::HttpErrRate, ms(p)),
            StoreKind::HttpFailCnt => (Self::HttpFailCnt, 0),
            StoreKind::HttpFailRate(p) => (Self::HttpFailRate, ms(p)),
            StoreKind::BytesInCnt => (Self::BytesInCnt, 0),
            StoreKind::BytesInRate(p) => (Self::BytesInRate, ms(p)),
            StoreKind::BytesOutCnt => (Self::BytesOutCnt, 0),
            StoreKind::BytesOutRate(p) => (Self::BytesOutRate, ms(p)),
        }
    }

    /// Every column.
    pub const ALL: [Self; 21] = [
        Self::ServerId,
        Self::Gpt0,
        Self::Gpc0,
        Self::Gpc0Rate,
        Self::ConnCnt,
        Self::ConnRate,
        Self::ConnCur,
        Self::SessCnt,
        Self::SessRate,
        Self::HttpReqCnt,
        Self::HttpReqRate,
        Self::HttpErrCnt,
        Self::HttpErrRate,
        Self::BytesInCnt,
        Self::BytesInRate,
        Self::BytesOutCnt,
        Self::BytesOutRate,
        Self::Gpc1,
        Self::Gpc1Rate,
        Self::HttpFailCnt,
        Self::HttpFailRate,
    ];

    /// The column of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }

    /// As written after `store`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ServerId => "server_id",
            Self::Gpc0 => "gpc0",
            Self::Gpc0Rate => "gpc0_rate",
            Self::Gpc1 => "gpc1",
            Self::Gpc1Rate => "gpc1_rate",
            Self::Gpt0 => "gpt0",
            Self::ConnCnt => "conn_cnt",
            Self::ConnCur => "conn_cur",
            Self::ConnRate => "conn_rate",
            Self::SessCnt => "sess_cnt",
            Self::SessRate => "sess_rate",
            Self::HttpReqCnt => "http_req_cnt",
            Self::HttpReqRate => "http_req_rate",
            Self::HttpErrCnt => "http_err_cnt",
            Self::HttpErrRate => "http_err_rate",
            Self::HttpFailCnt => "http_fail_cnt",
            Self::HttpFailRate => "http_fail_rate",
            Self::BytesInCnt => "bytes_in_cnt",
            Self::BytesInRate => "bytes_in_rate",
            Self::BytesOutCnt => "bytes_out_cnt",
            Self::BytesOutRate => "bytes_out_rate",
        }
    }
}

/// A number, or a frequency over two periods of which the older one fades.
#[derive(Debug, Clone, Copy)]
struct Slot {
    column: Column,
    /// 0 for a plain number, which is in `current`.
    period_ms: u64,
    /// Number of the period that `current` counts.
    period: u64,
    current: u64,
    previous: u64,
}

impl Slot {
    fn add(&mut self, ms: u64, n: u64) {
        if let Some(period) = ms.checked_div(self.period_ms) {
            self.roll(period);
        }
        self.current = self.current.saturating_add(n);
    }

    fn roll(&mut self, period: u64) {
        if period > self.period {
            self.previous = if period == self.period + 1 {
                self.current
            } else {
                0
            };
            self.current = 0;
            self.period = period;
        }
    }

    /// The number, or current + previous * what is left of the period.
    fn value(mut self, ms: u64) -> u64 {
        if self.period_ms == 0 {
            return self.current;
        }
        self.roll(ms / self.period_ms);
        let left = self.period_ms - ms % self.period_ms;
        let faded = u128::from(self.previous) * u128::from(left) / u128::from(self.period_ms);
        self.current
            .saturating_add(u64::try_from(faded).unwrap_or(u64::MAX))
    }
}

/// One column of an entry as `show table` lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Which.
    pub column: Column,
    /// Period of a rate, in milliseconds.
    pub period_ms: Option<u64>,
    /// Its number, or the events in its last period.
    pub value: u64,
}

/// Columns of one key.
#[derive(Debug, Clone)]
pub struct Entry {
    slots: Box<[Slot]>,
}

impl Entry {
    pub(super) fn new(store: &[StoreKind]) -> Self {
        let slot = |kind: &StoreKind| {
            let (column, period_ms) = Column::of(*kind);
            Slot {
                column,
                period_ms,
                period: 0,
                current: 0,
                previous: 0,
            }
        };
        let mut slots: Box<[Slot]> = store.iter().map(slot).collect();
        slots.sort_by_key(|slot| slot.column);
        Self { slots }
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
            Event::Gpc0 => (&[C::Gpc0, C::Gpc0Rate], 1),
            Event::Gpc1 => (&[C::Gpc1, C::Gpc1Rate], 1),
        };
        for slot in &mut self.slots {
            if columns.contains(&slot.column) {
                slot.add(ms, n);
            }
        }
    }

    pub(super) fn value(&self, ms: u64, column: Column) -> Option<u64> {
        let slot = self.slots.iter().find(|slot| slot.column == column)?;
        Some(slot.value(ms))
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
        for slot in self.slots.iter_mut().filter(|s| s.column == column) {
            slot.period = ms.checked_div(slot.period_ms).unwrap_or(0);
            slot.previous = 0;
            slot.current = value;
        }
    }

    pub(super) fn columns(&self, ms: u64) -> Vec<Cell> {
        let cell = |slot: &Slot| Cell {
            column: slot.column,
            period_ms: (slot.period_ms > 0).then_some(slot.period_ms),
            value: slot.value(ms),
        };
        self.slots.iter().map(cell).collect()
    }
}
