//! What can be wrong with a packet, one variant per cause, and with a request to emit one.

use core::net::IpAddr;

use crate::{Interval, Version};

/// Why a received packet is not an acceptable advertisement. In the order in which the checks are
/// made (RFC 9568 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Source and destination of the envelope are of different families.
    #[error("source and destination are of different address families")]
    MixedFamilies,
    /// A multicast packet that crossed a router (RFC 9568 §5.1.1.3, §5.1.2.3).
    #[error("TTL or hop limit is {0}, not 255")]
    HopLimit(u8),
    /// Neither 2 nor 3.
    #[error("unknown version {0}")]
    Version(u8),
    /// VRRPv2 knows IPv4 only.
    #[error("version 2 over IPv6")]
    VersionOverIpv6,
    /// Not 1, the only type there is (RFC 9568 §5.2.2).
    #[error("unknown packet type {0}")]
    Type(u8),
    /// The packet ends before what its count of addresses announces.
    #[error("{available} bytes of at least {required}")]
    Truncated {
        /// What the message needs, as far as it is known.
        required: usize,
        /// What there is.
        available: usize,
    },
    /// The checksum is wrong in every mode that could apply.
    #[error("checksum is {found:#06x}, not {expected:#06x}")]
    Checksum {
        /// What the packet says.
        found: u16,
        /// What it should say, in the version's usual mode.
        expected: u16,
    },
    /// VRIDs begin at 1.
    #[error("virtual router identifier 0")]
    VridZero,
    /// VRRPv3 without an address (RFC 9568 §5.2.5). VRRPv2 allows it, and keepalived sends it for
    /// an instance without addresses.
    #[error("no virtual address")]
    NoAddresses,
    /// An interval of zero would let every Backup take over at once (RFC 9568 erratum 8301).
    #[error("advertisement interval 0")]
    IntervalZero,
    /// VRRPv2 authentication other than none, password and AH.
    #[error("unknown authentication type {0}")]
    AuthType(u8),
}

impl ParseError {
    /// What to count the packet under.
    pub const fn cause(self) -> Cause {
        match self {
            Self::MixedFamilies => Cause::Envelope,
            Self::HopLimit(_) => Cause::HopLimit,
            Self::Version(_) | Self::VersionOverIpv6 => Cause::Version,
            Self::Type(_) => Cause::Type,
            Self::Truncated { .. } => Cause::Length,
            Self::Checksum { .. } => Cause::Checksum,
            Self::VridZero => Cause::Vrid,
            Self::NoAddresses => Cause::NoAddresses,
            Self::IntervalZero => Cause::Interval,
            Self::AuthType(_) => Cause::AuthType,
        }
    }
}

/// Why a packet was rejected, to count by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// IP header that cannot carry an advertisement.
    Envelope,
    /// TTL or hop limit.
    HopLimit,
    /// Protocol version.
    Version,
    /// Packet type.
    Type,
    /// Too short.
    Length,
    /// Checksum.
    Checksum,
    /// Virtual router identifier.
    Vrid,
    /// No addresses.
    NoAddresses,
    /// Advertisement interval.
    Interval,
    /// Unknown authentication type.
    AuthType,
    /// Authentication failed.
    Authentication,
    /// A packet that was seen before.
    Replay,
    /// No `auth_hmac` trailer, which is demanded.
    HmacMissing,
    /// An `auth_hmac` trailer of another kind.
    HmacMalformed,
    /// An `auth_hmac` key that is not ours.
    HmacUnknownKey,
    /// An `auth_hmac` tag that our key does not make.
    HmacInvalid,
    /// An `auth_hmac` trailer whose time is too far from ours.
    HmacStale,
}

impl Cause {
    /// All causes, in order: `ALL[cause.index()] == cause`.
    pub const ALL: [Self; 17] = [
        Self::Envelope,
        Self::HopLimit,
        Self::Version,
        Self::Type,
        Self::Length,
        Self::Checksum,
        Self::Vrid,
        Self::NoAddresses,
        Self::Interval,
        Self::AuthType,
        Self::Authentication,
        Self::Replay,
        Self::HmacMissing,
        Self::HmacMalformed,
        Self::HmacUnknownKey,
        Self::HmacInvalid,
        Self::HmacStale,
    ];

    /// Position in [`ALL`](Self::ALL), for an array of counters.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// A word for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::HopLimit => "hop_limit",
            Self::Version => "version",
            Self::Type => "type",
            Self::Length => "length",
            Self::Checksum => "checksum",
            Self::Vrid => "vrid",
            Self::NoAddresses => "no_addresses",
            Self::Interval => "interval",
            Self::AuthType => "auth_type",
            Self::Authentication => "authentication",
            Self::Replay => "replay",
            Self::HmacMissing => "hmac_missing",
            Self::HmacMalformed => "hmac_malformed",
            Self::HmacUnknownKey => "hmac_unknown_key",
            Self::HmacInvalid => "hmac_invalid",
            Self::HmacStale => "hmac_stale",
        }
    }
}

/// Why an advertisement cannot be put into bytes: the caller's mistake, never a peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// Source and destination of the envelope are of different families.
    #[error("source and destination are of different address families")]
    MixedFamilies,
    /// VRRPv2 knows IPv4 only.
    #[error("version 2 over IPv6")]
    VersionOverIpv6,
    /// A virtual address is not of the envelope's family.
    #[error("{0} is not of the packet's address family")]
    Family(IpAddr),
    /// VRRPv3 needs at least one address.
    #[error("no virtual address")]
    NoAddresses,
    /// The count of addresses is one byte.
    #[error("{0} virtual addresses, more than 255")]
    TooManyAddresses(usize),
    /// The interval cannot be said in the version's unit.
    #[error("interval {0} cannot be sent in version {1}")]
    Interval(Interval, Version),
    /// VRRPv3 has no authentication.
    #[error("version 3 has no authentication")]
    AuthInVersion3,
    /// The buffer is too small.
    #[error("buffer of {available} bytes, {required} are needed")]
    BufferTooSmall {
        /// What the packet needs.
        required: usize,
        /// What there is.
        available: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_causes_is_in_order() {
        for (position, cause) in Cause::ALL.iter().enumerate() {
            assert_eq!(cause.index(), position, "{}", cause.name());
        }
    }
}
