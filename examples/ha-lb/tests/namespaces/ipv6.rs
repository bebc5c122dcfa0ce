//! VRRP over IPv6 beside Debian's keepalived: who holds the addresses, and how what we send is decoded by another.

use std::{fs, time::Duration};

use crate::{
    peers::{Pair, with_files},
    support::{installed, wait_for},
};

const VIPS: &[&str] = &["fe80::52", "2001:db8::100", "192.168.10.50"];

/// An instance with addresses of IPv6, and one of IPv4 that is installed and not advertised.
fn instance(priority: u8) -> String {
    format!(
        "vrrp_instance V6 {{\n state BACKUP\n interface ens37\n virtual_router_id 52\n priority {priority}\n \
         advert_int 0.7\n virtual_ipaddress {{\n fe80::52\n 2001:db8::100\n }}\n \
         virtual_ipaddress_excluded {{\n 192.168.10.50\n }}\n}}\n"
    )
}

fn multicast(name: &str, priorities: (u8, u8), scenario: impl FnOnce(Pair)) {
    let text = |_, priority| instance(priority);
    with_files(name, VIPS, priorities, text, |pair| scenario(settled(pair)));
}

/// keepalived neither waits for the end of duplicate address detection nor gets over it: without a source it sends
/// nothing as master, or goes to FAULT for good.
pub(crate) fn settled(pair: Pair) -> Pair {
    for node in [&pair.ours, &pair.theirs] {
        let list = ["-6", "address", "show", "tentative"];
        wait_for("no address is tentative", Duration::from_secs(10), || {
            let output = node.host.command("ip").args(list).capture().unwrap();
            output.stdout.is_empty().then_some(())
        });
    }
    pair
}

/// Source, destination, hop limit, checksum of the advert, type and checksum of ICMPv6, and what the decoder minds.
const FIELDS: [&str; 7] = [
    "ipv6.src",
    "ipv6.dst",
    "ipv6.hlim",
    "vrrp.checksum.status",
    "icmpv6.type",
    "icmpv6.checksum.status",
    "_ws.expert.message",
];

#[test]
fn another_decoder_finds_nothing_wrong_with_what_we_send() {
    multicast(
        "ipv6::another_decoder_finds_nothing_wrong_with_what_we_send",
        (150, 100),
        |mut pair| {
            if !installed("tshark") {
                assert!(std::env::var_os("CI").is_none());
                return println!("skipped: tshark is not installed");
            }
            let decoded = pair.theirs.path("decoded");
            let adverts_and_neighbours = "ip6 proto 112 or (icmp6 and ip6[40] == 136)";
            let mut decoder = pair
                .theirs
                .command("tshark")
                .args(["-i", "ens37", "-l", "-T", "fields", "-c", "14"])
                .args(["-f", adverts_and_neighbours])
                .args(FIELDS.iter().flat_map(|field| ["-e", field]))
                .output(&decoded)
                .spawn()
                .unwrap();
            let text = || fs::read_to_string(&decoded).unwrap_or_default();
            wait_for("tshark listens", Duration::from_secs(20), || {
                text().contains("Capturing on").then_some(())
            });
            pair.start_ours();
            assert!(decoder.wait().unwrap().success());
            let text = text();
            let mut lines: Vec<&str> = text
                .lines()
                .filter(|line| line.contains("\tff02::1"))
                .collect();
            lines.retain(|line| !line.starts_with("fd00:10:"));
            let (adverts, neighbours): (Vec<&str>, Vec<&str>) =
                lines.iter().partition(|line| line.contains("\tff02::12\t"));
            assert!(!adverts.is_empty() && neighbours.len() >= 10, "{text}");
            for advert in adverts {
                let (source, rest) = advert.split_once('\t').unwrap();
                assert!(
                    source.starts_with("fe80::") && source != VIPS[0],
                    "{advert}"
                );
                assert_eq!(rest, "ff02::12\t255\t1\t\t\t");
            }
            for address in &VIPS[..2] {
                let wanted = format!("{address}\tff02::1\t255\t\t136\t1\t");
                let told = neighbours.iter().filter(|line| **line == wanted);
                assert_eq!(told.count(), 5, "{text}");
            }
        },
    );
}

#[test]
fn addresses_that_accept_nothing_are_found_and_do_not_answer() {
    let text = |_, priority| format!("global_defs {{\n vrrp_strict\n}}\n{}", instance(priority));
    with_files(
        "ipv6::addresses_that_accept_nothing_are_found_and_do_not_answer",
        VIPS,
        (150, 100),
        text,
        |pair| {
            let mut pair = settled(pair);
            pair.start_ours();
            pair.wait_for_ours();
            let vip = VIPS[2];
            let ping = ["-c1", "-W1", vip];
            let output = pair.theirs.host.command("ping").args(ping).capture();
            assert!(!output.unwrap().status.success(), "{vip}");
            let seen = ["neigh", "show", vip];
            let output = pair.theirs.host.command("ip").args(seen).capture();
            let seen = String::from_utf8_lossy(&output.unwrap().stdout).into_owned();
            assert!(seen.contains("lladdr"), "{seen}");
            let ping = ["-c1", "-W2", "192.168.10.11"];
            let output = pair.theirs.host.command("ping").args(ping).capture();
            assert!(output.unwrap().status.success(), "the host itself answers");
        },
    );
}
