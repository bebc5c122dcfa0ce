//! The process, chance and identifiers. Manual 7.3.2.

use std::{
    cell::Cell,
    hash::{BuildHasher as _, RandomState},
    time::UNIX_EPOCH,
};

use super::{Eval, Fetch};
use crate::expr::{
    Needs, Type, Value,
    args::{ArgKind, Argument, may, need},
};

/// The entries.
pub(super) const TABLE: &[Fetch] = &[
    Fetch::row(
        "rand",
        &[],
        &[may("range", ArgKind::Int)],
        Type::Int,
        Needs::Connection,
        "A random number below the range, or of 32 bits.",
        Eval::One(|args, _| {
            let bits = random() >> 32;
            let range = args.first().and_then(Argument::int);
            let range = range
                .and_then(|range| u32::try_from(range).ok())
                .map(u64::from);
            let number = range.map_or(bits, |range| (bits * range) >> 32);
            i64::try_from(number).ok().map(Value::Int)
        }),
    ),
    Fetch::row(
        "uuid",
        &[],
        &[may("version", ArgKind::Int)],
        Type::String,
        Needs::Connection,
        "A random UUID (version 4).",
        Eval::One(|_, _| Some(Value::String(uuid().into_bytes().into()))),
    ),
    Fetch::row(
        "unique-id",
        &[],
        &[],
        Type::String,
        Needs::Request,
        "What unique-id-format gives for this request.",
        Eval::One(|_, view| view.state.unique_id().map(Value::text)),
    ),
    Fetch::row(
        "proc",
        &["nbproc"],
        &[],
        Type::Int,
        Needs::Connection,
        "1: there is one process.",
        Eval::One(|_, _| Some(Value::Int(1))),
    ),
    Fetch::row(
        "hostname",
        &[],
        &[],
        Type::String,
        Needs::Connection,
        "Name of this host.",
        Eval::One(|_, view| {
            let name = view.state.world.as_deref()?.host_name()?;
            Some(Value::String(name.into_bytes().into()))
        }),
    ),
    Fetch::row(
        "env",
        &[],
        &[need("name", ArgKind::Text)],
        Type::String,
        Needs::Connection,
        "Value of an environment variable; nothing where it is not set.",
        Eval::One(|args, view| {
            let name = std::str::from_utf8(args.first()?.text()?).ok()?;
            let variables = view.state.world.as_deref()?.variables();
            let value = variables.environment(name)?;
            Some(Value::String(value.into_bytes().into()))
        }),
    ),
    Fetch::row(
        "bin",
        &[],
        &[need("hexadecimal", ArgKind::Text)],
        Type::Binary,
        Needs::Connection,
        "The given bytes.",
        Eval::One(|args, _| {
            let digits = std::str::from_utf8(args.first()?.text()?).ok()?;
            let bytes = digits.as_bytes().chunks(2).map(|pair| {
                let pair = std::str::from_utf8(pair)
                    .ok()
                    .filter(|pair| pair.len() == 2)?;
                u8::from_str_radix(pair, 16).ok()
            });
            Some(Value::Binary(bytes.collect::<Option<Vec<u8>>>()?.into()))
        }),
    ),
    Fetch::row(
        "date_us",
        &[],
        &[],
        Type::Int,
        Needs::Connection,
        "Microseconds of the current second.",
        Eval::One(|_, view| {
            let since = view.date().duration_since(UNIX_EPOCH).ok()?;
            Some(Value::Int(since.subsec_micros().into()))
        }),
    ),
];

/// 64 bits of chance, good for spreading and for telling requests apart, not for secrets.
fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(std::process::id()));
    }
    // splitmix64.
    let mut z = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(z);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// RFC 9562 section 5.4.
fn uuid() -> String {
    let (high, low) = (random(), random());
    let high = (high & !0xf000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_the_form_of_version_4_and_differ() {
        let (one, other) = (uuid(), uuid());
        assert_ne!(one, other);
        assert_eq!(one.len(), 36);
        assert_eq!(one.as_bytes().get(14), Some(&b'4'));
        assert!(matches!(
            one.as_bytes().get(19),
            Some(b'8' | b'9' | b'a' | b'b')
        ));
    }
}
