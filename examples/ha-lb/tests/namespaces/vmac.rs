//! Virtual MAC addresses (`use_vmac`): the address keeps its hardware address when it moves, whoever dies, beside
//! keepalived's, and nothing of it stays.

use std::{fs, path::Path, time::Duration};

use ha_lb::lab::Lab;
use rustix::process::Signal;

use crate::{
    ipv6::settled,
    node::Node,
    peers::{Pair, with_files},
    support::{Needs, enclosed, installed, wait_for},
};

const PATIENCE: Duration = Duration::from_secs(15);
const VIP: &str = "10.77.0.10";
const VIP_6: &str = "fd00:77::10";
const PLAIN: &str = "10.77.0.11";
const DEVICE: &str = "vrrp.51";

/// Three instances on one interface: with a virtual MAC address for each family, and without.
fn instances(priority: u8, vmac: &str) -> String {
    let instance = |name: &str, vrid: u8, vmac: &str, address: &str| {
        format!(
            "vrrp_instance {name} {{\n version 3\n interface eth0\n virtual_router_id {vrid}\n priority {priority}\n \
             advert_int 0.7\n {vmac}\n virtual_ipaddress {{\n {address}\n }}\n}}\n"
        )
    };
    instance("V4", 51, vmac, VIP)
        + &instance("V6", 51, vmac, &format!("fe80::51\n {VIP_6}"))
        + &instance("PLAIN", 52, "", PLAIN)
}

fn write(node: &Node, text: &str) -> std::path::PathBuf {
    let path = node.path("keepalived.conf");
    fs::write(&path, text).unwrap();
    path
}

fn start(node: &mut Node, text: &str) {
    let file = write(node, text);
    node.start(Some(&file), &[]);
}

fn wait_for_holder(holder: &Node, other: &Node) {
    let all = [VIP, VIP_6, PLAIN];
    let what = format!("only {} holds the addresses", holder.host.name());
    wait_for(&what, PATIENCE, || {
        (all.iter().all(|vip| holder.holds(vip)) && !all.iter().any(|vip| other.holds(vip)))
            .then_some(())
    });
}

/// A host asks by a neighbour entry that it has no reason, and no right, to change.
fn answers(client: &Node, address: &str) {
    let ping = ["-n", "-c1", "-W1", address];
    wait_for(&format!("{address} answers"), PATIENCE, || {
        let output = client.host.command("ping").args(ping).capture().unwrap();
        output.status.success().then_some(())
    });
}

fn neighbour(client: &Node, address: &str) -> String {
    client.ip(&["neigh", "show", address])
}

