//! Bytes to advertisement: the checks of RFC 9568 §7.1 that need only packet and IP header, in its
//! order. Those that need the configuration (known VRID, owner, interval, password) are the
//! caller's.

use super::{Advertisement, FIXED_LEN, TYPE_ADVERTISEMENT, message_len};
use crate::{
    Addresses, Auth, ChecksumMode, Envelope, Family, Interval, ParseError, Password, Priority,
    Trailer, Version, Vrid,
    checksum::{checksum, fold, pseudo_header, sum},
};

/// An acceptable message and what came with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The message.
    pub advertisement: Advertisement<'a>,
    /// What the sender's checksum covers.
    pub checksum: ChecksumMode,
    /// The message's bytes.
    pub message: &'a [u8],
    /// keepalived's `auth_hmac` trailer, if the message is followed by exactly as much. Nothing is
    /// verified.
    pub trailer: Option<Trailer>,
}

impl<'a> Advertisement<'a> {
    /// Reads the VRRP message in `bytes`: what follows the IP header, or the Authentication Header
    /// if there is one, up to the end that the IP header states. What follows the message (link
    /// padding, a trailer) is not looked at.
    ///
    /// The TTL of a unicast packet is not checked, as keepalived's is not: peers need not be on
    /// the same link. Check the source against the list of peers instead.
    ///
    /// # Errors
    /// The first check that fails, in the order of [`ParseError`]'s variants.
    pub fn parse(bytes: &'a [u8], envelope: &Envelope) -> Result<Self, ParseError> {
        Self::parse_packet(bytes, envelope).map(|parsed| parsed.advertisement)
    }

    /// As [`parse`](Self::parse), and tells what the sender's checksum covers.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with_checksum(
        bytes: &'a [u8],
        envelope: &Envelope,
    ) -> Result<(Self, ChecksumMode), ParseError> {
        Self::parse_packet(bytes, envelope).map(|parsed| (parsed.advertisement, parsed.checksum))
    }

    /// As [`parse`](Self::parse), and tells all there is to tell of the packet.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_packet(bytes: &'a [u8], envelope: &Envelope) -> Result<Parsed<'a>, ParseError> {
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
        let (message, behind) = bytes.split_at_checked(required).ok_or(truncated)?;
        let (addresses, rest) = rest
            .split_at_checked(count * family.address_len())
            .ok_or(truncated)?;
        // §7.1: "verify the VRRP checksum".
        let checksum = match (version, family) {
            (Version::V3, Family::Ipv6) => verify_upper_layer(message, bytes, envelope)?,
            _ => verify_checksum(message, envelope, version)?,
        };

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
        Ok(Parsed {
            advertisement,
            checksum,
            message,
            trailer: behind.try_into().ok().map(Trailer::read),
        })
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

/// Finds the mode in which the checksum of a message over IPv4 is right, the usual one first.
fn verify_checksum(
    message: &[u8],
    envelope: &Envelope,
    version: Version,
) -> Result<ChecksumMode, ParseError> {
    let modes: &[ChecksumMode] = match version {
        Version::V2 => &[ChecksumMode::MessageOnly],
        Version::V3 if envelope.destination.is_multicast() => {
            &[ChecksumMode::PseudoHeader, ChecksumMode::MessageOnly]
        }
        Version::V3 => &[
            ChecksumMode::PseudoHeader,
            ChecksumMode::MessageOnly,
            ChecksumMode::GroupPseudoHeader,
        ],
    };
    let sum = sum(message);
    let right =
        |mode: &ChecksumMode| fold(sum + pseudo_header(envelope, *mode, message.len())) == 0;
    match modes.iter().copied().find(right) {
        Some(mode) => Ok(mode),
        None => {
            let usual = modes.first().copied().unwrap_or(ChecksumMode::MessageOnly);
            Err(wrong(
                message,
                sum + pseudo_header(envelope, usual, message.len()),
            ))
        }
    }
}

/// Over IPv6 the checksum is that of the upper layer: it covers whatever follows the message
/// (RFC 8200 §8.1). What the link has appended to the packet it does not cover.
fn verify_upper_layer(
    message: &[u8],
    payload: &[u8],
    envelope: &Envelope,
) -> Result<ChecksumMode, ParseError> {
    const MODE: ChecksumMode = ChecksumMode::PseudoHeader;
    let of_message = sum(message) + pseudo_header(envelope, MODE, message.len());
    if fold(of_message) == 0 || checksum(payload, envelope, MODE) == 0 {
        return Ok(MODE);
    }
    Err(wrong(message, of_message))
}

/// In one's complement, what the whole sum lacks is the difference to what the field should be.
fn wrong(message: &[u8], whole: u64) -> ParseError {
    let found = match message {
        [_, _, _, _, _, _, high, low, ..] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    };
    let expected = !fold(u64::from(found) + u64::from(fold(whole)));
    ParseError::Checksum { found, expected }
}
