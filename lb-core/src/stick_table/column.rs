//! Columns of stick tables: names, and which of them a `store` word makes.

use std::{borrow::Cow, time::Duration};

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
    /// `server_key`: the name or the address of a server, as text.
    ServerKey,
    /// `http_fail_cnt`.
    HttpFailCnt,
    /// `http_fail_rate`.
    HttpFailRate,
    /// An element of `gpt(n)`.
    Gpt(u8),
    /// An element of `gpc(n)`.
    Gpc(u8),
    /// An element of `gpc_rate(n,period)`.
    GpcRate(u8),
}

impl Column {
    /// Those with a name of their own that counts and tags have.
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

    /// The columns of a `store` word with their period in milliseconds, 0 for those without: one, or the elements of
    /// an array.
    pub(super) fn each(kind: StoreKind) -> impl Iterator<Item = (Self, u64)> {
        let (of, length): (fn(u8) -> Self, u8) = match kind {
            StoreKind::Gpt(length) => (Self::Gpt, length),
            StoreKind::Gpc(length) => (Self::Gpc, length),
            StoreKind::GpcRate(length, _) => (Self::GpcRate, length),
            _ => (|_| Self::ServerId, 0),
        };
        let (single, period) = Self::of(kind);
        let single = (length == 0).then_some((single, period));
        single
            .into_iter()
            .chain((0..length).map(move |index| (of(index), period)))
    }

    /// The column of a `store` word, of an array the first, and its period.
    fn of(kind: StoreKind) -> (Self, u64) {
        let ms = |period: Duration| u64::try_from(period.as_millis()).unwrap_or(u64::MAX).max(1);
        match kind {
            StoreKind::ServerId => (Self::ServerId, 0),
            StoreKind::ServerKey => (Self::ServerKey, 0),
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
            StoreKind::Gpt(_) => (Self::Gpt(0), 0),
            StoreKind::Gpc(_) => (Self::Gpc(0), 0),
            StoreKind::GpcRate(_, p) => (Self::GpcRate(0), ms(p)),
        }
    }

    /// The element of an array that stands for the column where the table has the array.
    pub(super) fn in_array(self) -> Option<Self> {
        Some(match self {
            Self::Gpt0 => Self::Gpt(0),
            Self::Gpc0 => Self::Gpc(0),
            Self::Gpc1 => Self::Gpc(1),
            Self::Gpc0Rate => Self::GpcRate(0),
            Self::Gpc1Rate => Self::GpcRate(1),
            _ => return None,
        })
    }

    /// The column of that name; `gpc2` and its kind are elements of arrays.
    pub fn named(name: &str) -> Option<Self> {
        let single = Self::ALL.into_iter().find(|column| column.name() == name);
        single.or_else(|| {
            let (rest, rate) = match name.strip_suffix("_rate") {
                Some(rest) => (rest, true),
                None => (name, false),
            };
            let index = |digits: &str| digits.parse().ok().filter(|index| *index < 100);
            match (rest.strip_prefix("gpc"), rest.strip_prefix("gpt"), rate) {
                (Some(digits), _, false) => index(digits).map(Self::Gpc),
                (Some(digits), _, true) => index(digits).map(Self::GpcRate),
                (_, Some(digits), false) => index(digits).map(Self::Gpt),
                _ => None,
            }
        })
    }

    /// As `show table` writes it.
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::ServerId => "server_id",
            Self::ServerKey => "server_key",
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
            Self::Gpt(index) => return format!("gpt{index}").into(),
            Self::Gpc(index) => return format!("gpc{index}").into(),
            Self::GpcRate(index) => return format!("gpc{index}_rate").into(),
        })
    }
}
