//! The input as a key of a stick table, and the name of a backend. Manual 7.3.1.
//!
//! A key that the table does not hold gives 0.

use std::time::Duration;

use super::Converter;
use crate::{
    expr::{
        Type, Value,
        args::{ArgKind, ArgSpec, Argument, may, need},
        fetch::{servers::usable, tables::table},
    },
    request::RequestView,
    stick_table::Column,
};

const TABLE_ARG: &[ArgSpec] = &[may("table", ArgKind::Table)];

macro_rules! columns {
    ($($name:literal, $column:ident, $doc:literal;)*) => {
        &[$(
            Converter::row($name, TABLE_ARG, Type::Any, Type::Int, $doc, |value, args, view| {
                read(value, args, view, Column::$column)
            }),
        )*]
    };
}

/// The columns.
pub(super) const COLUMNS: &[Converter] = columns! {
    "table_bytes_in_rate", BytesInRate, "Column bytes_in_rate of the input's entry.";
    "table_bytes_out_rate", BytesOutRate, "Column bytes_out_rate of the input's entry.";
    "table_conn_cnt", ConnCnt, "Column conn_cnt of the input's entry.";
    "table_conn_cur", ConnCur, "Column conn_cur of the input's entry.";
    "table_conn_rate", ConnRate, "Column conn_rate of the input's entry.";
    "table_gpc0", Gpc0, "Column gpc0 of the input's entry.";
    "table_gpc0_rate", Gpc0Rate, "Column gpc0_rate of the input's entry.";
    "table_gpc1", Gpc1, "Column gpc1 of the input's entry.";
    "table_gpc1_rate", Gpc1Rate, "Column gpc1_rate of the input's entry.";
    "table_gpt0", Gpt0, "Column gpt0 of the input's entry.";
    "table_http_err_cnt", HttpErrCnt, "Column http_err_cnt of the input's entry.";
    "table_http_err_rate", HttpErrRate, "Column http_err_rate of the input's entry.";
    "table_http_fail_cnt", HttpFailCnt, "Column http_fail_cnt of the input's entry.";
    "table_http_fail_rate", HttpFailRate, "Column http_fail_rate of the input's entry.";
    "table_http_req_cnt", HttpReqCnt, "Column http_req_cnt of the input's entry.";
    "table_http_req_rate", HttpReqRate, "Column http_req_rate of the input's entry.";
    "table_server_id", ServerId, "Column server_id of the input's entry.";
    "table_sess_cnt", SessCnt, "Column sess_cnt of the input's entry.";
    "table_sess_rate", SessRate, "Column sess_rate of the input's entry.";
};

macro_rules! elements {
    ($($name:literal, $column:path, $doc:literal;)*) => {
        &[$(
            Converter::row($name, ELEMENT_ARGS, Type::Any, Type::Int, $doc, |value, args, view| {
                let index = u8::try_from(args.first()?.int()?).ok()?;
                read(value, args.get(1..)?, view, $column(index))
            }),
        )*]
    };
}

const ELEMENT_ARGS: &[ArgSpec] = &[
    need("element", ArgKind::Within(0, 99)),
    may("table", ArgKind::Table),
];

/// Elements of arrays.
pub(super) const ELEMENTS: &[Converter] = elements! {
    "table_gpc", Column::Gpc, "An element of gpc of the input's entry.";
    "table_gpc_rate", Column::GpcRate, "An element of gpc_rate of the input's entry.";
    "table_gpt", Column::Gpt, "An element of gpt of the input's entry.";
};

const MOMENT_ARGS: &[ArgSpec] = &[may("table", ArgKind::Table), may("default", ArgKind::Int)];

