//! What the fields of a complete head say about its body and its connection (RFC 9110 §7.6, RFC 9112 §6).

use super::{Error, Leniency, text};
use crate::head::{Head, HeadRef, Text, Version};

/// The facts, gathered in one pass over the fields.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    pub(super) hosts: u32,
    pub(super) host: Option<Text>,
    pub(super) content_length: Option<u64>,
    /// `Transfer-Encoding` was present and names `chunked` alone.
    pub(super) chunked: bool,
    /// Framing that two readers may understand differently: close after the message.
    pub(super) doubtful: bool,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
    pub(super) expect_continue: bool,
}

impl Facts {
    /// Whether the sender lets the connection live on (RFC 9112 §9.3).
    pub(super) fn persistent(&self, version: Version) -> bool {
        !self.doubtful
            && !self.close
            && match version {
                Version::Http10 => self.keep_alive,
                Version::Http11 | Version::Http2 => true,
            }
    }
}

/// Walks the fields once. Repeated equal lengths become one field in `head`.
pub(super) fn examine(head: &mut Head, bytes: &[u8], leniency: Leniency) -> Result<Facts, Error> {
    let mut facts = Facts::default();
    let mut length_lines = 0u32;
    let mut codings = Codings::default();
    let (mut upgrade_named, mut upgrade_field) = (false, false);
    let view = HeadRef::new(head, bytes);
    for field in &head.fields {
        let is = |known: &[u8]| view.text(field.name).eq_ignore_ascii_case(known);
        let value = || view.text(field.value);
        // By length first: most names are told apart without a look at them.
        match field.name.len() {
            4 if is(b"host") => {
                facts.hosts += 1;
                facts.host.get_or_insert(field.value);
            }
            14 if is(b"content-length") => {
                length_lines += 1;
                length_lines += content_length(value(), &mut facts.content_length)?;
            }
            17 if is(b"transfer-encoding") => codings.add(value()),
            10 if is(b"connection") => {
                for option in text::members(value()) {
                    facts.close |= option.eq_ignore_ascii_case(b"close");
                    facts.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    upgrade_named |= option.eq_ignore_ascii_case(b"upgrade");
                }
            }
            // RFC 9113 §3.1: the h2c upgrade is gone; passing it on lets a peer switch behind our back.
            7 if is(b"upgrade") => {
                upgrade_field |= text::members(value()).any(|p| !p.eq_ignore_ascii_case(b"h2c"));
            }
            6 if is(b"expect") => {
                if !value().eq_ignore_ascii_case(b"100-continue") {
                    return Err(Error::Expectation);
                }
                facts.expect_continue = true;
            }
            _ => {}
        }
    }
    facts.upgrade = upgrade_named && upgrade_field && head.version != Version::Http10;
    if codings.lines {
        facts.chunked = codings.chunked_alone()?;
        let conflict = facts.content_length.is_some() || head.version == Version::Http10;
        if conflict {
            if !leniency.conflicting_framing {
                return Err(Error::Conflict);
            }
            // RFC 9112 §6.3: the coding wins, the length goes, and the connection ends with the message.
            facts.doubtful = true;
            facts.content_length = None;
        }
    }
    if let Some(length) = facts.content_length.filter(|_| length_lines > 1) {
        merge_lengths(head, bytes, length);
    }
    Ok(facts)
}

/// One `Content-Length` line: a number or a list of equal numbers. Returns how many more than one it held.
pub(crate) fn content_length(value: &[u8], known: &mut Option<u64>) -> Result<u32, Error> {
    let mut count = 0;
    for member in value.split(|&b| b == b',').map(text::trim) {
        // Only digits: no sign, no hexadecimal, no empty value; up to 2^63 - 1.
        if member.is_empty() || member.len() > 19 {
            return Err(Error::ContentLength);
        }
        let number = member
            .iter()
            .try_fold(0u64, |n, &b| match b {
                b'0'..=b'9' => Some(n.wrapping_mul(10).wrapping_add(u64::from(b - b'0'))),
                _ => None,
            })
            .filter(|n| *n <= i64::MAX as u64)
            .ok_or(Error::ContentLength)?;
        if known.is_some_and(|k| k != number) {
            return Err(Error::ContentLength);
        }
        *known = Some(number);
        count += 1;
    }
    Ok(count - 1)
}

/// Leaves one `Content-Length` field with one number (RFC 9110 §8.6).
fn merge_lengths(head: &mut Head, bytes: &[u8], length: u64) {
    let value = head.store(length.to_string().as_bytes());
    let mut fields = std::mem::take(&mut head.fields);
    let view = HeadRef::new(head, bytes);
    let mut first = true;
    fields.retain_mut(|field| {
        if !view
            .text(field.name)
            .eq_ignore_ascii_case(b"content-length")
        {
            return true;
        }
        field.value = value;
        std::mem::take(&mut first)
    });
    head.fields = fields;
}

/// What the `Transfer-Encoding` lines name.
#[derive(Debug, Default)]
struct Codings {
    lines: bool,
    chunked: u32,
    others: u32,
    chunked_last: bool,
}

impl Codings {
    fn add(&mut self, value: &[u8]) {
        self.lines = true;
        for coding in text::members(value) {
            self.chunked_last = coding.eq_ignore_ascii_case(b"chunked");
            if self.chunked_last {
                self.chunked += 1;
            } else {
                self.others += 1;
            }
        }
    }

    fn chunked_alone(&self) -> Result<bool, Error> {
        match self {
            Self {
                chunked: 1,
                others: 0,
                ..
            } => Ok(true),
            Self {
                chunked: 1,
                chunked_last: true,
                ..
            } => Err(Error::Coding),
            _ => Err(Error::TransferEncoding),
        }
    }
}
