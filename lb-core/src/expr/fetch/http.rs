//! The start line: method, target and its parts, versions, status. Manual 7.3.6.

use std::net::IpAddr;

use super::{
    Eval, Fetch, Sink,
    headers::leading_number,
    target::{authority, host_port, parameters, split},
};
use crate::{
    cache::Found,
    compression::Algorithm,
    expr::{
        Needs, Settled, Type, Value, Wanted,
        args::{ArgKind, ArgSpec, Argument, may},
    },
    hash::{avalanche, sdbm},
    head::Version,
    request::{RequestView, is_unix},
};

const PARAMETER: &[ArgSpec] = &[may("name", ArgKind::Text), may("delimiter", ArgKind::Text)];

/// The entries.
pub(super) const TABLE: &[Fetch] = &[
    Fetch::row(
        "method",
        &["capture.req.method"],
        &[],
        Type::Method,
        Needs::Request,
        "Method of the request.",
        Eval::One(|_, view| Some(Value::text(view.request?.method()))),
    ),
    Fetch::row(
        "url",
        &[],
        &[],
        Type::String,
        Needs::Request,
        "Target of the request as received or rewritten.",
        Eval::One(|_, view| Some(Value::text(view.request?.target()))),
    ),
    Fetch::row(
        "capture.req.uri",
        &[],
        &[],
        Type::String,
        Needs::Request,
        "Target of the request from its first slash on.",
        Eval::One(|_, view| {
            let target = view.request?.target();
            let authority = authority(target).map_or(0, <[u8]>::len);
            let scheme = memchr::memmem::find(target, b"://").filter(|_| authority > 0);
            let start = scheme.map_or(0, |scheme| scheme + 3);
            let slash = memchr::memchr(b'/', target.get(start..)?)?;
            Some(Value::text(target.get(start + slash..)?))
        }),
    ),
    Fetch::row(
        "path",
        &[],
        &[],
        Type::String,
        Needs::Request,
        "Path of the target, without the query.",
        Eval::One(|_, view| path(view).map(Value::text)),
    ),
    Fetch::row(
        "pathq",
        &[],
        &[],
        Type::String,
        Needs::Request,
        "Path of the target with the query.",
        Eval::One(|_, view| {
            path_and_query(view)
                .filter(|t| !t.is_empty())
                .map(Value::text)
        }),
    ),
    Fetch::row(
        "query",
        &[],
        &[],
        Type::String,
        Needs::Request,
        "What follows the first question mark of the target.",
        Eval::One(|_, view| split(view.request?.target()).query.map(Value::text)),
    ),
    Fetch::row(
        "base",
        &[],
        &[],
        Type::String,
        Needs::Request,
        "The first Host header followed by the path.",
        Eval::One(|_, view| {
            let head = view.request?;
            let mut out = head.value(b"host").unwrap_or_default().to_vec();
            out.extend_from_slice(path(view).unwrap_or_default());
            Some(Value::String(out.into()))
        }),
    ),
    Fetch::row(
        "baseq",
        &[],
        &[],
        Type::String,
        Needs::Request,
        "The first Host header followed by the path and the query.",
        Eval::One(|_, view| {
            let head = view.request?;
            let mut out = head.value(b"host").unwrap_or_default().to_vec();
            out.extend_from_slice(path_and_query(view)?);
            Some(Value::String(out.into()))
        }),
    ),
    Fetch::row(
        "base32",
        &[],
        &[],
        Type::Int,
        Needs::Request,
        "A 32-bit hash of the first Host header and the path; not the number that HAProxy makes of them.",
        Eval::One(|_, view| Some(Value::Int(hash(view, path(view)?)?.into()))),
    ),
    Fetch::row(
        "base32+src",
        &[],
        &[],
        Type::Binary,
        Needs::Request,
        "base32 followed by the source address: 8 or 20 bytes.",
        Eval::One(|_, view| with_source(view, hash(view, path(view)?)?)),
    ),
    Fetch::row(
        "url32",
        &[],
        &[],
        Type::Int,
        Needs::Request,
        "A 32-bit hash of the first Host header, the path and the query.",
        Eval::One(|_, view| Some(Value::Int(hash(view, path_and_query(view)?)?.into()))),
    ),
    Fetch::row(
        "url32+src",
        &[],
        &[],
        Type::Binary,
        Needs::Request,
        "url32 followed by the source address: 8 or 20 bytes.",
        Eval::One(|_, view| with_source(view, hash(view, path_and_query(view)?)?)),
    ),
    Fetch::row(
        "url_param",
        &["urlp"],
        PARAMETER,
        Type::String,
        Needs::Request,
        "Values of a parameter of the query; of every parameter without a name.",
        Eval::Many(url_parameters),
    ),
    Fetch::row(
        "urlp_val",
        &[],
        PARAMETER,
        Type::Int,
        Needs::Request,
        "Values of a parameter of the query as numbers.",
        Eval::Many(|args, view, wanted, sink| {
            url_parameters(args, view, wanted, &mut |value| {
                sink(leading_number(&value))
            });
        }),
    ),
    Fetch::row(
        "url_ip",
        &[],
        &[],
        Type::Address,
        Needs::Request,
        "Address in an absolute target.",
        Eval::One(|_, view| {
            let host = host_port(authority(view.request?.target())?).0;
            Value::text(host).whole_address().map(Value::Address)
        }),
    ),
    Fetch::row(
        "url_port",
        &[],
        &[],
        Type::Int,
        Needs::Request,
        "Port in an absolute target, 80 or 443 by its scheme if it holds none.",
        Eval::One(|_, view| {
            let target = view.request?.target();
            let default = if target.starts_with(b"https:") {
                443
            } else {
                80
            };
            let port = match host_port(authority(target)?).1 {
                Some(port) => Value::text(port).integer()?,
                None => default,
            };
            Some(Value::Int(port))
        }),
    ),
    Fetch::row(
        "req.ver",
        &["req_ver"],
        &[],
        Type::String,
        Needs::Request,
        "HTTP version of the request: 1.0, 1.1 or 2.0.",
        Eval::One(|_, view| Some(version(view.request?.version()))),
    ),
    Fetch::row(
        "req.proto_http",
        &["req_proto_http"],
        &[],
        Type::Bool,
        Needs::Request,
        "Whether an HTTP request was parsed.",
        Eval::One(|_, view| Some(Value::Bool(view.request.is_some()))),
    ),
    Fetch::row(
        "res.ver",
        &["resp_ver"],
        &[],
        Type::String,
        Needs::Response,
        "HTTP version of the response: 1.0, 1.1 or 2.0.",
        Eval::One(|_, view| Some(version(view.response?.version()))),
    ),
    Fetch::row(
        "capture.req.ver",
        &[],
        &[],
        Type::String,
        Needs::Request,
        "HTTP version of the request: HTTP/1.0 or HTTP/1.1.",
        Eval::One(|_, view| Some(protocol(view.request?.version()))),
    ),
    Fetch::row(
        "capture.res.ver",
        &[],
        &[],
        Type::String,
        Needs::Response,
        "HTTP version of the response: HTTP/1.0 or HTTP/1.1.",
        Eval::One(|_, view| Some(protocol(view.response?.version()))),
    ),
    Fetch::row(
        "status",
        &["txn.status"],
        &[],
        Type::Int,
        Needs::Response,
        "Status of the response.",
        Eval::One(|_, view| Some(Value::Int(view.response?.status().into()))),
    ),
    Fetch::row(
        "req.body",
        &[],
        &[],
        Type::Binary,
        Needs::Payload,
        "What was received of the request's body so far.",
        Eval::Growing(|_, view| {
            let body = view.request.map(|_| Value::Binary(view.payload.into()));
            let settled = if view.is_http() {
                Settled::No
            } else {
                Settled::Yes
            };
            (body, settled)
        }),
    ),
    Fetch::row(
        "req.body_param",
        &[],
        &[may("name", ArgKind::Text)],
        Type::String,
        Needs::Payload,
        "Values of a parameter of the request's body (a form's); of every parameter without a name.",
        Eval::Many(|args, view, _, sink| {
            if view.request.is_some() {
                let name = args.first().and_then(Argument::text);
                parameters(view.payload, b'&')
                    .filter(|(n, _)| name.is_none_or(|wanted| *n == wanted))
                    .all(|(_, value)| sink(Value::text(value)));
            }
        }),
    ),
    Fetch::row(
        "req.body_len",
        &[],
        &[],
        Type::Int,
        Needs::Payload,
        "Length of what was received of the request's body so far.",
        Eval::One(|_, view| {
            view.request?;
            Some(Value::Int(i64::try_from(view.payload.len()).ok()?))
        }),
    ),
    Fetch::row(
        "res.cache_hit",
        &[],
        &[],
        Type::Bool,
        Needs::Response,
        "Whether the response is from a cache.",
        Eval::One(|_, view| Some(Value::Bool(found(view).is_some()))),
    ),
    Fetch::row(
        "res.cache_name",
        &[],
        &[],
        Type::String,
        Needs::Response,
        "Name of the cache that the response is from.",
        Eval::One(|_, view| Some(Value::text(found(view)?.cache.name().as_bytes()))),
    ),
    Fetch::row(
        "res.comp",
        &[],
        &[],
        Type::Bool,
        Needs::Connection,
        "Whether the content of the response is compressed here, known in the log.",
        Eval::One(|_, view| Some(Value::Bool(compressed(view).is_some()))),
    ),
    Fetch::row(
        "res.comp_algo",
        &[],
        &[],
        Type::String,
        Needs::Connection,
        "What the content of the response is compressed by, known in the log.",
        Eval::One(|_, view| {
            let algorithm = compressed(view)?;
            Some(Value::text(algorithm.name().as_bytes()))
        }),
    ),
    Fetch::row(
        "res.body",
        &[],
        &[],
        Type::Binary,
        Needs::Response,
        "What `wait-for-body` has got of the response's body.",
        Eval::One(|_, view| Some(Value::Binary(response_body(view)?.into()))),
    ),
    Fetch::row(
        "res.body_len",
        &[],
        &[],
        Type::Int,
        Needs::Response,
        "Length of what `wait-for-body` has got of the response's body.",
        Eval::One(|_, view| Some(Value::Int(i64::try_from(response_body(view)?.len()).ok()?))),
    ),
    Fetch::row(
        "res.body_size",
        &[],
        &[],
        Type::Int,
        Needs::Response,
        "Content-Length of the response, 0 without one.",
        Eval::One(|_, view| {
            let length = view.response?.value(b"content-length");
            Some(Value::Int(
                length.and_then(|l| Value::text(l).integer()).unwrap_or(0),
            ))
        }),
    ),
    Fetch::row(
        "req.body_size",
        &[],
        &[],
        Type::Int,
        Needs::Payload,
        "Content-Length of the request; without one, length of what was received of its body so far.",
        Eval::One(|_, view| {
            let stated = view.request?.value(b"content-length");
            let stated = stated.and_then(|length| Value::text(length).integer());
            let received = if view.is_http() {
                view.payload.len()
            } else {
                0
            };
            Some(Value::Int(stated.or_else(|| received.try_into().ok())?))
        }),
    ),
];

