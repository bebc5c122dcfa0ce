//! SIGHUP while this host holds an address: nothing moves, nothing is announced again, what changed is changed.

use std::{
    fs,
    io::Read as _,
    net::{Ipv4Addr, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use ha_lb::lab::{Lab, Origin, get};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    node::Node,
    support::{Needs, enclosed, wait_for},
};

mod balancer;

const VIP: &str = "10.77.0.10";
const NEW: &str = "10.77.0.20";
const PATIENCE: Duration = Duration::from_secs(10);

/// Senders of the ARP packets that another host hears.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Ipv4Addr>>>);

impl Heard {
    fn on(node: &Node) -> Self {
        const ETH_P_ARP: u16 = 0x0806;
        let protocol = Protocol::from(i32::from(ETH_P_ARP.to_be()));
        let open = || Ok(Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).unwrap());
        let mut socket = node.host.run(open).unwrap();
        let heard = Self::default();
        let all = heard.clone();
        thread::spawn(move || {
            let mut frame = [0; 128];
            while let Ok(len) = socket.read(&mut frame) {
                // Ethernet header, then RFC 826: the sender's protocol address.
                if let Some([a, b, c, d]) = frame[..len].get(28..32) {
                    all.0.lock().unwrap().push(Ipv4Addr::new(*a, *b, *c, *d));
                }
            }
        });
        heard
    }

    fn count(&self, address: &str) -> usize {
        let address: Ipv4Addr = address.parse().unwrap();
        let heard = self.0.lock().unwrap();
        heard.iter().filter(|one| **one == address).count()
    }
}

fn keepalived(notify: &str, priority: u8, vips: &[&str], script: &str) -> String {
    format!(
        "{script}vrrp_instance VI_1 {{\n version 3\n state BACKUP\n interface eth0\n virtual_router_id 51\n \
         priority {priority}\n advert_int 0.7\n garp_master_delay 0\n notify \"{notify}\"\n \
         virtual_ipaddress {{\n {}\n }}\n {} }}\n",
        vips.join("\n "),
        if script.is_empty() {
            ""
        } else {
            "track_script {\n check\n }\n"
        }
    )
}

fn hang_up(node: &Node, number: u64) -> Value {
    let status = node.status().unwrap();
    let pid = status["supervisor"]["pid"].as_i64().unwrap();
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    wait_for("the reload ends", PATIENCE, || {
        let status = node.status()?;
        (status["reload"]["number"] == number).then(|| status["reload"].clone())
    })
}

#[test]
fn an_address_stays_and_is_not_announced_again() {
    enclosed(
        "reload::an_address_stays_and_is_not_announced_again",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let other = Node::new(&lab, scratch.path(), "h2", "eth0", &["10.77.0.12/24"]);
            let heard = Heard::on(&other);
            let _origin =
                Origin::start(&node.host, "10.77.0.11:8080".parse().unwrap(), "web").unwrap();
            let changes = node.path("changes");
            let script = node.script("notify", &format!("echo $3 >> {}", changes.display()));
            let notify = script.display().to_string();
            let (conf, cfg) = (node.path("keepalived.conf"), node.path("haproxy.cfg"));
            let haproxy = |weight: u8| {
                format!(
                    "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n\
                     listen web\n bind *:80\n server web 10.77.0.11:8080 weight {weight}\n"
                )
            };
            fs::write(&conf, keepalived(&notify, 100, &[VIP], "")).unwrap();
            fs::write(&cfg, haproxy(1)).unwrap();
            node.start(Some(&conf), &[&cfg]);
            wait_for("the announcements", PATIENCE, || {
                (heard.count(VIP) >= 5 && node.state() == "Active").then_some(())
            });
            let lines = || fs::read_to_string(&changes).unwrap_or_default();
            wait_for("the notify script", PATIENCE, || {
                lines().ends_with("MASTER\n").then_some(())
            });
            let (announced, changed) = (heard.count(VIP), lines());
            let since = node.ask("/instances/0/last_transition").unwrap();
            let undisturbed = |what: &str| {
                assert!(node.holds(VIP), "{what}\n{}", node.log());
                assert_eq!(node.state(), "Active", "{what}");
                assert_eq!(node.ask("/instances/0/last_transition").unwrap(), since);
                assert_eq!(lines(), changed, "{what}");
            };

            // Priority, a script, an address more; the balancer changes beside it.
            let check = "vrrp_script check {\n script \"/bin/true\"\n interval 1\n weight 5\n}\n";
            fs::write(&conf, keepalived(&notify, 110, &[NEW, VIP], check)).unwrap();
            fs::write(&cfg, haproxy(2)).unwrap();
            let reload = hang_up(&node, 1);
            assert_eq!(reload["applied"], true, "{reload}\n{}", node.log());
            wait_for("the new address", PATIENCE, || {
                node.holds(NEW).then_some(())
            });
            wait_for("its announcement", PATIENCE, || {
                (heard.count(NEW) >= 5).then_some(())
            });
            wait_for("priority", PATIENCE, || {
                (node.ask("/instances/0/effective_priority")? == 115).then_some(())
            });
            undisturbed("after an addition");

            // Either file is broken.
            fs::write(&conf, "vrrp_instance VI_1 {\n interface eth0\n}\n").unwrap();
            assert_eq!(hang_up(&node, 2)["applied"], false);
            fs::write(&conf, keepalived(&notify, 50, &[NEW], "")).unwrap();
            fs::write(&cfg, format!("global\n chroot /no/such\n{}", haproxy(2))).unwrap();
            let reload = hang_up(&node, 3);
            assert!(reload["outcome"].to_string().contains("chroot"), "{reload}");
            fs::write(&cfg, haproxy(2)).unwrap();
            undisturbed("after refusals");

            fs::write(&conf, keepalived(&notify, 90, &[VIP], "")).unwrap();
            let reload = hang_up(&node, 4);
            assert_eq!(reload["applied"], true, "{reload}\n{}", node.log());
            wait_for("it is gone", PATIENCE, || (!node.holds(NEW)).then_some(()));
            wait_for("priority", PATIENCE, || {
                (node.ask("/instances/0/effective_priority")? == 90).then_some(())
            });
            undisturbed("after a removal");
            assert_eq!(heard.count(VIP), announced, "announced again");
            assert!(!node.log().contains("fails"), "{}", node.log());
        },
    );
}

