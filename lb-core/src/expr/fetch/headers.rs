//! Header fields and cookies. Manual 7.3.6.
//!
//! Without an occurrence a fetch yields every value, so that an ACL matches if one of them does; an expression
//! that wants a single value gets the last.

use super::{
    Eval, Fetch, Sink,
    target::{cookies, host_port, members},
};
use crate::{
    expr::{
        Needs, Type, Value, Wanted,
        args::{ArgKind, ArgSpec, Argument, may, need},
    },
    head::HeadRef,
    request::{RequestView, Side},
};

const HEADER: &[ArgSpec] = &[need("name", ArgKind::Text), may("occurrence", ArgKind::Int)];
const COUNTED: &[ArgSpec] = &[may("name", ArgKind::Text)];
const INDEX: &[ArgSpec] = &[need("index", ArgKind::Int)];

/// The entries.
pub(super) const TABLE: &[Fetch] = &[
    Fetch::row(
        "req.hdr",
        &["hdr"],
        HEADER,
        Type::String,
        Needs::Request,
        "Members of the comma-separated values of a request header.",
        Eval::Many(|args, view, wanted, sink| split(args, view.request, wanted, sink)),
    ),
    Fetch::row(
        "req.fhdr",
        &["fhdr"],
        HEADER,
        Type::String,
        Needs::Request,
        "Whole values of a request header.",
        Eval::Many(|args, view, wanted, sink| whole(args, view.request, wanted, sink)),
    ),
    Fetch::row(
        "req.hdrs",
        &[],
        &[],
        Type::String,
        Needs::Request,
        "All headers of the request as they are sent, the blank line behind them included.",
        Eval::One(|_, view| view.request.map(listed)),
    ),
    Fetch::row(
        "res.hdrs",
        &[],
        &[],
        Type::String,
        Needs::Response,
        "All headers of the response as they are sent, the blank line behind them included.",
        Eval::One(|_, view| view.response.map(listed)),
    ),
    Fetch::row(
        "req.hdrs_bin",
        &[],
        &[],
        Type::Binary,
        Needs::Request,
        "All headers of the request, names and values each behind their lengths, two empty ones last.",
        Eval::One(|_, view| view.request.map(blocks)),
    ),
    Fetch::row(
        "res.hdrs_bin",
        &[],
        &[],
        Type::Binary,
        Needs::Response,
        "All headers of the response, names and values each behind their lengths, two empty ones last.",
        Eval::One(|_, view| view.response.map(blocks)),
    ),
    Fetch::row(
        "req.hdr_cnt",
        &["hdr_cnt"],
        COUNTED,
        Type::Int,
        Needs::Request,
        "Number of comma-separated values of a request header.",
        Eval::One(|args, view| count_members(args, view.request)),
    ),
    Fetch::row(
        "req.fhdr_cnt",
        &["fhdr_cnt"],
        COUNTED,
        Type::Int,
        Needs::Request,
        "Number of lines of a request header.",
        Eval::One(|args, view| count_lines(args, view.request)),
    ),
    Fetch::row(
        "req.hdr_ip",
        &["hdr_ip"],
        HEADER,
        Type::Address,
        Needs::Request,
        "Addresses in a request header, ports ignored.",
        Eval::Many(|args, view, wanted, sink| addresses(args, view.request, wanted, sink)),
    ),
    Fetch::row(
        "req.hdr_val",
        &["hdr_val"],
        HEADER,
        Type::Int,
        Needs::Request,
        "Numbers in a request header.",
        Eval::Many(|args, view, wanted, sink| numbers(args, view.request, wanted, sink)),
    ),
    Fetch::row(
        "req.hdr_names",
        &[],
        &[may("delimiter", ArgKind::Text)],
        Type::String,
        Needs::Request,
        "Names of the request headers, joined by the delimiter (a comma).",
        Eval::One(|args, view| names(args, view.request)),
    ),
    Fetch::row(
        "res.hdr",
        &["shdr"],
        HEADER,
        Type::String,
        Needs::Response,
        "Members of the comma-separated values of a response header.",
        Eval::Many(|args, view, wanted, sink| split(args, view.response, wanted, sink)),
    ),
    Fetch::row(
        "res.fhdr",
        &[],
        HEADER,
        Type::String,
        Needs::Response,
        "Whole values of a response header.",
        Eval::Many(|args, view, wanted, sink| whole(args, view.response, wanted, sink)),
    ),
    Fetch::row(
        "res.hdr_cnt",
        &["shdr_cnt"],
        COUNTED,
        Type::Int,
        Needs::Response,
        "Number of comma-separated values of a response header.",
        Eval::One(|args, view| count_members(args, view.response)),
    ),
    Fetch::row(
        "res.fhdr_cnt",
        &[],
        COUNTED,
        Type::Int,
        Needs::Response,
        "Number of lines of a response header.",
        Eval::One(|args, view| count_lines(args, view.response)),
    ),
    Fetch::row(
        "res.hdr_ip",
        &["shdr_ip"],
        HEADER,
        Type::Address,
        Needs::Response,
        "Addresses in a response header, ports ignored.",
        Eval::Many(|args, view, wanted, sink| addresses(args, view.response, wanted, sink)),
    ),
    Fetch::row(
        "res.hdr_val",
        &["shdr_val"],
        HEADER,
        Type::Int,
        Needs::Response,
        "Numbers in a response header.",
        Eval::Many(|args, view, wanted, sink| numbers(args, view.response, wanted, sink)),
    ),
    Fetch::row(
        "res.hdr_names",
        &[],
        &[may("delimiter", ArgKind::Text)],
        Type::String,
        Needs::Response,
        "Names of the response headers, joined by the delimiter (a comma).",
        Eval::One(|args, view| names(args, view.response)),
    ),
    Fetch::row(
        "req.cook",
        &["cook", "cookie"],
        COUNTED,
        Type::String,
        Needs::Request,
        "Values of a cookie of the request.",
        Eval::Many(request_cookies),
    ),
    Fetch::row(
        "req.cook_cnt",
        &["cook_cnt"],
        COUNTED,
        Type::Int,
        Needs::Request,
        "Number of cookies of that name in the request.",
        Eval::One(|args, view| Some(count(|sink| request_cookies(args, view, Wanted::All, sink)))),
    ),
    Fetch::row(
        "req.cook_val",
        &["cook_val"],
        COUNTED,
        Type::Int,
        Needs::Request,
        "Values of a cookie of the request as numbers.",
        Eval::Many(|args, view, wanted, sink| {
            request_cookies(args, view, wanted, &mut |value| {
                sink(leading_number(&value))
            });
        }),
    ),
    Fetch::row(
        "res.cook",
        &["scook"],
        COUNTED,
        Type::String,
        Needs::Response,
        "Values of a cookie set by the response.",
        Eval::Many(response_cookies),
    ),
    Fetch::row(
        "res.cook_cnt",
        &["scook_cnt"],
        COUNTED,
        Type::Int,
        Needs::Response,
        "Number of cookies of that name set by the response.",
        Eval::One(|args, view| {
            Some(count(|sink| {
                response_cookies(args, view, Wanted::All, sink)
            }))
        }),
    ),
    Fetch::row(
        "res.cook_val",
        &["scook_val"],
        COUNTED,
        Type::Int,
        Needs::Response,
        "Values of a cookie set by the response as numbers.",
        Eval::Many(|args, view, wanted, sink| {
            response_cookies(args, view, wanted, &mut |value| {
                sink(leading_number(&value))
            });
        }),
    ),
    Fetch::row(
        "capture.req.hdr",
        &[],
        INDEX,
        Type::String,
        Needs::Connection,
        "The request capture of that index.",
        Eval::One(|args, view| captured(args, view, Side::Request)),
    ),
    Fetch::row(
        "capture.res.hdr",
        &[],
        INDEX,
        Type::String,
        Needs::Connection,
        "The response capture of that index.",
        Eval::One(|args, view| captured(args, view, Side::Response)),
    ),
];

