//! Files and processes that an instance tracks, and interfaces that carry something of it, through the whole daemon.

use std::{
    fs,
    time::{Duration, Instant},
};

use ha_lb::lab::Lab;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    node::Node,
    support::{Needs, enclosed, wait_for},
};

/// The program under test.
const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");
const PATIENCE: Duration = Duration::from_secs(15);

const FILE: &str = "track_file load {\n file \"/run/load\"\n weight 2\n init_file 5\n}\n\
    vrrp_track_process worker {\n process tracked-worker\n}\n\
    vrrp_instance V {\n state BACKUP\n version 3\n interface eth0\n virtual_router_id 51\n priority 100\n \
    advert_int 0.1\n virtual_ipaddress {\n 192.168.10.10\n }\n track_file {\n load\n }\n track_process {\n worker\n \
    }\n}\n";

#[test]
fn a_file_moves_the_priority_and_a_lost_process_is_a_fault_at_once() {
    let name = "tracking::a_file_moves_the_priority_and_a_lost_process_is_a_fault_at_once";
    enclosed(name, Needs::Namespaces, &["unshare", "ip"], || {
        let scratch = tempfile::tempdir().unwrap();
        let lab = Lab::new().unwrap();
        let mut node = Node::new(&lab, scratch.path(), "lb", "eth0", &["192.168.10.11/24"]);
        let path = scratch.path().join("keepalived.conf");
        fs::write(&path, FILE).unwrap();
        let worker = scratch.path().join("tracked-worker");
        fs::copy("/bin/sleep", &worker).unwrap();
        node.start(Some(&path), &[]);
        // Nothing runs yet.
        wait_for("a fault", PATIENCE, || {
            (node.state() == "Fault").then_some(())
        });
        let held = node.ask("/instances/0/held_by").unwrap();
        assert_eq!(held, "process worker failed");
        let mut running = node.host.command(&worker).arg("600").spawn().unwrap();
        wait_for("Active", PATIENCE, || {
            (node.state() == "Active").then_some(())
        });

        let priority = |node: &Node| node.ask("/instances/0/effective_priority");
        assert_eq!(
            priority(&node).unwrap(),
            110,
            "what init_file has written, twice"
        );
        fs::write(node.path("run/load"), "-30\n").unwrap();
        wait_for("40", PATIENCE, || (priority(&node)? == 40).then_some(()));
        fs::write(node.path("run/load"), "-127\n").unwrap();
        wait_for("a fault by the file", PATIENCE, || {
            (node.state() == "Fault").then_some(())
        });
        assert_eq!(
            node.ask("/instances/0/held_by").unwrap(),
            "file load failed"
        );
        fs::remove_file(node.path("run/load")).unwrap();
        wait_for("Active", PATIENCE, || {
            (node.state() == "Active").then_some(())
        });
        assert_eq!(priority(&node).unwrap(), 100);

        let tracked = node.ask("/scripts").unwrap();
        assert_eq!(
            (&tracked[0]["kind"], &tracked[0]["value"]),
            (&"file".into(), &0.into())
        );
        assert_eq!(
            (&tracked[1]["kind"], &tracked[1]["value"]),
            (&"process".into(), &1.into())
        );

        let killed = Instant::now();
        running.kill().unwrap();
        wait_for("a fault by the process", PATIENCE, || {
            (!node.holds("192.168.10.10")).then_some(())
        });
        println!(
            "the address was gone {:?} after the process",
            killed.elapsed()
        );
        running.wait().unwrap();
        assert_eq!(node.terminate(), Some(0));
    });
}

#[test]
fn a_link_that_bounces_is_not_seen_and_one_that_is_lost_is_after_its_delay() {
    let name = "tracking::a_link_that_bounces_is_not_seen_and_one_that_is_lost_is_after_its_delay";
    enclosed(name, Needs::Namespaces, &["unshare", "ip"], || {
        let scratch = tempfile::tempdir().unwrap();
        let lab = Lab::new().unwrap();
        let mut node = Node::new(&lab, scratch.path(), "lb", "eth0", &["192.168.10.11/24"]);
        let path = scratch.path().join("keepalived.conf");
        let instance = "vrrp_instance V {\n state MASTER\n version 3\n interface eth0\n virtual_router_id 51\n \
            priority 255\n advert_int 2\n virtual_ipaddress {\n 192.168.10.10\n }\n}\n";
        let text = format!("interface_up_down_delays {{\n eth0 1.5\n}}\n{instance}");
        fs::write(&path, text).unwrap();
        node.start(Some(&path), &[]);
        wait_for("Active", PATIENCE, || {
            (node.state() == "Active").then_some(())
        });
        lab.cut_cable(&node.host).unwrap();
        lab.mend_cable(&node.host).unwrap();
        let cut = Instant::now();
        lab.cut_cable(&node.host).unwrap();
        wait_for("a fault", PATIENCE, || {
            (node.state() == "Fault").then_some(())
        });
        let waited = cut.elapsed();
        assert!(waited >= Duration::from_millis(1400), "{waited:?}");
        println!("the loss counted after {waited:?}");
        lab.mend_cable(&node.host).unwrap();
        let mended = Instant::now();
        wait_for("the owner again", PATIENCE, || {
            (node.state() == "Active").then_some(())
        });
        assert!(
            mended.elapsed() >= Duration::from_millis(1400),
            "{:?}",
            mended.elapsed()
        );
        // The short loss before was none.
        let faults = node.ask("/instances/0/transitions").unwrap();
        let faults = faults
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["to"] == "Fault");
        assert_eq!(faults.count(), 1);
        assert_eq!(node.terminate(), Some(0));
    });
}

