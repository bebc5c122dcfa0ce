//! IP Authentication Header of VRRPv2 as keepalived speaks it (RFC 2402 with HMAC-MD5-96, and two
//! habits of its own that are said below). Feature `auth`.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------------------------------------------------------+
//! |          IPv4 header, 20 bytes, protocol 51 (AH)              |
//! +---------------+---------------+-------------------------------+
//! | Next header   | Payload len   |           Reserved            |
//! |  = 112        |  = 4          |             = 0               |
//! +---------------+---------------+-------------------------------+
//! |   Security Parameters Index = IPv4 source address             |
//! +---------------------------------------------------------------+
//! |                      Sequence number                          |
//! +---------------------------------------------------------------+
//! |          Integrity check value, 12 bytes: the first of        |
//! |          HMAC-MD5(password padded to 8, the whole packet      |
//! |          with this and the changing IP fields zero)           |
//! +---------------------------------------------------------------+
//! |          VRRPv2 message, authentication type 2                |
//! +---------------------------------------------------------------+
//! ```
//!
//! - The changing fields are type of service, fragment and checksum; the TTL is left in for
//!   multicast, where it is always 255, and zeroed for unicast.
//! - One sequence number per virtual router serves both directions: what is sent counts on from
//!   what was last received. A router that starts again begins at 1 and is not heard until it
//!   has heard another one, from whose number it counts on.

use core::net::{IpAddr, Ipv4Addr};

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use subtle::ConstantTimeEq;

use crate::{
    Envelope, PROTOCOL, Password,
    checksum::{fold, sum},
};

mod error;
mod parts;

pub use error::{OpenError, SealError};
use parts::Parts;
pub use parts::Unverified;

/// IP protocol number of the Authentication Header.
pub const AH_PROTOCOL: u8 = 51;
/// What [`Sealer::seal`] puts before the message: IPv4 header and Authentication Header.
pub const OVERHEAD: usize = IP_LEN + AH_LEN;

const IP_LEN: usize = 20;
const AH_LEN: usize = 24;
const ICV_LEN: usize = 12;
/// Payload length field: 32-bit words of the header, less two.
const AH_WORDS: u8 = 4;
/// IP precedence "internetwork control", as routing protocols send.
const TYPE_OF_SERVICE: u8 = 0xc0;
/// keepalived starts the sequence again beyond this.
const LAST_SEQUENCE: u32 = 0xffff_fffd;

/// Key and sequence number of one virtual router.
#[derive(Debug, Clone)]
pub struct Authenticator {
    key: Password,
    sequence: u32,
    /// Whether `sequence` was last moved by a packet of our own.
    sent: bool,
}

/// A packet that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened<'a> {
    /// The VRRP message.
    pub payload: &'a [u8],
    /// The IP header's fields, for [`Advertisement::parse`](crate::Advertisement::parse).
    pub envelope: Envelope,
    /// The sender's sequence number.
    pub sequence: u32,
}

impl Authenticator {
    /// Starts at sequence number 0: the first packet sent has 1.
    pub const fn new(key: Password) -> Self {
        Self::with_sequence(key, 0)
    }

    /// Continues after `sequence`, for a router that takes over from its predecessor (reload,
    /// upgrade) instead of starting again.
    pub const fn with_sequence(key: Password, sequence: u32) -> Self {
        Self {
            key,
            sequence,
            sent: false,
        }
    }

    /// The same for one that exists already.
    pub const fn continue_after(&mut self, sequence: u32) {
        self.sequence = sequence;
        self.sent = false;
    }

    /// The last sequence number sent or accepted.
    pub const fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Verifies an IPv4 packet that carries an Authentication Header: structure, integrity check
    /// value, SPI, sequence number, in keepalived's order. Only a packet that passes all of them
    /// moves the sequence number.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn open<'a>(&mut self, packet: &'a [u8]) -> Result<Opened<'a>, OpenError> {
        let parts = Parts::split(packet)?;
        let expected = integrity_check(self.key, parts.ip, parts.ah, parts.payload);
        if !bool::from(expected.ct_eq(&parts.icv())) {
            return Err(OpenError::IntegrityCheck);
        }
        let sender = parts.source();
        let spi = Ipv4Addr::from(parts.word(4));
        if spi != sender {
            return Err(OpenError::SecurityParameters { spi, sender });
        }
        let sequence = u32::from_be_bytes(parts.word(8));
        // The number of our own last packet, from another source, was not seen before. Were it
        // refused (as keepalived does), two Active routers that count in step would never hear
        // each other.
        let seen = sequence < self.sequence || (sequence == self.sequence && !self.sent);
        if seen && self.sequence < LAST_SEQUENCE {
            return Err(OpenError::Replay {
                received: sequence,
                local: self.sequence,
            });
        }
        self.sequence = sequence;
        self.sent = false;
        Ok(Opened {
            payload: parts.payload,
            envelope: parts.envelope(),
            sequence,
        })
    }

    /// Begins one advertisement: takes the next sequence number, under which the packet is sealed
    /// for each unicast peer in turn.
    pub fn sealer(&mut self) -> Sealer {
        self.sequence = if self.sequence >= LAST_SEQUENCE {
            1
        } else {
            self.sequence + 1
        };
        self.sent = true;
        Sealer {
            key: self.key,
            sequence: self.sequence,
        }
    }

    /// One advertisement to one destination; see [`Sealer::seal`].
    ///
    /// # Errors
    /// As [`Sealer::seal`].
    pub fn seal(
        &mut self,
        message: &[u8],
        envelope: &Envelope,
        identification: u16,
        buffer: &mut [u8],
    ) -> Result<usize, SealError> {
        self.sealer()
            .seal(message, envelope, identification, buffer)
    }
}

