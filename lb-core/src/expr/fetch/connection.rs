//! Addresses and TLS of the client connection. Manual 7.3.3 and 7.3.4.

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
    Fetch::row(
        "ssl_fc",
        &[],
        &[],
        Type::Bool,
        Needs::Connection,
        "Whether the client connection uses TLS.",
        Eval::One(|_, view| Some(Value::Bool(view.connection.tls.is_some()))),
    ),
    Fetch::row(
        "ssl_fc_sni",
        &[],
        &[],
        Type::String,
        Needs::Connection,
        "Name that the client asked for in the TLS handshake.",
        Eval::One(|_, view| {
            let sni = view.connection.tls.as_ref()?.sni.as_deref()?;
            Some(Value::text(sni.as_bytes()))
        }),
    ),
    Fetch::row(
        "ssl_fc_has_sni",
        &[],
        &[],
        Type::Bool,
        Needs::Connection,
        "Whether the client asked for a name in the TLS handshake.",
        Eval::One(|_, view| {
            let tls = view.connection.tls.as_ref();
            Some(Value::Bool(tls.is_some_and(|t| t.sni.is_some())))
        }),
    ),
    Fetch::row(
        "ssl_fc_protocol",
        &[],
        &[],
        Type::String,
        Needs::Connection,
        "TLS version, such as TLSv1.3.",
        Eval::One(|_, view| {
            let tls = view.connection.tls.as_ref()?;
            Some(Value::text(tls.version.as_bytes()))
        }),
    ),
    Fetch::row(
        "ssl_fc_cipher",
        &[],
        &[],
        Type::String,
        Needs::Connection,
        "TLS cipher suite.",
        Eval::One(|_, view| {
            let tls = view.connection.tls.as_ref()?;
            Some(Value::text(tls.cipher.as_bytes()))
        }),
    ),
    Fetch::row(
        "ssl_fc_alpn",
        &["ssl_fc_npn"],
        &[],
        Type::String,
        Needs::Connection,
        "Application protocol negotiated by TLS.",
        Eval::One(|_, view| {
            let alpn = view.connection.tls.as_ref()?.alpn.as_deref()?;
            Some(Value::text(alpn.as_bytes()))
        }),
    ),
    Fetch::row(
        "ssl_fc_is_resumed",
        &[],
        &[],
        Type::Bool,
        Needs::Connection,
        "Whether the TLS session was resumed.",
        Eval::One(|_, view| {
            let tls = view.connection.tls.as_ref();
            Some(Value::Bool(tls.is_some_and(|t| t.resumed)))
        }),
    ),
];
