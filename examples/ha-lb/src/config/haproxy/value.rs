//! Numbers, times and sizes as HAProxy writes them (configuration manual §2.4 and §2.5).

use std::time::Duration;

use super::args::{Arg, Context, Parsed};

/// The unit of a time without one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Milliseconds, as nearly everywhere.
    Milliseconds,
    /// Seconds (`stats refresh`, `stats timeout`... are documented so).
    Seconds,
}

/// A time: digits and `us`, `ms`, `s`, `m`, `h` or `d`. Parts of a millisecond are rounded up, as HAProxy does.
pub(super) fn time(arg: &Arg<'_>, of: &str, unit: Unit) -> Parsed<Duration> {
    const EXPECTED: &str = "a time such as 500, 30s, 5m or 1h";
    let refuse = || arg.refuse(format!("'{of}' is not a time"), EXPECTED);
    let (number, suffix) = split_number(arg.text).ok_or_else(refuse)?;
    let microseconds = match (suffix, unit) {
        ("us", _) => Some(number.div_ceil(1_000).saturating_mul(1_000)),
        ("ms", _) | ("", Unit::Milliseconds) => number.checked_mul(1_000),
        ("s", _) | ("", Unit::Seconds) => number.checked_mul(1_000_000),
        ("m", _) => number.checked_mul(60_000_000),
        ("h", _) => number.checked_mul(3_600_000_000),
        ("d", _) => number.checked_mul(86_400_000_000),
        _ => return Err(refuse()),
    };
    // HAProxy counts both in 31 bits.
    let (most, expected) = match unit {
        Unit::Milliseconds => (
            2_147_483_647_000,
            "a time of at most 2147483647 ms (24.8 days)",
        ),
        Unit::Seconds => (2_147_483_647_000_000, "a time of at most 2147483647 s"),
    };
    microseconds
        .filter(|us| *us <= most)
        .map(Duration::from_micros)
        .ok_or_else(|| arg.refuse(format!("'{of}' is too long"), expected))
}

/// A time as [`time`] reads it; what stands behind its unit (`15min`, `10sec`) is warned about and left out, as
/// HAProxy 2.6 does.
pub(super) fn lenient_time(
    arg: &Arg<'_>,
    of: &str,
    unit: Unit,
    context: &mut Context<'_>,
) -> Parsed<Duration> {
    let refused = match time(arg, of, unit) {
        Ok(time) => return Ok(time),
        Err(refused) => refused,
    };
    let suffix = split_number(arg.text).map_or("", |(_, suffix)| suffix);
    let digits = arg.text.len() - suffix.len();
    let units = ["us", "ms", "s", "m", "h", "d"];
    let Some(found) = units.iter().find(|unit| suffix.starts_with(**unit)) else {
        return Err(refused);
    };
    let read = arg.text.get(..digits + found.len()).unwrap_or(arg.text);
    let short = Arg {
        text: read,
        span: arg.span.clone(),
    };
    let value = time(&short, of, unit)?;
    if let Some(c) = suffix.chars().nth(found.len()) {
        context.warn(
            arg.span.clone(),
            format!(
                "unexpected character '{}' behind the time '{read}'",
                c.escape_default()
            ),
            format!("'{of}' is {read}"),
        );
    }
    Ok(value)
}

/// Bytes of one of the kernel's buffers; 0 leaves it to the kernel, and so does what is no number.
pub(super) fn buffer(arg: &Arg<'_>, name: &str, context: &mut Context<'_>) -> Option<u32> {
    let digits = arg.text.len()
        - arg
            .text
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .len();
    let (number, rest) = arg.text.split_at(digits);
    let bytes = number
        .parse()
        .ok()
        .filter(|bytes| *bytes <= i32::MAX.unsigned_abs());
    if bytes.is_none() || !rest.is_empty() {
        let what = format!("'{name}' takes a number of bytes: '{}'", arg.text);
        let instead = match bytes {
            Some(bytes) => format!("it is read as {bytes}, as by HAProxy"),
            None => "it is left to the kernel".to_owned(),
        };
        context.warn(arg.span.clone(), what, &instead);
    }
    bytes.filter(|bytes| *bytes > 0)
}

/// A size: digits and `k`, `m` or `g` (powers of 1024).
pub(super) fn size(arg: &Arg<'_>, of: &str) -> Parsed<u64> {
    let refuse = || {
        arg.refuse(
            format!("'{of}' is not a size"),
            "a number with an optional k, m or g",
        )
    };
    let (number, suffix) = split_number(arg.text).ok_or_else(refuse)?;
    let shift = match suffix {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        _ => return Err(refuse()),
    };
    number.checked_mul(1 << shift).ok_or_else(refuse)
}

/// A number within bounds.
pub(super) fn number(arg: &Arg<'_>, of: &str, low: u32, high: u32) -> Parsed<u32> {
    arg.text
        .parse()
        .ok()
        .filter(|value| (low..=high).contains(value))
        .ok_or_else(|| {
            let bounds = match (low, high) {
                (low, u32::MAX) => format!("a number from {low}"),
                (low, high) => format!("a number from {low} to {high}"),
            };
            arg.refuse(format!("'{of}' is not such a number"), bounds)
        })
}

/// The octal permissions of a UNIX socket.
pub(super) fn mode(arg: &Arg<'_>) -> Parsed<u32> {
    u32::from_str_radix(arg.text, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| {
            arg.refuse(
                "'mode' is not a set of permissions",
                "octal digits such as 660",
            )
        })
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, suffix))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::diagnostic::Span;

    fn arg(text: &str) -> Arg<'_> {
        Arg {
            text,
            span: Span::new(Arc::from("f"), 1, 1),
        }
    }

    #[test]
    fn times_take_every_unit_and_milliseconds_by_default() {
        for (text, ms) in [
            ("10", 10),
            ("10ms", 10),
            ("1s", 1_000),
            ("1m", 60_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("1500us", 2),
            ("0", 0),
        ] {
            let found = time(&arg(text), "timeout", Unit::Milliseconds).unwrap();
            assert_eq!(found, Duration::from_millis(ms), "{text}");
        }
        assert_eq!(
            time(&arg("30"), "refresh", Unit::Seconds).unwrap(),
            Duration::from_secs(30)
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "s",
            "3x",
            "-1",
            "1.5s",
            "3 s",
            "25d",
            "99999999999999999999",
            "18446744073709551615s",
        ] {
            assert!(
                time(&arg(text), "timeout", Unit::Milliseconds).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(size(&arg("1m"), "size").unwrap(), 1_048_576);
        assert_eq!(size(&arg("3k"), "size").unwrap(), 3_072);
        assert_eq!(size(&arg("7"), "size").unwrap(), 7);
        assert!(size(&arg("18446744073709551615g"), "size").is_err());
        assert!(size(&arg("1t"), "size").is_err());
    }
}
