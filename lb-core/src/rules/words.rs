//! A cursor over the words of a line.

use std::time::Duration;

use super::RuleError;

/// The words of a line and how many of them were read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'w> {
    words: &'w [&'w str],
    at: usize,
}

impl<'w> Words<'w> {
    pub(super) fn new(words: &'w [&'w str]) -> Self {
        Self { words, at: 0 }
    }

    /// Index of the next word.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next word, not read.
    pub(super) fn peek(&self) -> Option<&'w str> {
        self.words.get(self.at).copied()
    }

    /// The word read last.
    pub(super) fn last(&self) -> Option<&'w str> {
        self.words.get(self.at.checked_sub(1)?).copied()
    }

    /// The next word of the action: none where a condition begins.
    pub(super) fn argument(&mut self) -> Option<&'w str> {
        let word = self.peek().filter(|w| !matches!(*w, "if" | "unless"))?;
        self.at += 1;
        Some(word)
    }

    /// The next word, whatever it is; `what` is missing if there is none.
    pub(super) fn required(&mut self, what: &str) -> Result<&'w str, RuleError> {
        let word = self
            .peek()
            .ok_or_else(|| RuleError::new(self.at, format!("missing {what}")).expecting(what))?;
        self.at += 1;
        Ok(word)
    }

    /// The next word as a number.
    pub(super) fn number<T: std::str::FromStr>(&mut self, what: &str) -> Result<T, RuleError> {
        let at = self.at;
        let word = self.required(what)?;
        word.parse().map_err(|_| {
            RuleError::new(at, format!("'{word}' is no good as {what}")).expecting("a number")
        })
    }

    /// The words not read yet.
    pub(super) fn rest(&self) -> &'w [&'w str] {
        self.words.get(self.at..).unwrap_or_default()
    }

    /// An error about the word read last.
    pub(super) fn wrong(&self, message: impl Into<String>) -> RuleError {
        RuleError::new(self.at.saturating_sub(1), message)
    }

    /// Nothing may follow.
    pub(super) fn finish(&self) -> Result<(), RuleError> {
        match self.peek() {
            Some(word) => Err(RuleError::new(self.at, format!("unexpected '{word}'"))
                .expecting("the end of the line")),
            None => Ok(()),
        }
    }
}

/// A number of bytes, perhaps with `k`, `m` or `g`.
pub(super) fn size(text: &str) -> Option<usize> {
    let (digits, factor) = match text.strip_suffix(['k', 'K', 'm', 'M', 'g', 'G']) {
        None => (text, 1),
        Some(digits) if text.ends_with(['k', 'K']) => (digits, 1 << 10),
        Some(digits) if text.ends_with(['m', 'M']) => (digits, 1 << 20),
        Some(digits) => (digits, 1 << 30),
    };
    digits.parse::<usize>().ok()?.checked_mul(factor)
}

/// A duration with its unit; milliseconds without one.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let micros = match unit {
        "us" => 1,
        "" | "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    Some(Duration::from_micros(number.checked_mul(micros)?))
}

/// The time behind `inspect-delay`, the first of `words`.
pub(super) fn inspect_delay(words: &[&str]) -> Result<Duration, RuleError> {
    if let Some(extra) = words.get(2) {
        return Err(RuleError::new(2, format!("unexpected '{extra}'")));
    }
    let word = words.get(1).copied().unwrap_or_default();
    duration(word).ok_or_else(|| {
        RuleError::new(1, format!("'{word}' is no duration"))
            .expecting("a number with us, ms, s, m, h or d")
    })
}
