//! JSON Web Tokens. Manual 7.3.1.

use super::{Converter, json, text::stored};
use crate::{
    expr::{
        Type, Value,
        args::{ArgKind, ArgSpec, Argument, may, need},
        jwt::{decoded, verify},
    },
    request::RequestView,
};

const QUERY: &[ArgSpec] = &[
    may("path", ArgKind::JsonPath),
    may("type", ArgKind::OneOf(&["int"])),
];

/// The entries.
pub(super) const TABLE: &[Converter] = &[
    Converter::row(
        "jwt_header_query",
        QUERY,
        Type::Binary,
        Type::Any,
        "The header of a JSON Web Token, or the value at a path of it.",
        |value, args, _| query(&value, args, 0),
    ),
    Converter::row(
        "jwt_payload_query",
        QUERY,
        Type::Binary,
        Type::Any,
        "The payload of a JSON Web Token, or the value at a path of it.",
        |value, args, _| query(&value, args, 1),
    ),
    Converter::row(
        "jwt_verify",
        &[
            need("algorithm", ArgKind::JwtAlgorithm),
            need("key", ArgKind::JwtKey),
        ],
        Type::Binary,
        Type::Int,
        "1 if the signature of a JSON Web Token is right by an algorithm (HS, RS, PS or ES and 256, 384 or 512) and a \
         secret or the file of a public key, 0 if it is wrong, below 0 for every other fault.",
        verified,
    ),
];

fn query(value: &Value<'_>, args: &[Argument], part: usize) -> Option<Value<'static>> {
    let mut parts = value.bytes()?.split(|b| *b == b'.');
    let text = decoded(parts.nth(part)?)?;
    match args.first() {
        Some(Argument::JsonPath(path)) => {
            let number = args.get(1).and_then(Argument::choice).is_some();
            json::query(std::str::from_utf8(&text).ok()?, path, number)
        }
        _ => Some(Value::String(text.into())),
    }
}

fn verified<'a>(
    value: Value<'a>,
    args: &'a [Argument],
    view: &RequestView<'a>,
) -> Option<Value<'a>> {
    let [algorithm, Argument::JwtKey(key, files)] = args else {
        return None;
    };
    let text = |argument: &'a Argument| match argument.text() {
        Some(text) => Some(Value::text(text).into_text()),
        None => stored(argument, view).map(Value::into_text),
    };
    let (algorithm, key) = (text(algorithm)?, text(key)?);
    Some(Value::Int(
        match verify(value.bytes()?, &algorithm, &key, files) {
            Ok(right) => i64::from(right),
            Err(fault) => fault as i64,
        },
    ))
}
