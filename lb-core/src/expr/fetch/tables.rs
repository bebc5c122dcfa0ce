//! Counters of stick tables: of what is tracked (`sc_`, `sc0_` to `sc2_`) and of the source (`src_`). Manual 7.3.3.
//!
//! A counter that tracks nothing has no value; a key that a table does not hold has the value 0.

use std::{borrow::Cow, sync::Arc};

use super::{Eval, Fetch, connection::address};
use crate::{
    expr::{
        Needs, Type, Value,
        args::{ArgKind, Argument, may, need},
    },
    request::RequestView,
    stick_table::{Column, Event, Key, StickTable},
};

/// One entry, or the place where one could be.
struct Spot<'s> {
    table: &'s Arc<StickTable>,
    key: Cow<'s, Key>,
    now: std::time::Instant,
}

impl Spot<'_> {
    fn read(&self, column: Column) -> Option<u64> {
        let value = self.table.value(self.now, &self.key, column);
        value.or_else(|| self.table.stores(column).then_some(0))
    }

    /// What is not in the array is 0.
    fn element(&self, column: Column) -> Option<u64> {
        Some(self.read(column).unwrap_or(0))
    }

    fn kilobytes(&self, column: Column) -> Option<u64> {
        self.read(column).map(|bytes| bytes >> 10)
    }

    fn increment(&self, event: Event, column: Column) -> Option<u64> {
        self.table
            .count_and_read(self.now, &self.key, event, column)
    }

    /// The number that was there.
    fn clear(&self, column: Column) -> Option<u64> {
        let before = self.read(column)?;
        self.table.set(self.now, &self.key, column, 0);
        Some(before)
    }

    fn trackers(&self) -> Option<u64> {
        Some(self.table.holders(self.now, &self.key).unwrap_or(0).into())
    }

    fn update_connections(&self) -> Option<u64> {
        self.increment(Event::Connection, Column::ConnCnt)
    }
}

/// The table that an argument names; without one that of the frontend.
pub(in crate::expr) fn table<'a>(
    argument: Option<&Argument>,
    view: &RequestView<'a>,
) -> Option<&'a Arc<StickTable>> {
    let name = argument.and_then(Argument::proxy);
    let name = name.unwrap_or(&view.connection.frontend);
    view.state.world.as_deref()?.table(name)
}

/// What counter `number` tracks, or the same key in another table.
fn of_counter<'a>(
    number: usize,
    other: Option<&Argument>,
    view: &RequestView<'a>,
) -> Option<Spot<'a>> {
    let tracked = view.state.trackers.tracked(number)?;
    let table = match other.and_then(Argument::proxy) {
        Some(name) => view.state.world.as_deref()?.table(name)?,
        None => tracked.table(),
    };
    Some(Spot {
        table,
        key: Cow::Borrowed(tracked.key()),
        now: view.now,
    })
}

/// The source's place in a table.
fn of_source<'a>(argument: Option<&Argument>, view: &RequestView<'a>) -> Option<Spot<'a>> {
    let table = table(argument, view)?;
    let source = address(view.source())?;
    Some(Spot {
        table,
        key: Cow::Owned(table.key_of(source)?),
        now: view.now,
    })
}

/// The counter's number in `sc_x(number,table)`.
fn number(args: &[Argument]) -> Option<usize> {
    usize::try_from(args.first()?.int()?).ok()
}

fn integer<'a>(value: Option<u64>) -> Option<Value<'a>> {
    Some(Value::Int(i64::try_from(value?).unwrap_or(i64::MAX)))
}

/// A row of a fetch with one value.
macro_rules! row {
    ($name:expr, $args:expr, $type:expr, $doc:expr, $eval:expr) => {
        Fetch::row(
            $name,
            &[],
            $args,
            $type,
            Needs::Connection,
            $doc,
            Eval::One($eval),
        )
    };
}

