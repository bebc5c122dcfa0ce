//! What is wrong with a rule line, and where.

use std::fmt;

/// Why a line of words is no rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// Index of the offending word in the words given; the number of words if one is missing at the end.
    pub word: usize,
    /// What is wrong, in lower case without a full stop.
    pub message: String,
    /// What would have been right.
    pub expected: Option<String>,
}

/// A line that is accepted although something about it is doubtful.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleWarning {
    /// Index of the word in question.
    pub word: usize,
    /// What is doubtful and what is done.
    pub message: String,
}

impl RuleError {
    /// An error about the word at `word`.
    pub fn new(word: usize, message: impl Into<String>) -> Self {
        Self {
            word,
            message: message.into(),
            expected: None,
        }
    }

    /// The same, saying what would be right.
    #[must_use]
    pub fn expecting(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// The same, for words that began at `start` of a longer line.
    #[must_use]
    pub(crate) fn shifted(mut self, start: usize) -> Self {
        self.word += start;
        self
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.expected {
            Some(expected) => write!(f, "; expected {expected}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RuleError {}
