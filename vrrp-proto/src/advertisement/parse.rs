//! Bytes to advertisement: the checks of RFC 9568 §7.1 that need only packet and IP header, in its
//! order. Those that need the configuration (known VRID, owner, interval, password) are the
//! caller's.

use super::{Advertisement, FIXED_LEN, TYPE_ADVERTISEMENT, message_len};
use crate::{
    Addresses, Auth, ChecksumMode, Envelope, Family, Interval, ParseError, Password, Priority,
    Version, Vrid,
    checksum::{checksum, fold},
};

impl<'a> Advertisement<'a> {
    /// Reads the VRRP message in `bytes`: what follows the IP header, or the Authentication Header
    /// if there is one, up to the end that the IP header states. What follows the message (link
    /// padding, keepalived's `auth_hmac` trailer) is not looked at.
    ///
    /// The TTL of a unicast packet is not checked, as keepalived's is not: peers need not be on
    /// the same link. Check the source against the list of peers instead.
    ///
    /// # Errors
    /// The first check that fails, in the order of [`ParseError`]'s variants.
    pub fn parse(bytes: &'a [u8], envelope: &Envelope) -> Result<Self, ParseError> {
        Self::parse_with_checksum(bytes, envelope).map(|(advertisement, _)| advertisement)
    }

    /// As [`parse`](Self::parse), and tells what the sender's checksum covers.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with_checksum(
        bytes: &'a [u8],
        envelope: &Envelope,
    ) -> Result<(Self, ChecksumMode), ParseError> {
        let family = envelope.family().ok_or(ParseError::MixedFamilies)?;
        // RFC 9568 §7.1: "verify that the IPv4 TTL / IPv6 Hop Limit is 255".
        if envelope.destination.is_multicast() && envelope.hop_limit != 255 {
            return Err(ParseError::HopLimit(envelope.hop_limit));
        }
        let (fixed, rest) =
            bytes
                .split_first_chunk::<FIXED_LEN>()
                .ok_or(ParseError::Truncated {
                    required: FIXED_LEN,
                    available: bytes.len(),
                })?;
        let [version_type, vrid, priority, count, byte4, byte5, ..] = *fixed;
        // §7.1: "verify the VRRP version".
        let version = match (version_type >> 4, family) {
            (2, Family::Ipv4) => Version::V2,
            (2, Family::Ipv6) => return Err(ParseError::VersionOverIpv6),
            (3, _) => Version::V3,
            (other, _) => return Err(ParseError::Version(other)),
        };
        // §5.2.2: "A packet with unknown type MUST be discarded."
        if version_type & 0x0f != TYPE_ADVERTISEMENT {
            return Err(ParseError::Type(version_type & 0x0f));
        }
        // §7.1: "verify that the received packet contains the complete VRRP packet".
        let count = usize::from(count);
        let required = message_len(version, family, count);
        let truncated = ParseError::Truncated {
            required,
            available: bytes.len(),
        };
        let message = bytes.get(..required).ok_or(truncated)?;
        let (addresses, rest) = rest
            .split_at_checked(count * family.address_len())
            .ok_or(truncated)?;
        // §7.1: "verify the VRRP checksum".
        let checksum = verify_checksum(message, envelope, version, family)?;

        let vrid = Vrid::new(vrid).ok_or(ParseError::VridZero)?;
        if count == 0 && version == Version::V3 {
            return Err(ParseError::NoAddresses);
        }
        let (interval, auth) = match version {
            Version::V2 => (Interval::from_seconds(byte5), parse_auth(byte4, rest)?),
            // §5.2.6: the reserved bits MUST be ignored on reception.
            Version::V3 => (
                Interval::from_centiseconds(u16::from_be_bytes([byte4 & 0x0f, byte5])),
                Auth::None,
            ),
        };
        let advertisement = Self {
            version,
            vrid,
            priority: Priority::new(priority),
            interval: interval.ok_or(ParseError::IntervalZero)?,
            addresses: Addresses::from_wire(family, addresses),
            auth,
        };
        Ok((advertisement, checksum))
    }
}

/// VRRPv2's authentication, of the type byte and what follows the addresses. RFC 3768 §5.3.10: the
/// data is ignored with type 0; keepalived ignores it with type 2 as well.
fn parse_auth(auth_type: u8, rest: &[u8]) -> Result<Auth, ParseError> {
    match auth_type {
        Auth::TYPE_NONE => Ok(Auth::None),
        Auth::TYPE_PASSWORD => Ok(Auth::Password(Password::truncated(rest))),
        Auth::TYPE_HEADER => Ok(Auth::Header),
        other => Err(ParseError::AuthType(other)),
    }
}

/// Finds the mode in which the checksum is right, the usual one first.
fn verify_checksum(
    message: &[u8],
    envelope: &Envelope,
    version: Version,
    family: Family,
) -> Result<ChecksumMode, ParseError> {
    let modes: &[ChecksumMode] = match (version, family) {
        (Version::V2, _) => &[ChecksumMode::MessageOnly],
        (Version::V3, Family::Ipv6) => &[ChecksumMode::PseudoHeader],
        (Version::V3, Family::Ipv4) if envelope.destination.is_multicast() => {
            &[ChecksumMode::PseudoHeader, ChecksumMode::MessageOnly]
        }
        (Version::V3, Family::Ipv4) => &[
            ChecksumMode::PseudoHeader,
            ChecksumMode::MessageOnly,
            ChecksumMode::GroupPseudoHeader,
        ],
    };
    if let Some(mode) = modes
        .iter()
        .find(|mode| checksum(message, envelope, **mode) == 0)
    {
        return Ok(*mode);
    }
    let found = match message {
        [_, _, _, _, _, _, high, low, ..] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    };
    // In one's complement, what the whole sum lacks is the difference to what the field should be.
    let usual = modes.first().copied().unwrap_or(ChecksumMode::MessageOnly);
    let lacking = checksum(message, envelope, usual);
    let expected = !fold(u64::from(found) + u64::from(lacking));
    Err(ParseError::Checksum { found, expected })
}
