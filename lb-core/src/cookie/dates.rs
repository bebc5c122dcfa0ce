//! The dates that inserted cookies carry (`maxidle`, `maxlife`): `server|last` or `server|last|first`, when the client
//! was last and first seen, each in five characters of base64 for a count of four seconds.

use crate::config::CookieConfig;

/// What separates the dates.
pub(super) const DATE_BEGIN: u8 = b'|';
/// Characters of a date.
const LENGTH: usize = 5;
/// Clocks that go wrong are forgiven so many seconds.
const FUTURE: u64 = 24 * 3600;

/// When a client was seen, in seconds of Unix time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dates {
    pub(super) last: Option<u64>,
    pub(super) first: Option<u64>,
}

/// Why a cookie is not followed though it names a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// Its client was away for longer than `maxidle`.
    Idle,
    /// It was given out longer ago than `maxlife`.
    Old,
}

impl Stale {
    /// The character in log lines.
    pub fn letter(self) -> char {
        match self {
            Self::Idle => 'E',
            Self::Old => 'O',
        }
    }
}

impl Dates {
    /// From what stands behind the server; what is no date is none.
    pub(super) fn read(text: &[u8]) -> Self {
        let last = decode(text);
        let second = text.iter().position(|&b| b == DATE_BEGIN);
        let first = second.and_then(|at| decode(text.get(at + 1..)?));
        Self { last, first }
    }

    /// Whether the cookie counts no longer at `now`.
    pub(super) fn stale(self, config: &CookieConfig, now: u64) -> Option<Stale> {
        let is_over = |limit: Option<std::time::Duration>, date: Option<u64>| {
            limit.zip(date).is_some_and(|(limit, date)| {
                now.saturating_sub(date) > limit.as_secs() || date.saturating_sub(now) > FUTURE
            })
        };
        if is_over(config.max_life, self.first) {
            Some(Stale::Old)
        } else if is_over(config.max_idle, self.last) {
            Some(Stale::Idle)
        } else {
            None
        }
    }

    /// Whether a client that follows its cookie gets it anew, with other dates or without any.
    pub(super) fn want_renewal(self, config: &CookieConfig, now: u64) -> bool {
        let dated = config.max_idle.is_some() || self.last.is_some();
        dated && self.last.is_none_or(|last| last < now)
            || config.max_life.is_some() != self.first.is_some()
    }

    /// Appends the dates of a cookie that is given out at `now`.
    pub(super) fn write(self, config: &CookieConfig, now: u64, out: &mut String) {
        if config.max_idle.is_none() && config.max_life.is_none() {
            return;
        }
        encode(now + 3, out);
        if config.max_life.is_some() {
            encode(self.first.unwrap_or(now + 3), out);
        }
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The date at the front of `text`, if there is one.
fn decode(text: &[u8]) -> Option<u64> {
    let number = text.get(..LENGTH)?.iter().try_fold(0, |number, b| {
        let digit = DIGITS.iter().position(|d| d == b)?;
        Some(number << 6 | digit as u64)
    })?;
    (number > 0).then_some(number << 2)
}

/// Appends `seconds` behind what separates dates.
pub(super) fn encode(seconds: u64, out: &mut String) {
    out.push(char::from(DATE_BEGIN));
    for place in (0..LENGTH).rev() {
        let digit = (seconds >> 2 >> (6 * place)) & 63;
        let digit = usize::try_from(digit).unwrap_or(0);
        out.push(char::from(DIGITS.get(digit).copied().unwrap_or(b'A')));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What HAProxy 2.6 wrote at that time.
    #[test]
    fn dates_are_written_and_read_as_haproxy_does() {
        let now = 1_795_303_044;
        let mut out = String::new();
        encode(now, &mut out);
        assert_eq!(out, "|awImh");
        assert_eq!(decode(b"awImh"), Some(now));
        for text in ["", "awKG", "aw!Gf", "AAAAA"] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
        let read = |text: &str| {
            let dates = Dates::read(text.as_bytes());
            (dates.last.is_some(), dates.first.is_some())
        };
        assert_eq!(read("awKGf"), (true, false));
        assert_eq!(read("awKGf|awKGf"), (true, true));
        assert_eq!(read("awKGf|aw"), (true, false));
        assert_eq!(read("|awKGf"), (false, true));
    }
}
