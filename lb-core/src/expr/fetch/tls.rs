//! TLS of the connections, and certificates of both sides. Manual 7.3.4.

use super::{Eval, Fetch};
use crate::{
    expr::{
        Needs, Type, Value,
        args::{ArgKind, ArgSpec, Argument, may},
    },
    request::{Certificate, DistinguishedName, RequestView, ServerSession, Verified},
};

/// The entries about the session.
pub(super) const SESSION: &[Fetch] = &[
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
    Fetch::row(
        "ssl_fc_has_crt",
        &[],
        &[],
        Type::Bool,
        Needs::Connection,
        "Whether the client has shown a certificate in this very handshake.",
        Eval::One(|_, view| {
            let tls = view.connection.tls.as_ref();
            Some(Value::Bool(
                tls.is_some_and(|t| t.client.is_some() && !t.resumed),
            ))
        }),
    ),
    Fetch::row(
        "ssl_fc_has_early",
        &[],
        &[],
        Type::Bool,
        Needs::Connection,
        "Whether data came before the handshake ended: never, none is taken.",
        Eval::One(|_, _| Some(Value::Bool(false))),
    ),
    Fetch::row(
        "ssl_fc_use_keysize",
        &[],
        &[],
        Type::Int,
        Needs::Connection,
        "Bits of the cipher's key.",
        Eval::One(|_, view| Some(Value::Int(view.connection.tls.as_ref()?.bits.into()))),
    ),
    Fetch::row(
        "ssl_fc_alg_keysize",
        &[],
        &[],
        Type::Int,
        Needs::Connection,
        "Bits of the cipher's key, as the algorithm has them.",
        Eval::One(|_, view| Some(Value::Int(view.connection.tls.as_ref()?.bits.into()))),
    ),
    Fetch::row(
        "ssl_c_used",
        &[],
        &[],
        Type::Bool,
        Needs::Connection,
        "Whether the session knows a certificate of the client, resumed or not.",
        Eval::One(|_, view| {
            let tls = view.connection.tls.as_ref();
            Some(Value::Bool(tls.is_some_and(|t| t.client.is_some())))
        }),
    ),
    Fetch::row(
        "ssl_c_verify",
        &[],
        &[],
        Type::Int,
        Needs::Connection,
        "0, or OpenSSL's number of the last fault of the client's certificate that was let pass.",
        Eval::One(|_, view| Some(Value::Int(verified(view)?.result.into()))),
    ),
    Fetch::row(
        "ssl_c_err",
        &[],
        &[],
        Type::Int,
        Needs::Connection,
        "OpenSSL's number of the first fault of the client's own certificate, or 0.",
        Eval::One(|_, view| Some(Value::Int(verified(view)?.certificate.into()))),
    ),
    Fetch::row(
        "ssl_c_ca_err",
        &[],
        &[],
        Type::Int,
        Needs::Connection,
        "OpenSSL's number of the first fault of a certificate above the client's, or 0.",
        Eval::One(|_, view| Some(Value::Int(verified(view)?.authority.into()))),
    ),
    Fetch::row(
        "ssl_c_ca_err_depth",
        &[],
        &[],
        Type::Int,
        Needs::Connection,
        "How far above the client's certificate the fault of ssl_c_ca_err is.",
        Eval::One(|_, view| Some(Value::Int(verified(view)?.depth.into()))),
    ),
    Fetch::row(
        "ssl_c_chain_der",
        &[],
        &[],
        Type::Binary,
        Needs::Connection,
        "The certificates above its own that the client sent, in DER.",
        Eval::One(|_, view| {
            let client = view.connection.tls.as_ref()?.client.as_deref()?;
            let chain = client.chain.as_slice();
            (!chain.is_empty()).then_some(Value::Binary(chain.into()))
        }),
    ),
];

fn verified(view: &RequestView<'_>) -> Option<Verified> {
    let tls = view.connection.tls.as_ref()?;
    Some(
        tls.client
            .as_ref()
            .map(|client| client.verified)
            .unwrap_or_default(),
    )
}

/// The rows of one certificate: the beginning of their names, whose it is, and where it is found.
macro_rules! certificate {
    ($begin:literal, $whose:literal, $find:ident) => {
        &[
            certificate!(row $begin "der", Type::Binary, "All of " $whose " certificate, in DER.",
                |_, view| Some(Value::Binary((&*$find(view)?.der).into()))),
            certificate!(row $begin "sha1", Type::Binary, "SHA-1 of " $whose " certificate.",
                |_, view| Some(Value::Binary((&$find(view)?.sha1[..]).into()))),
            certificate!(row $begin "serial", Type::Binary, "Serial number of " $whose " certificate.",
                |_, view| Some(Value::Binary((&$find(view)?.serial[..]).into()))),
            certificate!(row $begin "notbefore", Type::String, "Since when " $whose " certificate holds, YYMMDDhhmmssZ.",
                |_, view| Some(Value::text($find(view)?.not_before.as_bytes()))),
            certificate!(row $begin "notafter", Type::String, "Until when " $whose " certificate holds, YYMMDDhhmmssZ.",
                |_, view| Some(Value::text($find(view)?.not_after.as_bytes()))),
            certificate!(row $begin "sig_alg", Type::String, "How " $whose " certificate is signed.",
                |_, view| Some(Value::text($find(view)?.signature_algorithm.as_bytes()))),
            certificate!(row $begin "key_alg", Type::String, "Kind of key of " $whose " certificate.",
                |_, view| Some(Value::text($find(view)?.key_algorithm.as_bytes()))),
            certificate!(row $begin "version", Type::Int, "Version of " $whose " certificate.",
                |_, view| Some(Value::Int($find(view)?.version))),
            certificate!(name $begin "s_dn", "Subject of " $whose " certificate, or a part of it.",
                |args, view| distinguished(args, &$find(view)?.subject)),
            certificate!(name $begin "i_dn", "Issuer of " $whose " certificate, or a part of it.",
                |args, view| distinguished(args, &$find(view)?.issuer)),
        ]
    };
    (row $begin:literal $name:literal, $type:expr, $($doc:literal)+, $eval:expr) => {
        Fetch::row(concat!($begin, $name), &[], &[], $type, Needs::Connection, concat!($($doc),+), Eval::One($eval))
    };
    (name $begin:literal $name:literal, $($doc:literal)+, $eval:expr) => {
        Fetch::row(concat!($begin, $name), &[], NAME, Type::String, Needs::Connection, concat!($($doc),+),
            Eval::One($eval))
    };
}

