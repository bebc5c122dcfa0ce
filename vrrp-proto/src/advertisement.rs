//! An advertisement, the only packet of VRRP: the type, its wire layouts and how an operator reads
//! it. Parsing and emitting are in the two submodules.

use core::fmt;

use crate::{Addresses, Auth, Family, Interval, Priority, Version, Vrid};

mod emit;
mod parse;

pub use parse::Parsed;

/// An advertisement, borrowing its addresses from the packet or from the caller's list.
///
/// VRRPv3 (RFC 9568 §5.2); `n` addresses of 4 or 16 bytes:
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-------+-------+---------------+---------------+---------------+
/// |Version| Type  |     VRID      |   Priority    | Address Count |
/// |  = 3  |  = 1  |    1..255     |               |     1..255    |
/// +-------+-------+---------------+---------------+---------------+
/// |Reserve| Max Advertise Interval|           Checksum            |
/// |  = 0  |     in centiseconds   |                               |
/// +-------+-----------------------+-------------------------------+
/// |                       IPv4 or IPv6 addresses                  |
/// +---------------------------------------------------------------+
/// ```
///
/// VRRPv2 (RFC 3768 §5.3, RFC 2338 §5.3 for the authentication types), IPv4 only:
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-------+-------+---------------+---------------+---------------+
/// |Version| Type  |     VRID      |   Priority    | Address Count |
/// |  = 2  |  = 1  |    1..255     |               |     0..255    |
/// +-------+-------+---------------+---------------+---------------+
/// |   Auth Type   |   Interval    |           Checksum            |
/// |  0, 1 or 2    |  in seconds   |                               |
/// +---------------+---------------+-------------------------------+
/// |                         IPv4 addresses                        |
/// +---------------------------------------------------------------+
/// |               Authentication data, always 8 bytes             |
/// |               (the password with type 1, else 0)              |
/// +---------------------------------------------------------------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advertisement<'a> {
    /// Protocol version.
    pub version: Version,
    /// Virtual router.
    pub vrid: Vrid,
    /// The sender's priority; 0 when it resigns.
    pub priority: Priority,
    /// The sender's interval.
    pub interval: Interval,
    /// Virtual addresses.
    pub addresses: Addresses<'a>,
    /// Authentication; only VRRPv2 has any of its own ([`Trailer`](crate::Trailer) is for both).
    pub auth: Auth,
}

/// Bytes before the addresses, in both versions.
const FIXED_LEN: usize = 8;
/// Offset of the checksum, in both versions.
const CHECKSUM_OFFSET: usize = 6;
/// The only packet type.
const TYPE_ADVERTISEMENT: u8 = 1;

/// Length of a message with so many addresses.
const fn message_len(version: Version, family: Family, addresses: usize) -> usize {
    let auth = match version {
        Version::V2 => Auth::DATA_LEN,
        Version::V3 => 0,
    };
    FIXED_LEN + addresses * family.address_len() + auth
}

/// As tcpdump writes it: `VRRPv2, Advertisement, vrid 61, prio 100, authtype ah, intvl 2s,
/// length 20, addrs: 192.168.10.10`.
impl fmt::Display for Advertisement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "VRRPv{}, Advertisement, vrid {}, prio {}, ",
            self.version, self.vrid, self.priority
        )?;
        if self.version == Version::V2 {
            write!(f, "authtype {}, ", self.auth.word())?;
        }
        match (self.version, self.interval.centiseconds()) {
            (Version::V3, Some(centiseconds)) => write!(f, "intvl {centiseconds}cs, ")?,
            _ => write!(f, "intvl {}, ", self.interval)?,
        }
        let family = self
            .addresses
            .iter()
            .next()
            .map_or(Family::Ipv4, Family::of);
        let length = message_len(self.version, family, self.addresses.len());
        write!(f, "length {length}")?;
        if !self.addresses.is_empty() {
            write!(f, ", addrs: {}", self.addresses)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
