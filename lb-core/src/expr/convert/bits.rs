//! Hashes that keys are made of. Manual 7.3.1 and 4.2 (`hash-type`).

use super::Converter;
use crate::{
    expr::{
        Type, Value,
        args::{ArgKind, ArgSpec, Argument, may},
    },
    hash::{avalanche, crc32, crc32c, djb2, sdbm, wt6},
};
use xxhash_rust::{xxh3::xxh3_64_with_seed, xxh32::xxh32, xxh64::xxh64};

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
        "wt6",
        AVALANCHE,
        Type::Binary,
        Type::Int,
        "WT6 hash, 32 bits.",
        |value, args, _| Some(finish(wt6(value.bytes()?), args)),
    ),
    Converter::row(
        "crc32",
        AVALANCHE,
        Type::Binary,
        Type::Int,
        "CRC-32 as in gzip.",
        |value, args, _| Some(finish(crc32(value.bytes()?), args)),
    ),
    Converter::row(
        "crc32c",
        AVALANCHE,
        Type::Binary,
        Type::Int,
        "CRC-32C (Castagnoli), as in iSCSI.",
        |value, args, _| Some(finish(crc32c(value.bytes()?), args)),
    ),
    Converter::row(
        "xxh32",
        SEED,
        Type::Binary,
        Type::Int,
        "XXH32 with a seed, 0 if left out.",
        |value, args, _| {
            let [_, _, _, _, a, b, c, d] = seed(args).to_be_bytes();
            let hash = xxh32(value.bytes()?, u32::from_be_bytes([a, b, c, d]));
            Some(Value::Int(i64::from(hash)))
        },
    ),
    Converter::row(
        "xxh64",
        SEED,
        Type::Binary,
        Type::Int,
        "XXH64 with a seed, 0 if left out, as a signed number.",
        |value, args, _| {
            let hash = xxh64(value.bytes()?, seed(args));
            Some(Value::Int(hash.cast_signed()))
        },
    ),
    Converter::row(
        "xxh3",
        SEED,
        Type::Binary,
        Type::Int,
        "XXH3 of 64 bits with a seed, 0 if left out, as a signed number.",
        |value, args, _| {
            let hash = xxh3_64_with_seed(value.bytes()?, seed(args));
            Some(Value::Int(hash.cast_signed()))
        },
    ),
    Converter::row(
        "htonl",
        &[],
        Type::Int,
        Type::Binary,
        "The low 32 bits of the number as four bytes, the highest first.",
        |value, _, _| {
            let [_, _, _, _, low @ ..] = value.integer()?.to_be_bytes();
            Some(Value::Binary(low.to_vec().into()))
        },
    ),
];

const SEED: &[ArgSpec] = &[may("seed", ArgKind::Int)];

fn seed(args: &[Argument]) -> u64 {
    let seed = args.first().and_then(Argument::int);
    seed.unwrap_or(0).cast_unsigned()
}

/// Applies a full avalanche if the argument is not 0: every bit of the input changes half of the output.
fn finish(hash: u32, args: &[Argument]) -> Value<'static> {
    let wanted = args.first().and_then(Argument::int).unwrap_or(0) != 0;
    let hash = if wanted { avalanche(hash) } else { hash };
    Value::Int(i64::from(hash))
}
