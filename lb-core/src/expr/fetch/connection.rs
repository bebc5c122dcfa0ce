//! Addresses of the client connection. Manual 7.3.3.

use super::{Eval, Fetch};
use crate::expr::{Needs, Type, Value};

/// The entries.
pub(super) const TABLE: &[Fetch] = &[
    Fetch::row(
        "src",
        &[],
        &[],
        Type::Address,
        Needs::Connection,
        "Address of the client.",
        Eval::One(|_, view| Some(Value::Address(view.connection.source.ip().to_canonical()))),
    ),
    Fetch::row(
        "src_port",
        &[],
        &[],
        Type::Int,
        Needs::Connection,
        "Port of the client.",
        Eval::One(|_, view| Some(Value::Int(view.connection.source.port().into()))),
    ),
    Fetch::row(
        "src_is_local",
        &[],
        &[],
        Type::Bool,
        Needs::Connection,
        "Whether the client is on the loopback network.",
        Eval::One(|_, view| {
            let source = view.connection.source.ip().to_canonical();
            Some(Value::Bool(source.is_loopback()))
        }),
    ),
    Fetch::row(
        "dst",
        &[],
        &[],
        Type::Address,
        Needs::Connection,
        "Address the client connected to.",
        Eval::One(|_, view| {
            Some(Value::Address(
                view.connection.destination.ip().to_canonical(),
            ))
        }),
    ),
    Fetch::row(
        "dst_port",
        &[],
        &[],
        Type::Int,
        Needs::Connection,
        "Port the client connected to.",
        Eval::One(|_, view| Some(Value::Int(view.connection.destination.port().into()))),
    ),
    Fetch::row(
        "so_name",
        &[],
        &[],
        Type::String,
        Needs::Connection,
        "Name of the bind line.",
        Eval::One(|_, view| {
            let name = view.connection.bind.as_deref()?;
            Some(Value::text(name.as_bytes()))
        }),
    ),
];
