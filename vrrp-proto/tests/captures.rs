//! Every packet that keepalived 2.2.7 put on the wire in `tests/captures/` is read, and written
//! again to the byte.
#![cfg(feature = "auth")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use vrrp_proto::{
    Addresses, Advertisement, Auth, ChecksumMode, Envelope, PROTOCOL, Password, Priority, Version,
    ah::{AH_PROTOCOL, Authenticator},
};

/// The frames of a capture file (libpcap format, little-endian, Ethernet).
fn frames(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).unwrap();
    assert_eq!(file[..4], [0xd4, 0xc3, 0xb2, 0xa1], "little-endian pcap");
    assert_eq!(file[20..24], [1, 0, 0, 0], "Ethernet");
    let mut rest = &file[24..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        frames.push(rest[16..16 + length].to_vec());
        rest = &rest[16 + length..];
    }
    frames
}

/// An IP packet that carries VRRP.
enum Packet {
    Vrrp {
        envelope: Envelope,
        message: Vec<u8>,
    },
    Authenticated {
        packet: Vec<u8>,
        identification: u16,
    },
}

fn packet(frame: &[u8]) -> Option<Packet> {
    let ip = &frame[14..];
    match frame[12..14] {
        [0x08, 0x00] => {
            let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
            let address = |at: usize| -> IpAddr {
                Ipv4Addr::from(<[u8; 4]>::try_from(&ip[at..at + 4]).unwrap()).into()
            };
            let envelope = Envelope {
                source: address(12),
                destination: address(16),
                hop_limit: ip[8],
            };
            let message = ip[20..total].to_vec();
            match ip[9] {
                PROTOCOL => Some(Packet::Vrrp { envelope, message }),
                AH_PROTOCOL => Some(Packet::Authenticated {
                    packet: ip[..total].to_vec(),
                    identification: u16::from_be_bytes([ip[4], ip[5]]),
                }),
                _ => None,
            }
        }
        [0x86, 0xdd] if ip[6] == PROTOCOL => {
            let length = usize::from(u16::from_be_bytes([ip[4], ip[5]]));
            let address = |at: usize| -> IpAddr {
                Ipv6Addr::from(<[u8; 16]>::try_from(&ip[at..at + 16]).unwrap()).into()
            };
            let envelope = Envelope {
                source: address(8),
                destination: address(24),
                hop_limit: ip[7],
            };
            let message = ip[40..40 + length].to_vec();
            Some(Packet::Vrrp { envelope, message })
        }
        _ => None,
    }
}

fn capture(name: &str) -> Vec<Packet> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/captures", name]
        .iter()
        .collect();
    frames(&path).iter().filter_map(|f| packet(f)).collect()
}

/// Reads a message, writes it again from an owned list of addresses, compares.
fn check(message: &[u8], envelope: &Envelope) -> (Version, Priority, Auth, ChecksumMode, String) {
    let (parsed, mode) = Advertisement::parse_with_checksum(message, envelope).unwrap();
    let list: Vec<IpAddr> = parsed.addresses.iter().collect();
    let rebuilt = Advertisement {
        addresses: Addresses::from(&list[..]),
        ..parsed
    };
    let mut buffer = [0; 256];
    let length = rebuilt.emit(envelope, &mut buffer, mode).unwrap();
    assert_eq!(&buffer[..length], message);
    let text = parsed.to_string();
    (parsed.version, parsed.priority, parsed.auth, mode, text)
}

/// Each packet of a plain capture: same checks, priority 0 last (keepalived was stopped).
fn check_plain(name: &str, version: Version, auth: Auth, mode: ChecksumMode, count: usize) {
    let packets = capture(name);
    assert_eq!(packets.len(), count, "{name}");
    for (position, packet) in packets.iter().enumerate() {
        let Packet::Vrrp { envelope, message } = packet else {
            panic!("{name}: an authentication header");
        };
        let checked = check(message, envelope);
        assert_eq!((checked.0, checked.2, checked.3), (version, auth, mode));
        let resigns = position == packets.len() - 1;
        assert_eq!(checked.1 == Priority::RESIGN, resigns, "{name} {position}");
    }
}

#[test]
fn version_2_without_authentication() {
    check_plain(
        "v2none.pcap",
        Version::V2,
        Auth::None,
        ChecksumMode::MessageOnly,
        4,
    );
}

#[test]
fn version_2_with_a_password_cut_to_eight_bytes() {
    let password = Auth::Password(Password::truncated(b"serviceA_pass"));
    check_plain(
        "v2pass.pcap",
        Version::V2,
        password,
        ChecksumMode::MessageOnly,
        4,
    );
}

#[test]
fn version_3_multicast() {
    check_plain(
        "v3mc.pcap",
        Version::V3,
        Auth::None,
        ChecksumMode::PseudoHeader,
        10,
    );
}

#[test]
fn version_3_unicast() {
    check_plain(
        "v3uni.pcap",
        Version::V3,
        Auth::None,
        ChecksumMode::PseudoHeader,
        4,
    );
}

#[test]
fn version_3_over_ipv6() {
    check_plain(
        "v3v6.pcap",
        Version::V3,
        Auth::None,
        ChecksumMode::PseudoHeader,
        4,
    );
}

fn check_authenticated(name: &str, count: usize) {
    let packets = capture(name);
    assert_eq!(packets.len(), count, "{name}");
    let mut receiver = Authenticator::new(Password::truncated(b"viettq"));
    let mut sender = receiver.clone();
    for (position, packet) in packets.iter().enumerate() {
        let Packet::Authenticated {
            packet,
            identification,
        } = packet
        else {
            panic!("{name}: no authentication header");
        };
        let opened = receiver.open(packet).unwrap();
        assert_eq!(opened.sequence as usize, position + 1);
        let checked = check(opened.payload, &opened.envelope);
        assert_eq!(checked.2, Auth::Header);
        let mut buffer = [0; 256];
        let length = sender
            .seal(
                opened.payload,
                &opened.envelope,
                *identification,
                &mut buffer,
            )
            .unwrap();
        assert_eq!(&buffer[..length], packet, "{name} {position}");
    }
}

#[test]
fn version_2_with_an_authentication_header_multicast() {
    check_authenticated("v2ah.pcap", 4);
}

#[test]
fn version_2_with_an_authentication_header_unicast() {
    check_authenticated("v2ahuni.pcap", 4);
}

#[test]
fn no_capture_is_left_out() {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/captures"]
        .iter()
        .collect();
    let names: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let tested = [
        "v2ah.pcap",
        "v2ahuni.pcap",
        "v2none.pcap",
        "v2pass.pcap",
        "v3mc.pcap",
        "v3uni.pcap",
        "v3v6.pcap",
    ];
    assert_eq!(names, tested.map(String::from).into());
}
