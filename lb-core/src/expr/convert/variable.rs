//! Converters that leave their value somewhere: in a variable, or in a slot for captures. Manual 7.3.1.

use super::Converter;
use crate::{
    expr::{
        Type, Value,
        args::{ArgKind, ArgSpec, Argument, need},
    },
    request::{RequestView, Side},
};

const SLOT: &[ArgSpec] = &[need("slot", ArgKind::Within(0, 65_535))];

/// The entries.
pub(super) const TABLE: &[Converter] = &[
    Converter::row(
        "set-var",
        &[need("variable", ArgKind::Assignment)],
        Type::Any,
        Type::Any,
        "The value as it is; the variable has it too, if every condition behind its name holds.",
        |value, args, view| {
            if let Some(Argument::Assignment(assignment)) = args.first() {
                assignment.note(&value, view.state);
            }
            Some(value)
        },
    ),
    Converter::row(
        "unset-var",
        &[need("variable", ArgKind::Variable)],
        Type::Any,
        Type::Any,
        "The value as it is; the variable is removed.",
        |value, args, view| {
            if let Some(Argument::Variable(scope, name)) = args.first() {
                view.state.note_variable(*scope, name, None);
            }
            Some(value)
        },
    ),
    Converter::row(
        "capture-req",
        SLOT,
        Type::String,
        Type::String,
        "The text as it is; the request slot of that number has it too, if there is one.",
        |value, args, view| captured(value, args, view, Side::Request),
    ),
    Converter::row(
        "capture-res",
        SLOT,
        Type::String,
        Type::String,
        "The text as it is; the response slot of that number has it too, if there is one.",
        |value, args, view| captured(value, args, view, Side::Response),
    ),
];

fn captured<'a>(
    value: Value<'a>,
    args: &[Argument],
    view: &RequestView<'a>,
    side: Side,
) -> Option<Value<'a>> {
    let slot = args.first().and_then(Argument::int);
    if let Some(slot) = slot.and_then(|slot| usize::try_from(slot).ok()) {
        let text = value.bytes().unwrap_or_default();
        let frontend = &view.connection.frontend;
        view.state.note_capture(frontend, side, slot, text);
    }
    Some(value)
}
