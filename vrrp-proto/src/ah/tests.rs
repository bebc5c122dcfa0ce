//! Golden packets of keepalived 2.2.7, each rejection, and the life of the sequence number.

use std::{net::IpAddr, string::ToString as _, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{Advertisement, Auth, Cause};

const MULTICAST_PACKET: &str = "45c0004000010000ff33d02e0a630001e0000012\
    700400000a63000100000001691a6d6c6f6008c36f0c3a9d\
    213d640102016df90a6300640000000000000000";
const UNICAST_PACKET: &str = "45c0004000010000ff33a6010a6300010a630002\
    700400000a6300010000000166480736b2a9429073d4874a\
    213d640102016df90a6300640000000000000000";

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

fn key() -> Password {
    Password::truncated(b"viettq")
}

/// The IP checksum of a captured header is the kernel's; the golden text has it as captured.
fn set_ip_checksum(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let sum = fold(sum(&packet[..20]));
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn golden_packets_open_and_are_sealed_to_the_byte() {
    for (text, destination) in [
        (MULTICAST_PACKET, "224.0.0.18"),
        (UNICAST_PACKET, "10.99.0.2"),
    ] {
        let mut packet = unhex(text);
        set_ip_checksum(&mut packet);
        let opened = Authenticator::new(key()).open(&packet).unwrap();
        assert_eq!(opened.sequence, 1);
        let envelope = Envelope {
            source: IpAddr::from([10, 99, 0, 1]),
            destination: destination.parse().unwrap(),
            hop_limit: 255,
        };
        assert_eq!(opened.envelope, envelope);
        let advertisement = Advertisement::parse(opened.payload, &opened.envelope).unwrap();
        assert_eq!(advertisement.auth, Auth::Header);

        let mut buffer = [0; 128];
        let length = Authenticator::new(key())
            .seal(opened.payload, &envelope, 1, &mut buffer)
            .unwrap();
        assert_eq!(&buffer[..length], packet);
    }
}

#[test]
fn what_a_header_says_can_be_shown_without_the_key() {
    let packet = unhex(MULTICAST_PACKET);
    let shown = Unverified::read(&packet).unwrap();
    assert_eq!(
        shown.to_string(),
        "AH(spi=0x0a630001,seq=0x1,icv=0x691a6d6c6f6008c36f0c3a9d)"
    );
    assert_eq!(shown.payload, &packet[OVERHEAD..]);
    assert_eq!(
        Unverified::read(&packet[..OVERHEAD]).unwrap_err().cause(),
        Cause::Length
    );
}

#[test]
fn every_flipped_bit_that_does_not_change_on_the_way_is_rejected() {
    for text in [MULTICAST_PACKET, UNICAST_PACKET] {
        let packet = unhex(text);
        let multicast = text == MULTICAST_PACKET;
        for bit in 0..packet.len() * 8 {
            // Type of service, fragment, checksum; the TTL of unicast.
            let mutable = matches!(bit / 8, 1 | 6 | 7 | 10 | 11) || (bit / 8 == 8 && !multicast);
            let mut flipped = packet.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let mut authenticator = Authenticator::new(key());
            let result = authenticator.open(&flipped).map(|_| ());
            assert_eq!(result.is_ok(), mutable, "bit {bit}: {result:?}");
            assert_eq!(authenticator.sequence(), u32::from(mutable));
        }
    }
}

#[test]
fn another_password_fails_the_integrity_check() {
    let packet = unhex(MULTICAST_PACKET);
    let mut authenticator = Authenticator::new(Password::truncated(b"viettQ"));
    assert_eq!(authenticator.open(&packet), Err(OpenError::IntegrityCheck));
}

#[test]
fn link_padding_is_not_part_of_the_packet() {
    let mut packet = unhex(MULTICAST_PACKET);
    packet.extend([0; 6]);
    let opened = Authenticator::new(key()).open(&packet).unwrap();
    assert_eq!(opened.payload.len(), 20);
}

#[test]
fn structure_is_checked_before_the_key() {
    let packet = unhex(MULTICAST_PACKET);
    let with = |offset: usize, byte: u8| {
        let mut packet = packet.clone();
        packet[offset] = byte;
        Authenticator::new(key()).open(&packet).unwrap_err()
    };
    assert_eq!(with(0, 0x65), OpenError::IpVersion(6));
    assert_eq!(with(0, 0x46), OpenError::IpOptions);
    assert_eq!(with(9, 112), OpenError::Protocol(112));
    assert_eq!(with(20, 17), OpenError::NextHeader(17));
    assert_eq!(with(21, 5), OpenError::HeaderLength(5));
    assert!(matches!(
        with(3, 10),
        OpenError::Truncated { available: 10, .. }
    ));
    for length in 0..packet.len() {
        assert_eq!(
            Authenticator::new(key())
                .open(&packet[..length])
                .unwrap_err()
                .cause(),
            Cause::Length
        );
    }
}

fn envelope() -> Envelope {
    Envelope::multicast(IpAddr::from([10, 99, 0, 1]))
}

fn sealed_by(authenticator: &mut Authenticator) -> Vec<u8> {
    let mut buffer = [0; 128];
    let length = authenticator
        .seal(b"message", &envelope(), 7, &mut buffer)
        .unwrap();
    buffer[..length].to_vec()
}

#[test]
fn a_packet_opens_once() {
    let mut receiver = Authenticator::new(key());
    let packet = sealed_by(&mut Authenticator::new(key()));
    assert!(receiver.open(&packet).is_ok());
    assert_eq!(
        receiver.open(&packet),
        Err(OpenError::Replay {
            received: 1,
            local: 1
        })
    );
}

#[test]
fn one_number_serves_all_unicast_peers() {
    let mut sender = Authenticator::new(key());
    let sealer = sender.sealer();
    for peer in [2, 3] {
        let to_peer = Envelope {
            destination: IpAddr::from([10, 99, 0, peer]),
            ..envelope()
        };
        let mut buffer = [0; 128];
        let length = sealer.seal(b"message", &to_peer, 7, &mut buffer).unwrap();
        let opened = Authenticator::new(key())
            .open(&buffer[..length])
            .unwrap()
            .sequence;
        assert_eq!(opened, 1);
    }
}

#[test]
fn a_router_that_takes_over_counts_on_from_what_it_heard() {
    let mut active = Authenticator::with_sequence(key(), 5_000);
    let mut backup = Authenticator::new(key());
    backup.open(&sealed_by(&mut active)).unwrap();
    assert_eq!(
        active.open(&sealed_by(&mut backup)).map(|o| o.sequence),
        Ok(5_002)
    );
}

#[test]
fn a_restarted_active_router_is_heard_again_once_it_has_heard_another() {
    let mut old = Authenticator::with_sequence(key(), 5_000);
    let mut restarted = Authenticator::new(key());
    // The old Active holds the restarted one for a replay ...
    assert_eq!(
        old.open(&sealed_by(&mut restarted)).unwrap_err().cause(),
        Cause::Replay
    );
    // ... until that one, of higher priority, hears it and counts on from there.
    assert!(restarted.open(&sealed_by(&mut old)).is_ok());
    assert!(old.open(&sealed_by(&mut restarted)).is_ok());
}

#[test]
fn two_active_routers_that_count_in_step_hear_each_other_once() {
    let (mut a, mut b) = (Authenticator::new(key()), Authenticator::new(key()));
    let (from_a, from_b) = (sealed_by(&mut a), sealed_by(&mut b));
    assert!(a.open(&from_b).is_ok());
    assert!(b.open(&from_a).is_ok());
    assert_eq!(a.open(&from_b).unwrap_err().cause(), Cause::Replay);
    assert_eq!(b.open(&from_a).unwrap_err().cause(), Cause::Replay);
}

#[test]
fn the_sequence_begins_again_before_it_overflows() {
    let mut sender = Authenticator::with_sequence(key(), LAST_SEQUENCE - 1);
    let mut receiver = Authenticator::with_sequence(key(), LAST_SEQUENCE - 1);
    for expected in [LAST_SEQUENCE, 1, 2] {
        let packet = sealed_by(&mut sender);
        assert_eq!(receiver.open(&packet).map(|o| o.sequence), Ok(expected));
    }
}

#[test]
fn what_cannot_be_sealed_is_refused() {
    let sealer = Authenticator::new(key()).sealer();
    let mut buffer = [0; 128];
    assert_eq!(
        sealer.seal(b"m", &envelope(), 0, &mut buffer),
        Err(SealError::IdentificationZero)
    );
    assert_eq!(
        sealer.seal(b"m", &envelope(), 1, &mut buffer[..OVERHEAD]),
        Err(SealError::BufferTooSmall {
            required: OVERHEAD + 1,
            available: OVERHEAD
        })
    );
    let v6 = Envelope::multicast("fe80::1".parse().unwrap());
    assert_eq!(sealer.seal(b"m", &v6, 1, &mut buffer), Err(SealError::Ipv6));
    assert_eq!(
        sealer.seal(&[0; 65_536], &envelope(), 1, &mut buffer),
        Err(SealError::TooLong(65_536 + OVERHEAD))
    );
}

proptest! {
    #[test]
    fn opening_any_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..96)) {
        crate::fuzzing::authentication_header(&bytes);
    }

    #[test]
    fn what_is_sealed_opens(
        message in proptest::collection::vec(any::<u8>(), 0..64),
        password in any::<[u8; 8]>(),
        sequence in 0..LAST_SEQUENCE,
        destination in any::<[u8; 4]>(),
        identification in 1..=u16::MAX,
    ) {
        let key = Password::truncated(&password);
        let envelope = Envelope { destination: IpAddr::from(destination), ..envelope() };
        let mut buffer = [0; 128];
        let length = Authenticator::with_sequence(key, sequence)
            .seal(&message, &envelope, identification, &mut buffer)
            .unwrap();
        let mut receiver = Authenticator::with_sequence(key, sequence);
        let opened = receiver.open(&buffer[..length]);
        prop_assert_eq!(opened, Ok(Opened { payload: &message[..], envelope, sequence: sequence + 1 }));
    }
}
