//! Each rejection, and the life of sequence numbers and keys.

use std::{format, net::IpAddr, vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{Addresses, Advertisement, Auth, Cause, Interval, Priority, Version, Vrid};

mod vectors;

use vectors::vectors;

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
fn what_was_heard_under_a_secret_that_is_given_up_binds_nobody() {
    let settings = *router(Mode::Enforce, AntiReplay::Monotonic, &[1]).settings();
    let with = |secret: u8| {
        let keys = vec![Key::new(1, &[secret; 32]).unwrap()];
        Authenticator::new(keys, settings).unwrap()
    };
    // Whoever holds the leaked secret dates its packets far ahead.
    let ahead = sent_by(&mut with(1), after(1_000_000));
    let now = |secret: u8| sent_by(&mut with(secret), NOON);
    let mut before = with(1);
    assert!(hears(&mut before, &ahead, NOON).is_ok());
    for (secret, is_heard) in [(1, false), (2, true)] {
        let mut successor = with(secret);
        successor.succeed(&before);
        let verdict = hears(&mut successor, &now(secret), NOON);
        assert_eq!(verdict.is_ok(), is_heard, "{verdict:?}");
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
fn a_sender_that_starts_in_the_other_half_of_the_circle_begins_with_the_clock() {
    let late = Duration::from_secs(1 << 31);
    for anti_replay in [WINDOW, AntiReplay::Monotonic] {
        let mut receiver = router(Mode::Enforce, anti_replay, &[1]);
        for again in 0..2 {
            let unix = late + Duration::from_secs(again);
            let mut sender = router(Mode::Enforce, anti_replay, &[1]);
            let packet = sent_by(&mut sender, unix);
            assert!(hears(&mut receiver, &packet, unix).is_ok());
            assert_eq!(sender.memory().sent(), Some(Sequence::at(unix)));
        }
    }
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