/// What is set on the interface itself.
fn settings(node: &Node) -> String {
    let files = "cat /proc/sys/net/ipv4/conf/*/arp_ignore /proc/sys/net/ipv4/conf/*/arp_filter \
                 /proc/sys/net/ipv4/conf/*/arp_announce /proc/sys/net/ipv6/conf/*/accept_ra";
    let output = node
        .host
        .command("sh")
        .args(["-c", files])
        .capture()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn three(scratch: &Path) -> (Lab, Node, Node, Node) {
    let lab = Lab::new().unwrap();
    let node = |name: &str, last: u8| {
        let addresses = [format!("10.77.0.{last}/24"), format!("fd00:77::{last}/64")];
        let addresses = addresses.each_ref().map(String::as_str);
        Node::new(&lab, scratch, name, "eth0", &addresses)
    };
    let nodes = (node("a", 1), node("b", 2), node("c", 3));
    (lab, nodes.0, nodes.1, nodes.2)
}

#[test]
fn the_address_keeps_its_mac_whoever_dies_and_nothing_stays() {
    enclosed(
        "vmac::the_address_keeps_its_mac_whoever_dies_and_nothing_stays",
        Needs::Namespaces,
        &["unshare", "ip", "ping"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let (_lab, mut a, mut b, c) = three(scratch.path());
            let before = settings(&a);
            start(&mut a, &instances(150, "use_vmac"));
            start(&mut b, &instances(100, "use_vmac"));
            wait_for_holder(&a, &b);
            for vip in [VIP, VIP_6, PLAIN] {
                answers(&c, vip);
            }
            assert!(
                neighbour(&c, VIP).contains("00:00:5e:00:01:33"),
                "{}",
                neighbour(&c, VIP)
            );
            assert!(
                neighbour(&c, VIP_6).contains("00:00:5e:00:02:33"),
                "{}",
                neighbour(&c, VIP_6)
            );
            assert!(
                !neighbour(&c, PLAIN).contains("00:00:5e"),
                "{}",
                neighbour(&c, PLAIN)
            );
            assert_eq!(a.device_of(VIP_6).as_deref(), Some("vrrp6.51"));
            let accept = ["/proc/sys/net/ipv6/conf/vrrp6.51/accept_ra"];
            let accept = a.host.command("cat").args(accept).capture().unwrap();
            assert_eq!(
                accept.stdout, b"0\n",
                "set by the supervisor: the speaker has no files"
            );
            let shown = a.ask("/instances/0/virtual_macs/0").unwrap();
            assert_eq!(
                (&shown["device"], &shown["state"]),
                (&DEVICE.into(), &"up".into())
            );
            assert_eq!(shown["mac"], "00:00:5e:00:01:33");
            assert!(
                !b.ip(&["link", "show", DEVICE]).contains(",UP"),
                "a Backup's is down"
            );

            // From now on the third host may learn nothing: the hardware address itself moves.
            let fixed = [
                "neigh",
                "replace",
                VIP,
                "lladdr",
                "00:00:5e:00:01:33",
                "dev",
                "eth0",
                "nud",
                "permanent",
            ];
            c.ip(&fixed);
            let index = a.ip(&["-o", "link", "show", DEVICE]);
            let index = index.split(':').next().unwrap().to_owned();
            a.kill();
            wait_for("the other host takes over", PATIENCE, || {
                (b.holds(VIP) && b.holds(VIP_6)).then_some(())
            });
            answers(&c, VIP);
            answers(&c, VIP_6);
            assert!(
                a.ip(&["link", "show", DEVICE]).contains("vrrp.51"),
                "left by the dead"
            );

            start(&mut a, &instances(150, "use_vmac"));
            wait_for_holder(&a, &b);
            answers(&c, VIP);
            let after = a.ip(&["-o", "link", "show", DEVICE]);
            assert!(
                after.starts_with(&index),
                "taken over, not made anew: {after}"
            );

            assert_eq!(a.terminate(), Some(0), "{}", a.log());
            wait_for("the other host takes over again", PATIENCE, || {
                b.holds(VIP).then_some(())
            });
            answers(&c, VIP);
            let links = a.ip(&["-o", "link", "show"]);
            assert!(!links.contains("vrrp"), "{links}");
            assert_eq!(settings(&a), before);
        },
    );
}

#[test]
fn a_reload_switches_it_on_and_off_and_an_upgrade_keeps_it() {
    enclosed(
        "vmac::a_reload_switches_it_on_and_off_and_an_upgrade_keeps_it",
        Needs::Namespaces,
        &["unshare", "ip", "ping"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let (_lab, mut a, _b, c) = three(scratch.path());
            start(&mut a, &instances(150, ""));
            let on = |device: &str| {
                wait_for(&format!("the address is on {device}"), PATIENCE, || {
                    (a.device_of(VIP).as_deref() == Some(device)).then_some(())
                });
                answers(&c, VIP);
            };
            on("eth0");
            write(&a, &instances(150, "use_vmac"));
            a.signal(&["supervisor"], Signal::HUP);
            on(DEVICE);
            assert!(
                neighbour(&c, VIP).contains("00:00:5e:00:01:33"),
                "{}",
                neighbour(&c, VIP)
            );

            let index = a.ip(&["-o", "link", "show", DEVICE]);
            let index = index.split(':').next().unwrap().to_owned();
            let before = a.ask("/vrrp/pid");
            assert!(a.ha_lb(&["upgrade"]).status.success());
            wait_for("another speaker", PATIENCE, || {
                (a.ask("/vrrp/pid") != before).then_some(())
            });
            on(DEVICE);
            assert!(a.ip(&["-o", "link", "show", DEVICE]).starts_with(&index));

            write(&a, &instances(150, ""));
            a.signal(&["supervisor"], Signal::HUP);
            on("eth0");
            wait_for("the device goes", PATIENCE, || {
                (!a.ip(&["-o", "link", "show"]).contains("vrrp")).then_some(())
            });
            assert!(
                !neighbour(&c, VIP).contains("00:00:5e"),
                "{}",
                neighbour(&c, VIP)
            );
        },
    );
}

/// keepalived and ours with one file.
fn beside_keepalived(
    name: &str,
    vips: &'static [&'static str],
    priorities: (u8, u8),
    scenario: impl FnOnce(Pair),
) {
    let text = |_, priority| {
        let (version, addresses) = match vips {
            [only] => ("version 2\n advert_int 1", (*only).to_owned()),
            all => ("version 3\n advert_int 0.7", all.join("\n ")),
        };
        format!(
            "vrrp_instance V {{\n {version}\n state BACKUP\n interface ens37\n virtual_router_id 61\n use_vmac\n \
             priority {priority}\n virtual_ipaddress {{\n {addresses}\n }}\n}}\n"
        )
    };
    with_files(name, vips, priorities, text, |pair| scenario(settled(pair)));
}

