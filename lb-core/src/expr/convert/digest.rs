//! Digests and message authentication codes. Manual 7.3.1.

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

use super::{Converter, text::stored};
use crate::{
    expr::{
        Type, Value,
        args::{ArgKind, Argument, may, need},
    },
    request::RequestView,
};

/// Names of digests, as OpenSSL has them.
const NAMES: &[&str] = &["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];
/// Of these the first of SHA-2, whose lengths are [`LENGTHS`].
const SHA2: usize = 2;
const LENGTHS: &[&str] = &["224", "256", "384", "512"];

/// The entries.
pub(super) const TABLE: &[Converter] = &[
    Converter::row(
        "sha1",
        &[],
        Type::Binary,
        Type::Binary,
        "SHA-1 digest.",
        |value, _, _| Some(binary(digest(1, value.bytes()?))),
    ),
    Converter::row(
        "sha2",
        &[may("bits", ArgKind::OneOf(LENGTHS))],
        Type::Binary,
        Type::Binary,
        "SHA-2 digest of that length, 256 bits if left out.",
        |value, args, _| {
            let length = args.first().and_then(Argument::choice).unwrap_or(1);
            Some(binary(digest(SHA2 + length, value.bytes()?)))
        },
    ),
    Converter::row(
        "digest",
        &[need("algorithm", ArgKind::OneOf(NAMES))],
        Type::Binary,
        Type::Binary,
        "Digest by the algorithm of that name.",
        |value, args, _| Some(binary(digest(args.first()?.choice()?, value.bytes()?))),
    ),
    Converter::row(
        "hmac",
        &[
            need("algorithm", ArgKind::OneOf(NAMES)),
            need("key", ArgKind::Key),
        ],
        Type::Binary,
        Type::Binary,
        "Message authentication code by that algorithm with a key in base64, written or in a variable.",
        |value, args, view| {
            let key = key(args.get(1)?, view)?;
            Some(binary(code(args.first()?.choice()?, &key, value.bytes()?)?))
        },
    ),
    Converter::row(
        "secure_memcmp",
        &[need("variable", ArgKind::Variable)],
        Type::Binary,
        Type::Bool,
        "Whether the bytes equal those of a variable; the time it takes does not tell where they differ.",
        |value, args, view| {
            let other = stored(args.first()?, view)?.cast(Type::Binary)?;
            let same = value.bytes()?.ct_eq(other.bytes()?);
            Some(Value::Bool(same.into()))
        },
    ),
];

fn binary(bytes: Vec<u8>) -> Value<'static> {
    Value::Binary(bytes.into())
}

/// By the algorithm with that place in [`NAMES`].
fn digest(algorithm: usize, bytes: &[u8]) -> Vec<u8> {
    match algorithm {
        0 => Md5::digest(bytes).to_vec(),
        1 => Sha1::digest(bytes).to_vec(),
        2 => Sha224::digest(bytes).to_vec(),
        3 => Sha256::digest(bytes).to_vec(),
        4 => Sha384::digest(bytes).to_vec(),
        _ => Sha512::digest(bytes).to_vec(),
    }
}

fn code(algorithm: usize, key: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    macro_rules! code {
        ($hash:ty) => {
            Hmac::<$hash>::new_from_slice(key)
                .ok()?
                .chain_update(bytes)
                .finalize()
                .into_bytes()
                .to_vec()
        };
    }
    Some(match algorithm {
        0 => code!(Md5),
        1 => code!(Sha1),
        2 => code!(Sha224),
        3 => code!(Sha256),
        4 => code!(Sha384),
        _ => code!(Sha512),
    })
}

/// The key of an argument; a variable holds it in base64 too.
fn key(argument: &Argument, view: &RequestView<'_>) -> Option<Vec<u8>> {
    use base64::Engine as _;
    match argument {
        Argument::Text(key) => Some(key.to_vec()),
        other => {
            let text = stored(other, view)?.into_text();
            base64::engine::general_purpose::STANDARD.decode(text).ok()
        }
    }
}
