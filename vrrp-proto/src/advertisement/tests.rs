//! Golden bytes of keepalived 2.2.7 on the wire, every rejection, and the properties of the codec.

use std::{format, net::IpAddr, string::ToString, vec, vec::Vec};

use proptest::prelude::*;

use crate::{
    Addresses, Advertisement, Auth, ChecksumMode, EmitError, Envelope, Family, Interval,
    ParseError, Password, Priority, Version, Vrid,
};

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn multicast() -> Envelope {
    Envelope::multicast(ip("10.99.0.1"))
}

fn unicast() -> Envelope {
    Envelope {
        source: ip("10.99.0.1"),
        destination: ip("10.99.0.2"),
        hop_limit: 255,
    }
}

fn multicast_v6() -> Envelope {
    Envelope::multicast(ip("fe80::ff:fe00:a"))
}

struct Golden {
    hex: &'static str,
    envelope: Envelope,
    mode: ChecksumMode,
    text: &'static str,
}

fn goldens() -> Vec<Golden> {
    let golden = |hex, envelope, mode, text| Golden {
        hex,
        envelope,
        mode,
        text,
    };
    vec![
        golden(
            "21336401000170030a6300640000000000000000",
            multicast(),
            ChecksumMode::MessageOnly,
            "VRRPv2, Advertisement, vrid 51, prio 100, authtype none, intvl 1s, length 20, \
             addrs: 10.99.0.100",
        ),
        golden(
            "213365020101aeb90a6300640a6300657365727669636541",
            multicast(),
            ChecksumMode::MessageOnly,
            "VRRPv2, Advertisement, vrid 51, prio 101, authtype simple, intvl 1s, length 24, \
             addrs: 10.99.0.100,10.99.0.101",
        ),
        golden(
            "213d640102016df90a6300640000000000000000",
            multicast(),
            ChecksumMode::MessageOnly,
            "VRRPv2, Advertisement, vrid 61, prio 100, authtype ah, intvl 1s, length 20, \
             addrs: 10.99.0.100",
        ),
        golden(
            "31336401003274df0a630064",
            multicast(),
            ChecksumMode::PseudoHeader,
            "VRRPv3, Advertisement, vrid 51, prio 100, intvl 50cs, length 12, addrs: 10.99.0.100",
        ),
        golden(
            "3133640100644a5b0a630064",
            unicast(),
            ChecksumMode::PseudoHeader,
            "VRRPv3, Advertisement, vrid 51, prio 100, intvl 100cs, length 12, addrs: 10.99.0.100",
        ),
        golden(
            "3134640200643fa1fe80000000000000000000000000005220010db8000000000000000000000100",
            multicast_v6(),
            ChecksumMode::PseudoHeader,
            "VRRPv3, Advertisement, vrid 52, prio 100, intvl 100cs, length 40, \
             addrs: fe80::52,2001:db8::100",
        ),
        // holo's vector, of another implementation.
        golden(
            "21331e010001b5c50a0001050000000000000000",
            multicast(),
            ChecksumMode::MessageOnly,
            "VRRPv2, Advertisement, vrid 51, prio 30, authtype none, intvl 1s, length 20, \
             addrs: 10.0.1.5",
        ),
    ]
}

#[test]
fn golden_packets_are_read_and_written_to_the_byte() {
    for golden in goldens() {
        let bytes = unhex(golden.hex);
        let (parsed, mode) =
            Advertisement::parse_with_checksum(&bytes, &golden.envelope).expect(golden.hex);
        assert_eq!(parsed.to_string(), golden.text);
        assert_eq!(mode, golden.mode, "{}", golden.hex);
        let mut buffer = [0xaa; 64];
        let length = parsed.emit(&golden.envelope, &mut buffer, mode).unwrap();
        assert_eq!(&buffer[..length], bytes, "{}", golden.hex);
        assert!(buffer[length..].iter().all(|byte| *byte == 0xaa));
    }
}

#[test]
fn every_flipped_bit_of_a_golden_packet_is_rejected() {
    for golden in goldens() {
        let bytes = unhex(golden.hex);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(
                Advertisement::parse(&flipped, &golden.envelope).is_err(),
                "bit {bit} of {}",
                golden.hex
            );
        }
    }
}

