//! `auth_hmac` between two daemons: from nothing to enforced, keys rotated, by reloads and without a gap; a forger and a
//! replayed packet reach nothing. Debian's keepalived 2.2.7 does not know the trailer: what keepalived 2.4 puts on the
//! wire is in the test vectors of `vrrp-proto`.

use std::{
    fs,
    io::Read as _,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, SystemTime},
};

use ha_lb::lab::{Host, Lab};
use rustix::process::Signal;
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};
use vip_netlink::packet_socket::PacketSocket;
use vrrp_proto::{
    Addresses, Advertisement, Auth, ChecksumMode, Envelope, Interval, Priority, Trailer, Version,
    Vrid,
    auth_hmac::{AntiReplay, Authenticator, Key, Mode, Settings},
};

use crate::{
    node::Node,
    support::{Needs, enclosed, wait_for},
};

const VIP: &str = "10.77.0.10";
const PATIENCE: Duration = Duration::from_secs(15);
const OLD_KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const NEW_KEY: &str = "this-is-the-second-key-of-this-little-cluster";

/// Instances of every kind: v2 and v3, both families, multicast and unicast.
fn config(number: u8, block: &str) -> String {
    let (priority, peer) = (160 - number * 10, 3 - number);
    let instance = |name: &str, vrid: u8, more: &str, vip: &str| {
        format!(
            "vrrp_instance {name} {{\n state BACKUP\n interface eth0\n virtual_router_id {vrid}\n priority {priority}\n \
             garp_master_delay 0\n {more}\n {block}\n virtual_ipaddress {{\n {vip}\n }}\n}}\n"
        )
    };
    let own = "version 3\n advert_int 1";
    let unicast = format!(
        "{own}\n unicast_src_ip 10.77.0.1{number}\n unicast_peer {{\n 10.77.0.1{peer}\n }}"
    );
    [
        instance("V3", 51, own, VIP),
        instance("V6", 52, own, "fe80::52/64"),
        instance("UNI", 53, &unicast, "10.77.0.20"),
        instance("V2", 54, "version 2\n advert_int 1", "10.77.0.30"),
    ]
    .concat()
}

const INSTANCES: [&str; 4] = ["V3", "V6", "UNI", "V2"];

/// Steps of `auth_hmac`; neighbours understand each other.
fn steps(old_key: &str) -> [String; 7] {
    let block = |lines: &str| format!("auth_hmac {{\n {lines}\n }}");
    let old = format!("key 1 file:{old_key}");
    let new = format!("key 2 {NEW_KEY}");
    [
        String::new(),
        block(&format!("{old}\n mode receive-only")),
        block(&format!("{old}\n active_key 1\n mode permissive")),
        block(&format!("{old}\n active_key 1\n mode enforce")),
        block(&format!("{old}\n {new}\n active_key 1")),
        block(&format!("{old}\n {new}\n active_key 2")),
        block(&format!("{new}\n active_key 2")),
    ]
}

fn reload(node: &Node, number: u64) {
    node.signal(&["supervisor"], Signal::HUP);
    let ended = wait_for("the reload ends", PATIENCE, || {
        let status = node.status()?;
        (status["reload"]["number"] == number).then(|| status["reload"].clone())
    });
    assert_eq!(ended["applied"], true, "{ended}\n{}", node.log());
}

fn instance<'s>(status: &'s Value, name: &str) -> &'s Value {
    let all = status["instances"].as_array().unwrap();
    all.iter().find(|one| one["name"] == name).unwrap()
}

/// How many adverts an instance rejected, by cause; all but those from its own address.
fn rejected(node: &Node, name: &str) -> Vec<(String, u64)> {
    let status = node.status().unwrap();
    let causes = instance(&status, name)["counters"]["rejected"].clone();
    let causes = causes.as_array().unwrap().iter();
    let of = |one: &Value| Some((one["cause"].as_str()?.to_owned(), one["count"].as_u64()?));
    causes
        .filter_map(of)
        .filter(|(_, count)| *count > 0)
        .collect()
}

fn counted(node: &Node, name: &str, cause: &str) -> u64 {
    let rejected = rejected(node, name);
    rejected
        .iter()
        .find(|(known, _)| known == cause)
        .map_or(0, |(_, count)| *count)
}

