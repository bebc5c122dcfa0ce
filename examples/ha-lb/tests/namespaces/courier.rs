//! `courier/`: two hosts that elect a master for a mail relay and have no virtual address: unicast adverts with a
//! password and an address count of 0, three scripts, notify scripts with arguments. keepalived is the peer.

use std::{fs, path::Path, time::Duration};

use ha_lb::lab::Lab;

use crate::{
    node::Node,
    support::{Needs, enclosed, users_file, wait_for},
};

const FILE: &str = "courier/keepalived.conf";
/// Adverts every 5 s: 15.6 s of silence; the rest is starting.
const ELECTION: Duration = Duration::from_secs(25);

/// A host with the scripts of the file: `run/NAME.down` makes them fail; a notify script writes its arguments down,
/// but for a fault only once `run/go` is there.
fn node(lab: &Lab, scratch: &Path, name: &str, address: &str) -> Node {
    let node = Node::new(lab, scratch, name, "eth0", &[&format!("{address}/24")]);
    node.script("etc/keepalived/check_script.sh", "test ! -e /run/$1.down");
    node.script("etc/keepalived/check_network.sh", "true");
    node.script(
        "etc/keepalived/notify.sh",
        "if [ $2 = FAULT ]; then until [ -e /run/go ]; do sleep 0.05; done; fi\n\
         (printf '<%s>' \"$@\"; echo) >>/run/notified",
    );
    node
}

fn notified(node: &Node) -> Vec<String> {
    let text = fs::read_to_string(node.path("run/notified")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The other host's file: addresses exchanged, a lower priority.
fn peers_file(scratch: &Path) -> std::path::PathBuf {
    let text = fs::read_to_string(users_file(FILE)).unwrap();
    let text = text
        .replace("100.77.189.139", "OWN")
        .replace("100.77.189.137", "100.77.189.139")
        .replace("OWN", "100.77.189.137")
        .replace("priority  100", "priority  90");
    let path = scratch.join("peer.conf");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_master_without_an_address_beside_keepalived() {
    enclosed(
        "courier::a_master_without_an_address_beside_keepalived",
        Needs::Namespaces,
        &["unshare", "ip", "keepalived"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut ours = node(&lab, scratch.path(), "ours", "100.77.189.139");
            let mut theirs = node(&lab, scratch.path(), "theirs", "100.77.189.137");
            ours.start(Some(&users_file(FILE)), &[]);
            theirs.start_keepalived(&peers_file(scratch.path()));
            wait_for("ours Active", ELECTION, || {
                (ours.state() == "Active").then_some(())
            });
            assert_eq!(ours.ask("/instances/0/effective_priority").unwrap(), 101);
            let expected = ["<courier><BACKUP>", "<courier><MASTER>"];
            wait_for("the notify scripts", ELECTION, || {
                (notified(&ours) == expected).then_some(())
            });

            // One failure of a script without a weight is a fault: keepalived takes over at once.
            ours.flag("run/courier.down", true);
            wait_for("a fault", Duration::from_secs(10), || {
                (ours.state() == "Fault").then_some(())
            });
            let master = "(courier) Entering MASTER STATE";
            wait_for("keepalived takes over", Duration::from_secs(10), || {
                theirs.log().contains(master).then_some(())
            });

            // Two successes end it. The script of the fault still runs: that of the backup waits for it.
            ours.flag("run/courier.down", false);
            wait_for("ours Backup", Duration::from_secs(20), || {
                (ours.state() == "Backup").then_some(())
            });
            let peer = wait_for("ours hears keepalived", ELECTION, || {
                ours.ask("/instances/0/peers/0")
            });
            assert_eq!(
                (&peer["address"], &peer["priority"]),
                (&"100.77.189.137".into(), &91.into())
            );
            assert_eq!(notified(&ours), expected);
            ours.flag("run/go", true);
            wait_for("the notify scripts in order", ELECTION, || {
                let after = ["<courier><FAULT>", "<courier><BACKUP>"];
                (notified(&ours) == [expected, after].concat()).then_some(())
            });

            let log = ours.log();
            let warnings = log
                .lines()
                .filter(|line| line.contains("without addresses"));
            assert_eq!(warnings.count(), 1, "{log}");
            assert!(!log.contains("rejected"), "{log}");
            let theirs = theirs.log();
            assert!(
                !theirs.contains("bogus") && !theirs.contains("invalid"),
                "{theirs}"
            );
        },
    );
}
