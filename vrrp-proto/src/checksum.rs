//! The Internet checksum over an advertisement (RFC 1071, RFC 9568 §5.2.8), with and without
//! pseudo-header.

use core::net::IpAddr;

use crate::{Envelope, Family, MULTICAST_V4, PROTOCOL, Version};

/// What a checksum covers besides the message.
///
/// Only VRRPv3 over IPv4 leaves room for a choice: RFC 5798 §5.2.8 could be read both ways, RFC
/// 9568 §5.2.8 says the message alone, and keepalived and FRR add a pseudo-header unless told
/// otherwise. VRRPv2 never has one and IPv6 always has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChecksumMode {
    /// The message alone: RFC 9568, Cisco, Juniper, keepalived with `v3_checksum_as_v2`.
    MessageOnly,
    /// With a pseudo-header of the packet's own addresses: keepalived, FRR.
    PseudoHeader,
    /// With the group's address in the pseudo-header although the packet is unicast: keepalived
    /// up to 1.3.6.
    GroupPseudoHeader,
}

impl ChecksumMode {
    /// The mode that really applies where the version or family leaves no choice.
    pub(crate) fn settle(self, version: Version, family: Family) -> Self {
        match (version, family) {
            (Version::V2, _) => Self::MessageOnly,
            (Version::V3, Family::Ipv6) => Self::PseudoHeader,
            (Version::V3, Family::Ipv4) => self,
        }
    }
}

/// The checksum of `message`, whose checksum field must be zero, or 0 if the field holds the right
/// one.
pub(crate) fn checksum(message: &[u8], envelope: &Envelope, mode: ChecksumMode) -> u16 {
    fold(sum(message) + pseudo_header(envelope, mode, message.len()))
}

/// What the mode adds to the sum of a message of that length: source, destination, length and
/// protocol. RFC 768 and RFC 8200 §8.1 add up to the same.
pub(crate) fn pseudo_header(envelope: &Envelope, mode: ChecksumMode, length: usize) -> u64 {
    let destination = match mode {
        ChecksumMode::MessageOnly => return 0,
        ChecksumMode::PseudoHeader => envelope.destination,
        ChecksumMode::GroupPseudoHeader => IpAddr::V4(MULTICAST_V4),
    };
    let address = |address| match address {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => sum(&v6.octets()),
    };
    address(envelope.source) + address(destination) + u64::from(PROTOCOL) + length as u64
}

/// A sum that [`fold`] makes that of the 16-bit words; a last odd byte counts as the high half of
/// one. Words of 32 bits are added, which comes to the same: 2^16 is 1 modulo 2^16 - 1. No packet
/// is long enough for the 64 bits to overflow.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let whole: u64 = words
        .iter()
        .map(|word| u64::from(u32::from_be_bytes(*word)))
        .sum();
    let mut last = [0; 4];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    whole + u64::from(u32::from_be_bytes(last))
}

/// One's complement of the sum with its carries added back in.
pub(crate) fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    // The loop leaves 16 bits.
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_rfc_1071() {
        assert_eq!(
            fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])),
            !0xddf2
        );
    }

    #[test]
    fn an_odd_byte_is_the_high_half_of_a_word() {
        assert_eq!(fold(sum(&[0x12, 0x34, 0x56])), !(0x1234 + 0x5600));
    }

    proptest! {
        #[test]
        fn any_bytes_sum_up_to_what_the_words_of_rfc_1071_do(
            bytes in proptest::collection::vec(any::<u8>(), 0..1500),
        ) {
            let word = |pair: &[u8]| {
                u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0))
            };
            let slowly: u64 = bytes.chunks(2).map(word).sum();
            prop_assert_eq!(fold(sum(&bytes)), fold(slowly));
        }
    }

    #[test]
    fn only_version_3_over_ipv4_has_a_choice() {
        use ChecksumMode::{GroupPseudoHeader, MessageOnly, PseudoHeader};
        for mode in [MessageOnly, PseudoHeader, GroupPseudoHeader] {
            assert_eq!(mode.settle(Version::V2, Family::Ipv4), MessageOnly);
            assert_eq!(mode.settle(Version::V3, Family::Ipv6), PseudoHeader);
            assert_eq!(mode.settle(Version::V3, Family::Ipv4), mode);
        }
    }
}
