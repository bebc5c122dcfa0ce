//! Arguments of fetches and converters: how each is written, and what it is once compiled.

mod compile;

use std::sync::Arc;

use regex::bytes::Regex;

pub(crate) use compile::compile;

use super::{KeyFiles, LiveMap, Userlist, convert::json::Step, map::MapMatch, perl};
use crate::{
    request::{Assignment, Scope},
    rules::RuleError,
};

/// One argument in a table entry.
#[derive(Debug, Clone, Copy)]
pub struct ArgSpec {
    /// Name in messages and docs.
    pub name: &'static str,
    /// How it is read.
    pub kind: ArgKind,
    /// Whether it may be left out.
    pub optional: bool,
}

/// How an argument is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgKind {
    /// Text.
    Text,
    /// Decimal integer.
    Int,
    /// Decimal integer between two.
    Within(i64, i64),
    /// One of these words, in any case.
    OneOf(&'static [&'static str]),
    /// Bytes in base64, or the name of a variable.
    Key,
    /// Path to a value in JSON.
    JsonPath,
    /// Numbers of fields from the outermost message on, with points between them.
    FieldPath,
    /// Format of a date, as of strftime(3).
    Strftime,
    /// Decimal integer or the name of a variable.
    Number,
    /// IPv4 mask: bits or dotted.
    Mask4,
    /// IPv6 mask: bits or written as an address.
    Mask6,
    /// Name of a variable.
    Variable,
    /// Name of a `userlist`.
    Userlist,
    /// Name of a proxy with a `stick-table`; that of the proxy where the rule stands if left out.
    Table,
    /// Name of a proxy with a `stick-table`; that of what is tracked if left out.
    TrackedTable,
    /// Name of a proxy with servers; that of the proxy where the rule stands if left out.
    Backend,
    /// Name of a proxy that accepts; that of the proxy where the rule stands if left out.
    Frontend,
    /// `backend/server`, or a server of the proxy where the rule stands.
    Server,
    /// File of a map.
    Map(MapMatch),
    /// Number or name of a tag of FIX.
    FixTag,
    /// Name of a way to sign a token, or of a variable.
    JwtAlgorithm,
    /// Secret, file of a public key, or name of a variable.
    JwtKey,
    /// A variable to be set; conditions take the rest of the list.
    Assignment,
    /// Regular expression replacement: pattern, text and flags take the rest of the list. Compiled together, as the flags
    /// are the third word.
    Regsub,
}

/// A compiled argument.
#[derive(Debug, Clone)]
pub enum Argument {
    /// Left out.
    Missing,
    /// Text.
    Text(Box<[u8]>),
    /// Number.
    Int(i64),
    /// Bits of an address that count.
    Mask(u128),
    /// Variable with its scope.
    Variable(Scope, Arc<str>),
    /// User list.
    Userlist(Arc<Userlist>),
    /// Name of a proxy.
    Proxy(Arc<str>),
    /// Name of a backend and of one of its servers.
    Server(Arc<str>, Arc<str>),
    /// A map.
    Map(Arc<LiveMap>),
    /// Place in the list of words.
    Choice(usize),
    /// Steps to a value in JSON.
    JsonPath(Box<[Step]>),
    /// Numbers of fields from the outermost message on.
    FieldPath(Box<[u64]>),
    /// Secret or file of a public key by its name, and the files that were read.
    JwtKey(Box<Self>, Arc<KeyFiles>),
    /// A variable to be set.
    Assignment(Assignment),
    /// Pattern, replacement, replace all.
    Regsub(Regex, Box<[u8]>, bool),
}

impl Argument {
    /// The bytes of a text argument.
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The name of a proxy.
    pub fn proxy(&self) -> Option<&str> {
        match self {
            Self::Proxy(name) => Some(name),
            _ => None,
        }
    }

    /// Which of the words an argument is.
    pub fn choice(&self) -> Option<usize> {
        match self {
            Self::Choice(place) => Some(*place),
            _ => None,
        }
    }

    /// The bits of a mask.
    pub fn mask(&self) -> Option<u128> {
        match self {
            Self::Mask(bits) => Some(*bits),
            _ => None,
        }
    }

    /// The number of an integer argument.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(i) => Some(*i),
            _ => None,
        }
    }
}

/// A required argument.
pub(crate) const fn need(name: &'static str, kind: ArgKind) -> ArgSpec {
    ArgSpec {
        name,
        kind,
        optional: false,
    }
}

/// An argument that may be left out.
pub(crate) const fn may(name: &'static str, kind: ArgKind) -> ArgSpec {
    ArgSpec {
        name,
        kind,
        optional: true,
    }
}

/// Compiles a regular expression over bytes. Neither look-around nor back references exist in it.
pub(crate) fn regex(pattern: &str, ignore_case: bool) -> Result<Regex, RuleError> {
    perl::regex(pattern, ignore_case).map_err(|e| regex_error(pattern, &e))
}

/// The message for a pattern that does not compile.
pub(crate) fn regex_error(pattern: &str, error: &regex::Error) -> RuleError {
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or_default();
    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
    RuleError::new(0, format!("regular expression '{pattern}': {reason}"))
}

/// Reads the variable `name`.
pub(crate) fn variable(name: &str) -> Result<(Scope, Arc<str>), RuleError> {
    Scope::split(name)
        .map(|(scope, _)| (scope, Arc::from(name)))
        .ok_or_else(|| {
            RuleError::new(0, format!("invalid variable name '{name}'"))
                .expecting("proc., sess., txn., req. or res. and letters, digits, '_', '.', '-'")
        })
}
