//! `single/`: one address between two hosts with passwords in their adverts, and what is said of an interface that
//! is not there.

use std::{path::Path, time::Duration};

use ha_lb::lab::Lab;

use crate::{
    node::Node,
    support::{Needs, enclosed, users_file, wait_for},
};

const VIP: &str = "192.168.1.100";
/// Active_Down_Interval of the slower host is 3.65 s; the rest is starting.
const ELECTION: Duration = Duration::from_secs(12);
const ADDRESSES: [&str; 2] = ["192.168.1.11/24", "192.168.1.12/24"];

fn pair(lab: &Lab, scratch: &Path) -> [Node; 2] {
    let mut addresses = ADDRESSES.iter();
    ["n1", "n2"].map(|name| Node::new(lab, scratch, name, "ens33", &[addresses.next().unwrap()]))
}

/// The first of the two holds the address, and the second does not.
fn wait_for_only(holder: &Node, other: &Node) {
    let what = format!("only {} holds the address", holder.host.name());
    wait_for(&what, ELECTION, || {
        (holder.holds(VIP) && !other.holds(VIP)).then_some(())
    });
}

#[test]
fn the_backup_takes_over_and_the_master_comes_back() {
    enclosed(
        "single::the_backup_takes_over_and_the_master_comes_back",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let [mut master, mut backup] = pair(&lab, scratch.path());
            let file = users_file("single/keepalived-master.conf");
            master.start(Some(&file), &[]);
            backup.start(Some(&users_file("single/keepalived-backup.conf")), &[]);
            wait_for_only(&master, &backup);
            let heard = wait_for("the backup hears the master", ELECTION, || {
                backup.ask("/instances/0/peers/0/address")
            });
            assert_eq!(heard, "192.168.1.11");

            lab.cut_cable(&master.host).unwrap();
            master.kill();
            wait_for("the backup takes over", ELECTION, || {
                backup.holds(VIP).then_some(())
            });
            lab.mend_cable(&master.host).unwrap();
            master.start(Some(&file), &[]);
            wait_for_only(&master, &backup);

            assert_eq!(master.terminate(), Some(0), "{}", master.log());
            wait_for_only(&backup, &master);
            let resigned = "VI_1: Backup -> Active: 192.168.1.11 resigned";
            wait_for(&format!("{resigned}\n{}", backup.log()), ELECTION, || {
                backup.log().contains(resigned).then_some(())
            });
        },
    );
}

#[test]
fn keepalived_with_the_same_password_is_master_until_it_dies() {
    enclosed(
        "single::keepalived_with_the_same_password_is_master_until_it_dies",
        Needs::Namespaces,
        &["unshare", "ip", "keepalived"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let [mut theirs, mut ours] = pair(&lab, scratch.path());
            let file = users_file("single/keepalived-master.conf");
            theirs.start_keepalived(&file);
            ours.start(Some(&users_file("single/keepalived-backup.conf")), &[]);
            wait_for_only(&theirs, &ours);
            theirs.kill_keepalived(&[VIP]);
            wait_for_only(&ours, &theirs);
            theirs.start_keepalived(&file);
            wait_for_only(&theirs, &ours);
            assert!(!ours.log().contains("rejected"), "{}", ours.log());
        },
    );
}

#[test]
fn an_interface_that_does_not_exist_is_waited_for_and_said_so() {
    enclosed(
        "single::an_interface_that_does_not_exist_is_waited_for_and_said_so",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "n1", "eth0", &["192.168.1.11/24"]);
            node.start(Some(&users_file("single/keepalived-master.conf")), &[]);
            let reason = wait_for("a fault", ELECTION, || {
                (node.state() == "Fault")
                    .then(|| node.ask("/instances/0/last_transition/reason"))
                    .flatten()
            });
            assert_eq!(reason, "interface ens33 does not exist");
            for change in [
                ["link", "set", "eth0", "down"].as_slice(),
                &["link", "set", "eth0", "name", "ens33"],
                &["link", "set", "ens33", "up"],
            ] {
                let output = node.host.command("ip").args(change).capture().unwrap();
                assert!(output.status.success(), "{change:?}");
            }
            wait_for("it appears", ELECTION, || node.holds(VIP).then_some(()));
            // It is there before it is up.
            let log = node.log();
            let (missing, down) = (log.find("ens33 does not exist"), log.find("ens33 is down"));
            assert!(missing < down || down.is_none(), "{log}");
        },
    );
}
