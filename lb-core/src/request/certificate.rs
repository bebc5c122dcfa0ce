//! What rules can see of certificates.

use std::{fmt::Write as _, sync::Arc};

/// A decoded certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Certificate {
    /// All of it, in DER.
    pub der: Arc<[u8]>,
    /// Whom it is for.
    pub subject: DistinguishedName,
    /// Who signed it.
    pub issuer: DistinguishedName,
    /// Its number at the issuer's.
    pub serial: Vec<u8>,
    /// Since when it holds, `YYMMDDhhmmssZ`.
    pub not_before: String,
    /// Until when it holds, `YYMMDDhhmmssZ`.
    pub not_after: String,
    /// SHA-1 of `der`.
    pub sha1: [u8; 20],
    /// 1 to 3.
    pub version: i64,
    /// How it is signed, in OpenSSL's short names.
    pub signature_algorithm: String,
    /// Kind of its key, in OpenSSL's names.
    pub key_algorithm: String,
    /// Kind and bits of its key, as `RSA2048` or `EC256`; `None` of other kinds.
    pub key: Option<String>,
}

/// What a client has shown of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientCertificate {
    /// Its certificate.
    pub leaf: Certificate,
    /// Those above it that it sent, one after the other, in DER.
    pub chain: Vec<u8>,
    /// What verifying it came to.
    pub verified: Verified,
}

/// TLS of a connection to a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerSession {
    /// `TLSv1.2`, `TLSv1.3`.
    pub version: &'static str,
    /// Cipher suite in OpenSSL's spelling.
    pub cipher: &'static str,
    /// Bits of the cipher's key.
    pub bits: u16,
    /// Negotiated application protocol.
    pub alpn: Option<Arc<str>>,
    /// The session was resumed.
    pub resumed: bool,
    /// What the server has shown of itself.
    pub shown: Option<Arc<ServerCertificate>>,
}

/// What a server has shown of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerCertificate {
    /// Its certificate.
    pub leaf: Certificate,
    /// It and those above it, one after the other, in DER.
    pub chain: Vec<u8>,
}

/// What verifying a client came to: OpenSSL's numbers of what was let pass by `crt-ignore-err` and `ca-ignore-err`;
/// 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verified {
    /// The last fault.
    pub result: u32,
    /// The first fault of the client's own certificate.
    pub certificate: u32,
    /// The first fault of one above it.
    pub authority: u32,
    /// How far above it.
    pub depth: u32,
}

/// A name in the directory: its parts in the order of the certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DistinguishedName(pub Vec<NamePart>);

/// One part of a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamePart {
    /// OpenSSL's short name of what it is (`CN`), or the numbers of its object identifier.
    pub key: String,
    /// Its text.
    pub value: Vec<u8>,
    /// It stands together with the part before it.
    pub joined: bool,
}

impl DistinguishedName {
    /// The part called `key`, in whatever case: `position` counts from 1, or from -1 backwards; 0 is the first.
    pub fn part(&self, key: &[u8], position: i64) -> Option<&[u8]> {
        let mut parts = self
            .0
            .iter()
            .filter(|part| part.key.as_bytes().eq_ignore_ascii_case(key));
        let skipped = |count: i64| usize::try_from(count).ok();
        let part = match position {
            ..0 => parts.rev().nth(skipped(-1 - position)?),
            0 => parts.next(),
            _ => parts.nth(skipped(position - 1)?),
        };
        part.map(|part| &*part.value)
    }

    /// `/C=FR/O=Example/CN=client`.
    pub fn one_line(&self) -> Vec<u8> {
        let mut line = Vec::new();
        for part in &self.0 {
            line.push(b'/');
            line.extend_from_slice(part.key.as_bytes());
            line.push(b'=');
            line.extend_from_slice(&part.value);
        }
        line
    }

    /// `CN=client,O=Example,C=FR` (RFC 2253).
    pub fn rfc2253(&self) -> String {
        let mut line = String::new();
        let mut first = true;
        let mut groups: Vec<Vec<&NamePart>> = Vec::new();
        for part in &self.0 {
            match groups.last_mut() {
                Some(group) if part.joined => group.push(part),
                _ => groups.push(vec![part]),
            }
        }
        for group in groups.iter().rev() {
            for (index, part) in group.iter().rev().enumerate() {
                if !std::mem::take(&mut first) {
                    line.push(if index == 0 { ',' } else { '+' });
                }
                line.push_str(&part.key);
                line.push('=');
                escape(&part.value, &mut line);
            }
        }
        line
    }
}

fn escape(value: &[u8], line: &mut String) {
    for (index, byte) in value.iter().enumerate() {
        let at_an_end = index == 0 || index + 1 == value.len();
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                line.push('\\');
                line.push(char::from(*byte));
            }
            b' ' if at_an_end => line.push_str("\\ "),
            b'#' if index == 0 => line.push_str("\\#"),
            0x20..=0x7e => line.push(char::from(*byte)),
            _ => {
                let _ = write!(line, "\\{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(parts: &[(&str, &str)]) -> DistinguishedName {
        DistinguishedName(
            parts
                .iter()
                .map(|(key, value)| NamePart {
                    key: key.trim_start_matches('+').to_owned(),
                    value: value.as_bytes().to_vec(),
                    joined: key.starts_with('+'),
                })
                .collect(),
        )
    }

    #[test]
    fn parts_are_counted_from_both_ends() {
        let name = name(&[("C", "FR"), ("OU", "a"), ("OU", "b"), ("CN", "x")]);
        let ou = |position| {
            name.part(b"OU", position)
                .map(|v| v.escape_ascii().to_string())
        };
        assert_eq!(ou(0).as_deref(), Some("a"));
        assert_eq!(ou(1).as_deref(), Some("a"));
        assert_eq!(ou(2).as_deref(), Some("b"));
        assert_eq!(ou(-1).as_deref(), Some("b"));
        assert_eq!(ou(3), None);
        assert_eq!(ou(i64::MIN), None);
        assert_eq!(name.one_line(), b"/C=FR/OU=a/OU=b/CN=x");
    }

    #[test]
    fn rfc_2253_is_backwards_and_escaped() {
        let name = name(&[("O", "a, b"), ("CN", " \u{e9}x"), ("+UID", "7")]);
        assert_eq!(name.rfc2253(), "UID=7+CN=\\ \\C3\\A9x,O=a\\, b");
    }
}