/// The entries about the client's certificate.
pub(super) const CLIENT: &[Fetch] = certificate!("ssl_c_", "the client's", of_client);
/// The entries about the certificate that the client was shown.
pub(super) const OWN: &[Fetch] = certificate!("ssl_f_", "the frontend's", of_frontend);

/// The entries about the certificate that the server has shown.
pub(super) const SERVER: &[Fetch] = certificate!("ssl_s_", "the server's", of_server);

/// The entries about the session with the server.
pub(super) const TO_SERVER: &[Fetch] = &[
    Fetch::of_connection(
        "ssl_bc",
        &[],
        Type::Bool,
        "Whether the server connection uses TLS.",
        |_, view| Some(Value::Bool(to_server(view).is_some())),
    ),
    Fetch::of_connection(
        "ssl_bc_alpn",
        &["ssl_bc_npn"],
        Type::String,
        "Application protocol negotiated with the server.",
        |_, view| Some(Value::text(to_server(view)?.alpn.as_deref()?.as_bytes())),
    ),
    Fetch::of_connection(
        "ssl_bc_cipher",
        &[],
        Type::String,
        "TLS cipher suite of the server connection.",
        |_, view| Some(Value::text(to_server(view)?.cipher.as_bytes())),
    ),
    Fetch::of_connection(
        "ssl_bc_protocol",
        &[],
        Type::String,
        "TLS version of the server connection.",
        |_, view| Some(Value::text(to_server(view)?.version.as_bytes())),
    ),
    Fetch::of_connection(
        "ssl_bc_is_resumed",
        &[],
        Type::Bool,
        "Whether the TLS session with the server was resumed.",
        |_, view| Some(Value::Bool(to_server(view).is_some_and(|tls| tls.resumed))),
    ),
    Fetch::of_connection(
        "ssl_bc_use_keysize",
        &[],
        Type::Int,
        "Bits of the key of the cipher of the server connection.",
        |_, view| Some(Value::Int(to_server(view)?.bits.into())),
    ),
    Fetch::of_connection(
        "ssl_bc_alg_keysize",
        &[],
        Type::Int,
        "Bits of the key of the cipher of the server connection, as the algorithm has them.",
        |_, view| Some(Value::Int(to_server(view)?.bits.into())),
    ),
    Fetch::of_connection(
        "ssl_s_chain_der",
        &[],
        Type::Binary,
        "The certificates that the server has shown, in DER.",
        |_, view| {
            Some(Value::Binary(
                to_server(view)?.shown.as_ref()?.chain.as_slice().into(),
            ))
        },
    ),
];

const NAME: &[ArgSpec] = &[
    may("part", ArgKind::Text),
    may("position", ArgKind::Int),
    may("format", ArgKind::Text),
];

fn of_client<'a>(view: &RequestView<'a>) -> Option<&'a Certificate> {
    let client = view.connection.tls.as_ref()?.client.as_deref()?;
    Some(&client.leaf)
}

fn to_server<'a>(view: &RequestView<'a>) -> Option<&'a ServerSession> {
    view.state.to_server.as_deref()
}

fn of_server<'a>(view: &RequestView<'a>) -> Option<&'a Certificate> {
    Some(&to_server(view)?.shown.as_deref()?.leaf)
}

fn of_frontend<'a>(view: &RequestView<'a>) -> Option<&'a Certificate> {
    view.connection.tls.as_ref()?.own.as_deref()
}

/// All of a name, the part with that key, or all of it as RFC 2253 writes it.
fn distinguished<'a>(args: &'a [Argument], name: &'a DistinguishedName) -> Option<Value<'a>> {
    let text = |index: usize| {
        args.get(index)
            .and_then(Argument::text)
            .filter(|t| !t.is_empty())
    };
    if let Some(part) = text(0) {
        let position = args.get(1).and_then(Argument::int).unwrap_or(1);
        return name.part(part, position).map(Value::text);
    }
    let whole = match text(2) {
        Some(_) => name.rfc2253().into_bytes(),
        None => name.one_line(),
    };
    (!whole.is_empty()).then_some(Value::String(whole.into()))
}
