//! Why a packet with an Authentication Header is not opened, or cannot be made.

use core::net::Ipv4Addr;

use crate::Cause;

/// Why a received packet is not authentic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Shorter than its headers, or than its IP header says.
    #[error("{available} bytes of at least {required}")]
    Truncated {
        /// What the packet needs.
        required: usize,
        /// What there is.
        available: usize,
    },
    /// Not IPv4.
    #[error("IP version {0}, not 4")]
    IpVersion(u8),
    /// An IP header with options, which no VRRP router sends.
    #[error("IP options")]
    IpOptions,
    /// Not protocol 51.
    #[error("IP protocol {0}, not 51")]
    Protocol(u8),
    /// What the header protects is not VRRP.
    #[error("next header {0}, not 112")]
    NextHeader(u8),
    /// Not the length of HMAC-MD5-96.
    #[error("authentication header of {0} + 2 words, not 6")]
    HeaderLength(u8),
    /// Wrong key, or the packet was changed on its way.
    #[error("the integrity check value is wrong: another password, or a changed packet")]
    IntegrityCheck,
    /// keepalived's SPI is the sender's address.
    #[error("security parameters index {spi} is not the source address {sender}")]
    SecurityParameters {
        /// What the header says, as an address.
        spi: Ipv4Addr,
        /// The packet's source address.
        sender: Ipv4Addr,
    },
    /// The packet was seen before, or its sender started again and has not heard us yet.
    #[error("sequence number {received} was already processed, the last one was {local}")]
    Replay {
        /// The packet's.
        received: u32,
        /// The last one sent or accepted.
        local: u32,
    },
}

impl OpenError {
    /// What to count the packet under.
    pub const fn cause(self) -> Cause {
        match self {
            Self::Truncated { .. } => Cause::Length,
            Self::IpVersion(_) | Self::IpOptions | Self::Protocol(_) | Self::NextHeader(_) => {
                Cause::Envelope
            }
            Self::HeaderLength(_) | Self::IntegrityCheck | Self::SecurityParameters { .. } => {
                Cause::Authentication
            }
            Self::Replay { .. } => Cause::Replay,
        }
    }
}

/// Why a packet cannot be sealed: the caller's mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// VRRPv2 and its Authentication Header know IPv4 only.
    #[error("no authentication header over IPv6")]
    Ipv6,
    /// The kernel would replace it after the check value was computed.
    #[error("IP identification 0")]
    IdentificationZero,
    /// Longer than an IP packet can be.
    #[error("a packet of {0} bytes")]
    TooLong(usize),
    /// The buffer is too small.
    #[error("buffer of {available} bytes, {required} are needed")]
    BufferTooSmall {
        /// What the packet needs.
        required: usize,
        /// What there is.
        available: usize,
    },
}