/// Rows of a fetch of the tracked counters' entries, with the counter as its argument or in its name.
macro_rules! counter_rows {
    ($($name:literal, $doc:literal, $read:expr;)*) => {
        &[$(
            row!(
                concat!("sc_", $name),
                &[need("counter", ArgKind::Int), may("table", ArgKind::TrackedTable)],
                Type::Int,
                $doc,
                |args, view| integer($read(&of_counter(number(args)?, args.get(1), view)?))
            ),
            row!(concat!("sc0_", $name), TABLE_ARG, Type::Int, $doc, |args, view| {
                integer($read(&of_counter(0, args.first(), view)?))
            }),
            row!(concat!("sc1_", $name), TABLE_ARG, Type::Int, $doc, |args, view| {
                integer($read(&of_counter(1, args.first(), view)?))
            }),
            row!(concat!("sc2_", $name), TABLE_ARG, Type::Int, $doc, |args, view| {
                integer($read(&of_counter(2, args.first(), view)?))
            }),
        )*]
    };
}

/// Rows of a fetch of the entry of the source.
macro_rules! source_rows {
    ($($name:literal, $doc:literal, $read:expr;)*) => {
        &[$(
            row!(
                concat!("src_", $name),
                &[may("table", ArgKind::Table)],
                Type::Int,
                $doc,
                |args, view| integer($read(&of_source(args.first(), view)?))
            ),
        )*]
    };
}

/// Given the rows' macro, all the values of an entry that both forms read, and what that form reads besides.
macro_rules! values {
    ($rows:ident, $($own:tt)*) => {
        $rows! {
            "bytes_in_rate", "Bytes from the client in the period.", |s: &Spot<'_>| s.read(Column::BytesInRate);
            "bytes_out_rate", "Bytes to the client in the period.", |s: &Spot<'_>| s.read(Column::BytesOutRate);
            "clr_gpc0", "The general purpose counter, which is then 0.", |s: &Spot<'_>| s.clear(Column::Gpc0);
            "clr_gpc1", "The second general purpose counter, which is then 0.", |s: &Spot<'_>| s.clear(Column::Gpc1);
            "conn_cnt", "Connections.", |s: &Spot<'_>| s.read(Column::ConnCnt);
            "conn_cur", "Connections now.", |s: &Spot<'_>| s.read(Column::ConnCur);
            "conn_rate", "Connections in the period.", |s: &Spot<'_>| s.read(Column::ConnRate);
            "get_gpc0", "The general purpose counter.", |s: &Spot<'_>| s.read(Column::Gpc0);
            "get_gpc1", "The second general purpose counter.", |s: &Spot<'_>| s.read(Column::Gpc1);
            "get_gpt0", "The general purpose tag.", |s: &Spot<'_>| s.read(Column::Gpt0);
            "gpc0_rate", "Increments of the general purpose counter in the period.", |s: &Spot<'_>| s.read(Column::Gpc0Rate);
            "gpc1_rate", "Increments of the second general purpose counter in the period.", |s: &Spot<'_>| s.read(Column::Gpc1Rate);
            "http_err_cnt", "Requests that failed by the client's fault.", |s: &Spot<'_>| s.read(Column::HttpErrCnt);
            "http_err_rate", "Requests that failed by the client's fault in the period.", |s: &Spot<'_>| s.read(Column::HttpErrRate);
            "http_fail_cnt", "Responses that failed by the server's fault.", |s: &Spot<'_>| s.read(Column::HttpFailCnt);
            "http_fail_rate", "Responses that failed by the server's fault in the period.", |s: &Spot<'_>| s.read(Column::HttpFailRate);
            "http_req_cnt", "Requests.", |s: &Spot<'_>| s.read(Column::HttpReqCnt);
            "http_req_rate", "Requests in the period.", |s: &Spot<'_>| s.read(Column::HttpReqRate);
            "inc_gpc0", "The general purpose counter after adding 1.", |s: &Spot<'_>| s.increment(Event::Gpc0, Column::Gpc0);
            "inc_gpc1", "The second general purpose counter after adding 1.", |s: &Spot<'_>| s.increment(Event::Gpc1, Column::Gpc1);
            "kbytes_in", "Kilobytes from the client.", |s: &Spot<'_>| s.kilobytes(Column::BytesInCnt);
            "kbytes_out", "Kilobytes to the client.", |s: &Spot<'_>| s.kilobytes(Column::BytesOutCnt);
            "sess_cnt", "Connections that passed the connection rules.", |s: &Spot<'_>| s.read(Column::SessCnt);
            "sess_rate", "Connections that passed the connection rules in the period.", |s: &Spot<'_>| s.read(Column::SessRate);
            $($own)*
        }
    };
}

