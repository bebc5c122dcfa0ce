//! Hashes that keys are made of. Manual 7.3.1 and 4.2 (`hash-type`).

use super::Converter;
use crate::expr::{
    Type, Value,
    args::{ArgKind, ArgSpec, Argument, may},
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

/// DJB2: h * 33 + byte from 5381.
fn djb2(bytes: &[u8]) -> u32 {
    bytes.iter().fold(5381, |hash: u32, byte| {
        hash.wrapping_mul(33).wrapping_add(u32::from(*byte))
    })
}

/// SDBM: h * 65599 + byte from 0.
pub(in crate::expr) fn sdbm<'b>(bytes: impl IntoIterator<Item = &'b u8>) -> u32 {
    bytes.into_iter().fold(0, |hash: u32, byte| {
        hash.wrapping_mul(65599).wrapping_add(u32::from(*byte))
    })
}

/// CRC-32, polynomial 0x04C11DB7 reflected.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// Applies a full avalanche if the argument is not 0: every bit of the input changes half of the output.
fn finish(hash: u32, args: &[Argument]) -> Value<'static> {
    let wanted = args.first().and_then(Argument::int).unwrap_or(0) != 0;
    let hash = if wanted { avalanche(hash) } else { hash };
    Value::Int(i64::from(hash))
}

/// The finalizer of MurmurHash3 (public domain).
pub(in crate::expr) fn avalanche(hash: u32) -> u32 {
    let hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}
