//! Vectors computed elsewhere: read, made, and spoilt bit by bit.

use std::{net::IpAddr, vec, vec::Vec};

use super::super::*;
use super::NOON;
use crate::{Advertisement, Cause};

/// A vector, with what made it. The first two are the images in the appendix of
/// draft-cassen-vrrp-auth-hmac; all of them come out of this Python as well, which shares nothing
/// with this crate (`m` the message with checksum 0, `t` the first 12 bytes of the trailer):
///
/// ```python
/// pseudo = bytes([src.version, m[0] >> 4, m[1], 0]) + src.packed.ljust(16, b'\0')
/// tag = hmac.new(key, pseudo + m + t + bytes(16), hashlib.sha256).digest()[:16]
/// ```
pub(super) struct Vector {
    hex: &'static str,
    source: &'static str,
    destination: &'static str,
    key: (u8, Vec<u8>),
    checksum: ChecksumMode,
    sequence: u64,
}

pub(super) fn vectors() -> Vec<Vector> {
    let first: Vec<u8> = (0..32).collect();
    let second: Vec<u8> = (0x40..0x80).collect();
    vec![
        Vector {
            hex: "3133c80100644402c0000264\
                  0101000068000000800000001b84bc4e8e43892dc6d98448f8ee2265",
            source: "198.51.100.10",
            destination: "192.0.2.10",
            key: (1, first.clone()),
            checksum: ChecksumMode::MessageOnly,
            sequence: 0x6800_0000_8000_0000,
        },
        Vector {
            hex: "3133c8010064a2e9fe800000000000000000000000000100\
                  010100006800000080000000c8c56146ebfd66ee10ec4d8186461b78",
            source: "fe80::10",
            destination: "fe80::20",
            key: (1, first),
            checksum: ChecksumMode::PseudoHeader,
            sequence: 0x6800_0000_8000_0000,
        },
        Vector {
            hex: "31336401003274df0a630064\
                  010200006912f0b6123400014e6c0200b61b0076c9bfc8a0e3b5f99e",
            source: "10.99.0.1",
            destination: "224.0.0.18",
            key: (2, second.clone()),
            checksum: ChecksumMode::PseudoHeader,
            sequence: 0x6912_f0b6_1234_0001,
        },
        Vector {
            hex: "313464020064a103fe80000000000000000000000000005220010db8000000000000000000000100\
                  010200006912f0b6123400026ff2650ca2448fe5804cc741c9571971",
            source: "fe80::ff:fe00:a",
            destination: "ff02::12",
            key: (2, second.clone()),
            checksum: ChecksumMode::PseudoHeader,
            sequence: 0x6912_f0b6_1234_0002,
        },
        Vector {
            hex: "213365020001643a0a6300640a6300650000000000000000\
                  010200006912f0b612340003f3dccae7196b4fe32661418f60244c6e",
            source: "10.99.0.1",
            destination: "224.0.0.18",
            key: (2, second),
            checksum: ChecksumMode::MessageOnly,
            sequence: 0x6912_f0b6_1234_0003,
        },
    ]
}

impl Vector {
    pub(super) fn bytes(&self) -> Vec<u8> {
        (0..self.hex.len() / 2)
            .map(|i| u8::from_str_radix(&self.hex[2 * i..2 * i + 2], 16).unwrap())
            .collect()
    }

    pub(super) fn envelope(&self) -> Envelope {
        Envelope {
            source: self.source.parse().unwrap(),
            destination: self.destination.parse().unwrap(),
            hop_limit: 255,
        }
    }

    pub(super) fn receiver(&self, anti_replay: AntiReplay) -> Authenticator<Vec<Key>> {
        let settings = Settings {
            mode: Mode::Enforce,
            active_key: self.key.0,
            anti_replay,
        };
        let key = Key::new(self.key.0, &self.key.1).unwrap();
        Authenticator::new(vec![key], settings).unwrap()
    }
}

#[test]
fn vectors_are_verified_and_made_to_the_byte() {
    for vector in vectors() {
        let (bytes, envelope) = (vector.bytes(), vector.envelope());
        let parsed = Advertisement::parse_packet(&bytes, &envelope).unwrap();
        assert_eq!(parsed.checksum, vector.checksum, "{}", vector.hex);
        let mut receiver = vector.receiver(AntiReplay::Monotonic);
        let verified = Verified::Signed {
            key: vector.key.0,
            behind: None,
        };
        assert_eq!(receiver.verify(&parsed, &envelope, NOON), Ok(verified));
        assert_eq!(
            receiver.memory().marks().next().unwrap().sequence.bits(),
            vector.sequence
        );

        let mut buffer = [0; 128];
        let emitted = parsed
            .advertisement
            .emit(&envelope, &mut buffer, parsed.checksum);
        let sealer = Sealer {
            key: receiver.key(vector.key.0).unwrap(),
            sequence: Sequence::new(vector.sequence),
        };
        let length = sealer
            .seal(emitted.unwrap(), &envelope, &mut buffer)
            .unwrap();
        assert_eq!(&buffer[..length], bytes);
    }
}

/// The tag a second time, by RFC 2104 itself over SHA-256 alone.
#[test]
fn the_tag_is_hmac_sha256_over_the_picture() {
    use sha2::Digest as _;
    for vector in vectors() {
        let bytes = vector.bytes();
        let (message, trailer) = bytes.split_at(bytes.len() - Trailer::LEN);
        let source: IpAddr = vector.source.parse().unwrap();
        let mut covered = match source {
            IpAddr::V4(v4) => {
                [&[4, bytes[0] >> 4, bytes[1], 0], &v4.octets()[..], &[0; 12]].concat()
            }
            IpAddr::V6(v6) => [&[6, bytes[0] >> 4, bytes[1], 0], &v6.octets()[..]].concat(),
        };
        covered.extend(&message[..6]);
        covered.extend([0, 0]);
        covered.extend(&message[8..]);
        covered.extend(&trailer[..12]);
        covered.extend([0; 16]);
        let mut block = [0; 64];
        block[..vector.key.1.len()].copy_from_slice(&vector.key.1);
        let inner = Sha256::new()
            .chain_update(block.map(|byte| byte ^ 0x36))
            .chain_update(&covered);
        let outer = Sha256::new()
            .chain_update(block.map(|byte| byte ^ 0x5c))
            .chain_update(inner.finalize());
        assert_eq!(outer.finalize()[..16], trailer[12..]);
    }
}

#[test]
fn every_flipped_bit_is_rejected() {
    for vector in vectors() {
        let (bytes, envelope) = (vector.bytes(), vector.envelope());
        let message = bytes.len() - Trailer::LEN;
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let Ok(parsed) = Advertisement::parse_packet(&flipped, &envelope) else {
                continue;
            };
            assert!(bit / 8 >= message, "the checksum has the message");
            let mut receiver = vector.receiver(AntiReplay::Monotonic);
            let result = receiver.verify(&parsed, &envelope, NOON);
            let cause = result.unwrap_err().cause();
            let expected = match bit / 8 - message {
                0 | 2 | 3 => Cause::HmacMalformed,
                1 => Cause::HmacUnknownKey,
                _ => Cause::HmacInvalid,
            };
            assert_eq!(cause, expected, "bit {bit} of {}", vector.hex);
            assert_eq!(
                receiver.memory().marks().count(),
                0,
                "nothing is remembered"
            );
        }
    }
}
