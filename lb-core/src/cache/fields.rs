//! Values of header fields that caches read: lists, directives, numbers, dates.

use std::time::{Duration, SystemTime};

use chrono::NaiveDateTime;

use crate::{expr::fetch::target, head::HeadRef};

/// The members of a list of names or entity tags; commas in quotes are a part of theirs. A backslash is one: tags know
/// no quoted pairs (RFC 9110 §8.8.3).
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let outside = move |byte: &u8| {
        quoted ^= *byte == b'"';
        *byte == b',' && !quoted
    };
    let members = value.split(outside).map(<[u8]>::trim_ascii);
    members.filter(|member| !member.is_empty())
}

/// Names and values of `Cache-Control`, without quotes; quoted pairs are heeded.
pub(super) fn directives(head: HeadRef<'_>) -> impl Iterator<Item = (&[u8], &[u8])> {
    head.values(b"cache-control")
        .flat_map(target::members)
        .filter(|member| !member.is_empty())
        .map(|member| {
            let at = memchr::memchr(b'=', member).unwrap_or(member.len());
            let (name, value) = member.split_at(at);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            let quoted = value
                .strip_prefix(b"\"")
                .and_then(|v| v.strip_suffix(b"\""));
            (name.trim_ascii(), quoted.unwrap_or(value))
        })
}

/// Whether `Cache-Control` has a directive.
pub(super) fn says(head: HeadRef<'_>, directive: &[u8]) -> bool {
    directives(head).any(|(name, _)| name.eq_ignore_ascii_case(directive))
}

/// Whether a quote in `Cache-Control` has no end: nobody knows which directives it hides.
pub(super) fn hides_directives(head: HeadRef<'_>) -> bool {
    head.values(b"cache-control")
        .any(|value| !target::is_balanced(value))
}

/// A number of seconds; one that is too great is the greatest (RFC 9111 §1.2.2).
pub(super) fn seconds(text: &[u8]) -> Option<u64> {
    const GREATEST: u64 = 1 << 31;
    let text = text.trim_ascii();
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(text).ok()?.parse::<u64>();
    Some(number.map_or(GREATEST, |number| number.min(GREATEST)))
}

/// A date in any of its three forms (RFC 9110 §5.6.7).
pub(super) fn date(text: &[u8]) -> Option<SystemTime> {
    const FORMS: [&str; 3] = [
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    ];
    let text = std::str::from_utf8(text).ok()?.trim();
    let mut read = FORMS
        .iter()
        .filter_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let seconds = u64::try_from(read.next()?.and_utc().timestamp()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_taken_apart_outside_of_quotes() {
        let taken = |value: &'static [u8]| members(value).collect::<Vec<_>>();
        assert_eq!(taken(b" a ,, b=\"x, y\" ,"), [&b"a"[..], b"b=\"x, y\""]);
        assert_eq!(taken(b""), [b""; 0]);
        assert_eq!(taken(b"W/\"1,2\", \"3\""), [&b"W/\"1,2\""[..], b"\"3\""]);
        let tags = br#""a\", "b""#;
        assert_eq!(taken(tags), [&br#""a\""#[..], br#""b""#]);
    }

    #[test]
    fn numbers_are_digits_alone() {
        assert_eq!(seconds(b" 60 "), Some(60));
        assert_eq!(seconds(b"99999999999999999999999"), Some(1 << 31));
        for wrong in [&b""[..], b"-1", b"+1", b"1.5", b"abc", b"1 2"] {
            assert_eq!(seconds(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn dates_have_three_forms() {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for text in [
            &b"Sun, 06 Nov 1994 08:49:37 GMT"[..],
            b"Sunday, 06-Nov-94 08:49:37 GMT",
            b"Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(date(text), Some(moment), "{text:?}");
        }
        for wrong in [
            &b"0"[..],
            b"-1",
            b"",
            b"Sun, 06 Nov 1994 08:49:37 CET",
            b"\xff",
        ] {
            assert_eq!(date(wrong), None, "{wrong:?}");
        }
    }
}
