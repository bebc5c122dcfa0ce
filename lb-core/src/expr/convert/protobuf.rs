//! Fields of Protocol Buffers, alone and in messages of gRPC. Manual 7.3.1.
//!
//! Nothing is allocated, and a message is walked through once however deep the field lies in it.

use super::{Converter, text::slice};
use crate::expr::{
    Type, Value,
    args::{ArgKind, ArgSpec, Argument, may, need},
};

const ARGS: &[ArgSpec] = &[
    need("field", ArgKind::FieldPath),
    may("type", ArgKind::OneOf(NAMES)),
];

/// Types of numbers, in groups by how they are written. Those of a group that are read alike stand together.
const NAMES: &[&str] = &[
    "int32", "int64", "uint32", "uint64", "bool", "enum", "sint32", "sint64", "fixed64",
    "sfixed64", "double", "fixed32", "sfixed32", "float",
];

/// The entries.
pub(super) const TABLE: &[Converter] = &[
    Converter::row(
        "protobuf",
        ARGS,
        Type::Binary,
        Type::Binary,
        "A field of a message of Protocol Buffers: its bytes, or with a type its number.",
        |value, args, _| field(value, args, |bytes, path| in_message(bytes, path, 0)),
    ),
    Converter::row(
        "ungrpc",
        ARGS,
        Type::Binary,
        Type::Binary,
        "The same of the first message of gRPC that has the field.",
        |value, args, _| field(value, args, in_grpc),
    ),
];

/// How a field is written (its wire type), and where its content lies.
#[derive(Debug, Clone, Copy)]
struct Found {
    wire: u64,
    start: usize,
    end: usize,
}

fn field<'a>(
    value: Value<'a>,
    args: &[Argument],
    find: fn(&[u8], &[u64]) -> Option<Found>,
) -> Option<Value<'a>> {
    let Argument::FieldPath(path) = args.first()? else {
        return None;
    };
    let found = find(value.bytes()?, path)?;
    match args.get(1).and_then(Argument::choice) {
        Some(kind) => {
            let content = value.bytes()?.get(found.start..found.end)?;
            number(NAMES.get(kind)?, found.wire, content).map(Value::Int)
        }
        None => slice(value, |_| Some(found.start..found.end)),
    }
}

/// The number that `content` is, if it is written as those of `kind` are.
fn number(kind: &str, wire: u64, content: &[u8]) -> Option<i64> {
    let signed = u64::cast_signed;
    match (kind, wire) {
        ("int32" | "int64" | "uint32" | "uint64" | "bool" | "enum", VARINT) => {
            Some(signed(varint(content)?.0))
        }
        ("sint32" | "sint64", VARINT) => {
            let (zigzag, _) = varint(content)?;
            Some(signed(zigzag >> 1) ^ -signed(zigzag & 1))
        }
        ("fixed64" | "sfixed64", WIDE) => Some(i64::from_le_bytes(content.try_into().ok()?)),
        ("fixed32", NARROW) => Some(u32::from_le_bytes(content.try_into().ok()?).into()),
        ("sfixed32", NARROW) => Some(i32::from_le_bytes(content.try_into().ok()?).into()),
        ("double", WIDE) => Some(whole(f64::from_le_bytes(content.try_into().ok()?))),
        ("float", NARROW) => Some(whole(f32::from_le_bytes(content.try_into().ok()?).into())),
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what lies behind the point is not wanted, and what is too large saturates"
)]
fn whole(number: f64) -> i64 {
    number as i64
}

const VARINT: u64 = 0;
const WIDE: u64 = 1;
const COUNTED: u64 = 2;
const NARROW: u64 = 5;

/// The field at the end of `path`; `base` is the place of `message` in what places are told of.
fn in_message(message: &[u8], path: &[u64], base: usize) -> Option<Found> {
    let (&wanted, deeper) = path.split_first()?;
    let mut at = 0;
    loop {
        let (tag, length) = varint(message.get(at..)?)?;
        at += length;
        let (number, wire) = (tag >> 3, tag & 7);
        let rest = message.get(at..)?;
        let length = match wire {
            VARINT => varint(rest)?.1,
            WIDE => 8,
            NARROW => 4,
            COUNTED => {
                let (content, length) = varint(rest)?;
                at += length;
                usize::try_from(content).ok()?
            }
            // Groups are no longer used.
            _ => return None,
        };
        let end = at.checked_add(length)?;
        let content = message.get(at..end)?;
        if number == wanted {
            return match deeper {
                [] => Some(Found {
                    wire,
                    start: base + at,
                    end: base + end,
                }),
                _ if wire == COUNTED => in_message(content, deeper, base + at),
                _ => None,
            };
        }
        at = end;
    }
}

/// A byte that tells of compression and a length of four stand before each message.
fn in_grpc(bytes: &[u8], path: &[u64]) -> Option<Found> {
    const PREFIX: usize = 5;
    let mut at = 0;
    loop {
        let &[_, a, b, c, d] = bytes.get(at..at + PREFIX)? else {
            return None;
        };
        at += PREFIX;
        let end = at.checked_add(usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?)?;
        let found = in_message(bytes.get(at..end)?, path, at);
        if found.is_some() {
            return found;
        }
        at = end;
    }
}

/// A number in groups of seven bits, the lowest first, and the bytes it takes.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0u64;
    for (place, byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((number, place + 1));
        }
    }
    None
}

/// Reads `1.2.3`.
pub(crate) fn path(text: &str) -> Option<Box<[u64]>> {
    text.split('.').map(|number| number.parse().ok()).collect()
}
