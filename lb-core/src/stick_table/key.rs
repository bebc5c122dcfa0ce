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

    /// A string or binary key of the table's length.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(Kind::Bytes(bytes.into()))
    }
}

/// As `show table` prints it: text where it is printable, else hexadecimal.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Ip(ip) => ip.fmt(f),
            Kind::Integer(number) => number.fmt(f),
            Kind::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if text.bytes().all(|b| b.is_ascii_graphic()) => f.write_str(text),
                _ => bytes.iter().try_for_each(|b| write!(f, "{b:02X}")),
            },
        }
    }
}
