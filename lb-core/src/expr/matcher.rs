//! Matchers: what an ACL compares a value with. Manual 7.1.
//!
//! Patterns are prepared once: lists of exact words and networks are sorted, `-i` compares without copying.

mod network;
mod number;
mod text;

pub(crate) use network::Networks;
pub(crate) use number::Ranges;
pub(crate) use text::{Delimited, Substrings, Words};

use regex::bytes::{RegexSet, RegexSetBuilder};

use super::{Type, Value, args::regex_error, perl};
use crate::rules::RuleError;

/// The kinds of matching, as `-m` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Anything was found.
    Found,
    /// True.
    Bool,
    /// Integer in a range.
    Int,
    /// Length in a range.
    Len,
    /// Address in a network.
    Ip,
    /// Bytes equal (patterns in hexadecimal).
    Bin,
    /// Text equal.
    Str,
    /// Text begins.
    Beg,
    /// Text ends.
    End,
    /// Text contains.
    Sub,
    /// Text contains a whole part between slashes.
    Dir,
    /// Text contains a whole part between dots, slashes, question marks and colons.
    Dom,
    /// Regular expression matches.
    Reg,
}

/// One entry of the table of methods: name, the method, a sentence.
pub const METHODS: &[(&str, Method, &str)] = &[
    (
        "found",
        Method::Found,
        "Something was found, whatever it is.",
    ),
    ("bool", Method::Bool, "The value is true or not 0."),
    ("int", Method::Int, "The number is in one of the ranges."),
    (
        "len",
        Method::Len,
        "The length of the text is in one of the ranges.",
    ),
    ("ip", Method::Ip, "The address is in one of the networks."),
    (
        "bin",
        Method::Bin,
        "The bytes equal one of the hexadecimal patterns.",
    ),
    ("str", Method::Str, "The text equals one of the patterns."),
    (
        "beg",
        Method::Beg,
        "The text begins with one of the patterns.",
    ),
    (
        "end",
        Method::End,
        "The text ends with one of the patterns.",
    ),
    ("sub", Method::Sub, "The text contains one of the patterns."),
    (
        "dir",
        Method::Dir,
        "A part of the text between slashes equals one of the patterns.",
    ),
    (
        "dom",
        Method::Dom,
        "A part of the text between dots, slashes or colons equals one of the patterns.",
    ),
    (
        "reg",
        Method::Reg,
        "One of the regular expressions matches the text.",
    ),
];

impl Method {
    /// The method that `-m` calls `name`.
    pub fn named(name: &str) -> Option<Self> {
        METHODS
            .iter()
            .find(|(n, ..)| *n == name)
            .map(|(_, m, _)| *m)
    }

    /// As `-m` names it.
    pub fn name(self) -> &'static str {
        let entry = METHODS.iter().find(|(_, method, _)| *method == self);
        entry.map_or("", |(name, ..)| name)
    }

    /// Whether it compares with patterns.
    pub(crate) fn takes_patterns(self) -> bool {
        !matches!(self, Self::Found | Self::Bool)
    }

    /// The method that fits values of `kind`.
    pub fn for_type(kind: Type) -> Option<Self> {
        match kind {
            Type::Bool => Some(Self::Bool),
            Type::Int => Some(Self::Int),
            Type::Address => Some(Self::Ip),
            Type::String | Type::Method => Some(Self::Str),
            Type::Binary => Some(Self::Bin),
            Type::Any => None,
        }
    }

    /// The type that values are cast to before the comparison; `None` takes them as they are.
    fn wants(self) -> Option<Type> {
        match self {
            Self::Found => None,
            Self::Bool => Some(Type::Bool),
            Self::Int => Some(Type::Int),
            Self::Ip => Some(Type::Address),
            Self::Bin => Some(Type::Binary),
            Self::Len
            | Self::Str
            | Self::Beg
            | Self::End
            | Self::Sub
            | Self::Dir
            | Self::Dom
            | Self::Reg => Some(Type::String),
        }
    }

    /// Whether values of `kind` can be compared this way.
    pub fn accepts(self, kind: Type) -> bool {
        self.wants().is_none_or(|wanted| kind.casts_to(wanted))
    }
}

/// A method with its patterns.
#[derive(Debug, Clone)]
pub(crate) enum Matcher {
    Found,
    Bool,
    Int(Ranges),
    Len(Ranges),
    Ip(Networks),
    Bin(Words),
    Str(Words),
    Beg(Box<[Box<[u8]>]>, bool),
    End(Box<[Box<[u8]>]>, bool),
    Sub(Substrings),
    Delimited(Delimited),
    /// Any of the sets.
    Reg(Box<[RegexSet]>),
}