/// `name: value` lines and a blank one.
fn listed(head: HeadRef<'_>) -> Value<'static> {
    let mut out = Vec::new();
    for (name, value) in head.fields() {
        out.extend(name.iter().map(u8::to_ascii_lowercase));
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Value::String(out.into())
}

/// Names and values behind their lengths, which are written as in SPOE: below 240 a byte, else four bits of the first
/// and then seven of each.
fn blocks(head: HeadRef<'_>) -> Value<'static> {
    let mut out = Vec::new();
    let mut block = |bytes: &[u8]| {
        let low = |number: usize| u8::try_from(number & 0xff).unwrap_or_default();
        let mut length = bytes.len();
        if length < 240 {
            out.push(low(length));
        } else {
            out.push(low(length) | 240);
            length = (length - 240) >> 4;
            while length >= 128 {
                out.push(low(length) | 128);
                length = (length - 128) >> 7;
            }
            out.push(low(length));
        }
        out.extend_from_slice(bytes);
    };
    for (name, value) in head.fields() {
        block(&name.to_ascii_lowercase());
        block(value);
    }
    block(b"");
    block(b"");
    Value::Binary(out.into())
}

fn name(args: &[Argument]) -> Option<&[u8]> {
    args.first()?.text()
}

/// Hands `values` to `sink`: all of them, or the one of the occurrence asked for (from 1, negative from the
/// end).
fn occurrences<'a>(
    args: &'a [Argument],
    wanted: Wanted,
    mut values: impl DoubleEndedIterator<Item = &'a [u8]>,
    sink: Sink<'_, 'a>,
) {
    let occurrence = match (args.get(1).and_then(Argument::int), wanted) {
        (None | Some(0), Wanted::Single) => -1,
        (given, _) => given.unwrap_or(0),
    };
    let steps = usize::try_from(occurrence.unsigned_abs().saturating_sub(1)).unwrap_or(usize::MAX);
    let chosen = match occurrence {
        0 => {
            values.all(|value| sink(Value::text(value)));
            return;
        }
        1.. => values.nth(steps),
        _ => values.nth_back(steps),
    };
    if let Some(value) = chosen {
        sink(Value::text(value));
    }
}

fn split<'a>(args: &'a [Argument], head: Option<HeadRef<'a>>, wanted: Wanted, sink: Sink<'_, 'a>) {
    if let (Some(head), Some(name)) = (head, name(args)) {
        occurrences(args, wanted, head.values(name).flat_map(members), sink);
    }
}

fn whole<'a>(args: &'a [Argument], head: Option<HeadRef<'a>>, wanted: Wanted, sink: Sink<'_, 'a>) {
    if let (Some(head), Some(name)) = (head, name(args)) {
        // Blanks that a rule wrote at either end are not part of a value (RFC 9110 §5.5).
        let values = head.values(name).map(<[u8]>::trim_ascii);
        occurrences(args, wanted, values, sink);
    }
}

