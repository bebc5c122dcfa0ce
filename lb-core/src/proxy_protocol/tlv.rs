//! What a version 2 header says besides addresses: type, length and value, one after the other.

use super::Error;
use crate::{config::ProxyOptions, request::TlsInfo};

/// What was told besides addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// Name that the client asked for (`fc_pp_authority`).
    pub authority: Option<Box<[u8]>>,
    /// Unique id (`fc_pp_unique_id`).
    pub unique_id: Option<Box<[u8]>>,
}

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const CRC32C: u8 = 0x03;
const UNIQUE_ID: u8 = 0x05;
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;
const SSL_CN: u8 = 0x22;
const SSL_CIPHER: u8 = 0x23;
const SSL_SIGNATURE: u8 = 0x24;
const SSL_KEY: u8 = 0x25;

/// Longest authority.
const AUTHORITY_MAX: usize = 255;
/// Longest unique id.
const UNIQUE_ID_MAX: usize = 128;

/// Reads those of `header`, all of it, from `at` on.
pub(super) fn read(header: &[u8], mut at: usize) -> Result<Told, Error> {
    let mut told = Told::default();
    while at < header.len() {
        let Some(&[kind, high, low]) = header.get(at..at + 3) else {
            return Err(Error::Tlv);
        };
        let (from, len) = (at + 3, usize::from(u16::from_be_bytes([high, low])));
        let value = header.get(from..from + len).ok_or(Error::Tlv)?;
        match kind {
            AUTHORITY if len > AUTHORITY_MAX => return Err(Error::Tlv),
            AUTHORITY => told.authority = Some(value.into()),
            UNIQUE_ID if len > UNIQUE_ID_MAX => return Err(Error::Tlv),
            UNIQUE_ID => told.unique_id = Some(value.into()),
            CRC32C => {
                let stated = value.try_into().map_err(|_| Error::Tlv)?;
                let before = header.get(..from).unwrap_or_default();
                let after = header.get(from + len..).unwrap_or_default();
                let zero: &[u8] = &[0; 4];
                if crc32c(before.iter().chain(zero).chain(after)) != u32::from_be_bytes(stated) {
                    return Err(Error::Checksum);
                }
            }
            _ => {}
        }
        at = from + len;
    }
    Ok(told)
}

/// What is told besides addresses.
#[derive(Debug, Clone, Copy)]
pub struct Tlvs<'a> {
    /// Which of it is wanted.
    pub options: ProxyOptions,
    /// TLS of the connection that is told of.
    pub tls: Option<&'a TlsInfo>,
    /// What the client's own PROXY header said.
    pub told: Option<&'a Told>,
    /// The unique id of the request.
    pub unique_id: Option<&'a [u8]>,
}

