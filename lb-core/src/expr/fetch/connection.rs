//! Addresses of the client connection. Manual 7.3.3.

use std::net::SocketAddr;

use super::{Eval, Fetch};
use crate::{
    expr::{Needs, Type, Value},
    head::Version,
    request::{RequestView, is_unix},
};

/// The entries.
pub(super) const TABLE: &[Fetch] = &[
    Fetch::row(
        "src",
        &[],
        &[],
        Type::Address,
        Needs::Connection,
        "Address of the client.",
        Eval::One(|_, view| address(view.source())),
    ),
    Fetch::row(
        "src_port",
        &[],
        &[],
        Type::Int,
        Needs::Connection,
        "Port of the client.",
        Eval::One(|_, view| port(view.source())),
    ),
    Fetch::row(
        "src_is_local",
        &[],
        &[],
        Type::Bool,
        Needs::Connection,
        "Whether the client is on this host, as far as its own connection tells.",
        Eval::One(|_, view| Some(Value::Bool(is_local(view, view.source())))),
    ),
    Fetch::row(
        "dst",
        &[],
        &[],
        Type::Address,
        Needs::Connection,
        "Address the client connected to.",
        Eval::One(|_, view| address(view.destination())),
    ),
    Fetch::row(
        "dst_port",
        &[],
        &[],
        Type::Int,
        Needs::Connection,
        "Port the client connected to.",
        Eval::One(|_, view| port(view.destination())),
    ),
    Fetch::row(
        "dst_is_local",
        &[],
        &[],
        Type::Bool,
        Needs::Connection,
        "Whether the client came to this host, as far as its own connection tells.",
        Eval::One(|_, view| Some(Value::Bool(is_local(view, view.destination())))),
    ),
    Fetch::row(
        "fc_src",
        &[],
        &[],
        Type::Address,
        Needs::Connection,
        "Address of the client's connection, whatever later rules made of it.",
        Eval::One(|_, view| address(view.connection.of_connection().source)),
    ),
    Fetch::row(
        "fc_src_port",
        &[],
        &[],
        Type::Int,
        Needs::Connection,
        "Port of the client's connection, whatever later rules made of it.",
        Eval::One(|_, view| port(view.connection.of_connection().source)),
    ),
    Fetch::row(
        "fc_src_is_local",
        &[],
        &[],
        Type::Bool,
        Needs::Connection,
        "Whether the client's connection is from this host.",
        Eval::One(|_, view| {
            let source = view.connection.of_connection().source;
            Some(Value::Bool(is_local(view, source)))
        }),
    ),
    Fetch::row(
        "fc_dst",
        &[],
        &[],
        Type::Address,
        Needs::Connection,
        "Address that the client's connection came to, whatever later rules made of it.",
        Eval::One(|_, view| address(view.connection.of_connection().destination)),
    ),
    Fetch::row(
        "fc_dst_port",
        &[],
        &[],
        Type::Int,
        Needs::Connection,
        "Port that the client's connection came to, whatever later rules made of it.",
        Eval::One(|_, view| port(view.connection.of_connection().destination)),
    ),
    Fetch::row(
        "fc_dst_is_local",
        &[],
        &[],
        Type::Bool,
        Needs::Connection,
        "Whether the client's connection came to this host.",
        Eval::One(|_, view| {
            let destination = view.connection.of_connection().destination;
            Some(Value::Bool(is_local(view, destination)))
        }),
    ),
    Fetch::row(
        "fc_http_major",
        &[],
        &[],
        Type::Int,
        Needs::Request,
        "Major version of HTTP on the client's connection: 1 or 2.",
        Eval::One(|_, view| {
            let is_2 = view.request?.version() == Version::Http2;
            Some(Value::Int(if is_2 { 2 } else { 1 }))
        }),
    ),
    Fetch::row(
        "fc_rcvd_proxy",
        &[],
        &[],
        Type::Bool,
        Needs::Connection,
        "Whether the connection began with a PROXY header.",
        Eval::One(|_, view| Some(Value::Bool(view.connection.told().is_some()))),
    ),
    Fetch::row(
        "fc_pp_authority",
        &[],
        &[],
        Type::String,
        Needs::Connection,
        "Name that the PROXY header says the client asked for.",
        Eval::One(|_, view| {
            let told = view.connection.told()?;
            told.authority.as_deref().map(Value::text)
        }),
    ),
    Fetch::row(
        "fc_pp_unique_id",
        &[],
        &[],
        Type::String,
        Needs::Connection,
        "Unique id in the PROXY header.",
        Eval::One(|_, view| {
            let told = view.connection.told()?;
            told.unique_id.as_deref().map(Value::text)
        }),
    ),
    Fetch::row(
        "http_first_req",
        &[],
        &[],
        Type::Bool,
        Needs::Request,
        "Whether the request is the first of its connection.",
        Eval::One(|_, view| Some(Value::Bool(view.state.number == 0))),
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

/// A UNIX socket has none.
pub(super) fn address(of: SocketAddr) -> Option<Value<'static>> {
    (!is_unix(of)).then(|| Value::Address(of.ip().to_canonical()))
}

fn port(of: SocketAddr) -> Option<Value<'static>> {
    (!is_unix(of)).then(|| Value::Int(of.port().into()))
}

/// Whether this host has that address: such are the one that the connection came to, whatever rules or a PROXY header
/// have made of that, those of the loopback network, and 0.0.0.0, which stands for all of them. That another interface has it is not
/// known here.
fn is_local(view: &RequestView<'_>, address: SocketAddr) -> bool {
    let own = view.connection.of_connection().destination.ip();
    let ip = address.ip().to_canonical();
    is_unix(address) || ip.is_loopback() || ip.is_unspecified() || ip == own.to_canonical()
}
