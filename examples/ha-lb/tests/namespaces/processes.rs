//! The daemon's processes: what each may do, what follows when one is killed, and the scripts that the supervisor
//! runs for the speaker.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use ha_lb::lab::{Lab, Origin};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    node::Node,
    support::{Needs, enclosed, wait_for},
};

pub(crate) const VIP: &str = "10.77.0.10";
const PATIENCE: Duration = Duration::from_secs(10);

/// A host that holds the address and balances to an origin of its own.
pub(crate) struct Site {
    pub(crate) node: Node,
    _origin: Origin,
    _lab: Lab,
}

impl Site {
    /// `script` and `instance` are lines of the `vrrp_script` and of the instance beside the usual ones, `global` of
    /// haproxy.cfg.
    pub(crate) fn start(scratch: &Path, script: &str, instance: &str, global: &str) -> Self {
        Self::prepare(scratch, script, instance, global).run()
    }

    /// The usual one, after `first` has seen to the host.
    pub(crate) fn start_with(scratch: &Path, first: impl FnOnce(&mut Node)) -> Self {
        let mut site = Self::prepare(scratch, "script \"pidof haproxy\"", "", "");
        first(&mut site.node);
        site.run()
    }

    fn prepare(scratch: &Path, script: &str, instance: &str, global: &str) -> Self {
        let lab = Lab::new().unwrap();
        let node = Node::new(&lab, scratch, "h1", "eth0", &["10.77.0.11/24"]);
        let origin = Origin::start(&node.host, "10.77.0.11:8080".parse().unwrap(), "web").unwrap();
        let keepalived = format!(
            "vrrp_script check {{\n {script}\n}}\n\
             vrrp_instance VI_1 {{\n version 3\n state BACKUP\n interface eth0\n virtual_router_id 51\n \
             priority 100\n advert_int 0.7\n virtual_ipaddress {{\n {VIP}\n }}\n \
             track_script {{\n check\n }}\n {instance}\n}}\n"
        );
        let haproxy = format!(
            "global\n nbthread 2\n {global}\ndefaults\n mode http\n timeout client 5s\n timeout server 5s\n \
             timeout connect 5s\nlisten web\n bind *:80\n server web 10.77.0.11:8080\n"
        );
        fs::write(node.path("keepalived.conf"), keepalived).unwrap();
        fs::write(node.path("haproxy.cfg"), haproxy).unwrap();
        Self {
            node,
            _origin: origin,
            _lab: lab,
        }
    }

    fn run(mut self) -> Self {
        let (keepalived, haproxy) = (
            self.node.path("keepalived.conf"),
            self.node.path("haproxy.cfg"),
        );
        self.node.start(Some(&keepalived), &[&haproxy]);
        self.wait("Active", |status| {
            status["instances"][0]["state"] == "Active" && status["balancer"]["ready"] == true
        });
        self
    }

    pub(crate) fn wait(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        wait_for(&format!("{what}\n{}", self.node.log()), PATIENCE, || {
            self.node.status().filter(|status| condition(status))
        })
    }

    fn kill(&self, role: &str) -> i64 {
        let status = self.node.status().unwrap();
        let pid = status[role]["pid"].as_i64().unwrap();
        kill_process(
            Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(),
            Signal::KILL,
        )
        .unwrap();
        pid
    }
}

#[test]
fn a_killed_speaker_is_started_again_beside_the_same_balancer() {
    enclosed(
        "processes::a_killed_speaker_is_started_again_beside_the_same_balancer",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let mut site = Site::start(scratch.path(), "script \"pidof haproxy\"", "", "");
            let balancer = site.node.ask("/balancer/pid").unwrap();
            site.kill("vrrp");
            let status = site.wait("Active again", |status| {
                status["vrrp"]["restarts"] == 1 && status["instances"][0]["state"] == "Active"
            });
            assert_eq!(status["balancer"]["pid"], balancer);
            // Who is Active puts it up next.
            wait_for("the address again", PATIENCE, || {
                site.node.holds(VIP).then_some(())
            });
            // Skew_Time instead of a whole Active_Down_Interval.
            assert_eq!(
                status["instances"][0]["last_transition"]["reason"],
                "this host was Active until its VRRP process died"
            );
            assert_eq!(site.node.terminate(), Some(0), "{}", site.node.log());
            assert!(!site.node.holds(VIP));
        },
    );
}

