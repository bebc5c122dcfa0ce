//! Messages of the Financial Information eXchange protocol: `TAG=VALUE` fields, each ended by SOH. Manual 7.3.1.

use super::{Converter, text::slice};
use crate::expr::{
    Type, Value,
    args::{ArgKind, Argument, need},
};

/// What ends a field.
const END: u8 = 1;
const BEGIN_STRING: u32 = 8;
const BODY_LENGTH: u32 = 9;
const CHECK_SUM: u32 = 10;
const MESSAGE_TYPE: u32 = 35;

/// Names of tags.
const NAMES: &[(&str, u32)] = &[
    ("BeginString", BEGIN_STRING),
    ("BodyLength", BODY_LENGTH),
    ("CheckSum", CHECK_SUM),
    ("MsgType", MESSAGE_TYPE),
    ("SenderCompID", 49),
    ("TargetCompID", 56),
];

const VERSIONS: &[&[u8]] = &[
    b"FIX.4.0",
    b"FIX.4.1",
    b"FIX.4.2",
    b"FIX.4.3",
    b"FIX.4.4",
    b"FIXT.1.1",
];

/// The entries.
pub(super) const TABLE: &[Converter] = &[
    Converter::row(
        "fix_is_valid",
        &[],
        Type::Binary,
        Type::Bool,
        "Whether the bytes begin with a whole and right FIX message.",
        |value, _, _| Some(Value::Bool(is_valid(value.bytes()?).is_some())),
    ),
    Converter::row(
        "fix_tag_value",
        &[need("tag", ArgKind::FixTag)],
        Type::Binary,
        Type::Binary,
        "The value of a tag of a FIX message.",
        |value, args, _| {
            let wanted = u32::try_from(args.first().and_then(Argument::int)?).ok()?;
            slice(value, |bytes| {
                let mut at = 0;
                while let Some(field) = field(bytes, at) {
                    if field.tag == wanted {
                        return Some(field.value);
                    }
                    at = field.end;
                }
                None
            })
        },
    ),
];

/// The number of a tag by its name or itself.
pub(crate) fn tag(text: &str) -> Option<u32> {
    let named = NAMES.iter().find(|(name, _)| *name == text);
    named
        .map(|(_, number)| *number)
        .or_else(|| text.parse().ok().filter(|number| *number > 0))
}

struct Field {
    tag: u32,
    value: std::ops::Range<usize>,
    end: usize,
}

/// The field at `at`; none if it is not whole or has an empty half.
fn field(bytes: &[u8], at: usize) -> Option<Field> {
    let rest = bytes.get(at..)?;
    let length = memchr::memchr(END, rest)?;
    let field = rest.get(..length)?;
    let equals = memchr::memchr(b'=', field)?;
    let digits = field.get(..equals)?;
    if equals + 1 == length || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(Field {
        tag: std::str::from_utf8(digits).ok()?.parse().ok()?,
        value: at + equals + 1..at + length,
        end: at + length + 1,
    })
}

/// `Some` for a message: the version, the length of what is between that field and the sum, the type, whatever else, the
/// sum of every byte before it.
fn is_valid(bytes: &[u8]) -> Option<()> {
    let of = |field: &Field| bytes.get(field.value.clone());
    let begin = field(bytes, 0).filter(|f| f.tag == BEGIN_STRING)?;
    if !VERSIONS.contains(&of(&begin)?) {
        return None;
    }
    let length = field(bytes, begin.end).filter(|f| f.tag == BODY_LENGTH)?;
    let announced: usize = std::str::from_utf8(of(&length)?).ok()?.parse().ok()?;
    let body_end = length.end.checked_add(announced)?;
    field(bytes, length.end).filter(|f| f.tag == MESSAGE_TYPE)?;
    let mut at = length.end;
    while at < body_end {
        at = field(bytes, at).filter(|f| f.tag != CHECK_SUM)?.end;
    }
    let sum = field(bytes, at).filter(|f| f.tag == CHECK_SUM && at == body_end)?;
    let written = of(&sum).filter(|text| text.len() == 3)?;
    let written: u8 = std::str::from_utf8(written).ok()?.parse().ok()?;
    let counted = bytes.get(..at)?.iter();
    let counted = counted.fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    (counted == written).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message with a right sum, bars in place of SOH.
    fn message(body: &str) -> Vec<u8> {
        let mut text = format!("8=FIX.4.4|9={}|{body}", body.len());
        let sum = text.bytes().fold(0_u8, |sum, b| {
            sum.wrapping_add(if b == b'|' { END } else { b })
        });
        text.push_str(&format!("10={sum:03}|"));
        text.replace('|', "\u{1}").into_bytes()
    }

    #[test]
    fn a_message_is_checked_to_its_sum() {
        let logon = message("35=A|49=CLIENT|56=BROKER|98=0|");
        assert!(is_valid(&logon).is_some());
        for cut in 0..logon.len() {
            assert!(is_valid(&logon[..cut]).is_none(), "{cut} bytes");
        }
        let mut followed = logon.clone();
        followed.extend_from_slice(b"8=FIX");
        assert!(is_valid(&followed).is_some(), "only the first is read");
        for at in 0..logon.len() {
            let mut broken = logon.clone();
            broken[at] ^= 1;
            assert!(is_valid(&broken).is_none(), "byte {at} changed");
        }
        for body in [
            "49=C|35=A|",
            "35=A|98|",
            "35=A|=1|",
            "35=A|98=|",
            "35=A|x=1|",
            "",
        ] {
            assert!(is_valid(&message(body)).is_none(), "{body}");
        }
    }

    #[test]
    fn tags_have_names_and_numbers() {
        assert_eq!(tag("SenderCompID"), Some(49));
        assert_eq!(tag("5000"), Some(5000));
        assert_eq!(tag("0").or(tag("sender")).or(tag("-1")), None);
    }
}
