//! What we sent, as Wireshark's decoder reads it: it must find nothing wrong.

use std::{fs, path::Path, process::Command};

use super::protocol::{Protocol, VRID};

/// What is looked at; the last two say what the decoder minds.
const FIELDS: [&str; 7] = [
    "ip.checksum.status",
    "vrrp.version",
    "vrrp.virt_rtr_id",
    "vrrp.checksum.status",
    "icmpv6.checksum.status",
    "_ws.malformed",
    "_ws.expert.message",
];

/// Decodes frames that one host of a row sent: adverts, gratuitous ARPs, neighbour advertisements.
pub(crate) fn finds_nothing_wrong(protocol: &Protocol, frames: &[Vec<u8>], scratch: &Path) {
    let path = scratch.join("sent.pcap");
    fs::write(&path, capture(frames)).unwrap();
    let mut command = Command::new("tshark");
    command
        .arg("-r")
        .arg(&path)
        .args(["-o", "ip.check_checksum:TRUE", "-T", "fields"]);
    command.args(FIELDS.iter().flat_map(|field| ["-e", field]));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut adverts = 0;
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        assert_eq!(fields.len(), FIELDS.len(), "{line:?}");
        let (ip, version, vrid, vrrp) = (fields[0], fields[1], fields[2], fields[3]);
        let (icmp, malformed, expert) = (fields[4], fields[5], fields[6]);
        assert_eq!((malformed, expert), ("", ""), "{}: {text}", protocol.name);
        // 1 is good, 0 bad, 2 unverified; empty where the frame has none.
        for status in [ip, vrrp, icmp] {
            assert!(["", "1"].contains(&status), "{}: {text}", protocol.name);
        }
        if !version.is_empty() {
            adverts += 1;
            assert_eq!(
                (version, vrid),
                (&*protocol.version.to_string(), &*VRID.to_string())
            );
            assert_eq!(vrrp, "1", "{text}");
        }
    }
    assert_eq!(text.lines().count(), frames.len(), "{text}");
    assert!(adverts >= 5 && frames.len() > adverts, "{text}");
}

/// A file of libpcap's first format, Ethernet.
fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_c3d4_u32.to_le_bytes());
    file.extend([2, 0, 4, 0]);
    for field in [0, 0, 65535, 1_u32] {
        file.extend(field.to_le_bytes());
    }
    for (second, frame) in (0_u32..).zip(frames) {
        let length = u32::try_from(frame.len()).unwrap();
        for field in [second, 0, length, length] {
            file.extend(field.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}
