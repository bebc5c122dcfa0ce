//! Frames that keepalived sent, put on a cable again: what the program says of them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use vip_netlink::link::Interface;
use vip_netlink::packet_socket::PacketSocket;

const INSIDE: &str = "VRRP_WATCH_TEST_INSIDE";
const PATIENCE: Duration = Duration::from_secs(10);

/// The frames of a capture file of the codec's tests (libpcap format, little-endian).
fn frames(name: &str) -> Vec<Vec<u8>> {
    let folder = "../../vrrp-proto/tests/captures";
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), folder, name].iter().collect();
    let file = fs::read(path).unwrap();
    let mut rest = &file[24..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        frames.push(rest[16..16 + length].to_vec());
        rest = &rest[16 + length..];
    }
    // With the VRRP group as its destination.
    frames.retain(|frame| match frame[12..14] {
        [8, 0] => frame[30..34] == [224, 0, 0, 18],
        _ => frame[..6] == [0x33, 0x33, 0, 0, 0, 0x12],
    });
    frames
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn sh(command: &str) {
    let status = Command::new("sh").args(["-ec", command]).status();
    assert!(status.unwrap().success(), "{command}");
}

/// Runs the test again inside a network namespace of its own; skips with a reason where that is not
/// permitted, but fails in CI. True inside.
fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let id = Command::new("id").arg("-u").output().unwrap();
    let flags = if id.stdout == b"0\n" { "-nm" } else { "-Urnm" };
    let permitted = Command::new("unshare").args([flags, "true"]).status();
    if !permitted.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "unshare {flags} fails");
        println!("skipped: unshare {flags} is not permitted here");
        return false;
    }
    let mut again = Command::new("unshare");
    again.arg(flags).arg(std::env::current_exe().unwrap());
    again
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1");
    assert!(again.status().unwrap().success());
    false
}

/// What the program prints, without the time, of these frames.
fn watch(frames: &[Vec<u8>], arguments: &[&str]) -> Vec<String> {
    let program = Command::new(env!("CARGO_BIN_EXE_vrrp-watch"))
        .args(["hears", "--count", &frames.len().to_string()])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    // All of its sockets have joined, that for ff02::12 as the last.
    let joined = || {
        let groups = fs::read_to_string("/proc/net/igmp6").unwrap();
        groups.contains("ff020000000000000000000000000012")
    };
    while !joined() {
        assert!(began.elapsed() < PATIENCE, "nobody listens");
        std::thread::yield_now();
    }
    let sender = PacketSocket::new().unwrap();
    let interface = Interface::lookup("says").unwrap().number();
    for frame in frames {
        sender.send(interface, frame).unwrap();
    }
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let without_time = |line: &str| line.split_once(' ').unwrap().1.to_owned();
    text.lines().map(without_time).collect()
}

#[test]
fn adverts_are_shown_and_forgeries_explained() {
    if !inside("adverts_are_shown_and_forgeries_explained") {
        return;
    }
    sh("ip link add says type veth peer name hears
        ip addr add 10.99.0.2/24 dev hears
        ip link set says up
        ip link set hears up");
    let from = "10.99.0.1 > 224.0.0.18: ";
    let vrid_51 = "VRRPv2, Advertisement, vrid 51";
    let addresses = "addrs: 10.99.0.100,10.99.0.101";

    let mut password = frames("v2pass.pcap");
    password.truncate(1);
    password.extend(frames("v2pass.pcap").pop());
    // A changed priority: the checksum does not agree.
    let mut changed = password[0].clone();
    changed[36] ^= 1;
    password.push(changed);
    assert_eq!(
        watch(&password, &[]),
        [
            format!("{from}{vrid_51}, prio 101, authtype simple, intvl 1s, length 24, {addresses}"),
            format!(
                "{from}{vrid_51}, prio 0, authtype simple, intvl 1s, length 24, {addresses} (resigns)"
            ),
            format!("{from}rejected (checksum): checksum is 0xaeb9, not 0xafb9"),
        ]
    );

    let header = &frames("v2ah.pcap")[..1];
    let line = "VRRPv2, Advertisement, vrid 61, prio 100, authtype ah, intvl 1s, length 20, \
                addrs: 10.99.0.100";
    let ah = "AH(spi=0x0a630001,seq=0x1,icv=0x691a6d6c6f6008c36f0c3a9d): ";
    assert_eq!(
        watch(header, &[]),
        [format!("{from}{ah}{line} (not verified)")]
    );
    assert_eq!(
        watch(header, &["--password", "viettq"]),
        [format!("{from}{ah}{line} (verified)")]
    );
    let wrong = watch(header, &["--password", "another"]);
    assert!(wrong[0].contains("(REJECTED (authentication): the integrity check value is wrong"));

    let sixth = &frames("v3v6.pcap")[..1];
    assert_eq!(
        watch(sixth, &[]),
        [
            "fe80::ff:fe00:a > ff02::12: VRRPv3, Advertisement, vrid 52, prio 100, intvl 100cs, \
          length 40, addrs: fe80::52,2001:db8::100"
        ]
    );

    // The first packet of v3mc.pcap with a trailer of the codec's test vectors.
    let mut signed = frames("v3mc.pcap")[0].clone();
    signed.truncate(14 + 20 + 12);
    signed.extend(bytes(
        "010200006912f0b6123400014e6c0200b61b0076c9bfc8a0e3b5f99e",
    ));
    let length = u8::try_from(signed.len() - 14).unwrap();
    let unsigned_length = std::mem::replace(&mut signed[17], length);
    // The header's checksum lacks what its length has more (RFC 1624).
    let sum = u16::from_be_bytes([signed[24], signed[25]]) - u16::from(length - unsigned_length);
    signed[24..26].copy_from_slice(&sum.to_be_bytes());
    let signed = &[signed][..];
    let line = "VRRPv3, Advertisement, vrid 51, prio 100, intvl 50cs, length 12, addrs: 10.99.0.100, \
                hmac key 2, seq 1762848950.071105+1";
    assert_eq!(watch(signed, &[]), [format!("{from}{line} (not verified)")]);
    let secret: String = (0x40..0x80).map(|byte| format!("{byte:02x}")).collect();
    let right = watch(signed, &["--key", &format!("2=hex:{secret}")]);
    assert!(
        right[0].starts_with(&format!("{from}{line} (verified, ")),
        "{right:?}"
    );
    let wrong = watch(signed, &["--key", &format!("2={:0>32}", "wrong")]);
    assert!(wrong[0].contains("(REJECTED (hmac_invalid): the authentication tag is wrong"));
}
