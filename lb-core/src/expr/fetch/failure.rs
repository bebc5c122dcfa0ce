//! Why connections failed, for the log. Manual 7.3.3 and 7.3.4.

use super::Fetch;
use crate::{
    expr::{Type, Value},
    request::{Failure, Marks, RequestView, TlsReason},
};

/// The entries.
pub(super) const TABLE: &[Fetch] = &[
    Fetch::of_connection(
        "fc_err",
        &[],
        Type::Int,
        "Number of what went wrong with the client's connection, or 0.",
        |_, view| Some(number(of_client(view))),
    ),
    Fetch::of_connection(
        "fc_err_str",
        &[],
        Type::String,
        "What went wrong with the client's connection, in words.",
        |_, view| Some(text(of_client(view))),
    ),
    Fetch::of_connection(
        "ssl_fc_err",
        &["ssl_fc_hsk_err"],
        Type::Int,
        "OpenSSL's number of why TLS with the client failed, or 0.",
        |_, view| {
            view.connection.tls.as_ref()?;
            Some(reason_number(of_client(view)))
        },
    ),
    Fetch::of_connection(
        "ssl_fc_err_str",
        &["ssl_fc_hsk_err_str"],
        Type::String,
        "Why TLS with the client failed, in OpenSSL's words.",
        |_, view| reason_text(of_client(view)?.reason),
    ),
    Fetch::of_connection(
        "bc_err",
        &[],
        Type::Int,
        "Number of what went wrong with the connection to the server, or 0.",
        |_, view| {
            view.server?;
            Some(number(of_server(view)))
        },
    ),
    Fetch::of_connection(
        "bc_err_str",
        &[],
        Type::String,
        "What went wrong with the connection to the server, in words.",
        |_, view| {
            view.server?;
            Some(text(of_server(view)))
        },
    ),
    Fetch::of_connection(
        "ssl_bc_err",
        &["ssl_bc_hsk_err"],
        Type::Int,
        "OpenSSL's number of why TLS with the server failed, or 0.",
        |_, view| match of_server(view) {
            Some(failure) => failure.reason.map(|_| reason_number(Some(failure))),
            None => view.state.to_server.as_ref().map(|_| Value::Int(0)),
        },
    ),
    Fetch::of_connection(
        "ssl_bc_err_str",
        &["ssl_bc_hsk_err_str"],
        Type::String,
        "Why TLS with the server failed, in OpenSSL's words.",
        |_, view| reason_text(of_server(view)?.reason),
    ),
];

fn marks<'a>(view: &RequestView<'a>) -> Option<&'a Marks> {
    view.state.marks.as_deref()
}

fn of_client(view: &RequestView<'_>) -> Option<Failure> {
    marks(view)?.client_failure
}

fn of_server(view: &RequestView<'_>) -> Option<Failure> {
    marks(view)?.server_failure
}

fn number(failure: Option<Failure>) -> Value<'static> {
    Value::Int(failure.map_or(0, |failure| failure.trouble.number().into()))
}

fn text(failure: Option<Failure>) -> Value<'static> {
    let text = failure.map_or("Success", |failure| failure.trouble.text());
    Value::text(text.as_bytes())
}

fn reason_number(failure: Option<Failure>) -> Value<'static> {
    let reason = failure.and_then(|failure| failure.reason);
    Value::Int(reason.map_or(0, |reason| reason.number().into()))
}

fn reason_text(reason: Option<TlsReason>) -> Option<Value<'static>> {
    Some(Value::String(reason?.to_string().into_bytes().into()))
}