impl Matcher {
    /// Prepares `patterns`, each with the index of the word it stands in.
    pub(crate) fn new(
        method: Method,
        patterns: &[(usize, String)],
        ignore_case: bool,
    ) -> Result<Self, RuleError> {
        let words = || patterns.iter().map(|(_, p)| Box::from(p.as_bytes()));
        Ok(match method {
            Method::Found => Self::Found,
            Method::Bool => Self::Bool,
            Method::Int => Self::Int(Ranges::parse(patterns)?),
            Method::Len => Self::Len(Ranges::parse(patterns)?),
            Method::Ip => Self::Ip(Networks::parse(patterns)?),
            Method::Bin => {
                let bytes: Result<Vec<Box<[u8]>>, RuleError> =
                    patterns.iter().map(|(word, p)| binary(*word, p)).collect();
                Self::Bin(Words::new(bytes?, false))
            }
            Method::Str => Self::Str(Words::new(words().collect(), ignore_case)),
            Method::Beg => Self::Beg(words().collect(), ignore_case),
            Method::End => Self::End(words().collect(), ignore_case),
            Method::Sub => Self::Sub(Substrings::new(words().collect(), ignore_case)),
            Method::Dir => Self::Delimited(Delimited::new(b"/?", words().collect(), ignore_case)),
            Method::Dom => Self::Delimited(Delimited::new(b"/?.:", words().collect(), ignore_case)),
            Method::Reg => Self::Reg(regexes(patterns, ignore_case)?.into()),
        })
    }

    /// Whether the value matches one of the patterns.
    pub(crate) fn matches(&self, value: &Value<'_>) -> bool {
        match self {
            Self::Found => true,
            Self::Bool => value.truth() == Some(true),
            Self::Int(ranges) => value.number().is_some_and(|i| ranges.contain(i)),
            Self::Ip(networks) => value.address().is_some_and(|a| networks.contain(a)),
            Self::Bin(words) => match value {
                Value::String(bytes) | Value::Binary(bytes) => words.contain(bytes),
                other => other
                    .clone()
                    .cast(Type::Binary)
                    .is_some_and(|v| v.bytes().is_some_and(|b| words.contain(b))),
            },
            _ => match value {
                Value::String(text) => self.matches_text(text),
                // Numbers and addresses are written out; this is rare.
                other => {
                    let mut text = Vec::new();
                    other.write_text(&mut text);
                    self.matches_text(&text)
                }
            },
        }
    }

    fn matches_text(&self, text: &[u8]) -> bool {
        match self {
            Self::Len(ranges) => i64::try_from(text.len()).is_ok_and(|i| ranges.contain(i)),
            Self::Str(words) => words.contain(text),
            Self::Beg(patterns, ignore_case) => patterns.iter().any(|p| {
                text.get(..p.len())
                    .is_some_and(|t| text::equal(t, p, *ignore_case))
            }),
            Self::End(patterns, ignore_case) => patterns.iter().any(|p| {
                text.len()
                    .checked_sub(p.len())
                    .and_then(|start| text.get(start..))
                    .is_some_and(|t| text::equal(t, p, *ignore_case))
            }),
            Self::Sub(substrings) => substrings.found_in(text),
            Self::Delimited(parts) => parts.found_in(text),
            Self::Reg(sets) => sets.iter().any(|set| set.is_match(text)),
            Self::Found | Self::Bool | Self::Int(_) | Self::Ip(_) | Self::Bin(_) => false,
        }
    }
}

/// Bytes of a hexadecimal pattern.
fn binary(word: usize, pattern: &str) -> Result<Box<[u8]>, RuleError> {
    let wrong = || {
        RuleError::new(word, format!("'{pattern}' is not hexadecimal"))
            .expecting("an even number of hexadecimal digits")
    };
    if !pattern.len().is_multiple_of(2) || !pattern.is_ascii() {
        return Err(wrong());
    }
    pattern
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            let text = std::str::from_utf8(pair).ok()?;
            // A sign would be accepted by the number parser.
            text.bytes().all(|b| b.is_ascii_hexdigit()).then_some(())?;
            u8::from_str_radix(text, 16).ok()
        })
        .collect::<Option<Vec<u8>>>()
        .map(Vec::into_boxed_slice)
        .ok_or_else(wrong)
}

/// Regular expressions in as few sets as hold them: a text is scanned once for each set, however many there are in it.
fn regexes(patterns: &[(usize, String)], ignore_case: bool) -> Result<Vec<RegexSet>, RuleError> {
    for (word, pattern) in patterns {
        super::args::regex(pattern, ignore_case).map_err(|e| e.shifted(*word))?;
    }
    sets(patterns, ignore_case)
}

/// One set of all; of more than one set may be, one of each half.
fn sets(patterns: &[(usize, String)], ignore_case: bool) -> Result<Vec<RegexSet>, RuleError> {
    let built = RegexSetBuilder::new(patterns.iter().map(|(_, p)| perl::rewritten(p)))
        .case_insensitive(ignore_case)
        .unicode(false)
        .build();
    match built {
        Ok(set) => Ok(vec![set]),
        Err(regex::Error::CompiledTooBig(_)) if patterns.len() > 1 => {
            let (first, second) = patterns.split_at(patterns.len() / 2);
            let mut both = sets(first, ignore_case)?;
            both.extend(sets(second, ignore_case)?);
            Ok(both)
        }
        Err(e) => Err(regex_error("all together", &e)),
    }
}

#[cfg(test)]
mod tests;