#[test]
fn a_packet_cut_anywhere_is_truncated() {
    for golden in goldens() {
        let bytes = unhex(golden.hex);
        for length in 0..bytes.len() {
            assert!(
                matches!(
                    Advertisement::parse(&bytes[..length], &golden.envelope),
                    Err(ParseError::Truncated { available, .. }) if available == length
                ),
                "{length} bytes of {}",
                golden.hex
            );
        }
    }
}

#[test]
fn what_follows_the_message_is_not_looked_at() {
    let mut bytes = unhex("31336401003274df0a630064");
    bytes.extend([0xff; 28]);
    assert!(Advertisement::parse(&bytes, &multicast()).is_ok());
}

#[test]
fn the_checksum_of_version_3_over_ipv4_is_accepted_in_all_its_readings() {
    let addresses = [ip("10.99.0.100")];
    let advertisement = version_3(&addresses);
    for mode in [
        ChecksumMode::MessageOnly,
        ChecksumMode::PseudoHeader,
        ChecksumMode::GroupPseudoHeader,
    ] {
        let mut buffer = [0; 12];
        advertisement.emit(&unicast(), &mut buffer, mode).unwrap();
        let parsed = Advertisement::parse_with_checksum(&buffer, &unicast());
        assert_eq!(parsed, Ok((advertisement, mode)));
    }
}

#[test]
fn a_wrong_checksum_is_reported_with_the_right_one() {
    let mut bytes = unhex("31336401003274df0a630064");
    bytes[6..8].copy_from_slice(&[0x12, 0x34]);
    assert_eq!(
        Advertisement::parse(&bytes, &multicast()),
        Err(ParseError::Checksum {
            found: 0x1234,
            expected: 0x74df
        })
    );
}

#[test]
fn a_hop_limit_other_than_255_is_rejected_for_multicast_only() {
    let bytes = unhex("31336401003274df0a630064");
    let envelope = Envelope {
        hop_limit: 254,
        ..multicast()
    };
    assert_eq!(
        Advertisement::parse(&bytes, &envelope),
        Err(ParseError::HopLimit(254))
    );
    let bytes = unhex("3133640100644a5b0a630064");
    let envelope = Envelope {
        hop_limit: 64,
        ..unicast()
    };
    assert!(Advertisement::parse(&bytes, &envelope).is_ok());
}

/// A version 3 message over IPv4 with these eight bytes, its checksum put right.
fn parse_patched(hex: &str, envelope: &Envelope) -> Result<(), ParseError> {
    let mut bytes = unhex(hex);
    bytes[6..8].fill(0);
    let sum = crate::checksum::checksum(&bytes, envelope, ChecksumMode::MessageOnly);
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    Advertisement::parse(&bytes, envelope).map(|_| ())
}

#[test]
fn each_wrong_field_has_its_own_error() {
    let parse = |hex| parse_patched(hex, &multicast());
    assert_eq!(parse("1133640100640000"), Err(ParseError::Version(1)));
    assert_eq!(parse("4133640100640000"), Err(ParseError::Version(4)));
    assert_eq!(parse("3233640100640000"), Err(ParseError::Type(2)));
    assert_eq!(parse("31006401006400000a630064"), Err(ParseError::VridZero));
    assert_eq!(parse("3133640000640000"), Err(ParseError::NoAddresses));
    assert_eq!(
        parse("31336401000000000a630064"),
        Err(ParseError::IntervalZero)
    );
    assert_eq!(
        parse("21336401000000000a6300640000000000000000"),
        Err(ParseError::IntervalZero)
    );
    assert_eq!(
        parse("21336401030100000a6300640000000000000000"),
        Err(ParseError::AuthType(3))
    );
    assert_eq!(
        parse_patched("21336401000100000a6300640000000000000000", &multicast_v6()),
        Err(ParseError::VersionOverIpv6)
    );
    let mixed = Envelope {
        destination: multicast_v6().destination,
        ..multicast()
    };
    assert_eq!(
        parse_patched("31336401006400000a630064", &mixed),
        Err(ParseError::MixedFamilies)
    );
}

#[test]
fn the_reserved_bits_of_version_3_are_ignored() {
    assert_eq!(
        parse_patched("31336401f06400000a630064", &multicast()),
        Ok(())
    );
}

#[test]
fn version_2_may_have_no_addresses() {
    assert_eq!(
        parse_patched("21196400010500003131313100000000", &multicast()),
        Ok(())
    );
}