#[test]
fn a_balancer_that_dies_twice_gives_the_address_up_until_it_serves() {
    enclosed(
        "processes::a_balancer_that_dies_twice_gives_the_address_up_until_it_serves",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let site = Site::start(scratch.path(), "script \"killall -0 haproxy\"", "", "");
            let log = site.node.log();
            let said = log
                .matches("is answered by this daemon's own balancer")
                .count();
            assert_eq!(said, 1, "{log}");
            let first = site.kill("balancer");
            let status = site.wait("another balancer", |status| {
                status["balancer"]["ready"] == true && status["balancer"]["pid"] != first
            });
            // One death within the grace is no failure.
            assert_eq!(status["instances"][0]["state"], "Active");
            assert!(
                !site.node.log().contains("check: fails"),
                "{}",
                site.node.log()
            );
            site.kill("balancer");
            site.wait("Active again", |status| {
                status["balancer"]["restarts"] == 2 && status["instances"][0]["state"] == "Active"
            });
            let log = site.node.log();
            assert!(
                log.contains("vrrp_script check: fails (the balancer does not serve)"),
                "{log}"
            );
            assert!(
                log.contains("VI_1: Active -> Fault: script check failed"),
                "{log}"
            );
            assert!(
                log.contains("VI_1: Fault -> Backup: the fault is gone"),
                "{log}"
            );
        },
    );
}

#[test]
fn a_script_that_fails_from_the_start_is_a_fault_that_is_told() {
    enclosed(
        "processes::a_script_that_fails_from_the_start_is_a_fault_that_is_told",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let notes = scratch.path().join("notes");
            let note = scratch.path().join("note.sh");
            fs::write(&note, format!("echo \"$*\" >> {}\n", notes.display())).unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let keepalived = node.path("keepalived.conf");
            let text = format!(
                "vrrp_script check {{\n script \"sh -c 'sleep 0.3; exit 1'\"\n}}\n\
                 vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {{\n {VIP}\n }}\n \
                 track_script {{\n check\n }}\n notify_fault \"/bin/sh {} fault\"\n}}\n",
                note.display()
            );
            fs::write(&keepalived, text).unwrap();
            node.start(Some(&keepalived), &[]);
            let status = wait_for(&format!("Fault\n{}", node.log()), PATIENCE, || {
                let status = node.status()?;
                (status["instances"][0]["state"] == "Fault").then_some(status)
            });
            let last = &status["instances"][0]["last_transition"];
            assert_eq!(last["reason"], "script check failed", "{status}");
            wait_for("the log", PATIENCE, || {
                node.log()
                    .contains("VI_1: Initialize -> Fault: script check failed")
                    .then_some(())
            });
            wait_for("notify_fault", PATIENCE, || {
                (fs::read_to_string(&notes).ok()? == "fault\n").then_some(())
            });
        },
    );
}

#[test]
fn scripts_are_run_weighed_and_notified_in_order() {
    enclosed(
        "processes::scripts_are_run_weighed_and_notified_in_order",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let (flag, notes) = (scratch.path().join("flag"), scratch.path().join("notes"));
            let note = scratch.path().join("note.sh");
            fs::write(&flag, "").unwrap();
            fs::write(&note, format!("echo \"$*\" >> {}\n", notes.display())).unwrap();
            let check = format!(
                "script \"test -e {}\"\n interval 0.1\n fall 2\n rise 2\n weight -30",
                flag.display()
            );
            let note = note.display();
            let hooks = format!(
                "notify_master \"/bin/sh {note} to master\"\n notify_backup \"/bin/sh {note} to backup\"\n \
                 notify \"/bin/sh {note} any\""
            );
            let mut site = Site::start(scratch.path(), &check, &hooks, "");
            let began = Instant::now();
            fs::remove_file(&flag).unwrap();
            site.wait("the weight counts", |status| {
                status["instances"][0]["effective_priority"] == 70
            });
            assert!(began.elapsed() >= Duration::from_millis(100));
            fs::write(&flag, "").unwrap();
            site.wait("it counts no longer", |status| {
                status["instances"][0]["effective_priority"] == 100
            });
            assert_eq!(site.node.terminate(), Some(0), "{}", site.node.log());
            assert_eq!(
                fs::read_to_string(notes)
                    .unwrap()
                    .lines()
                    .collect::<Vec<_>>(),
                [
                    "to backup",
                    "any INSTANCE VI_1 BACKUP 100",
                    "to master",
                    "any INSTANCE VI_1 MASTER 100",
                    "any INSTANCE VI_1 STOP 100",
                ]
            );
        },
    );
}