fn instance(name: &str, vrid: u8, vip: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n version 3\n state BACKUP\n interface eth0\n virtual_router_id {vrid}\n \
         priority 100\n advert_int 0.7\n virtual_ipaddress {{\n {vip}\n }}\n }}\n"
    )
}

#[test]
fn instances_come_go_and_change_their_vrids() {
    enclosed(
        "reload::instances_come_go_and_change_their_vrids",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let conf = node.path("keepalived.conf");
            let third = "10.77.0.30";
            fs::write(&conf, instance("A", 51, VIP) + &instance("C", 53, third)).unwrap();
            node.start(Some(&conf), &[]);
            let active = |what: &str, name: &str, vrid: u8, vip: &str| {
                wait_for(&format!("{what}: {name} is Active"), PATIENCE, || {
                    let status = node.status()?;
                    let mut instances = status["instances"].as_array()?.iter();
                    let one = instances.find(|one| one["name"] == name)?;
                    (one["state"] == "Active" && one["vrid"] == vrid && node.holds(vip))
                        .then(|| one["last_transition"].clone())
                })
            };
            active("start", "A", 51, VIP);
            let since = active("start", "C", 53, third);

            let write = |a: (u8, &str), b: (u8, &str)| {
                let (a, b) = (instance("A", a.0, a.1), instance("B", b.0, b.1));
                fs::write(&conf, b + &a + &instance("C", 53, third)).unwrap();
            };
            write((51, VIP), (52, NEW));
            assert_eq!(hang_up(&node, 1)["applied"], true, "{}", node.log());
            active("added", "B", 52, NEW);
            active("added", "A", 51, VIP);

            write((52, VIP), (51, NEW));
            assert_eq!(hang_up(&node, 2)["applied"], true, "{}", node.log());
            active("swapped", "A", 52, VIP);
            active("swapped", "B", 51, NEW);

            fs::write(&conf, instance("C", 53, third)).unwrap();
            assert_eq!(hang_up(&node, 3)["applied"], true, "{}", node.log());
            wait_for("they are gone", PATIENCE, || {
                (!node.holds(VIP) && !node.holds(NEW)).then_some(())
            });
            let status = node.status().unwrap();
            assert_eq!(status["instances"].as_array().unwrap().len(), 1);
            let after = active("the one that stayed", "C", 53, third);
            assert_eq!(after, since, "never disturbed");
        },
    );
}