#[test]
fn the_checks_come_in_the_order_of_the_rfc() {
    let mut bytes = unhex("31336401003274df0a630064");
    bytes[6] ^= 1; // checksum
    let parse = |bytes: &[u8], hop_limit| {
        let envelope = Envelope {
            hop_limit,
            ..multicast()
        };
        Advertisement::parse(bytes, &envelope).unwrap_err().cause()
    };
    use crate::Cause;
    assert_eq!(parse(&bytes, 255), Cause::Checksum);
    assert_eq!(parse(&bytes[..9], 255), Cause::Length);
    bytes[0] = 0x32;
    assert_eq!(parse(&bytes[..9], 255), Cause::Type);
    bytes[0] = 0x52;
    assert_eq!(parse(&bytes[..9], 255), Cause::Version);
    assert_eq!(parse(&bytes[..9], 1), Cause::HopLimit);
}

fn version_3(addresses: &[IpAddr]) -> Advertisement<'_> {
    Advertisement {
        version: Version::V3,
        vrid: Vrid::new(51).unwrap(),
        priority: Priority::DEFAULT,
        interval: Interval::DEFAULT,
        addresses: Addresses::from(addresses),
        auth: Auth::None,
    }
}

#[test]
fn what_a_version_cannot_say_is_not_emitted() {
    let addresses = [ip("10.99.0.100")];
    let fine = version_3(&addresses);
    let emit = |advertisement: Advertisement<'_>, envelope: Envelope| {
        let mut buffer = vec![0xaa; 2048];
        let result = advertisement.emit(&envelope, &mut buffer, ChecksumMode::MessageOnly);
        assert!(result.is_ok() || buffer.iter().all(|byte| *byte == 0xaa));
        result
    };
    assert_eq!(emit(fine, multicast()), Ok(12));
    assert_eq!(
        emit(fine, multicast_v6()),
        Err(EmitError::Family(addresses[0]))
    );
    let auth = Auth::Password(Password::truncated(b"1111"));
    assert_eq!(
        emit(Advertisement { auth, ..fine }, multicast()),
        Err(EmitError::AuthInVersion3)
    );
    let none = Advertisement {
        addresses: Addresses::EMPTY,
        ..fine
    };
    assert_eq!(emit(none, multicast()), Err(EmitError::NoAddresses));
    let version_2 = Advertisement {
        version: Version::V2,
        ..fine
    };
    assert_eq!(emit(version_2, multicast()), Ok(20));
    assert_eq!(
        emit(version_2, multicast_v6()),
        Err(EmitError::VersionOverIpv6)
    );
    let interval = Interval::from_centiseconds(50).unwrap();
    assert_eq!(
        emit(
            Advertisement {
                interval,
                ..version_2
            },
            multicast()
        ),
        Err(EmitError::Interval(interval, Version::V2))
    );
    let many = vec![addresses[0]; 256];
    assert_eq!(
        emit(version_3(&many), multicast()),
        Err(EmitError::TooManyAddresses(256))
    );
    assert_eq!(
        fine.emit(&multicast(), &mut [0; 11], ChecksumMode::MessageOnly),
        Err(EmitError::BufferTooSmall {
            required: 12,
            available: 11
        })
    );
}

#[test]
fn debug_output_hides_the_password() {
    let bytes = unhex("213365020101aeb90a6300640a6300657365727669636541");
    let parsed = Advertisement::parse(&bytes, &multicast()).unwrap();
    assert!(format!("{parsed:?}").contains("Password(..)"));
}

prop_compose! {
    fn any_advertisement()(
        family in prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)],
        v3 in any::<bool>(),
        vrid in 1..=255u8,
        priority in any::<u8>(),
        seconds in 1..=255u8,
        centiseconds in 1..=4095u16,
        octets in proptest::collection::vec(any::<[u8; 16]>(), 1..=255),
        auth in prop_oneof![
            Just(Auth::None),
            Just(Auth::Header),
            any::<[u8; 8]>().prop_map(|bytes| Auth::Password(Password::truncated(&bytes))),
        ],
    ) -> (Vec<IpAddr>, Advertisement<'static>) {
        let version = if v3 || family == Family::Ipv6 { Version::V3 } else { Version::V2 };
        let addresses = octets
            .iter()
            .map(|bytes| match family {
                Family::Ipv4 => [bytes[0], bytes[1], bytes[2], bytes[3]].into(),
                Family::Ipv6 => (*bytes).into(),
            })
            .collect();
        let (interval, auth) = match version {
            Version::V2 => (Interval::from_seconds(seconds).unwrap(), auth),
            Version::V3 => (Interval::from_centiseconds(centiseconds).unwrap(), Auth::None),
        };
        let advertisement = Advertisement {
            version,
            vrid: Vrid::new(vrid).unwrap(),
            priority: Priority::new(priority),
            interval,
            addresses: Addresses::EMPTY,
            auth,
        };
        (addresses, advertisement)
    }
}

