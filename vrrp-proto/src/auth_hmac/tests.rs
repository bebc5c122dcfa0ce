//! Vectors computed elsewhere, each rejection, and the life of sequence numbers and keys.

use std::{format, net::IpAddr, vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{Addresses, Advertisement, Auth, Cause, Interval, Priority, Version, Vrid};

/// A vector, with what made it. The first two are the images in the appendix of
/// draft-cassen-vrrp-auth-hmac; all of them come out of this Python as well, which shares nothing
/// with this crate (`m` the message with checksum 0, `t` the first 12 bytes of the trailer):
///
/// ```python
/// pseudo = bytes([src.version, m[0] >> 4, m[1], 0]) + src.packed.ljust(16, b'\0')
/// tag = hmac.new(key, pseudo + m + t + bytes(16), hashlib.sha256).digest()[:16]
/// ```
struct Vector {
    hex: &'static str,
    source: &'static str,
    destination: &'static str,
    key: (u8, Vec<u8>),
    checksum: ChecksumMode,
    sequence: u64,
}

fn vectors() -> Vec<Vector> {
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
    fn bytes(&self) -> Vec<u8> {
        (0..self.hex.len() / 2)
            .map(|i| u8::from_str_radix(&self.hex[2 * i..2 * i + 2], 16).unwrap())
            .collect()
    }

    fn envelope(&self) -> Envelope {
        Envelope {
            source: self.source.parse().unwrap(),
            destination: self.destination.parse().unwrap(),
            hop_limit: 255,
        }
    }

    fn receiver(&self, anti_replay: AntiReplay) -> Authenticator<Vec<Key>> {
        let settings = Settings {
            mode: Mode::Enforce,
            active_key: self.key.0,
            anti_replay,
        };
        let key = Key::new(self.key.0, &self.key.1).unwrap();
        Authenticator::new(vec![key], settings).unwrap()
    }
}

const WINDOW: AntiReplay = AntiReplay::Time(Duration::from_secs(5));
const NOON: Duration = Duration::from_secs(1_750_000_000);

fn after(seconds: i64) -> Duration {
    Duration::from_secs(NOON.as_secs().checked_add_signed(seconds).unwrap())
}

/// A router with these keys (32 equal bytes), that signs with the first.
fn router(mode: Mode, anti_replay: AntiReplay, keys: &[u8]) -> Authenticator<Vec<Key>> {
    let settings = Settings {
        mode,
        active_key: keys[0],
        anti_replay,
    };
    let keys = keys.iter().map(|id| Key::new(*id, &[*id; 32]).unwrap());
    Authenticator::new(keys.collect(), settings).unwrap()
}

fn envelope() -> Envelope {
    Envelope::multicast(IpAddr::from([10, 99, 0, 1]))
}

fn sent_by(sender: &mut Authenticator<Vec<Key>>, unix: Duration) -> Vec<u8> {
    let addresses = [IpAddr::from([10, 99, 0, 100])];
    let advertisement = Advertisement {
        version: Version::V3,
        vrid: Vrid::new(51).unwrap(),
        priority: Priority::DEFAULT,
        interval: Interval::DEFAULT,
        addresses: Addresses::from(&addresses[..]),
        auth: Auth::None,
    };
    let mut buffer = vec![0; 64];
    let mode = ChecksumMode::PseudoHeader;
    let mut length = advertisement.emit(&envelope(), &mut buffer, mode).unwrap();
    if let Some(sealer) = sender.sealer(unix) {
        length = sealer.seal(length, &envelope(), &mut buffer).unwrap();
    }
    buffer.truncate(length);
    buffer
}

fn hears(
    receiver: &mut Authenticator<Vec<Key>>,
    packet: &[u8],
    unix: Duration,
) -> Result<Verified, VerifyError> {
    let parsed = Advertisement::parse_packet(packet, &envelope()).unwrap();
    receiver.verify(&parsed, &envelope(), unix)
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

#[test]
fn a_trailer_fits_no_other_sender_and_no_other_router() {
    let vector = &vectors()[2];
    let (bytes, envelope) = (vector.bytes(), vector.envelope());
    let parsed = Advertisement::parse_packet(&bytes, &envelope).unwrap();
    let other = Envelope::multicast(IpAddr::from([10, 99, 0, 2]));
    let mut receiver = vector.receiver(AntiReplay::Monotonic);
    assert_eq!(
        receiver.verify(&parsed, &other, NOON),
        Err(VerifyError::Tag)
    );
    let mut message = parsed.message.to_vec();
    message[1] += 1;
    let other = Parsed {
        message: &message,
        ..parsed
    };
    assert_eq!(
        receiver.verify(&other, &envelope, NOON),
        Err(VerifyError::Tag)
    );
    // The destination is not covered: all unicast copies are alike.
    let copy = Envelope {
        destination: IpAddr::from([10, 99, 0, 9]),
        ..envelope
    };
    assert!(receiver.verify(&parsed, &copy, NOON).is_ok());
}

#[test]
fn without_a_trailer_the_mode_decides() {
    let mut unsigned = router(Mode::ReceiveOnly, WINDOW, &[1]);
    let packet = sent_by(&mut unsigned, NOON);
    assert_eq!(packet.len(), 12, "receive-only signs nothing");
    for (mode, expected) in [
        (Mode::ReceiveOnly, Ok(Verified::Unsigned)),
        (Mode::Permissive, Ok(Verified::Unsigned)),
        (Mode::Enforce, Err(VerifyError::Missing)),
    ] {
        assert_eq!(
            hears(&mut router(mode, WINDOW, &[1]), &packet, NOON),
            expected
        );
        // A wrong trailer is wrong in every mode.
        let forged = sent_by(&mut router(Mode::Enforce, WINDOW, &[9]), NOON);
        let verdict = hears(&mut router(mode, WINDOW, &[1]), &forged, NOON);
        assert_eq!(verdict, Err(VerifyError::UnknownKey(9)));
    }
}

#[test]
fn a_packet_is_heard_once_by_each_receiver() {
    for anti_replay in [WINDOW, AntiReplay::Monotonic] {
        let mut sender = router(Mode::Enforce, anti_replay, &[1]);
        let (first, second) = (sent_by(&mut sender, NOON), sent_by(&mut sender, NOON));
        let mut receiver = router(Mode::Enforce, anti_replay, &[1]);
        assert!(hears(&mut receiver, &first, NOON).is_ok());
        assert!(
            hears(&mut receiver, &second, NOON).is_ok(),
            "the counter tells them apart"
        );
        for old in [&first, &second] {
            assert_eq!(
                hears(&mut receiver, old, NOON).unwrap_err().cause(),
                Cause::Replay
            );
        }
        // Another receiver has not heard it; one that goes on for the first has.
        let mut successor = router(Mode::Enforce, anti_replay, &[1]);
        assert!(hears(&mut successor, &second, NOON).is_ok());
        let mut successor = router(Mode::Enforce, anti_replay, &[1]);
        let memory = receiver.memory();
        successor.resume(Memory::new(memory.sent(), memory.marks()));
        assert_eq!(successor.memory(), memory);
        assert_eq!(
            hears(&mut successor, &second, NOON).unwrap_err().cause(),
            Cause::Replay
        );
    }
}

#[test]
fn an_old_packet_and_a_wrong_clock_are_stale_by_time_alone() {
    let packet = sent_by(&mut router(Mode::Enforce, WINDOW, &[1]), NOON);
    for (seconds, heard) in [(-6, false), (-5, true), (5, true), (6, false)] {
        let verdict = hears(
            &mut router(Mode::Enforce, WINDOW, &[1]),
            &packet,
            after(seconds),
        );
        let expected = match heard {
            true => Ok(Verified::Signed {
                key: 1,
                behind: Some(seconds),
            }),
            false => Err(VerifyError::Stale { behind: seconds }),
        };
        assert_eq!(verdict, expected);
        let mut monotonic = router(Mode::Enforce, AntiReplay::Monotonic, &[1]);
        assert!(hears(&mut monotonic, &packet, after(seconds * 1000)).is_ok());
    }
    let stale = VerifyError::Stale { behind: 6 };
    assert_eq!(
        format!("{stale}"),
        "the sender's clock is 6 s behind ours: an old packet, or a wrong clock"
    );
}

#[test]
fn keys_are_changed_without_a_gap() {
    let mut old = router(Mode::Enforce, WINDOW, &[1]);
    let mut knows_both = router(Mode::Enforce, WINDOW, &[1, 2]);
    let mut signs_anew = router(Mode::Enforce, WINDOW, &[2, 1]);
    let mut new = router(Mode::Enforce, WINDOW, &[2]);
    let (with_1, with_2) = (sent_by(&mut old, NOON), sent_by(&mut new, NOON));
    for receiver in [&mut knows_both, &mut signs_anew] {
        assert!(hears(receiver, &with_1, NOON).is_ok());
        assert!(hears(receiver, &with_2, NOON).is_ok());
    }
    assert_eq!(
        hears(&mut old, &with_2, NOON),
        Err(VerifyError::UnknownKey(2))
    );
    assert_eq!(
        hears(&mut new, &with_1, NOON),
        Err(VerifyError::UnknownKey(1))
    );
}

#[test]
fn who_has_an_old_key_cannot_silence_the_new_one() {
    let mut receiver = router(Mode::Enforce, AntiReplay::Monotonic, &[2, 1]);
    let far_ahead = sent_by(
        &mut router(Mode::Enforce, AntiReplay::Monotonic, &[1]),
        after(99_999),
    );
    assert!(hears(&mut receiver, &far_ahead, NOON).is_ok());
    let genuine = sent_by(
        &mut router(Mode::Enforce, AntiReplay::Monotonic, &[2]),
        NOON,
    );
    assert!(hears(&mut receiver, &genuine, NOON).is_ok());
}

#[test]
fn a_clock_that_was_set_back_is_followed_by_time_and_counted_past_otherwise() {
    let mut sender = router(Mode::Enforce, WINDOW, &[1]);
    let mut receiver = router(Mode::Enforce, WINDOW, &[1]);
    assert!(
        hears(
            &mut receiver,
            &sent_by(&mut sender, after(3600)),
            after(3600)
        )
        .is_ok()
    );
    // Both clocks are put right: the number of the future counts for nothing any more.
    let packet = sent_by(&mut sender, NOON);
    assert!(hears(&mut receiver, &packet, NOON).is_ok());
    assert_eq!(
        hears(&mut receiver, &packet, NOON).unwrap_err().cause(),
        Cause::Replay
    );
    // A step within the window is only counted past.
    assert!(hears(&mut receiver, &sent_by(&mut sender, after(-3)), after(-3)).is_ok());

    let mut sender = router(Mode::Enforce, AntiReplay::Monotonic, &[1]);
    let mut receiver = router(Mode::Enforce, AntiReplay::Monotonic, &[1]);
    assert!(hears(&mut receiver, &sent_by(&mut sender, after(3600)), NOON).is_ok());
    assert!(hears(&mut receiver, &sent_by(&mut sender, NOON), NOON).is_ok());
}

#[test]
fn a_sender_that_starts_again_is_heard_at_once() {
    let mut receiver = router(Mode::Enforce, WINDOW, &[1]);
    let before = sent_by(&mut router(Mode::Enforce, WINDOW, &[1]), NOON);
    let again = sent_by(
        &mut router(Mode::Enforce, WINDOW, &[1]),
        NOON + Duration::from_millis(1),
    );
    assert!(hears(&mut receiver, &before, NOON).is_ok());
    assert!(hears(&mut receiver, &again, NOON).is_ok());
}

#[test]
fn the_sender_that_was_silent_longest_is_forgotten_first() {
    let mut marks = Marks::default();
    let sender = |number: u8| IpAddr::from([10, 99, 0, number]);
    let mut hear =
        |number, sequence| marks.advance(sender(number), 1, Sequence::new(sequence), |_| false);
    for number in 0..16 {
        assert!(hear(number, 10));
    }
    assert!(hear(0, 11), "heard again, it is no longer the oldest");
    assert!(hear(100, 10), "in the place of 1");
    assert!(!hear(0, 11));
    assert!(!hear(2, 10));
    assert!(hear(1, 10), "forgotten");
}

#[test]
fn keys_and_settings_are_checked() {
    assert_eq!(Key::new(0, &[1; 32]).unwrap_err(), KeyError::IdZero);
    assert_eq!(Key::new(1, &[1; 31]).unwrap_err(), KeyError::Length(31));
    assert_eq!(Key::new(1, &[1; 65]).unwrap_err(), KeyError::Length(65));
    assert!(Key::new(255, &[1; 64]).is_ok());
    let key = |id| Key::new(id, &[id; 32]).unwrap();
    let settings = |active_key| Settings {
        mode: Mode::Enforce,
        active_key,
        anti_replay: WINDOW,
    };
    let refused = |keys: Vec<Key>, active| Authenticator::new(keys, settings(active)).unwrap_err();
    assert_eq!(
        refused(vec![key(1), key(2), key(1)], 1),
        SettingsError::Duplicate(1)
    );
    assert_eq!(refused(vec![key(1)], 2), SettingsError::NoActiveKey(2));
    assert_eq!(refused(vec![], 1), SettingsError::NoActiveKey(1));
}

#[test]
fn a_secret_is_not_printed() {
    let text = format!("{:?}", router(Mode::Enforce, WINDOW, &[77]));
    assert!(text.contains("Key(77)"), "{text}");
    assert!(!text.contains("77, 77"), "{text}");
}

#[test]
fn the_window_follows_the_interval() {
    let window = |millis| AntiReplay::default_window(Duration::from_millis(millis)).as_secs();
    assert_eq!(
        (window(10), window(1000), window(1900), window(10_000)),
        (5, 5, 6, 30)
    );
    assert_eq!(
        AntiReplay::default_window(Duration::MAX),
        Duration::from_secs(u64::MAX)
    );
}

#[test]
fn what_cannot_be_sealed_is_refused() {
    let mut sender = router(Mode::Enforce, WINDOW, &[1]);
    let sealer = sender.sealer(NOON).unwrap();
    let mut buffer = [0; 39];
    assert_eq!(
        sealer.seal(12, &envelope(), &mut buffer),
        Err(SealError::BufferTooSmall {
            required: 40,
            available: 39
        })
    );
    assert_eq!(
        sealer.seal(7, &envelope(), &mut buffer),
        Err(SealError::NoMessage(7))
    );
    let mixed = Envelope {
        destination: "::1".parse().unwrap(),
        ..envelope()
    };
    assert_eq!(
        sealer.seal(12, &mixed, &mut buffer),
        Err(SealError::MixedFamilies)
    );
}

proptest! {
    #[test]
    fn any_bytes_are_verified_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
        crate::fuzzing::auth_hmac(&bytes);
    }

    #[test]
    fn sequence_numbers_follow_each_other_whatever_the_clock_does(
        steps in proptest::collection::vec(-20_000..20_000i64, 1..40),
        anti_replay in prop_oneof![Just(WINDOW), Just(AntiReplay::Monotonic)],
    ) {
        let mut sender = router(Mode::Enforce, anti_replay, &[1]);
        let mut receiver = router(Mode::Enforce, anti_replay, &[1]);
        let mut millis: i64 = 1_750_000_000_000;
        for step in steps {
            millis += step;
            let unix = Duration::from_millis(millis.unsigned_abs());
            let packet = sent_by(&mut sender, unix);
            // Sender and receiver agree on the time: all is heard, once.
            prop_assert!(hears(&mut receiver, &packet, unix).is_ok());
            prop_assert_eq!(hears(&mut receiver, &packet, unix).unwrap_err().cause(), Cause::Replay);
        }
    }
}
