//! `multi-service/`: two services with an address each on the same two hosts, each failing over by itself. The file
//! defines its scripts after their use, has words after a closing quote and passwords of 13 characters.

use std::time::Duration;

use ha_lb::lab::Lab;

use crate::{
    node::Node,
    support::{Needs, enclosed, users_file, wait_for},
};

const FILE: &str = "multi-service/keepalived.conf";
const VIP_A: &str = "192.168.1.100";
const VIP_B: &str = "192.168.1.101";
/// 3.6 s of silence, or a script's 2 s and then that; the rest is starting.
const ELECTION: Duration = Duration::from_secs(15);

/// A host whose services run until `run/A.down` or `run/B.down` is there.
fn node(lab: &Lab, scratch: &std::path::Path, number: u8) -> Node {
    let address = format!("192.168.1.1{number}/24");
    let node = Node::new(lab, scratch, &format!("n{number}"), "eth0", &[&address]);
    for service in ["A", "B"] {
        let name = format!("etc/keepalived/check_service{service}.sh");
        node.script(&name, &format!("test ! -e /run/{service}.down"));
    }
    node
}

fn holders<'n>(nodes: &[&'n Node], vip: &str) -> Vec<&'n str> {
    let holders = nodes.iter().filter(|node| node.holds(vip));
    holders.map(|node| node.host.name()).collect()
}

#[test]
fn two_services_fail_over_by_themselves() {
    enclosed(
        "multi_service::two_services_fail_over_by_themselves",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut nodes = [1, 2].map(|number| node(&lab, scratch.path(), number));
            let [n1, n2] = &mut nodes;
            n1.start(Some(&users_file(FILE)), &[]);
            for vip in [VIP_A, VIP_B] {
                wait_for("the first has both", ELECTION, || {
                    n1.holds(vip).then_some(())
                });
            }
            n2.start(Some(&users_file(FILE)), &[]);
            let [n1, n2] = &nodes;
            let held_by = |vip: &str, holder: &str| {
                wait_for(&format!("{vip} only on {holder}"), ELECTION, || {
                    (holders(&[n1, n2], vip) == [holder]).then_some(())
                });
            };
            // Equal files: the equal of the one that has them leaves them to it.
            held_by(VIP_A, "n1");
            held_by(VIP_B, "n1");
            for node in [n1, n2] {
                wait_for("both scripts count", ELECTION, || {
                    let priority = |number| {
                        node.ask(&format!("/instances/{number}/effective_priority"))
                            .unwrap_or_default()
                    };
                    (priority(0) == 102 && priority(1) == 102).then_some(())
                });
            }

            n1.flag("run/A.down", true);
            held_by(VIP_A, "n2");
            held_by(VIP_B, "n1");
            wait_for("the states", ELECTION, || {
                let states = (n1.state_of("VI_A"), n1.state_of("VI_B"));
                (states == ("Backup".to_owned(), "Active".to_owned())).then_some(())
            });

            // A service that runs again is an equal: it does not take its address back.
            n1.flag("run/A.down", false);
            n1.flag("run/B.down", true);
            held_by(VIP_B, "n2");
            held_by(VIP_A, "n2");
        },
    );
}

#[test]
fn what_the_file_gets_wrong_is_said_once_each() {
    enclosed(
        "multi_service::what_the_file_gets_wrong_is_said_once_each",
        Needs::Namespaces,
        &["unshare", "ip", "keepalived"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let (mut ours, mut theirs) =
                (node(&lab, scratch.path(), 1), node(&lab, scratch.path(), 2));
            ours.start(Some(&users_file(FILE)), &[]);
            theirs.start_keepalived(&users_file(FILE));

            // keepalived loses the scripts and stays at 100; ours has 102 in spite of its lower address. That it
            // follows shows that the same 8 bytes of the password are sent.
            for vip in [VIP_A, VIP_B] {
                wait_for("ours holds both addresses", ELECTION, || {
                    (holders(&[&ours, &theirs], vip) == ["n1"]).then_some(())
                });
            }
            let log = ours.log();
            for (what, times) in [
                ("keepalived would ignore", 1),
                ("text after the value of `script`", 1),
                ("`auth_pass` is longer than 8 bytes", 2),
            ] {
                let said = log.lines().filter(|line| line.contains(what)).count();
                assert_eq!(said, times, "{what}:\n{log}");
            }
            assert!(
                !log.contains("serviceA_pass"),
                "a password is shown:\n{log}"
            );
            assert!(!log.contains("rejected"), "{log}");
            let theirs = theirs.log();
            assert!(
                !theirs.contains("bogus") && !theirs.contains("invalid"),
                "{theirs}"
            );
        },
    );
}
