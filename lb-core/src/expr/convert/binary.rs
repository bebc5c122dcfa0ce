//! Bytes written as numbers. Manual 7.3.1.

use super::Converter;
use crate::expr::{
    Type, Value,
    args::{ArgKind, Argument, may, need},
    value::push_hex,
};

/// The entries.
pub(super) const TABLE: &[Converter] = &[
    Converter::row(
        "be2dec",
        &[
            need("separator", ArgKind::Text),
            need("chunk", ArgKind::Within(1, 8)),
            may("truncate", ArgKind::Int),
        ],
        Type::Binary,
        Type::String,
        "Chunks of so many bytes, the highest first, in decimal with a separator between them.",
        |value, args, _| {
            chunks(value, args, |chunk, out| {
                let number = chunk
                    .iter()
                    .fold(0u64, |number, byte| number << 8 | u64::from(*byte));
                out.extend_from_slice(number.to_string().as_bytes());
            })
        },
    ),
    Converter::row(
        "be2hex",
        &[
            may("separator", ArgKind::Text),
            may("chunk", ArgKind::Within(1, i64::MAX)),
            may("truncate", ArgKind::Int),
        ],
        Type::Binary,
        Type::String,
        "The bytes in upper-case hexadecimal with a separator between chunks of so many.",
        |value, args, _| {
            chunks(value, args, |chunk, out| {
                chunk.iter().for_each(|byte| push_hex(*byte, out));
            })
        },
    ),
];

/// Writes chunk after chunk; the last may be shorter unless the third argument says that such a one is left out.
fn chunks(
    value: Value<'_>,
    args: &[Argument],
    write: fn(&[u8], &mut Vec<u8>),
) -> Option<Value<'static>> {
    let separator = args.first().and_then(Argument::text).unwrap_or_default();
    let length = args.get(1).and_then(Argument::int);
    let length = length.map_or(Some(usize::MAX), |length| usize::try_from(length).ok())?;
    let whole = args.get(2).and_then(Argument::int).unwrap_or(0) != 0;
    let mut out = Vec::new();
    for (number, chunk) in value.bytes()?.chunks(length).enumerate() {
        if whole && length != usize::MAX && chunk.len() < length {
            break;
        }
        if number > 0 {
            out.extend_from_slice(separator);
        }
        write(chunk, &mut out);
    }
    Some(Value::String(out.into()))
}
