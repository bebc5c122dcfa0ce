//! Converters over text. Manual 7.3.1.

use std::borrow::Cow;

use regex::bytes::Regex;

use super::Converter;
use crate::{
    expr::{
        Type, Value,
        args::{ArgKind, ArgSpec, Argument, may, need},
    },
    request::RequestView,
};

/// Arguments of `field` and `word`.
const PIECES: &[ArgSpec] = &[
    need("index", ArgKind::Int),
    need("delimiters", ArgKind::Text),
    may("count", ArgKind::Int),
];

/// The entries.
pub(super) const TABLE: &[Converter] = &[
    Converter::row(
        "lower",
        &[],
        Type::String,
        Type::String,
        "The text in lower case.",
        |value, _, _| map_bytes(value, u8::is_ascii_uppercase, <[u8]>::make_ascii_lowercase),
    ),
    Converter::row(
        "upper",
        &[],
        Type::String,
        Type::String,
        "The text in upper case.",
        |value, _, _| map_bytes(value, u8::is_ascii_lowercase, <[u8]>::make_ascii_uppercase),
    ),
    Converter::row(
        "length",
        &[],
        Type::String,
        Type::Int,
        "Length of the text in bytes.",
        |value, _, _| Some(Value::Int(i64::try_from(value.bytes()?.len()).ok()?)),
    ),
    Converter::row(
        "bytes",
        &[need("offset", ArgKind::Int), may("length", ArgKind::Int)],
        Type::Binary,
        Type::Binary,
        "Bytes from an offset, all or at most that many.",
        |value, args, _| {
            let offset = usize::try_from(args.first()?.int()?).ok()?;
            let length = match args.get(1).and_then(Argument::int) {
                Some(length) => usize::try_from(length).ok()?,
                None => usize::MAX,
            };
            slice(value, |bytes| {
                let end = offset.saturating_add(length).min(bytes.len());
                (offset <= end).then_some(offset..end)
            })
        },
    ),
    Converter::row(
        "field",
        PIECES,
        Type::String,
        Type::String,
        "The field of that index (from 1, negative from the end) between delimiters.",
        |value, args, _| pieces(value, args, false),
    ),
    Converter::row(
        "word",
        PIECES,
        Type::String,
        Type::String,
        "The non-empty field of that index (from 1, negative from the end) between delimiters.",
        |value, args, _| pieces(value, args, true),
    ),
    Converter::row(
        "regsub",
        &[
            need("pattern", ArgKind::Regsub),
            may("replacement", ArgKind::Text),
            may("flags", ArgKind::Text),
        ],
        Type::String,
        Type::String,
        "The text with the match of a regular expression replaced (flags g: every match, i: without case).",
        |value, args, _| {
            let Argument::Regsub(regex, replacement, all) = args.first()? else {
                return None;
            };
            Some(substitute(value, regex, replacement, *all))
        },
    ),
    Converter::row(
        "language",
        &[
            need("languages", ArgKind::Text),
            may("default", ArgKind::Text),
        ],
        Type::String,
        Type::String,
        "The language of the list (with semicolons between them) that the Accept-Language value likes best, else the default.",
        |value, args, _| {
            let listed = args.first()?.text()?;
            let best = preferred(value.bytes()?, listed);
            best.or_else(|| args.get(1)?.text()).map(Value::text)
        },
    ),
    Converter::row(
        "rtrim",
        &[need("characters", ArgKind::Text)],
        Type::String,
        Type::String,
        "The text without those characters at its end.",
        |value, args, _| {
            let set = args.first()?.text()?;
            slice(value, |bytes| {
                let end = bytes
                    .iter()
                    .rposition(|b| !set.contains(b))
                    .map_or(0, |at| at + 1);
                Some(0..end)
            })
        },
    ),
    Converter::row(
        "ltrim",
        &[need("characters", ArgKind::Text)],
        Type::String,
        Type::String,
        "The text without those characters at its beginning.",
        |value, args, _| {
            let set = args.first()?.text()?;
            slice(value, |bytes| {
                let start = bytes
                    .iter()
                    .position(|b| !set.contains(b))
                    .unwrap_or(bytes.len());
                Some(start..bytes.len())
            })
        },
    ),
    Converter::row(
        "concat",
        &[
            may("start", ArgKind::Text),
            may("variable", ArgKind::Variable),
            may("end", ArgKind::Text),
        ],
        Type::String,
        Type::String,
        "The text followed by a text, the value of a variable and another text.",
        concat,
    ),
    Converter::row(
        "add_item",
        &[
            need("delimiter", ArgKind::Text),
            may("variable", ArgKind::Variable),
            may("suffix", ArgKind::Text),
        ],
        Type::String,
        Type::String,
        "The text followed by the value of a variable and a text; between them a delimiter, if neither side is empty.",
        add_item,
    ),
    Converter::row(
        "strcmp",
        &[need("variable", ArgKind::Variable)],
        Type::String,
        Type::Int,
        "0 if the text equals that of a variable, below 0 if it comes before, above 0 if it comes after: the distance between the \
         first bytes that differ.",
        |value, args, view| {
            let other = stored(args.first()?, view)?.into_text();
            Some(Value::Int(distance(value.bytes()?, &other)))
        },
    ),
    Converter::row(
        "iif",
        &[need("true", ArgKind::Text), need("false", ArgKind::Text)],
        Type::Bool,
        Type::String,
        "The first text if the value is true, else the second.",
        |value, args, _| {
            args.get(usize::from(!value.truth()?))?
                .text()
                .map(Value::text)
        },
    ),
    Converter::row(
        "cut_crlf",
        &[],
        Type::String,
        Type::String,
        "The text up to its first line end.",
        |value, _, _| {
            slice(value, |bytes| {
                Some(0..memchr::memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len()))
            })
        },
    ),
];

