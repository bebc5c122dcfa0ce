//! Constants, variables, time. Manual 7.3.2.

use std::time::UNIX_EPOCH;

use super::{Eval, Fetch};
use crate::{
    expr::{
        Needs, Settled, Type, Value,
        args::{ArgKind, Argument, may, need},
    },
    request::RequestView,
};

/// The entries.
pub(super) const TABLE: &[Fetch] = &[
    Fetch::row(
        "always_true",
        &[],
        &[],
        Type::Bool,
        Needs::Connection,
        "True.",
        Eval::One(|_, _| Some(Value::Bool(true))),
    ),
    Fetch::row(
        "always_false",
        &[],
        &[],
        Type::Bool,
        Needs::Connection,
        "False.",
        Eval::One(|_, _| Some(Value::Bool(false))),
    ),
    Fetch::row(
        "internal.strm.is_htx",
        &[],
        &[],
        Type::Bool,
        Needs::Connection,
        "True if a message of HTTP is looked at, false in TCP mode.",
        Eval::One(|_, view| Some(Value::Bool(view.is_http()))),
    ),
    Fetch::row(
        "prio_class",
        &[],
        &[],
        Type::Int,
        Needs::Connection,
        "The class of `set-priority-class`.",
        Eval::One(|_, view| Some(Value::Int(view.state.precedence().class.into()))),
    ),
    Fetch::row(
        "prio_offset",
        &[],
        &[],
        Type::Int,
        Needs::Connection,
        "The milliseconds of `set-priority-offset`.",
        Eval::One(|_, view| Some(Value::Int(view.state.precedence().offset.into()))),
    ),
    Fetch::row(
        "bool",
        &[],
        &[need("value", ArgKind::Text)],
        Type::Bool,
        Needs::Connection,
        "True for 'true' and '1'.",
        Eval::One(|args, _| match args.first()?.text()? {
            b"true" | b"1" => Some(Value::Bool(true)),
            _ => Some(Value::Bool(false)),
        }),
    ),
    Fetch::row(
        "int",
        &[],
        &[need("value", ArgKind::Int)],
        Type::Int,
        Needs::Connection,
        "The given integer.",
        Eval::One(|args, _| Some(Value::Int(args.first()?.int()?))),
    ),
    Fetch::row(
        "str",
        &[],
        &[may("text", ArgKind::Text)],
        Type::String,
        Needs::Connection,
        "The given text.",
        Eval::One(|args, _| {
            let text = args.first().and_then(Argument::text);
            Some(Value::text(text.unwrap_or_default()))
        }),
    ),
    Fetch::row(
        "meth",
        &[],
        &[need("method", ArgKind::Text)],
        Type::Method,
        Needs::Connection,
        "The given method.",
        Eval::One(|args, _| args.first()?.text().map(Value::text)),
    ),
    Fetch::row(
        "ipv4",
        &[],
        &[need("address", ArgKind::Text)],
        Type::Address,
        Needs::Connection,
        "The given IPv4 address.",
        Eval::One(|args, _| {
            let address = Value::text(args.first()?.text()?).whole_address()?;
            address.is_ipv4().then_some(Value::Address(address))
        }),
    ),
    Fetch::row(
        "ipv6",
        &[],
        &[need("address", ArgKind::Text)],
        Type::Address,
        Needs::Connection,
        "The given IPv6 address.",
        Eval::One(|args, _| {
            let address = Value::text(args.first()?.text()?).whole_address()?;
            address.is_ipv6().then_some(Value::Address(address))
        }),
    ),
    Fetch::row(
        "var",
        &[],
        &[
            need("name", ArgKind::Variable),
            may("default", ArgKind::Text),
        ],
        Type::Any,
        Needs::Connection,
        "The value of a variable, else the default.",
        Eval::One(variable),
    ),
    Fetch::row(
        "date",
        &[],
        &[may("offset", ArgKind::Int), may("unit", ArgKind::Text)],
        Type::Int,
        Needs::Connection,
        "Seconds since 1970 (unit 's', 'ms' or 'us'), plus the offset.",
        Eval::One(date),
    ),
    Fetch::row(
        "wait_end",
        &[],
        &[],
        Type::Bool,
        Needs::Connection,
        "True once the inspection is over: the inspect-delay has passed or everything was received.",
        Eval::Growing(|_, view| (view.complete.then_some(Value::Bool(true)), Settled::No)),
    ),
    Fetch::row(
        "last_rule_file",
        &[],
        &[],
        Type::String,
        Needs::Connection,
        "File of the rule that ended the evaluation of its list last.",
        Eval::One(|_, view| {
            let rule = view.state.last_rule.as_deref()?;
            Some(Value::text(rule.file.as_bytes()))
        }),
    ),
    Fetch::row(
        "last_rule_line",
        &[],
        &[],
        Type::Int,
        Needs::Connection,
        "Line of the rule that ended the evaluation of its list last.",
        Eval::One(|_, view| {
            let rule = view.state.last_rule.as_deref()?;
            Some(Value::Int(rule.line.into()))
        }),
    ),
    Fetch::row(
        "fe_name",
        &[],
        &[],
        Type::String,
        Needs::Connection,
        "Name of the frontend.",
        Eval::One(|_, view| Some(Value::text(view.connection.frontend.as_bytes()))),
    ),
    Fetch::row(
        "be_name",
        &[],
        &[],
        Type::String,
        Needs::Connection,
        "Name of the chosen backend.",
        Eval::One(|_, view| view.backend.map(|n| Value::text(n.as_bytes()))),
    ),
    Fetch::row(
        "srv_name",
        &[],
        &[],
        Type::String,
        Needs::Connection,
        "Name of the chosen server.",
        Eval::One(|_, view| view.server.map(|n| Value::text(n.as_bytes()))),
    ),
];

fn variable<'a>(args: &'a [Argument], view: &RequestView<'a>) -> Option<Value<'a>> {
    let Some(Argument::Variable(scope, name)) = args.first() else {
        return None;
    };
    match view.state.variable(*scope, name) {
        Some(value) => Some(value),
        None => args.get(1)?.text().map(Value::text),
    }
}

fn date<'a>(args: &'a [Argument], view: &RequestView<'a>) -> Option<Value<'a>> {
    let since = view.date().duration_since(UNIX_EPOCH).ok()?;
    let number = match args.get(1).and_then(Argument::text) {
        Some(b"ms") => since.as_millis(),
        Some(b"us") => since.as_micros(),
        _ => u128::from(since.as_secs()),
    };
    let offset = args.first().and_then(Argument::int).unwrap_or(0);
    Some(Value::Int(
        i64::try_from(number).ok()?.saturating_add(offset),
    ))
}