/// The others.
pub(super) const TABLE: &[Converter] = &[
    Converter::row(
        "in_table",
        TABLE_ARG,
        Type::Any,
        Type::Bool,
        "Whether the table holds the input.",
        |value, args, view| {
            let table = table(args.first(), view)?;
            let key = table.key_of(value);
            let held = key.and_then(|key| table.holders(view.now, &key));
            Some(Value::Bool(held.is_some()))
        },
    ),
    Converter::row(
        "table_trackers",
        TABLE_ARG,
        Type::Any,
        Type::Int,
        "How many connections track the input's entry now.",
        |value, args, view| {
            let table = table(args.first(), view)?;
            let held = table.holders(view.now, &table.key_of(value)?);
            Some(Value::Int(held.unwrap_or(0).into()))
        },
    ),
    Converter::row(
        "table_expire",
        MOMENT_ARGS,
        Type::Any,
        Type::Int,
        "Milliseconds until the input's entry expires; without an entry the default, if there is one.",
        |value, args, view| {
            let table = table(args.first(), view)?;
            let key = table.key_of(value);
            moment(key.and_then(|key| table.left(view.now, &key)), args)
        },
    ),
    Converter::row(
        "table_idle",
        MOMENT_ARGS,
        Type::Any,
        Type::Int,
        "Milliseconds since the input's entry was used; without an entry the default, if there is one.",
        |value, args, view| {
            let table = table(args.first(), view)?;
            let left = table
                .key_of(value)
                .and_then(|key| table.left(view.now, &key));
            let whole = table.config().expire?;
            moment(left.map(|left| whole.saturating_sub(left)), args)
        },
    ),
    Converter::row(
        "srv_queue",
        &[],
        Type::String,
        Type::Int,
        "Connections that wait for the server that the input names, of the chosen backend or as backend/server.",
        |value, _, view| {
            let text = value.into_text();
            let text = std::str::from_utf8(&text).ok()?;
            let (backend, name) = match text.split_once('/') {
                Some((backend, name)) => (backend, name),
                None => (view.backend?, text),
            };
            let backend = view.state.world.as_deref()?.backend(backend)?;
            let server = backend.server_named(name)?;
            Some(Value::Int(server.counters().queue.value().into()))
        },
    ),
    Converter::row(
        "table_kbytes_in",
        TABLE_ARG,
        Type::Any,
        Type::Int,
        "Kilobytes from the client, of the input's entry.",
        |value, args, view| kilobytes(value, args, view, Column::BytesInCnt),
    ),
    Converter::row(
        "table_kbytes_out",
        TABLE_ARG,
        Type::Any,
        Type::Int,
        "Kilobytes to the client, of the input's entry.",
        |value, args, view| kilobytes(value, args, view, Column::BytesOutCnt),
    ),
    Converter::row(
        "nbsrv",
        &[],
        Type::String,
        Type::Int,
        "Usable servers of the backend that the input names.",
        |value, _, view| {
            let name = value.into_text();
            let world = view.state.world.as_deref()?;
            let backend = world.backend(std::str::from_utf8(&name).ok()?)?;
            Some(Value::Int(usable(backend).into()))
        },
    ),
];

/// A span of an entry's life; without an entry the default of the arguments.
fn moment<'a>(span: Option<Duration>, args: &[Argument]) -> Option<Value<'a>> {
    let millis = span.and_then(|span| i64::try_from(span.as_millis()).ok());
    let default = || args.get(1).and_then(Argument::int);
    millis.or_else(default).map(Value::Int)
}

fn read<'a>(
    value: Value<'_>,
    args: &[Argument],
    view: &RequestView<'_>,
    column: Column,
) -> Option<Value<'a>> {
    let table = table(args.first(), view)?;
    let number = table.value(view.now, &table.key_of(value)?, column);
    let number = number.or_else(|| table.stores(column).then_some(0))?;
    Some(Value::Int(i64::try_from(number).unwrap_or(i64::MAX)))
}

fn kilobytes<'a>(
    value: Value<'_>,
    args: &[Argument],
    view: &RequestView<'_>,
    column: Column,
) -> Option<Value<'a>> {
    match read(value, args, view, column)? {
        Value::Int(bytes) => Some(Value::Int(bytes >> 10)),
        _ => None,
    }
}