/// What is on another interface than the instance's own, and what of it is not tracked.
const CARRIED: [(u8, &str); 7] = [
    (1, "virtual_ipaddress_excluded {\n 10.9.1.2 dev spare\n }"),
    (
        2,
        "virtual_ipaddress_excluded {\n 10.9.2.2 dev spare no_track\n }",
    ),
    (3, "virtual_routes {\n 10.50.3.0/24 dev spare\n }"),
    (4, "virtual_routes {\n 10.50.4.0/24 dev spare no_track\n }"),
    (5, "virtual_rules {\n iif spare lookup 100 priority 75\n }"),
    (
        6,
        "virtual_rules {\n iif spare lookup 100 priority 76 no_track\n }",
    ),
    (7, "track_interface {\n spare weight 5\n }"),
];

/// An instance whose other interface is dead gives its addresses up, as keepalived's does with the same file.
#[test]
fn an_interface_that_carries_something_of_an_instance_is_tracked() {
    let name = "tracking::an_interface_that_carries_something_of_an_instance_is_tracked";
    enclosed(name, Needs::Users, &["unshare", "ip", "keepalived"], || {
        let scratch = tempfile::tempdir().unwrap();
        let lab = Lab::new().unwrap();
        let node = Node::new(&lab, scratch.path(), "lb", "eth0", &["192.168.10.11/24"]);
        node.ip(&[
            "link", "add", "spare", "type", "veth", "peer", "name", "far",
        ]);
        node.ip(&["link", "set", "far", "up"]);
        fs::write(node.path("etc/keepalived/keepalived.conf"), carried(&[])).unwrap();
        let all = [1, 2, 3, 4, 5, 6, 7];
        for program in [&["/usr/sbin/keepalived"][..], &[HA_LB, "keepalived"]] {
            node.ip(&["link", "set", "spare", "up"]);
            let mut daemon = node
                .command(program[0])
                .args(&program[1..])
                .args(["-n", "-l", "-P"])
                .output(node.path("log"))
                .spawn()
                .unwrap();
            let holds = |wanted: &[u8]| {
                let what = format!("{program:?} {wanted:?}\n{}", node.log());
                wait_for(&what, PATIENCE, || (held(&node) == wanted).then_some(()));
            };
            holds(&all);
            node.ip(&["link", "set", "spare", "down"]);
            holds(&[2, 4, 6, 7]);
            node.ip(&["link", "set", "spare", "up"]);
            holds(&all);
            kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
            assert_eq!(daemon.wait().unwrap().code(), Some(0), "{program:?}");
        }
    });
}

/// The instances of [`CARRIED`], of which those in `bare` have nothing on another interface.
fn carried(bare: &[u8]) -> String {
    let instances = CARRIED.map(|(number, lines)| {
        let lines = if bare.contains(&number) { "" } else { lines };
        format!(
            "vrrp_instance V{number} {{\n version 3\n advert_int 0.1\n interface eth0\n virtual_router_id \
             {number}\n virtual_ipaddress {{\n 10.9.{number}.1\n }}\n {lines}\n}}\n"
        )
    });
    instances.concat()
}

/// Which of [`CARRIED`] hold their addresses.
fn held(node: &Node) -> Vec<u8> {
    let all = CARRIED.iter().map(|(number, _)| *number);
    all.filter(|number| node.holds(&format!("10.9.{number}.1")))
        .collect()
}

/// An interface that nobody tracked before is heeded from the reload on, whether it dies then or was dead before; also
/// by those that are not the first to track it.
#[test]
fn an_interface_is_tracked_from_the_reload_on_that_names_it() {
    let name = "tracking::an_interface_is_tracked_from_the_reload_on_that_names_it";
    enclosed(name, Needs::Users, &["unshare", "ip"], || {
        let scratch = tempfile::tempdir().unwrap();
        let lab = Lab::new().unwrap();
        let mut node = Node::new(&lab, scratch.path(), "lb", "eth0", &["192.168.10.11/24"]);
        node.ip(&[
            "link", "add", "spare", "type", "veth", "peer", "name", "far",
        ]);
        node.ip(&["link", "set", "far", "up"]);
        node.ip(&["link", "set", "spare", "up"]);
        let path = scratch.path().join("keepalived.conf");
        let holds = |node: &Node, what: &str, wanted: &[u8]| {
            wait_for(&format!("{what}: {wanted:?}"), PATIENCE, || {
                (held(node) == wanted).then_some(())
            });
        };
        let reload = |node: &Node, text: &str, number: u64| {
            fs::write(&path, text).unwrap();
            node.hang_up();
            wait_for("the reload", PATIENCE, || {
                let reload = node.ask("/reload")?;
                (reload["number"] == number && reload["applied"] == true).then_some(())
            });
        };
        let nothing = carried(&[1, 2, 3, 4, 5, 6, 7]);
        let all = [1, 2, 3, 4, 5, 6, 7];
        fs::write(&path, &nothing).unwrap();
        node.start(Some(&path), &[]);
        holds(&node, "at first", &all);
        reload(&node, &carried(&[3, 5]), 1);
        holds(&node, "it lives", &all);
        node.ip(&["link", "set", "spare", "down"]);
        holds(&node, "it died after the reload", &[2, 3, 4, 5, 6, 7]);
        reload(&node, &carried(&[5]), 2);
        holds(&node, "it was dead, another tracks it", &[2, 4, 5, 6, 7]);
        reload(&node, &nothing, 3);
        holds(&node, "nobody tracks it", &all);
        reload(&node, &carried(&[3, 5]), 4);
        holds(&node, "it was dead, nobody tracked it", &[2, 3, 4, 5, 6, 7]);
        node.ip(&["link", "set", "spare", "up"]);
        holds(&node, "it lives again", &all);
        assert_eq!(node.terminate(), Some(0));
    });
}
