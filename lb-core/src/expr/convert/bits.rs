//! Hashes that keys are made of. Manual 7.3.1 and 4.2 (`hash-type`).

use super::Converter;
use crate::{
    expr::{
        Type, Value,
        args::{ArgKind, ArgSpec, Argument, may},
    },
    hash::{avalanche, crc32, djb2, sdbm},
};

const AVALANCHE: &[ArgSpec] = &[may("avalanche", ArgKind::Int)];

/// The entries.
pub(super) const TABLE: &[Converter] = &[
    Converter::row(
        "djb2",
        AVALANCHE,
        Type::Binary,
        Type::Int,
        "DJB2 hash, 32 bits.",
        |value, args, _| Some(finish(djb2(value.bytes()?), args)),
    ),
    Converter::row(
        "sdbm",
        AVALANCHE,
        Type::Binary,
        Type::Int,
        "SDBM hash, 32 bits.",
        |value, args, _| Some(finish(sdbm(value.bytes()?), args)),
    ),
    Converter::row(
        "crc32",
        AVALANCHE,
        Type::Binary,
        Type::Int,
        "CRC-32 as in gzip.",
        |value, args, _| Some(finish(crc32(value.bytes()?), args)),
    ),
];

/// Applies a full avalanche if the argument is not 0: every bit of the input changes half of the output.
fn finish(hash: u32, args: &[Argument]) -> Value<'static> {
    let wanted = args.first().and_then(Argument::int).unwrap_or(0) != 0;
    let hash = if wanted { avalanche(hash) } else { hash };
    Value::Int(i64::from(hash))
}
