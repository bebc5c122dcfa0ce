//! Words and numbers as the page shows them. Whatever comes from a configuration or from a server goes through
//! [`Esc`].

use std::fmt::{self, Write as _};

/// Text that says nothing but itself in HTML, in elements and in quoted attributes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Esc<'a>(pub(super) &'a str);

impl fmt::Display for Esc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // What HTML does not allow, and what would turn the line around.
                '\u{0}'..='\u{8}'
                | '\u{b}'
                | '\u{e}'..='\u{1f}'
                | '\u{7f}'
                | '\u{202a}'..='\u{202e}' => {
                    f.write_char('\u{fffd}')?;
                }
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// Bytes with one decimal, on one line with their unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes(pub(super) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        scaled(
            f,
            self.0,
            &[
                "\u{a0}B", "\u{a0}kB", "\u{a0}MB", "\u{a0}GB", "\u{a0}TB", "\u{a0}PB",
            ],
        )
    }
}

/// A number in at most five characters, from ten thousand on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count(pub(super) u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 10_000 {
            return write!(f, "{}", self.0);
        }
        scaled(
            f,
            self.0,
            &["", "\u{a0}k", "\u{a0}M", "\u{a0}G", "\u{a0}T", "\u{a0}P"],
        )
    }
}

fn scaled(f: &mut fmt::Formatter<'_>, value: u64, units: &[&str]) -> fmt::Result {
    let (mut value, mut tenths, mut unit) = (value, 0, 0);
    while value >= 1000 && unit + 1 < units.len() {
        tenths = value % 1000 / 100;
        value /= 1000;
        unit += 1;
    }
    write!(f, "{value}")?;
    if tenths > 0 {
        write!(f, ".{tenths}")?;
    }
    f.write_str(units.get(unit).copied().unwrap_or_default())
}

/// Seconds in the two greatest units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seconds(pub(super) u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0;
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        match (days, hours, minutes) {
            (0, 0, 0) => write!(f, "{seconds} s"),
            (0, 0, minutes) => write!(f, "{minutes} min {} s", seconds % 60),
            (0, hours, minutes) => write!(f, "{hours} h {minutes} min"),
            (days, hours, _) => write!(f, "{days} d {hours} h"),
        }
    }
}

/// `1 server`, `2 servers`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Many(pub(super) usize, pub(super) &'static str);

impl fmt::Display for Many {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, noun) = self;
        write!(f, "{count} {noun}{}", if *count == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_place() {
        assert_eq!(
            Esc("<b>\"&'\u{0}\u{202e}").to_string(),
            "&lt;b&gt;&quot;&amp;&#39;\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(Bytes(999).to_string(), "999\u{a0}B");
        assert_eq!(Bytes(1_234_567).to_string(), "1.2\u{a0}MB");
        assert_eq!(Bytes(u64::MAX).to_string(), "18446.7\u{a0}PB");
        assert_eq!(Count(9_999).to_string(), "9999");
        assert_eq!(Count(12_000).to_string(), "12\u{a0}k");
    }

    #[test]
    fn times_are_told_in_two_units() {
        assert_eq!(Seconds(59).to_string(), "59 s");
        assert_eq!(Seconds(61).to_string(), "1 min 1 s");
        assert_eq!(Seconds(3_700).to_string(), "1 h 1 min");
        assert_eq!(Seconds(90_000).to_string(), "1 d 1 h");
    }
}