impl Tlvs<'_> {
    /// Adds them to a version 2 header that begins `out`.
    pub fn add(&self, out: &mut Vec<u8>) {
        let options = self.options;
        let checksum = options.crc32c.then(|| {
            push(CRC32C, &[0; 4], out);
            out.len() - 4
        });
        if let Some(alpn) = self.tls.and_then(|tls| tls.alpn.as_deref()) {
            push(ALPN, alpn.as_bytes(), out);
        }
        if options.authority {
            let passed = self.told.and_then(|told| told.authority.as_deref());
            let asked = || Some(self.tls?.sni.as_deref()?.as_bytes());
            if let Some(name) = passed.or_else(asked) {
                push(AUTHORITY, name, out);
            }
        }
        if options.unique_id
            && let Some(id) = self.unique_id
        {
            push(UNIQUE_ID, id.get(..UNIQUE_ID_MAX).unwrap_or(id), out);
        }
        if options.ssl {
            push(SSL, &self.ssl(), out);
        }
        let len = u16::try_from(out.len().saturating_sub(super::V2_FIXED)).unwrap_or(u16::MAX);
        if let Some(place) = out.get_mut(super::V2_FIXED - 2..super::V2_FIXED) {
            place.copy_from_slice(&len.to_be_bytes());
        }
        if let Some(at) = checksum {
            let sum = crc32c(out.iter());
            if let Some(place) = out.get_mut(at..at + 4) {
                place.copy_from_slice(&sum.to_be_bytes());
            }
        }
    }

    /// Bits of what there is, what verifying the client came to, and details: the name is the client's, key and signature
    /// are those of the certificate that was shown to it (PROXY protocol, section 2.2.6).
    fn ssl(&self) -> Vec<u8> {
        let mut out = vec![0; 5];
        let Some(tls) = self.tls else {
            return out;
        };
        let mut bits = 1;
        push(SSL_VERSION, tls.version.as_bytes(), &mut out);
        let client = tls.client.as_deref();
        if let Some(client) = client {
            bits |= if tls.resumed { 4 } else { 2 | 4 };
            let verified = client.verified.result.to_be_bytes();
            if let Some(place) = out.get_mut(1..5) {
                place.copy_from_slice(&verified);
            }
            if self.options.cert_cn
                && let Some(name) = client.leaf.subject.part(b"CN", 0)
            {
                push(SSL_CN, name, &mut out);
            }
        }
        if let Some(own) = tls.own.as_deref() {
            if self.options.cert_key
                && let Some(key) = &own.key
            {
                push(SSL_KEY, key.as_bytes(), &mut out);
            }
            if self.options.cert_sig {
                let algorithm = own.signature_algorithm.as_bytes();
                push(SSL_SIGNATURE, algorithm, &mut out);
            }
        }
        if self.options.ssl_cipher {
            push(SSL_CIPHER, tls.cipher.as_bytes(), &mut out);
        }
        if let Some(first) = out.first_mut() {
            *first = bits;
        }
        out
    }
}

fn push(kind: u8, value: &[u8], out: &mut Vec<u8>) {
    let Ok(len) = u16::try_from(value.len()) else {
        return;
    };
    out.push(kind);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(value);
}

/// CRC-32C (Castagnoli), for a hundred bytes now and then.
fn crc32c<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    !bytes.fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{super::*, *};

    fn header(options: ProxyOptions) -> Vec<u8> {
        let address = |text: &str| text.parse().unwrap();
        let mut out = Vec::new();
        encode_v2(address("192.0.2.1:4000"), address("192.0.2.2:80"), &mut out);
        let tls = TlsInfo {
            version: "TLSv1.3",
            cipher: "TLS_AES_128_GCM_SHA256",
            sni: Some("web.test".into()),
            ..TlsInfo::default()
        };
        let tlvs = Tlvs {
            options,
            tls: Some(&tls),
            told: None,
            unique_id: Some(b"id-1"),
        };
        tlvs.add(&mut out);
        out
    }

    #[test]
    fn what_is_told_is_read_again_and_its_checksum_holds() {
        let options = ProxyOptions {
            authority: true,
            unique_id: true,
            crc32c: true,
            ssl: true,
            ssl_cipher: true,
            ..ProxyOptions::default()
        };
        let mut bytes = header(options);
        let Ok(Progress::Complete(read)) = decode(&bytes) else {
            panic!("{bytes:?}");
        };
        assert_eq!(read.len, bytes.len());
        assert_eq!(read.told.authority.as_deref(), Some(&b"web.test"[..]));
        assert_eq!(read.told.unique_id.as_deref(), Some(&b"id-1"[..]));
        assert!(memchr::memmem::find(&bytes, b"\x23\0\x16TLS_AES_128_GCM_SHA256").is_some());
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert_eq!(decode(&bytes), Err(Error::Checksum));
    }

    #[test]
    fn a_value_that_does_not_end_with_its_header_is_refused() {
        let whole = header(ProxyOptions {
            unique_id: true,
            ..ProxyOptions::default()
        });
        let len = u8::try_from(whole.len() - 16).unwrap();
        for stated in [len - 1, len - 4, len - 6] {
            let mut bytes = whole.clone();
            bytes[15] = stated;
            assert_eq!(decode(&bytes), Err(Error::Tlv), "{stated}");
        }
    }

    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(crc32c(b"123456789".iter()), 0xe306_9283);
    }
}