/// Changes bytes in place; text that needs no change stays borrowed.
fn map_bytes<'a>(
    value: Value<'a>,
    needs: fn(&u8) -> bool,
    change: fn(&mut [u8]),
) -> Option<Value<'a>> {
    let Value::String(mut text) = value else {
        return None;
    };
    if text.iter().any(needs) {
        change(text.to_mut());
    }
    Some(Value::String(text))
}

/// A part of the value, borrowed if the value is.
pub(super) fn slice<'a>(
    value: Value<'a>,
    range: impl FnOnce(&[u8]) -> Option<std::ops::Range<usize>>,
) -> Option<Value<'a>> {
    let cut = |bytes: Cow<'a, [u8]>| -> Option<Cow<'a, [u8]>> {
        let range = range(&bytes)?;
        match bytes {
            Cow::Borrowed(bytes) => bytes.get(range).map(Cow::Borrowed),
            Cow::Owned(bytes) => bytes.get(range).map(|b| Cow::Owned(b.to_vec())),
        }
    };
    Some(match value {
        Value::String(text) => Value::String(cut(text)?),
        Value::Binary(bytes) => Value::Binary(cut(bytes)?),
        _ => return None,
    })
}

/// `field` and `word`: ranges between delimiters, then the one asked for and `count` more (0: the rest).
fn pieces<'a>(value: Value<'a>, args: &[Argument], skip_empty: bool) -> Option<Value<'a>> {
    let index = args.first()?.int()?;
    let delimiters = args.get(1)?.text()?;
    let count = args.get(2).and_then(Argument::int).unwrap_or(1);
    let count = usize::try_from(count).ok()?;
    slice(value, |bytes| {
        let ranges = || {
            let mut start = 0;
            bytes
                .split(|b| delimiters.contains(b))
                .map(move |piece| {
                    let range = start..start + piece.len();
                    start = range.end + 1;
                    range
                })
                .filter(|range| !(skip_empty && range.is_empty()))
        };
        let total = ranges().count();
        let number = usize::try_from(index.unsigned_abs()).ok()?;
        // Pieces are counted from 1; those from the end extend to the left.
        let (first, last) = match index {
            0 => return None,
            1.. => (
                number,
                if count == 0 {
                    total
                } else {
                    number.saturating_add(count - 1)
                },
            ),
            _ => {
                let last = (total + 1).checked_sub(number)?;
                (
                    if count == 0 {
                        1
                    } else {
                        last.saturating_sub(count - 1).max(1)
                    },
                    last,
                )
            }
        };
        let from = ranges().nth(first.checked_sub(1)?)?;
        let to = ranges().nth(last.min(total).checked_sub(1)?)?;
        (from.start <= to.end).then_some(from.start..to.end)
    })
}