/// Requests to `address` from the node itself until `over`; those that failed.
/// What the kernel says about addresses from now on, and the program that writes it down.
fn monitor(node: &Node) -> (std::process::Child, std::path::PathBuf) {
    let path = node.path("addresses");
    let child = node
        .command("ip")
        .args(["-o", "monitor", "address"])
        .output(path.clone())
        .spawn()
        .unwrap();
    // The leases are renewed once a second: it listens when it has written of one.
    wait_for("the monitor", PATIENCE, || {
        let text = fs::read_to_string(&path).ok()?;
        text.contains("inet").then_some(())
    });
    (child, path)
}

#[test]
fn names_vrids_and_addresses_are_exchanged_without_a_gap() {
    enclosed(
        "reload::names_vrids_and_addresses_are_exchanged_without_a_gap",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let conf = node.path("keepalived.conf");
            let (third, fourth) = ("10.77.0.30", "10.77.0.40");
            let stays = instance("C", 53, third);
            let write = |text: String| fs::write(&conf, text + &stays).unwrap();
            write(instance("A", 51, VIP) + &instance("B", 52, NEW));
            node.start(Some(&conf), &[]);
            // Name, VRID and the last change of each instance, once all are Active and hold these addresses.
            let active = |what: &str, names: &[(&str, u8)], vips: &[&str]| {
                wait_for(&format!("{what}\n{}", node.log()), PATIENCE, || {
                    let status = node.status()?;
                    let instances = status["instances"].as_array()?;
                    let all = instances.iter().all(|one| one["state"] == "Active");
                    let found = names.iter().filter(|(name, vrid)| {
                        let mut all = instances.iter();
                        all.any(|one| one["name"] == *name && one["vrid"] == *vrid)
                    });
                    let holds = vips.iter().all(|vip| node.holds(vip));
                    let ready = all && holds && found.count() == instances.len();
                    let mut since: Vec<String> = instances
                        .iter()
                        .map(|one| one["last_transition"]["at"].to_string())
                        .collect();
                    since.sort();
                    ready.then_some(since)
                })
            };
            let four = [VIP, NEW, third];
            let since = active("start", &[("A", 51), ("B", 52), ("C", 53)], &four);
            let (mut monitor, told) = monitor(&node);
            let undisturbed = |what: &str, number: u64, names: &[(&str, u8)], vips: &[&str]| {
                let reload = hang_up(&node, number);
                assert_eq!(reload["applied"], true, "{what}: {reload}\n{}", node.log());
                assert_eq!(active(what, names, vips), since, "{what}");
            };

            write(instance("A", 52, VIP) + &instance("B", 51, NEW));
            undisturbed(
                "VRIDs swapped",
                1,
                &[("A", 52), ("B", 51), ("C", 53)],
                &four,
            );
            write(instance("Z", 52, VIP) + &instance("B", 51, NEW));
            undisturbed("renamed", 2, &[("Z", 52), ("B", 51), ("C", 53)], &four);
            let two = format!("{NEW}\n {VIP}");
            write(instance("B", 51, &two) + &instance("Z", 52, fourth));
            let all = [VIP, NEW, third, fourth];
            undisturbed("moved", 3, &[("Z", 52), ("B", 51), ("C", 53)], &all);

            // What goes leaves its address to one that stays; a broken file changes nothing.
            let three = format!("{two}\n {fourth}");
            write(instance("B", 51, &three));
            assert_eq!(hang_up(&node, 4)["applied"], true, "{}", node.log());
            let since = active("inherited", &[("B", 51), ("C", 53)], &all);
            write("vrrp_instance B {\n".to_owned());
            let refused = hang_up(&node, 5);
            assert_eq!(refused["applied"], false, "{refused}");
            assert_eq!(active("refused", &[("B", 51), ("C", 53)], &all), since);

            monitor.kill().unwrap();
            monitor.wait().unwrap();
            let told = fs::read_to_string(told).unwrap();
            let deleted: Vec<&str> = told.lines().filter(|l| l.starts_with("Deleted")).collect();
            assert!(deleted.is_empty(), "{deleted:#?}");

            // The owner joins a sync group by a reload.
            let owner = instance("O", 54, "10.77.0.50").replace("priority 100", "priority 255");
            let group = "vrrp_sync_group G {\n group {\n O\n C\n }\n}\n";
            write(instance("B", 51, &three) + &owner + group);
            assert_eq!(hang_up(&node, 6)["applied"], true, "{}", node.log());
            active(
                "owner",
                &[("B", 51), ("O", 54), ("C", 53)],
                &["10.77.0.50", third],
            );
        },
    );
}