const V4: &[&str] = &["192.168.10.10"];
const V6: &[&str] = &["fe80::61", "2001:db8::100"];

#[test]
fn over_ipv4_we_are_preferred_to_keepalived() {
    beside_keepalived(
        "vmac::over_ipv4_we_are_preferred_to_keepalived",
        V4,
        (150, 100),
        Pair::ours_is_preferred,
    );
}

#[test]
fn over_ipv4_keepalived_is_preferred() {
    beside_keepalived(
        "vmac::over_ipv4_keepalived_is_preferred",
        V4,
        (100, 150),
        Pair::theirs_is_preferred,
    );
}

#[test]
fn over_ipv6_we_are_preferred_to_keepalived() {
    beside_keepalived(
        "vmac::over_ipv6_we_are_preferred_to_keepalived",
        V6,
        (150, 100),
        Pair::ours_is_preferred,
    );
}

#[test]
fn over_ipv6_keepalived_is_preferred() {
    beside_keepalived(
        "vmac::over_ipv6_keepalived_is_preferred",
        V6,
        (100, 150),
        Pair::theirs_is_preferred,
    );
}

/// Hardware source, TTL and both checksums of an advert, and what the decoder minds.
const FIELDS: [&str; 5] = [
    "eth.src",
    "ip.ttl",
    "ip.checksum.status",
    "vrrp.checksum.status",
    "_ws.expert.message",
];

#[test]
fn another_decoder_finds_nothing_wrong_with_what_we_send() {
    beside_keepalived(
        "vmac::another_decoder_finds_nothing_wrong_with_what_we_send",
        V4,
        (150, 100),
        |mut pair| {
            if !installed("tshark") {
                assert!(std::env::var_os("CI").is_none());
                return println!("skipped: tshark is not installed");
            }
            let decoded = pair.theirs.path("decoded");
            let decoder = pair.theirs.command("tshark");
            let mut decoder = decoder
                .args(["-i", "ens37", "-l", "-T", "fields", "-c", "2"])
                .args(["-o", "ip.check_checksum:TRUE", "-f", "ip proto 112"])
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
            let adverts = text
                .lines()
                .filter(|line| line.starts_with("00:00:5e:00:01:3d\t"));
            let adverts: Vec<&str> = adverts.collect();
            assert_eq!(adverts, ["00:00:5e:00:01:3d\t255\t1\t1\t"; 2], "{text}");
        },
    );
}
