//! Keys of stick tables.

use std::{fmt, net::IpAddr};

use crate::config::TableKey;

/// A key: an address, a number, or bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Kind);

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    Ip(IpAddr),
    Integer(u32),
    Bytes(Box<[u8]>),
}

impl Key {
    /// An address; an IPv4-mapped one is the IPv4 address.
    pub fn from_ip(ip: IpAddr) -> Self {
        Self(Kind::Ip(ip.to_canonical()))
    }

    /// A number.
    pub fn from_integer(number: u32) -> Self {
        Self(Kind::Integer(number))
    }

    /// The address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.0 {
            Kind::Ip(ip) => Some(ip),
            _ => None,
        }
    }

    /// Writes it as other hosts are told keys of this type.
    pub(crate) fn put(&self, kind: TableKey, out: &mut Vec<u8>) {
        match (&self.0, kind) {
            (Kind::Ip(IpAddr::V4(ip)), TableKey::Ipv6) => {
                out.extend_from_slice(&ip.to_ipv6_mapped().octets());
            }
            (Kind::Ip(IpAddr::V4(ip)), _) => out.extend_from_slice(&ip.octets()),
            (Kind::Ip(IpAddr::V6(ip)), _) => out.extend_from_slice(&ip.octets()),
            (Kind::Integer(number), _) => out.extend_from_slice(&number.to_be_bytes()),
            (Kind::Bytes(bytes), kind) => {
                if matches!(kind, TableKey::String(_)) {
                    crate::peers::put_number(bytes.len() as u64, out);
                }
                out.extend_from_slice(bytes);
            }
        }
    }

    /// The bytes of a string or binary key.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A string or binary key of the table's length.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(Kind::Bytes(bytes.into()))
    }
}

/// As `show table` prints it: of text what would not be one word, or is not printable, is escaped.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Ip(ip) => ip.fmt(f),
            Kind::Integer(number) => number.fmt(f),
            Kind::Bytes(bytes) => bytes.iter().try_for_each(|byte| match byte {
                b' ' | b'=' | b'\\' => write!(f, "\\{}", char::from(*byte)),
                b'\t' => f.write_str("\\t"),
                b'\n' => f.write_str("\\n"),
                b'\r' => f.write_str("\\r"),
                0x1b => f.write_str("\\e"),
                byte if byte.is_ascii_graphic() => write!(f, "{}", char::from(*byte)),
                byte => write!(f, "\\x{byte:02X}"),
            }),
        }
    }
}
