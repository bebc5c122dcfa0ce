//! The trailer of keepalived's `auth_hmac` (2.4.1 and later; draft-cassen-vrrp-auth-hmac): its
//! layout and what it says. Whether that is true is for [`auth_hmac`](crate::auth_hmac), feature
//! `auth`.

use core::{fmt, time::Duration};

/// What may follow a message of either version, over either family; it is no part of the message,
/// so that lengths and counts in it do not change.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---------------+---------------+-------------------------------+
/// |  Scheme = 1   |    Key id     |         Reserved = 0          |
/// +---------------+---------------+-------------------------------+
/// |          Seconds since 1970, modulo 2^32                      |
/// +-------------------------------+-------------------------------+
/// |   Fraction, 1/65536 second    |            Counter            |
/// +-------------------------------+-------------------------------+
/// |          Tag, 16 bytes: the first of HMAC-SHA256              |
/// +---------------------------------------------------------------+
/// ```
///
/// Over IPv4 the checksum does not cover it; over IPv6 it does, as that of any upper layer covers
/// the whole payload (the kernel sees to that).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// How the tag was made; 1 is the only scheme there is.
    pub scheme: u8,
    /// Which key it was made with.
    pub key: u8,
    /// Zero.
    pub reserved: u16,
    /// When, and the how-manieth.
    pub sequence: Sequence,
    /// The proof.
    pub tag: [u8; Self::TAG_LEN],
}

impl Trailer {
    /// Length of a trailer.
    pub const LEN: usize = Self::PREFIX_LEN + Self::TAG_LEN;
    /// HMAC-SHA256 truncated to 128 bits.
    pub const SCHEME: u8 = 1;

    pub(crate) const TAG_LEN: usize = 16;
    pub(crate) const PREFIX_LEN: usize = 12;

    /// Every 28 bytes are a trailer.
    pub fn read(bytes: &[u8; Self::LEN]) -> Self {
        let [
            scheme,
            key,
            reserved_high,
            reserved_low,
            q0,
            q1,
            q2,
            q3,
            q4,
            q5,
            q6,
            q7,
            tag @ ..,
        ] = *bytes;
        Self {
            scheme,
            key,
            reserved: u16::from_be_bytes([reserved_high, reserved_low]),
            sequence: Sequence(u64::from_be_bytes([q0, q1, q2, q3, q4, q5, q6, q7])),
            tag,
        }
    }

    /// What stands before the tag, and is covered by it.
    #[cfg(feature = "auth")]
    pub(crate) fn prefix(&self) -> [u8; Self::PREFIX_LEN] {
        let [reserved_high, reserved_low] = self.reserved.to_be_bytes();
        let [q0, q1, q2, q3, q4, q5, q6, q7] = self.sequence.0.to_be_bytes();
        let (scheme, key) = (self.scheme, self.key);
        [
            scheme,
            key,
            reserved_high,
            reserved_low,
            q0,
            q1,
            q2,
            q3,
            q4,
            q5,
            q6,
            q7,
        ]
    }
}

/// `hmac key 1, seq 1744830464.500000+0`: the sender's time and the counter.
impl fmt::Display for Trailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hmac key {}, seq {}", self.key, self.sequence)
    }
}

/// Sequence number of a trailer: the sender's time of day in 1/65536 s and, below, a counter for
/// what is sent at the same moment. It starts again every 136 years, so it has no order of its own:
/// see [`follows`](Self::follows).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sequence(u64);

impl Sequence {
    /// From its 64 bits.
    pub const fn new(bits: u64) -> Self {
        Self(bits)
    }

    /// Its 64 bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The first of that moment, told by the time since 1970.
    pub fn at(unix: Duration) -> Self {
        let fraction = (u64::from(unix.subsec_nanos()) << 16) / 1_000_000_000;
        // The seconds that do not fit fall off at the top.
        Self(unix.as_secs() << 32 | fraction << 16)
    }

    /// Whether it comes after `other`: in front of it by less than half the circle (RFC 1982).
    pub const fn follows(self, other: Self) -> bool {
        self.0.wrapping_sub(other.0).cast_signed() > 0
    }

    /// By how many seconds that moment is behind `unix`; negative if it is in front of it.
    pub fn age(self, unix: Duration) -> i64 {
        let seconds = |sequence: Self| sequence.0 >> 32;
        let [.., b0, b1, b2, b3] = seconds(Self::at(unix))
            .wrapping_sub(seconds(self))
            .to_be_bytes();
        i64::from(i32::from_be_bytes([b0, b1, b2, b3]))
    }

    #[cfg(feature = "auth")]
    pub(crate) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// `1744830464.500000+3`: seconds, and the counter.
impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, fraction, counter) = (self.0 >> 32, self.0 >> 16 & 0xffff, self.0 & 0xffff);
        let micros = (fraction * 1_000_000) >> 16;
        write!(f, "{seconds}.{micros:06}+{counter}")
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString as _;

    use super::*;

    #[test]
    fn a_trailer_says_key_and_time() {
        let mut bytes = [0; Trailer::LEN];
        bytes[..12].copy_from_slice(&[1, 7, 0, 0, 0x68, 0, 0, 0, 0x80, 0, 0, 3]);
        let trailer = Trailer::read(&bytes);
        assert_eq!(trailer.to_string(), "hmac key 7, seq 1744830464.500000+3");
        assert_eq!(trailer.sequence.bits(), 0x6800_0000_8000_0003);
    }

    #[test]
    fn time_becomes_a_sequence_number() {
        let at = |secs, nanos| Sequence::at(Duration::new(secs, nanos)).bits();
        assert_eq!(at(0x6800_0000, 500_000_000), 0x6800_0000_8000_0000);
        assert_eq!(at(0x6800_0000, 999_999_999), 0x6800_0000_ffff_0000);
        assert_eq!(at(0x1_0000_0002, 0), 0x0000_0002_0000_0000, "after 2106");
    }

    #[test]
    fn order_and_age_survive_the_end_of_the_circle() {
        let before = Sequence::at(Duration::from_secs(0xffff_fffe));
        let after = Sequence::at(Duration::from_secs(0x1_0000_0003));
        assert!(after.follows(before));
        assert!(!before.follows(after));
        assert!(!after.follows(after));
        assert_eq!(before.age(Duration::from_secs(0x1_0000_0003)), 5);
        assert_eq!(after.age(Duration::from_secs(0xffff_fffe)), -5);
    }
}
