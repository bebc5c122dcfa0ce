//! JSON: text made fit for it, and values looked up in it. Manual 7.3.1.

use std::{borrow::Cow, collections::BTreeMap, io::Write as _};

use serde_json::value::RawValue;

use super::Converter;
use crate::expr::{
    Type, Value,
    args::{ArgKind, Argument, may, need},
};

/// How the input is read: byte by byte, or as UTF-8 whose errors end it (`utf8`), are left out (`s`), are read as what
/// they look like (`p`), or both.
const CODES: &[&str] = &["ascii", "utf8", "utf8s", "utf8p", "utf8ps"];

/// The entries.
pub(super) const TABLE: &[Converter] = &[
    Converter::row(
        "json",
        &[may("code", ArgKind::OneOf(CODES))],
        Type::String,
        Type::String,
        "The text as it may stand between the quotes of a JSON string, in ASCII.",
        |value, args, _| {
            let code = args.first().and_then(Argument::choice).unwrap_or(0);
            escape(value.bytes()?, code)
        },
    ),
    Converter::row(
        "json_query",
        &[
            need("path", ArgKind::JsonPath),
            may("type", ArgKind::OneOf(&["int"])),
        ],
        Type::String,
        Type::Any,
        "The value at a path of a JSON text: a string, a boolean, an array as it is written, or a number, which is text \
         unless the type says otherwise.",
        |value, args, _| {
            let Argument::JsonPath(path) = args.first()? else {
                return None;
            };
            let number = args.get(1).and_then(Argument::choice).is_some();
            query(std::str::from_utf8(value.bytes()?).ok()?, path, number)
        },
    ),
];

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To a member of an object.
    Member(String),
    /// To an element of an array.
    Element(usize),
}

/// Reads `$.member[0].with\\.dot`; `None` if it is none.
pub(crate) fn path(text: &str) -> Option<Box<[Step]>> {
    let mut rest = text.strip_prefix('$')?;
    let mut steps = Vec::new();
    while let Some(first) = rest.chars().next() {
        rest = rest.get(first.len_utf8()..)?;
        match first {
            '.' => {
                let (name, after) = member(rest)?;
                steps.push(Step::Member(name));
                rest = after;
            }
            '[' => {
                let (number, after) = rest.split_once(']')?;
                steps.push(Step::Element(number.parse().ok()?));
                rest = after;
            }
            _ => return None,
        }
    }
    Some(steps.into())
}

/// A member's name, in which a backslash protects what follows it, and what comes after.
fn member(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '.' | '[' => return Some((name, text.get(at..)?)),
            '\\' => name.push(chars.next()?.1),
            other => name.push(other),
        }
    }
    (!name.is_empty()).then_some((name, ""))
}

/// What stands behind the text does not matter: a body may not be here to its end.
pub(super) fn query(text: &str, path: &[Step], number: bool) -> Option<Value<'static>> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let mut here = values.next()?.ok()?.get();
    for step in path {
        here = match step {
            Step::Member(name) => {
                let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(here).ok()?;
                members.get(name.as_str())?.get()
            }
            Step::Element(index) => {
                let elements: Vec<&RawValue> = serde_json::from_str(here).ok()?;
                elements.get(*index)?.get()
            }
        };
    }
    let text = |text: String| Value::String(text.into_bytes().into());
    Some(match here.as_bytes().first()? {
        b'"' => text(serde_json::from_str(here).ok()?),
        b't' | b'f' => Value::Bool(serde_json::from_str(here).ok()?),
        b'[' => text(here.to_owned()),
        b'-' | b'0'..=b'9' if number => Value::Int(here.parse().ok()?),
        b'-' | b'0'..=b'9' => text(here.to_owned()),
        _ => return None,
    })
}

/// `None` where the code is strict and the input is no UTF-8.
fn escape(input: &[u8], code: usize) -> Option<Value<'static>> {
    let mut out = Vec::with_capacity(input.len() + 8);
    if code == 0 {
        input
            .iter()
            .for_each(|byte| push(u32::from(*byte), &mut out));
        return Some(Value::String(out.into()));
    }
    let (skips, permits) = (code.is_multiple_of(2), code > 2);
    for chunk in input.utf8_chunks() {
        chunk
            .valid()
            .chars()
            .for_each(|char| push(u32::from(char), &mut out));
        match chunk.invalid() {
            [] => {}
            bad if permits => bad.iter().for_each(|byte| push(u32::from(*byte), &mut out)),
            _ if skips => {}
            _ => return None,
        }
    }
    Some(Value::String(out.into()))
}

/// Appends a code point (RFC 8259 §7; the solidus too, so that the text may stand in a page).
fn push(point: u32, out: &mut Vec<u8>) {
    let short = match point {
        0x22 => b'"',
        0x5c => b'\\',
        0x2f => b'/',
        0x08 => b'b',
        0x0c => b'f',
        0x0a => b'n',
        0x0d => b'r',
        0x09 => b't',
        0x20..=0x7e => {
            out.extend(u8::try_from(point));
            return;
        }
        _ => {
            let char = char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER);
            for unit in char.encode_utf16(&mut [0; 2]) {
                // Writing to a vector cannot fail.
                drop(write!(out, "\\u{unit:04x}"));
            }
            return;
        }
    };
    out.extend([b'\\', short]);
}