/// Replaces matches; text without a match stays borrowed.
fn substitute<'a>(value: Value<'a>, regex: &Regex, replacement: &[u8], all: bool) -> Value<'a> {
    let text = value.into_text();
    if !regex.is_match(&text) {
        return Value::String(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut done = 0;
    for captures in regex.captures_iter(&text) {
        let Some(whole) = captures.get(0) else { break };
        out.extend_from_slice(text.get(done..whole.start()).unwrap_or_default());
        expand(replacement, &captures, &mut out);
        done = whole.end();
        if !all {
            break;
        }
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default());
    Value::String(out.into())
}

/// Writes a replacement: `\0` to `\9` stand for groups, a backslash before anything else protects it.
pub(crate) fn expand(replacement: &[u8], captures: &regex::bytes::Captures<'_>, out: &mut Vec<u8>) {
    let mut bytes = replacement.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        match bytes.next() {
            Some(digit @ b'0'..=b'9') => {
                if let Some(group) = captures.get(usize::from(digit - b'0')) {
                    out.extend_from_slice(group.as_bytes());
                }
            }
            Some(other) => out.push(*other),
            None => out.push(b'\\'),
        }
    }
}

/// The entry of `listed` with the highest quality in an Accept-Language value; of equals the first one asked for.
fn preferred<'l>(accepted: &[u8], listed: &'l [u8]) -> Option<&'l [u8]> {
    let known = |name: &[u8]| listed.split(|byte| *byte == b';').find(|one| *one == name);
    let mut best: Option<(u32, &[u8])> = None;
    for range in accepted.split(|byte| *byte == b',') {
        let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix(b"q="));
        let quality = quality.map_or(1000, thousandths);
        let base = name.split(|byte| *byte == b'-').next().unwrap_or_default();
        let found = known(name).or_else(|| known(base));
        if let Some(found) = found.filter(|_| quality > best.map_or(0, |(q, _)| q)) {
            best = Some((quality, found));
        }
    }
    best.map(|(_, name)| name)
}

/// A quality (RFC 9110 §12.4.2) in thousandths; 0 for what is none.
fn thousandths(text: &[u8]) -> u32 {
    let (whole, fraction) = text.split_at_checked(1).unwrap_or_default();
    let fraction = fraction.strip_prefix(b".").unwrap_or_default();
    let digits = fraction.iter().zip([100, 10, 1]);
    let below = digits
        .take_while(|(digit, _)| digit.is_ascii_digit())
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    if whole == b"1" { 1000 } else { below }
}

/// The value of a variable argument.
pub(super) fn stored<'a>(argument: &Argument, view: &RequestView<'a>) -> Option<Value<'a>> {
    match argument {
        Argument::Variable(scope, name) => view.state.variable(*scope, name),
        _ => None,
    }
}

fn concat<'a>(value: Value<'a>, args: &'a [Argument], view: &RequestView<'a>) -> Option<Value<'a>> {
    let mut out = value.into_text().into_owned();
    for argument in args {
        match argument {
            Argument::Text(text) => out.extend_from_slice(text),
            other => {
                if let Some(value) = stored(other, view) {
                    value.write_text(&mut out);
                }
            }
        }
    }
    Some(Value::String(out.into()))
}

fn add_item<'a>(
    value: Value<'a>,
    args: &'a [Argument],
    view: &RequestView<'a>,
) -> Option<Value<'a>> {
    let delimiter = args.first()?.text()?;
    let found = args.get(1).and_then(|variable| stored(variable, view));
    let suffix = args.get(2).and_then(Argument::text).unwrap_or_default();
    let mut out = value.into_text().into_owned();
    if !out.is_empty() && (found.is_some() || !suffix.is_empty()) {
        out.extend_from_slice(delimiter);
    }
    if let Some(value) = found {
        value.write_text(&mut out);
    }
    out.extend_from_slice(suffix);
    Some(Value::String(out.into()))
}

/// The distance between the first bytes that differ, else which one is longer.
fn distance(one: &[u8], other: &[u8]) -> i64 {
    let unlike = one.iter().zip(other).find(|(one, other)| one != other);
    match unlike {
        Some((one, other)) => i64::from(*one) - i64::from(*other),
        None => one.len().cmp(&other.len()) as i64,
    }
}