/// Rows of a fetch of an element of an array: of what is tracked, and of the source.
macro_rules! element_rows {
    ($($name:literal, $doc:literal, $read:expr;)*) => {
        &[$(
            row!(
                concat!("sc_", $name),
                &[
                    need("element", ArgKind::Within(0, 99)),
                    need("counter", ArgKind::Int),
                    may("table", ArgKind::TrackedTable),
                ],
                Type::Int,
                $doc,
                |args, view| {
                    let counter = number(args.get(1..)?)?;
                    integer($read(&of_counter(counter, args.get(2), view)?, element(args)?))
                }
            ),
            row!(
                concat!("src_", $name),
                &[need("element", ArgKind::Within(0, 99)), may("table", ArgKind::Table)],
                Type::Int,
                $doc,
                |args, view| integer($read(&of_source(args.get(1), view)?, element(args)?))
            ),
        )*]
    };
}

/// The elements of arrays.
pub(super) const ELEMENTS: &[Fetch] = element_rows! {
    "get_gpc", "An element of the array of counters.", |s: &Spot<'_>, i: u8| s.element(Column::Gpc(i));
    "gpc_rate", "Increments of an element of the array of counters in the period.", |s: &Spot<'_>, i: u8| s.element(Column::GpcRate(i));
    "inc_gpc", "An element of the array of counters after adding 1.", |s: &Spot<'_>, i: u8| s.increment(Event::Gpc(i), Column::Gpc(i));
    "clr_gpc", "An element of the array of counters, which is then 0.", |s: &Spot<'_>, i: u8| s.clear(Column::Gpc(i));
    "get_gpt", "An element of the array of tags.", |s: &Spot<'_>, i: u8| s.element(Column::Gpt(i));
};

/// The element's number in `sc_x(element,...)`.
fn element(args: &[Argument]) -> Option<u8> {
    u8::try_from(args.first()?.int()?).ok()
}

const TABLE_ARG: &[crate::expr::ArgSpec] = &[may("table", ArgKind::TrackedTable)];

/// The entries of tracked counters.
pub(super) const COUNTERS: &[Fetch] = values! {
    counter_rows,
    "trackers", "How many connections track it now.", Spot::trackers;
};

/// The entries of the source.
pub(super) const SOURCES: &[Fetch] = values! {
    source_rows,
    "updt_conn_cnt", "Connections after adding 1.", Spot::update_connections;
};

/// Whether counters track something, and the size of tables.
pub(super) const OTHERS: &[Fetch] = &[
    row!(
        "sc_tracked",
        &[
            need("counter", ArgKind::Int),
            may("table", ArgKind::TrackedTable)
        ],
        Type::Bool,
        "Whether the counter tracks something.",
        |args, view| tracks(number(args)?, view)
    ),
    row!(
        "sc0_tracked",
        TABLE_ARG,
        Type::Bool,
        "Whether counter 0 tracks something.",
        |_, view| { tracks(0, view) }
    ),
    row!(
        "sc1_tracked",
        TABLE_ARG,
        Type::Bool,
        "Whether counter 1 tracks something.",
        |_, view| { tracks(1, view) }
    ),
    row!(
        "sc2_tracked",
        TABLE_ARG,
        Type::Bool,
        "Whether counter 2 tracks something.",
        |_, view| { tracks(2, view) }
    ),
    row!(
        "table_cnt",
        &[may("table", ArgKind::Table)],
        Type::Int,
        "Entries in a table.",
        |args, view| integer(u64::try_from(table(args.first(), view)?.len(view.now)).ok())
    ),
    row!(
        "table_avl",
        &[may("table", ArgKind::Table)],
        Type::Int,
        "Entries that still fit into a table.",
        |args, view| {
            let table = table(args.first(), view)?;
            let used = u64::try_from(table.len(view.now)).ok()?;
            integer(Some(table.config().size.saturating_sub(used)))
        }
    ),
];

fn tracks<'a>(number: usize, view: &RequestView<'_>) -> Option<Value<'a>> {
    Some(Value::Bool(view.state.trackers.tracked(number).is_some()))
}