proptest! {
    #[test]
    fn what_is_emitted_parses_to_the_same(
        (addresses, advertisement) in any_advertisement(),
        mode in prop_oneof![Just(ChecksumMode::MessageOnly), Just(ChecksumMode::PseudoHeader)],
        padding in 0..32usize,
    ) {
        let advertisement = Advertisement { addresses: Addresses::from(&addresses[..]), ..advertisement };
        let envelope = match addresses[0] {
            IpAddr::V4(_) => multicast(),
            IpAddr::V6(_) => multicast_v6(),
        };
        let mut buffer = [0x55; 8 + 255 * 16 + 32];
        let length = advertisement.emit(&envelope, &mut buffer, mode).unwrap();
        prop_assert_eq!(length, advertisement.emitted_len(envelope.family().unwrap()));
        let parsed = Advertisement::parse(&buffer[..length + padding], &envelope);
        prop_assert_eq!(parsed, Ok(advertisement));
    }

    #[test]
    fn parsing_any_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        for envelope in [multicast(), unicast(), multicast_v6()] {
            let _ = Advertisement::parse(&bytes, &envelope);
        }
        crate::fuzzing::advertisement(&bytes);
    }

    /// Random bytes seldom have a right checksum: give them one.
    #[test]
    fn parsing_what_has_a_right_checksum_never_panics(
        mut bytes in proptest::collection::vec(any::<u8>(), 8..64),
        version in 2..=3u8,
        count in 0..8u8,
    ) {
        bytes[0] = version << 4 | 1;
        bytes[3] = count;
        bytes[6..8].fill(0);
        let length = 8 + usize::from(count) * 4 + if version == 2 { 8 } else { 0 };
        let message = &bytes[..length.min(bytes.len())];
        let sum = crate::checksum::checksum(message, &multicast(), ChecksumMode::MessageOnly);
        bytes[6..8].copy_from_slice(&sum.to_be_bytes());
        let _ = Advertisement::parse(&bytes, &multicast());
        bytes.insert(0, 0);
        crate::fuzzing::advertisement(&bytes);
    }
}

#[test]
fn a_trailer_is_what_follows_the_message_in_its_exact_length() {
    let mut bytes = unhex("31336401003274df0a630064");
    bytes.extend(1..=28);
    let parsed = Advertisement::parse_packet(&bytes, &multicast()).unwrap();
    assert_eq!(parsed.message, &bytes[..12]);
    let trailer = parsed.trailer.unwrap();
    assert_eq!(
        (trailer.scheme, trailer.key, trailer.reserved),
        (1, 2, 0x0304)
    );
    assert_eq!(trailer.tag[15], 28);
    for length in [12, 13, 39] {
        let parsed = Advertisement::parse_packet(&bytes[..length], &multicast()).unwrap();
        assert_eq!(parsed.trailer, None, "{length} bytes");
    }
    bytes.push(0);
    let parsed = Advertisement::parse_packet(&bytes, &multicast()).unwrap();
    assert_eq!(parsed.trailer, None, "link padding that nobody has cut off");
}

#[test]
fn over_ipv6_the_checksum_covers_what_follows_the_message() {
    let golden = "3134640200643fa1fe80000000000000000000000000005220010db8000000000000000000000100";
    let mut bytes = unhex(golden);
    bytes.extend([0xff; 28]);
    bytes[6..8].fill(0);
    let sum = crate::checksum::checksum(&bytes, &multicast_v6(), ChecksumMode::PseudoHeader);
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    let parsed = Advertisement::parse_packet(&bytes, &multicast_v6()).unwrap();
    assert!(parsed.trailer.is_some());
    bytes[50] ^= 1;
    assert!(matches!(
        Advertisement::parse(&bytes, &multicast_v6()),
        Err(ParseError::Checksum { .. })
    ));
}
