//! Arithmetic. Results beyond 64 bits stay at the limit. Manual 7.3.1.

use super::{Converter, text::stored};
use crate::{
    expr::{
        Type, Value,
        args::{ArgKind, ArgSpec, Argument, need},
    },
    request::RequestView,
};

const OPERAND: &[ArgSpec] = &[need("value", ArgKind::Number)];

/// The entries.
pub(super) const TABLE: &[Converter] = &[
    Converter::row(
        "add",
        OPERAND,
        Type::Int,
        Type::Int,
        "The sum with the operand.",
        |value, args, view| operate(&value, args, view, |a, b| Some(a.saturating_add(b))),
    ),
    Converter::row(
        "sub",
        OPERAND,
        Type::Int,
        Type::Int,
        "The operand subtracted.",
        |value, args, view| operate(&value, args, view, |a, b| Some(a.saturating_sub(b))),
    ),
    Converter::row(
        "mul",
        OPERAND,
        Type::Int,
        Type::Int,
        "The product with the operand.",
        |value, args, view| operate(&value, args, view, |a, b| Some(a.saturating_mul(b))),
    ),
    Converter::row(
        "div",
        OPERAND,
        Type::Int,
        Type::Int,
        "The quotient by the operand; the greatest number for 0.",
        |value, args, view| {
            operate(&value, args, view, |a, b| {
                Some(if b == 0 {
                    i64::MAX
                } else {
                    a.saturating_div(b)
                })
            })
        },
    ),
    Converter::row(
        "mod",
        OPERAND,
        Type::Int,
        Type::Int,
        "The remainder by the operand; 0 for 0.",
        |value, args, view| {
            operate(&value, args, view, |a, b| {
                Some(a.checked_rem(b).unwrap_or(0))
            })
        },
    ),
    Converter::row(
        "neg",
        &[],
        Type::Int,
        Type::Int,
        "The opposite number.",
        |value, _, _| Some(Value::Int(value.integer()?.saturating_neg())),
    ),
    Converter::row(
        "and",
        OPERAND,
        Type::Int,
        Type::Int,
        "Bitwise AND with the operand.",
        |value, args, view| operate(&value, args, view, |a, b| Some(a & b)),
    ),
    Converter::row(
        "or",
        OPERAND,
        Type::Int,
        Type::Int,
        "Bitwise OR with the operand.",
        |value, args, view| operate(&value, args, view, |a, b| Some(a | b)),
    ),
    Converter::row(
        "xor",
        OPERAND,
        Type::Int,
        Type::Int,
        "Bitwise exclusive OR with the operand.",
        |value, args, view| operate(&value, args, view, |a, b| Some(a ^ b)),
    ),
    Converter::row(
        "cpl",
        &[],
        Type::Int,
        Type::Int,
        "Every bit turned over.",
        |value, _, _| Some(Value::Int(!value.integer()?)),
    ),
    Converter::row(
        "bool",
        &[],
        Type::Int,
        Type::Bool,
        "Whether the number is not 0.",
        |value, _, _| Some(Value::Bool(value.integer()? != 0)),
    ),
    Converter::row(
        "not",
        &[],
        Type::Int,
        Type::Bool,
        "Whether the number is 0.",
        |value, _, _| Some(Value::Bool(value.integer()? == 0)),
    ),
    Converter::row(
        "even",
        &[],
        Type::Int,
        Type::Bool,
        "Whether the number is even.",
        |value, _, _| Some(Value::Bool(value.integer()? & 1 == 0)),
    ),
    Converter::row(
        "odd",
        &[],
        Type::Int,
        Type::Bool,
        "Whether the number is odd.",
        |value, _, _| Some(Value::Bool(value.integer()? & 1 == 1)),
    ),
];

fn operate<'a>(
    value: &Value<'a>,
    args: &[Argument],
    view: &RequestView<'a>,
    operation: fn(i64, i64) -> Option<i64>,
) -> Option<Value<'a>> {
    let argument = args.first()?;
    let operand = match argument.int() {
        Some(number) => number,
        None => stored(argument, view)?.number()?,
    };
    operation(value.integer()?, operand).map(Value::Int)
}
