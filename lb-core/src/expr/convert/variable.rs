//! Converters that leave their value in a variable, or take one away. Manual 7.3.1.

use super::Converter;
use crate::expr::{
    Type,
    args::{ArgKind, Argument, need},
};

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
];