/// Frames that arrive at a host.
fn frames(at: &Host) -> Arc<Mutex<Vec<Vec<u8>>>> {
    const ETH_P_IP: u16 = 0x0800;
    let protocol = Protocol::from(i32::from(ETH_P_IP.to_be()));
    let open = || Ok(Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).unwrap());
    let mut socket = at.run(open).unwrap();
    let all = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&all);
    thread::spawn(move || {
        let mut frame = [0; 256];
        while let Ok(len) = socket.read(&mut frame) {
            heard.lock().unwrap().push(frame[..len].to_vec());
        }
    });
    all
}

/// A frame of VRID 51 to the group with a message, and a trailer if there is an authenticator for it.
fn forged(source: [u8; 4], by: Option<(&[u8], u8)>) -> Vec<u8> {
    let addresses = [VIP.parse::<IpAddr>().unwrap()];
    let advertisement = Advertisement {
        version: Version::V3,
        vrid: Vrid::new(51).unwrap(),
        priority: Priority::OWNER,
        interval: Interval::from_centiseconds(20).unwrap(),
        addresses: Addresses::from(&addresses[..]),
        auth: Auth::None,
    };
    let envelope = Envelope::multicast(source.into());
    let mut message = [0; 64];
    let mode = ChecksumMode::PseudoHeader;
    let mut length = advertisement.emit(&envelope, &mut message, mode).unwrap();
    if let Some((secret, id)) = by {
        let settings = Settings {
            mode: Mode::Enforce,
            active_key: id,
            anti_replay: AntiReplay::Monotonic,
        };
        let keys = [Key::new(id, secret).unwrap()];
        let mut authenticator = Authenticator::new(keys, settings).unwrap();
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let sealer = authenticator.sealer(unix.unwrap()).unwrap();
        length = sealer.seal(length, &envelope, &mut message).unwrap();
    }
    let total = u16::try_from(20 + length).unwrap().to_be_bytes();
    let mut ip = [
        0x45, 0xc0, total[0], total[1], 0, 1, 0, 0, 255, 112, 0, 0, 0, 0, 0, 0, 224, 0, 0, 18,
    ];
    ip[12..16].copy_from_slice(&source);
    let sum: u32 = ip
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]))
        .sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let ethernet = [1, 0, 0x5e, 0, 0, 18, 2, 0, 0, 0, 0, 0x66, 8, 0];
    [&ethernet[..], &ip, &message[..length]].concat()
}

/// The last frame of VRID 51 that h1 sent, with its trailer.
fn last_of(frames: &Mutex<Vec<Vec<u8>>>) -> Option<Vec<u8>> {
    let ours = |frame: &&Vec<u8>| {
        frame.len() == 14 + 20 + 12 + Trailer::LEN
            && frame[26..30] == Ipv4Addr::new(10, 77, 0, 11).octets()
            && frame[23] == 112
            && frame[35] == 51
    };
    frames.lock().unwrap().iter().rev().find(ours).cloned()
}

/// The configuration of a step, with the key in its file.
fn write(node: &Node, number: u8, step: usize) {
    let key = node.path("etc/vrrp.key");
    fs::write(&key, format!("hex:{OLD_KEY}\n")).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let block = &steps(key.to_str().unwrap())[step];
    fs::write(node.path("keepalived.conf"), config(number, block)).unwrap();
}

fn settled([one, two]: &[Node; 2]) -> bool {
    let states = |name: &&str| (one.state_of(name), two.state_of(name));
    let mut all = INSTANCES.iter().map(states);
    all.all(|states| states == ("Active".to_owned(), "Backup".to_owned()))
}

/// How often each instance has changed to each state.
fn changes(node: &Node) -> [Value; 4] {
    let status = node.status().unwrap();
    INSTANCES.map(|name| instance(&status, name)["changes"].clone())
}

/// Host by host and step by step; in each mixture adverts of all kinds are heard.
fn migrate([one, two]: &[Node; 2]) {
    let heard = |name: &str| {
        let status = two.status().unwrap();
        instance(&status, name)["counters"]["received"]
            .as_u64()
            .unwrap()
    };
    for step in 1..7 {
        for (number, node) in [(2, two), (1, one)] {
            write(node, number, step);
            reload(node, u64::try_from(step).unwrap());
            let counts = INSTANCES.map(heard);
            wait_for("adverts of each", PATIENCE, || {
                let mut all = INSTANCES.iter().zip(counts);
                all.all(|(name, count)| heard(name) > count).then_some(())
            });
        }
        if step == 2 {
            let status = two.status().unwrap();
            let how = &instance(&status, "V3")["authentication"];
            assert_eq!(how, "hmac, permissive, key 1");
            let log = two.log();
            assert!(
                log.contains("10.77.0.11 does not sign its adverts"),
                "{log}"
            );
        }
    }
    for name in INSTANCES {
        assert_eq!(rejected(two, name), [], "{name}\n{}", two.log());
    }
}

