//! Structure of a packet with an Authentication Header, and what can be said of it without the key.

use core::{fmt, net::Ipv4Addr};

use super::{AH_LEN, AH_PROTOCOL, AH_WORDS, ICV_LEN, IP_LEN, OVERHEAD, OpenError};
use crate::{Envelope, PROTOCOL};

/// What a packet says, whoever sent it: for programs that show packets. A router uses
/// [`Authenticator::open`](super::Authenticator::open).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unverified<'a> {
    /// The VRRP message.
    pub payload: &'a [u8],
    /// The IP header's fields.
    pub envelope: Envelope,
    /// Security parameters index; keepalived's is the sender's address.
    pub spi: Ipv4Addr,
    /// Sequence number.
    pub sequence: u32,
    /// Integrity check value.
    pub icv: [u8; ICV_LEN],
}

impl<'a> Unverified<'a> {
    /// Reads an IPv4 packet that carries an Authentication Header; checks its structure alone.
    ///
    /// # Errors
    /// As [`Authenticator::open`](super::Authenticator::open), up to the integrity check.
    pub fn read(packet: &'a [u8]) -> Result<Self, OpenError> {
        let parts = Parts::split(packet)?;
        Ok(Self {
            payload: parts.payload,
            envelope: parts.envelope(),
            spi: Ipv4Addr::from(parts.word(4)),
            sequence: u32::from_be_bytes(parts.word(8)),
            icv: parts.icv(),
        })
    }
}

/// As tcpdump writes it: `AH(spi=0x0a630001,seq=0x1,icv=0x691a6d6c6f6008c36f0c3a9d)`.
impl fmt::Display for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (spi, sequence) = (self.spi.to_bits(), self.sequence);
        write!(f, "AH(spi={spi:#010x},seq={sequence:#x},icv=0x")?;
        for byte in self.icv {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// The parts of a packet whose structure is right.
pub(super) struct Parts<'a> {
    pub(super) ip: &'a [u8; IP_LEN],
    pub(super) ah: &'a [u8; AH_LEN],
    pub(super) payload: &'a [u8],
}

impl<'a> Parts<'a> {
    pub(super) fn split(packet: &'a [u8]) -> Result<Self, OpenError> {
        let truncated = |required| OpenError::Truncated {
            required,
            available: packet.len(),
        };
        let (ip, _) = packet
            .split_first_chunk::<IP_LEN>()
            .ok_or(truncated(OVERHEAD))?;
        let [
            version_words,
            _,
            total_high,
            total_low,
            _,
            _,
            _,
            _,
            _,
            protocol,
            ..,
        ] = *ip;
        match version_words {
            0x45 => {}
            0x46..=0x4f => return Err(OpenError::IpOptions),
            other => return Err(OpenError::IpVersion(other >> 4)),
        }
        if protocol != AH_PROTOCOL {
            return Err(OpenError::Protocol(protocol));
        }
        // The link may have padded the packet: the IP header knows its length.
        let total = usize::from(u16::from_be_bytes([total_high, total_low]));
        if total < OVERHEAD {
            return Err(OpenError::Truncated {
                required: OVERHEAD,
                available: total,
            });
        }
        let (_, rest) = packet
            .get(..total)
            .ok_or(truncated(total))?
            .split_at(IP_LEN);
        let (ah, payload) = rest
            .split_first_chunk::<AH_LEN>()
            .ok_or(truncated(OVERHEAD))?;
        match *ah {
            [PROTOCOL, AH_WORDS, ..] => Ok(Self { ip, ah, payload }),
            [PROTOCOL, words, ..] => Err(OpenError::HeaderLength(words)),
            [next, ..] => Err(OpenError::NextHeader(next)),
        }
    }

    pub(super) fn icv(&self) -> [u8; ICV_LEN] {
        self.ah.last_chunk().copied().unwrap_or_default()
    }

    /// Four bytes of the Authentication Header.
    pub(super) fn word(&self, offset: usize) -> [u8; 4] {
        self.ah
            .get(offset..)
            .and_then(<[u8]>::first_chunk)
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn source(&self) -> Ipv4Addr {
        let [.., s0, s1, s2, s3, _, _, _, _] = *self.ip;
        Ipv4Addr::new(s0, s1, s2, s3)
    }

    pub(super) fn envelope(&self) -> Envelope {
        let [_, _, _, _, _, _, _, _, hop_limit, .., d0, d1, d2, d3] = *self.ip;
        Envelope {
            source: self.source().into(),
            destination: Ipv4Addr::new(d0, d1, d2, d3).into(),
            hop_limit,
        }
    }
}
