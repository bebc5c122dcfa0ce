//! Words to values: numbers, times, addresses, switches. Each says what it would have accepted.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use super::{document::Node, keyword::Context, lexer::Word};
use crate::config::diagnostic::Diagnostic;

impl Context<'_> {
    /// A whole number in `range`.
    pub(super) fn number<N>(&mut self, word: &Word, range: RangeInclusive<N>) -> Option<N>
    where
        N: TryFrom<i64> + PartialOrd + std::fmt::Display,
    {
        let number = word.text.parse::<i64>().ok();
        let number = number.and_then(|number| N::try_from(number).ok());
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let expected = format!("a whole number from {} to {}", range.start(), range.end());
            self.refuse(word, "number in range", expected);
        }
        number
    }

    /// Seconds with or without decimals, in `range` (whole seconds or fractions).
    pub(super) fn seconds(
        &mut self,
        word: &Word,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let duration = decimal_seconds(&word.text).filter(|duration| range.contains(duration));
        if duration.is_none() {
            let expected = format!(
                "seconds from {} to {}, with or without decimals",
                range.start().as_secs_f64(),
                range.end().as_secs_f64()
            );
            self.refuse(word, "time in range", expected);
        }
        duration
    }

    /// An IPv4 or IPv6 address.
    pub(super) fn address(&mut self, word: &Word) -> Option<IpAddr> {
        let address = word.text.parse().ok();
        if address.is_some() {
            return address;
        }
        let bare = word.text.split_once('/').and_then(|(address, prefix)| {
            prefix.parse::<u8>().ok()?;
            address.parse::<IpAddr>().ok()
        });
        match bare {
            Some(_) => self.diagnostics.push(
                Diagnostic::warning(
                    word.span.clone(),
                    "the length of a prefix behind an address",
                )
                .found(&word.text)
                .action("it is ignored, as by keepalived"),
            ),
            None => self.refuse(word, "address", "an IPv4 or IPv6 address"),
        }
        bare
    }

    /// An address and perhaps `/` and the length of its prefix.
    pub(super) fn prefixed(&mut self, word: &Word) -> Option<(IpAddr, Option<u8>)> {
        let (text, prefix) = match word.text.split_once('/') {
            Some((text, prefix)) => (text, Some(prefix)),
            None => (word.text.as_str(), None),
        };
        let address: Option<IpAddr> = text.parse().ok();
        let max = address.map_or(0, prefix_max);
        let length = prefix.map(|prefix| prefix.parse::<u8>().ok().filter(|length| *length <= max));
        match (address, length) {
            (Some(address), None) => Some((address, None)),
            (Some(address), Some(Some(length))) => Some((address, Some(length))),
            _ => {
                let expected = "an IPv4 or IPv6 address, with or without `/` and a prefix length";
                self.refuse(word, "address", expected);
                None
            }
        }
    }

    /// An address and a port in two words.
    pub(super) fn socket(&mut self, address: &Word, port: Option<&Word>) -> Option<SocketAddr> {
        let address = self.address(address);
        let port = match port {
            Some(word) => self.number(word, 0..=u16::MAX),
            None => Some(0),
        };
        Some(SocketAddr::new(address?, port?))
    }

    /// A keyword alone, or with `on`, `off`, `true`, `false`, `yes`, `no`.
    pub(super) fn flag(&mut self, node: &Node) -> bool {
        let Some(word) = node.arguments.first() else {
            return true;
        };
        match word.text.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" => true,
            "off" | "false" | "no" => false,
            _ => {
                self.refuse(word, "switch", "on, off, true, false, yes, no or nothing");
                false
            }
        }
    }

    /// One of several words, compared without regard to case.
    pub(super) fn choice<V: Copy>(
        &mut self,
        word: &Word,
        what: &str,
        choices: &[(&str, V)],
    ) -> Option<V> {
        let found = choices
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(&word.text));
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.refuse(word, what, either(&names));
        }
        found.map(|(_, value)| *value)
    }
}

/// `a, b or c`.
fn either(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => (*name).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// Longest prefix of an address.
pub(super) fn prefix_max(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Decimal seconds to the microsecond, as keepalived keeps them, without floating point.
pub(super) fn decimal_seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let seconds = match whole {
        "" => 0,
        whole => whole.parse().ok()?,
    };
    let micros = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(6)
        .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    Some(Duration::new(seconds, micros * 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_decimals_to_the_microsecond() {
        let cases = [
            ("1", Some(1_000_000)),
            ("0.5", Some(500_000)),
            (".25", Some(250_000)),
            ("2.", Some(2_000_000)),
            ("0.0000019", Some(1)),
            ("", None),
            (".", None),
            ("-1", None),
            ("1s", None),
            ("1.5.2", None),
            ("99999999999999999999", None),
        ];
        for (text, micros) in cases {
            let expected = micros.map(Duration::from_micros);
            assert_eq!(decimal_seconds(text), expected, "{text}");
        }
    }
}