/// One who knows nothing, one with the retired key, one who guesses, one who repeats what he heard.
fn attack([one, two]: &[Node; 2], forger: &Host, wire: &Mutex<Vec<Vec<u8>>>) {
    let digits = |i: usize| u8::from_str_radix(&OLD_KEY[2 * i..2 * i + 2], 16).unwrap();
    let old: Vec<u8> = (0..32).map(digits).collect();
    let socket = forger.run(|| Ok(PacketSocket::new().unwrap())).unwrap();
    let send = |frame: &[u8]| socket.send(forger.index(), frame).unwrap();
    let attacks = [
        ("hmac_missing", forged([10, 77, 0, 66], None)),
        ("hmac_missing", forged([10, 77, 0, 12], None)),
        ("hmac_unknown_key", forged([10, 77, 0, 66], Some((&old, 1)))),
        ("hmac_invalid", forged([10, 77, 0, 66], Some((&old, 2)))),
    ];
    for (cause, frame) in &attacks {
        let count = counted(one, "V3", cause);
        for _ in 0..20 {
            send(frame);
        }
        wait_for(cause, PATIENCE, || {
            (counted(one, "V3", cause) >= count + 20).then_some(())
        });
    }
    let replayed = wait_for("a signed advert", PATIENCE, || last_of(wire));
    send(&replayed);
    wait_for("a replay", PATIENCE, || {
        (counted(two, "V3", "replay") > 0).then_some(())
    });
}

#[test]
fn a_cluster_is_migrated_rotates_its_keys_and_hears_no_forger() {
    enclosed(
        "auth_hmac::a_cluster_is_migrated_rotates_its_keys_and_hears_no_forger",
        Needs::Namespaces,
        &["unshare", "ip", "nft"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut nodes = [1, 2].map(|number| {
                let (name, address) = (format!("h{number}"), format!("10.77.0.1{number}/24"));
                Node::new(&lab, scratch.path(), &name, "eth0", &[&address])
            });
            let address = "10.77.0.66/24".parse().unwrap();
            let forger = lab.host("forger", "eth0", &[address]).unwrap();
            let wire = frames(&forger);
            for (number, node) in (1..).zip(&mut nodes) {
                write(node, number, 0);
                node.start(Some(&node.path("keepalived.conf")), &[]);
            }
            wait_for("h1 is Active everywhere", PATIENCE, || {
                settled(&nodes).then_some(())
            });
            let before = [changes(&nodes[0]), changes(&nodes[1])];
            migrate(&nodes);
            attack(&nodes, &forger, &wire);
            assert!(settled(&nodes));
            let after = [changes(&nodes[0]), changes(&nodes[1])];
            assert_eq!(before, after, "nothing has moved");
            let metrics = nodes[0].ha_lb(&["status", "--metrics"]);
            let metrics = String::from_utf8(metrics.stdout).unwrap();
            let mut lines = metrics.lines();
            let told = lines.any(|line| {
                line.contains("hmac_missing") && line.contains("\"V3\"") && line.ends_with(" 40")
            });
            assert!(told, "{metrics}");

            // A signed resignation is believed at once.
            assert_eq!(nodes[0].terminate(), Some(0));
            wait_for("h2 takes over", PATIENCE, || {
                let mut all = INSTANCES.iter().map(|name| nodes[1].state_of(name));
                all.all(|state| state == "Active").then_some(())
            });
            let status = nodes[1].status().unwrap();
            let because = &instance(&status, "V3")["last_transition"]["reason"];
            assert!(because.as_str().unwrap().contains("resign"), "{because}");

            for node in &nodes {
                let said = [node.log(), node.syslog().concat(), status.to_string()].concat();
                for secret in [OLD_KEY, NEW_KEY] {
                    assert!(!said.contains(&secret[..16]), "a secret was printed");
                }
            }
        },
    );
}
