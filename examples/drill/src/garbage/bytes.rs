//! The bytes of an advert with one address (RFC 9568 §5.1, RFC 3768 §5.1), written without the codec that is to be tried.

use std::net::IpAddr;

use vrrp_proto::Version;

use super::mutant::NOISE;
use crate::fleet::{PASSWORD, Wire};

/// Without options.
pub(super) const IPV4_HEADER: usize = 20;
/// An Authentication Header and a VRRPv2 message with one address.
pub(super) const AH_LENGTH: usize = 24 + 20;
/// Where the VRID of that message is.
pub(super) const AH_VRID: usize = 24 + 1;
/// The highest that no owner has: it would make any Active router step down.
const PRIORITY: u8 = 254;

/// A valid one but for its checksum.
pub(super) fn advert(wire: Wire, vrid: u8) -> Vec<u8> {
    let mut message = match wire.version() {
        // 0.1 s.
        Version::V3 => vec![0x31, vrid, PRIORITY, 1, 0, 10, 0, 0],
        Version::V2 => vec![0x21, vrid, PRIORITY, 1, authentication(wire), 1, 0, 0],
    };
    match wire.address(vrid) {
        IpAddr::V4(address) => message.extend(address.octets()),
        IpAddr::V6(address) => message.extend(address.octets()),
    }
    match wire {
        Wire::V2Pass => message.extend(PASSWORD),
        Wire::V2 | Wire::V2Ah => message.extend([0; 8]),
        Wire::V3 | Wire::V3Unicast | Wire::V3Ipv6 => {}
    }
    message
}

/// Its type, of those of RFC 2338 §5.3.6.
const fn authentication(wire: Wire) -> u8 {
    match wire {
        Wire::V2Pass => 1,
        Wire::V2Ah => 2,
        _ => 0,
    }
}

/// Whether there is a type of authentication in the message that can be wrong.
pub(super) fn has_authentication(wire: Wire) -> bool {
    wire.version() == Version::V2
}

pub(super) fn set(message: &mut [u8], at: usize, value: u8) {
    if let Some(octet) = message.get_mut(at) {
        *octet = value;
    }
}

pub(super) fn set_version(message: &mut [u8], version: u8) {
    set(message, 0, version << 4 | 1);
}

pub(super) fn set_type(message: &mut [u8], kind: u8) {
    let version = message.first().copied().unwrap_or_default() & 0xf0;
    set(message, 0, version | kind);
}

/// None at all; over VRRPv2, where all must agree, another.
pub(super) fn set_interval(wire: Wire, message: &mut [u8]) {
    let interval = match wire.version() {
        Version::V3 => 0,
        Version::V2 => 3,
    };
    set(message, 5, interval);
}

/// Where there is a password another, and one where there is none.
pub(super) fn set_authentication(wire: Wire, message: &mut [u8], password: &[u8; 8]) {
    let length = message.len();
    match wire {
        Wire::V2Pass => set(message, length - 1, b'?'),
        _ => {
            set(message, 4, 1);
            for (at, octet) in (length - password.len()..).zip(password) {
                set(message, at, *octet);
            }
        }
    }
}

/// RFC 9568 §5.2.8: over IPv4 without a pseudo-header.
pub(super) fn seal(wire: Wire, message: &mut [u8]) {
    set(message, 6, 0);
    set(message, 7, 0);
    let mut sum = words(message);
    let envelope = wire.envelope(NOISE, 0);
    if let (IpAddr::V6(source), IpAddr::V6(group)) = (envelope.source, envelope.destination) {
        let length = u32::try_from(message.len()).unwrap_or_default();
        sum += words(&source.octets()) + words(&group.octets());
        sum += u32::from(vrrp_proto::PROTOCOL) + length;
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [_, _, high, low] = (!sum).to_be_bytes();
    set(message, 6, high);
    set(message, 7, low);
}

fn words(octets: &[u8]) -> u32 {
    let pairs = octets.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    });
    pairs.sum()
}
