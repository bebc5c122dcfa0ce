//! What an answer is compared with.

use std::fmt::Write as _;

use memchr::memmem;
use regex::bytes::Regex;

use super::HttpPattern;
use crate::expr::perl;

/// A regular expression that does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPattern(String);

impl std::fmt::Display for BadPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadPattern {}

/// What is looked for in an answer.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// These bytes, anywhere (`string`).
    Text(Vec<u8>),
    /// The same, written as hexadecimal digits (`binary`).
    Binary(Vec<u8>),
    /// A regular expression (`rstring`).
    Regex(Regex),
    /// A regular expression over the answer in upper case hexadecimal digits (`rbinary`).
    HexRegex(Regex),
    /// The greeting of a MySQL server, or an error in its place.
    MysqlGreeting,
    /// The answer to a MySQL login, behind the greeting.
    MysqlLogin,
    /// The answer to an LDAP bind.
    LdapBind,
    /// A whole reply of an SMTP server.
    SmtpReply,
    /// The hello of an agent of SPOE.
    SpopHello,
    /// Something in a message of HTTP.
    Http(HttpPattern),
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) | (Self::Binary(a), Self::Binary(b)) => a == b,
            (Self::Regex(a), Self::Regex(b)) | (Self::HexRegex(a), Self::HexRegex(b)) => {
                a.as_str() == b.as_str()
            }
            (Self::Http(a), Self::Http(b)) => a == b,
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// `rstring`.
    pub fn regex(text: &str) -> Result<Self, BadPattern> {
        let regex = perl::regex(text, false).map_err(|e| BadPattern(e.to_string()))?;
        Ok(Self::Regex(regex))
    }

    /// `rbinary`.
    pub fn hex_regex(text: &str) -> Result<Self, BadPattern> {
        let regex = perl::regex(text, false).map_err(|e| BadPattern(e.to_string()))?;
        Ok(Self::HexRegex(regex))
    }

    /// Whether it is found; `None` for those that judge a protocol's message.
    pub(super) fn is_found(&self, answer: &[u8]) -> Option<bool> {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => Some(memmem::find(answer, bytes).is_some()),
            Self::Regex(regex) => Some(regex.is_match(answer)),
            Self::HexRegex(regex) => {
                let mut digits = String::with_capacity(answer.len() * 2);
                for byte in answer {
                    let _ = write!(digits, "{byte:02X}");
                }
                Some(regex.is_match(digits.as_bytes()))
            }
            Self::MysqlGreeting
            | Self::MysqlLogin
            | Self::LdapBind
            | Self::SmtpReply
            | Self::SpopHello
            | Self::Http(_) => None,
        }
    }

    /// Shortest answer in which it can be found.
    pub(super) fn least(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes.len(),
            _ => 0,
        }
    }

    /// Behind "did not match content".
    pub(super) fn in_mismatch(&self) -> String {
        match self {
            Self::Text(bytes) => format!("'{}'", String::from_utf8_lossy(bytes)),
            Self::Binary(_) => "(binary)".to_owned(),
            Self::HexRegex(_) => "(binary regex)".to_owned(),
            _ => "(regex)".to_owned(),
        }
    }

    /// Behind "expect".
    pub(super) fn in_step(&self) -> String {
        match self {
            Self::Text(bytes) => format!("string '{}'", String::from_utf8_lossy(bytes)),
            Self::Binary(bytes) => format!("binary '{}'", String::from_utf8_lossy(bytes)),
            Self::HexRegex(_) => "binary regex".to_owned(),
            _ => "regex".to_owned(),
        }
    }
}