/// The body of a response, as far as it is known.
pub(super) fn response_body<'a>(view: &RequestView<'a>) -> Option<&'a [u8]> {
    view.response?;
    let marks = view.state.marks.as_ref();
    Some(marks.map_or(&[], |marks| &marks.bodies.response))
}

fn found<'a>(view: &RequestView<'a>) -> Option<&'a Found> {
    view.state.marks.as_ref()?.cache.as_ref()?.found()
}

fn compressed(view: &RequestView<'_>) -> Option<Algorithm> {
    view.state.marks.as_ref()?.compressed
}

fn path<'a>(view: &RequestView<'a>) -> Option<&'a [u8]> {
    let path = split(view.request?.target()).path;
    (!path.is_empty()).then_some(path)
}

fn path_and_query<'a>(view: &RequestView<'a>) -> Option<&'a [u8]> {
    let target = view.request?.target();
    target.get(split(target).origin.len()..)
}

/// A hash of the first Host header and what follows.
fn hash(view: &RequestView<'_>, rest: &[u8]) -> Option<u32> {
    let host = view.request?.value(b"host").unwrap_or_default();
    Some(avalanche(sdbm(host.iter().chain(rest))))
}

fn with_source<'a>(view: &RequestView<'_>, hash: u32) -> Option<Value<'a>> {
    if is_unix(view.source()) {
        return None;
    }
    let mut key = hash.to_be_bytes().to_vec();
    match view.source().ip().to_canonical() {
        IpAddr::V4(ip) => key.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => key.extend_from_slice(&ip.octets()),
    }
    Some(Value::Binary(key.into()))
}

