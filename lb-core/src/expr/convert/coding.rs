//! Converters between encodings, and dates. Manual 7.3.1.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

use super::Converter;
use crate::{
    expr::{
        Type, Value,
        args::{ArgKind, ArgSpec, Argument, may, need},
        value::push_hex,
    },
    log::date,
};

/// Arguments of `utime` and `ltime`.
const DATE: &[ArgSpec] = &[
    need("format", ArgKind::Strftime),
    may("offset", ArgKind::Int),
];

/// The entries.
pub(super) const TABLE: &[Converter] = &[
    Converter::row(
        "base64",
        &[],
        Type::Binary,
        Type::String,
        "The bytes in base64.",
        |value, _, _| {
            Some(Value::String(
                STANDARD.encode(value.bytes()?).into_bytes().into(),
            ))
        },
    ),
    Converter::row(
        "b64dec",
        &[],
        Type::String,
        Type::Binary,
        "The bytes that the base64 text stands for.",
        |value, _, _| Some(Value::Binary(STANDARD.decode(value.bytes()?).ok()?.into())),
    ),
    Converter::row(
        "ub64enc",
        &[],
        Type::Binary,
        Type::String,
        "The bytes in the URL-safe base64 without padding.",
        |value, _, _| {
            Some(Value::String(
                URL_SAFE_NO_PAD.encode(value.bytes()?).into_bytes().into(),
            ))
        },
    ),
    Converter::row(
        "ub64dec",
        &[],
        Type::String,
        Type::Binary,
        "The bytes that the URL-safe base64 text stands for.",
        |value, _, _| {
            Some(Value::Binary(
                URL_SAFE_NO_PAD.decode(value.bytes()?).ok()?.into(),
            ))
        },
    ),
    Converter::row(
        "hex",
        &[],
        Type::Binary,
        Type::String,
        "The bytes in upper-case hexadecimal.",
        |value, _, _| {
            let mut out = Vec::new();
            value
                .bytes()?
                .iter()
                .for_each(|byte| push_hex(*byte, &mut out));
            Some(Value::String(out.into()))
        },
    ),
    Converter::row(
        "hex2i",
        &[],
        Type::String,
        Type::Int,
        "The number that the hexadecimal text stands for.",
        |value, _, _| {
            let text = std::str::from_utf8(value.bytes()?).ok()?;
            i64::from_str_radix(text, 16).ok().map(Value::Int)
        },
    ),
    Converter::row(
        "url_dec",
        &[may("in_form", ArgKind::Int)],
        Type::String,
        Type::String,
        "The text with %XX decoded, and '+' read as a blank after a question mark or if in_form is not 0.",
        |value, args, _| {
            let form = args.first().and_then(Argument::int).unwrap_or(0) != 0;
            url_decode(value, form)
        },
    ),
    Converter::row(
        "url_enc",
        &[may("type", ArgKind::Text)],
        Type::String,
        Type::String,
        "The text with everything but letters, digits, '-', '.', '_' and '~' written as %XX.",
        |value, _, _| {
            let mut out = Vec::new();
            for byte in value.bytes()? {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
                    out.push(*byte);
                } else {
                    out.push(b'%');
                    push_hex(*byte, &mut out);
                }
            }
            Some(Value::String(out.into()))
        },
    ),
    Converter::row(
        "http_date",
        &[may("offset", ArgKind::Int)],
        Type::Int,
        Type::String,
        "Seconds since 1970, plus the offset, as the date of an HTTP header.",
        |value, args, _| {
            let offset = args.first().and_then(Argument::int).unwrap_or(0);
            let mut out = Vec::new();
            date::write_http(value.integer()?.saturating_add(offset), &mut out);
            Some(Value::String(out.into()))
        },
    ),
    Converter::row(
        "utime",
        DATE,
        Type::Int,
        Type::String,
        "Seconds since 1970, plus the offset, as a date in UTC in the format of strftime(3).",
        |value, args, _| formatted(moment(&value, args)?, args),
    ),
    Converter::row(
        "ltime",
        DATE,
        Type::Int,
        Type::String,
        "Seconds since 1970, plus the offset, as a date in local time in the format of strftime(3).",
        |value, args, _| {
            let date = moment(&value, args)?.with_timezone(&chrono::Local);
            formatted(date, args)
        },
    ),
];

/// The moment of seconds since 1970 plus the second argument.
fn moment(value: &Value<'_>, args: &[Argument]) -> Option<chrono::DateTime<chrono::Utc>> {
    let offset = args.get(1).and_then(Argument::int).unwrap_or(0);
    chrono::DateTime::from_timestamp(value.integer()?.saturating_add(offset), 0)
}

/// A date in the format of the first argument.
fn formatted<Z>(date: chrono::DateTime<Z>, args: &[Argument]) -> Option<Value<'static>>
where
    Z: chrono::TimeZone,
    Z::Offset: std::fmt::Display,
{
    use std::io::Write as _;
    let format = std::str::from_utf8(args.first()?.text()?).ok()?;
    let mut out = Vec::new();
    write!(out, "{}", date.format(format)).ok()?;
    Some(Value::String(out.into()))
}

/// Decodes; text with a wrong sequence has no value.
fn url_decode(value: Value<'_>, form: bool) -> Option<Value<'_>> {
    let text = value.into_text();
    if memchr::memchr3(b'%', b'+', b'?', &text).is_none() {
        return Some(Value::String(text));
    }
    let mut form = form;
    let mut out = Vec::with_capacity(text.len());
    let mut rest: &[u8] = &text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                out.push(hex_pair(*after.first_chunk::<2>()?)?);
                rest = after.get(2..).unwrap_or_default();
            }
            b'+' if form => out.push(b' '),
            b'?' => {
                form = true;
                out.push(b'?');
            }
            other => out.push(*other),
        }
    }
    Some(Value::String(out.into()))
}

fn hex_pair([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}