/// The lines that `args` counts: those of one name, else all.
fn lines<'a>(args: &'a [Argument], head: HeadRef<'a>) -> impl DoubleEndedIterator<Item = &'a [u8]> {
    let wanted = name(args);
    head.fields()
        .filter(move |(n, _)| wanted.is_none_or(|w| n.eq_ignore_ascii_case(w)))
        .map(|(_, v)| v)
}

fn length(number: usize) -> Value<'static> {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn count_members<'a>(args: &'a [Argument], head: Option<HeadRef<'a>>) -> Option<Value<'a>> {
    Some(length(lines(args, head?).flat_map(members).count()))
}

fn count_lines<'a>(args: &'a [Argument], head: Option<HeadRef<'a>>) -> Option<Value<'a>> {
    Some(length(lines(args, head?).count()))
}

fn count<'a>(visit: impl FnOnce(Sink<'_, 'a>)) -> Value<'a> {
    let mut number = 0;
    visit(&mut |_| {
        number += 1;
        true
    });
    Value::Int(number)
}

fn addresses<'a>(
    args: &'a [Argument],
    head: Option<HeadRef<'a>>,
    wanted: Wanted,
    sink: Sink<'_, 'a>,
) {
    split(args, head, wanted, &mut |value| {
        let plain = value.whole_address();
        let found = plain.or_else(|| Value::text(host_port(value.bytes()?).0).whole_address());
        found.is_none_or(|address| sink(Value::Address(address)))
    });
}

fn numbers<'a>(
    args: &'a [Argument],
    head: Option<HeadRef<'a>>,
    wanted: Wanted,
    sink: Sink<'_, 'a>,
) {
    split(args, head, wanted, &mut |value| {
        sink(leading_number(&value))
    });
}

/// The number that a text begins with, up to the first character that is none; 0 if there is none.
pub(super) fn leading_number(value: &Value<'_>) -> Value<'static> {
    let text = value.bytes().unwrap_or_default();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let number = digits.fold(0_i64, |number, digit| {
        number
            .saturating_mul(10)
            .saturating_add(i64::from(digit - b'0'))
    });
    Value::Int(if negative { -number } else { number })
}

fn names<'a>(args: &'a [Argument], head: Option<HeadRef<'a>>) -> Option<Value<'a>> {
    let delimiter = name(args).unwrap_or(b",");
    let mut out = Vec::new();
    for (index, (name, _)) in head?.fields().enumerate() {
        if index > 0 {
            out.extend_from_slice(delimiter);
        }
        out.extend(name.iter().map(u8::to_ascii_lowercase));
    }
    Some(Value::String(out.into()))
}

/// Hands the cookies called as `args` say to `sink`: all of them, or the last of a name, the first of all.
fn named<'a>(
    args: &'a [Argument],
    wanted: Wanted,
    mut pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    sink: Sink<'_, 'a>,
) {
    let name = name(args);
    let mut values = pairs
        .by_ref()
        .filter(|(n, _)| name.is_none_or(|name| name == *n))
        .map(|(_, value)| Value::text(value));
    match wanted {
        Wanted::All => {
            values.all(sink);
        }
        Wanted::Single if name.is_none() => {
            values.next().map(sink);
        }
        Wanted::Single => {
            values.last().map(sink);
        }
    }
}

fn request_cookies<'a>(
    args: &'a [Argument],
    view: &RequestView<'a>,
    wanted: Wanted,
    sink: Sink<'_, 'a>,
) {
    if let Some(head) = view.request {
        let pairs = head.values(b"cookie").flat_map(cookies);
        named(args, wanted, pairs, sink);
    }
}

fn response_cookies<'a>(
    args: &'a [Argument],
    view: &RequestView<'a>,
    wanted: Wanted,
    sink: Sink<'_, 'a>,
) {
    if let Some(head) = view.response {
        let lines = head.values(b"set-cookie");
        let pairs = lines.filter_map(|line| cookies(line).next());
        named(args, wanted, pairs, sink);
    }
}

fn captured<'a>(args: &[Argument], view: &RequestView<'a>, side: Side) -> Option<Value<'a>> {
    let slot = usize::try_from(args.first()?.int()?).ok()?;
    view.state.captured(side, slot)
}