fn version(version: Version) -> Value<'static> {
    Value::text(match version {
        Version::Http10 => b"1.0",
        Version::Http11 => b"1.1",
        Version::Http2 => b"2.0",
    })
}

/// HTTP/2 is told as HTTP/1.1, which it is translated to.
fn protocol(version: Version) -> Value<'static> {
    Value::text(match version {
        Version::Http10 => b"HTTP/1.0",
        Version::Http11 | Version::Http2 => b"HTTP/1.1",
    })
}

/// The first stands for all. Parameters begin after the delimiter (`?`) and are separated by `&`, `;` or the delimiter.
fn url_parameters<'a>(args: &'a [Argument], view: &RequestView<'a>, _: Wanted, sink: Sink<'_, 'a>) {
    let Some(head) = view.request else { return };
    let name = args.first().and_then(Argument::text);
    let delimiter = args
        .get(1)
        .and_then(Argument::text)
        .and_then(<[u8]>::first)
        .copied()
        .unwrap_or(b'?');
    let target = head.target();
    let Some(start) = memchr::memchr(delimiter, target) else {
        return;
    };
    parameters(target.get(start + 1..).unwrap_or_default(), delimiter)
        .filter(|(n, _)| name.is_none_or(|name| *n == name))
        .all(|(_, value)| sink(Value::text(value)));
}