/// One advertisement's sequence number and the key.
#[derive(Debug, Clone, Copy)]
#[must_use = "the sequence number has been used up"]
pub struct Sealer {
    key: Password,
    sequence: u32,
}

impl Sealer {
    /// Writes IPv4 header, Authentication Header and `message` (a VRRPv2 message with
    /// [`Auth::Header`](crate::Auth::Header)) to the start of `buffer` and returns the length, for
    /// a raw socket with `IP_HDRINCL`.
    ///
    /// `identification` is the IP header's; it is covered by the check value, and the kernel
    /// replaces 0, so it must not be 0.
    ///
    /// # Errors
    /// IPv6, identification 0, a message longer than an IP packet, a buffer too small.
    pub fn seal(
        &self,
        message: &[u8],
        envelope: &Envelope,
        identification: u16,
        buffer: &mut [u8],
    ) -> Result<usize, SealError> {
        let (IpAddr::V4(source), IpAddr::V4(destination)) = (envelope.source, envelope.destination)
        else {
            return Err(SealError::Ipv6);
        };
        if identification == 0 {
            return Err(SealError::IdentificationZero);
        }
        let required = OVERHEAD + message.len();
        let total = u16::try_from(required).map_err(|_| SealError::TooLong(required))?;
        let available = buffer.len();
        let packet = buffer
            .get_mut(..required)
            .ok_or(SealError::BufferTooSmall {
                required,
                available,
            })?;

        let mut ip = [0; IP_LEN];
        let [total_high, total_low] = total.to_be_bytes();
        let [id_high, id_low] = identification.to_be_bytes();
        let [s0, s1, s2, s3] = source.octets();
        let [d0, d1, d2, d3] = destination.octets();
        ip.copy_from_slice(&[
            0x45,
            TYPE_OF_SERVICE,
            total_high,
            total_low,
            id_high,
            id_low,
            0,
            0,
            envelope.hop_limit,
            AH_PROTOCOL,
            0,
            0,
            s0,
            s1,
            s2,
            s3,
            d0,
            d1,
            d2,
            d3,
        ]);
        let mut ah = [0; AH_LEN];
        let [q0, q1, q2, q3] = self.sequence.to_be_bytes();
        let (ah_fixed, _) = ah.split_at_mut(AH_LEN - ICV_LEN);
        ah_fixed.copy_from_slice(&[PROTOCOL, AH_WORDS, 0, 0, s0, s1, s2, s3, q0, q1, q2, q3]);

        let icv = integrity_check(self.key, &ip, &ah, message);
        let (_, ah_icv) = ah.split_at_mut(AH_LEN - ICV_LEN);
        ah_icv.copy_from_slice(&icv);
        let [sum_high, sum_low] = fold(sum(&ip)).to_be_bytes();
        let (ip_place, rest) = packet.split_at_mut(IP_LEN);
        let (ah_place, message_place) = rest.split_at_mut(AH_LEN);
        ip_place.copy_from_slice(&ip);
        if let [_, _, _, _, _, _, _, _, _, _, high, low, ..] = ip_place {
            (*high, *low) = (sum_high, sum_low);
        }
        ah_place.copy_from_slice(&ah);
        message_place.copy_from_slice(message);
        Ok(required)
    }
}

/// HMAC-MD5-96 over the packet with the changing fields and the check value zero.
fn integrity_check(
    key: Password,
    ip: &[u8; IP_LEN],
    ah: &[u8; AH_LEN],
    payload: &[u8],
) -> [u8; ICV_LEN] {
    let [
        version,
        _,
        l0,
        l1,
        id0,
        id1,
        _,
        _,
        ttl,
        protocol,
        _,
        _,
        source_destination @ ..,
    ] = *ip;
    let [_, _, _, _, d0, d1, d2, d3] = source_destination;
    let ttl = if Ipv4Addr::new(d0, d1, d2, d3).is_multicast() {
        ttl
    } else {
        0
    };
    let [ah_fixed @ .., _, _, _, _, _, _, _, _, _, _, _, _] = ah;
    // A key of 8 bytes is shorter than MD5's block: any length is accepted, this one surely.
    let Ok(mut mac) = Hmac::<Md5>::new_from_slice(key.bytes()) else {
        return [0; ICV_LEN];
    };
    mac.update(&[version, 0, l0, l1, id0, id1, 0, 0, ttl, protocol, 0, 0]);
    mac.update(&source_destination);
    mac.update(ah_fixed);
    mac.update(&[0; ICV_LEN]);
    mac.update(payload);
    let digest: [u8; 16] = mac.finalize().into_bytes().into();
    let [icv @ .., _, _, _, _] = digest;
    icv
}

#[cfg(test)]
mod tests;
