//! The daemon's own lines: as JSON, and as fields in systemd's journal.

use std::{fs, io::ErrorKind, os::unix::net::UnixDatagram, process::Child, time::Duration};

use ha_lb::lab::Lab;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    node::Node,
    support::{Needs, enclosed, wait_for},
};

const PATIENCE: Duration = Duration::from_secs(15);
const FILE: &str = "vrrp_instance VI_1 {\n state BACKUP\n interface eth0\n virtual_router_id 51\n priority 100\n \
                    advert_int 1\n virtual_ipaddress {\n 10.77.0.10\n }\n}\n";

/// `ha-lb run` with these options; ended in order by [`end`].
fn run(node: &Node, options: &[&str]) -> Child {
    let file = node.path("keepalived.conf");
    fs::write(&file, FILE).unwrap();
    node.command(env!("CARGO_BIN_EXE_ha-lb"))
        .arg("run")
        .args(options)
        .arg("-k")
        .arg(&file)
        .arg("--control")
        .arg(node.path("control"))
        .output(node.path("log"))
        .spawn()
        .unwrap()
}

fn end(mut daemon: Child) {
    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    assert!(daemon.wait().unwrap().success());
}

#[test]
fn each_line_is_a_json_object_with_the_event_s_fields() {
    enclosed(
        "logs::each_line_is_a_json_object_with_the_event_s_fields",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let daemon = run(&node, &["--log-format", "json"]);
            let objects = || -> Vec<Value> {
                let log = node.log();
                let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
                whole
                    .lines()
                    .map(|line| serde_json::from_str(line).unwrap())
                    .collect()
            };
            let active = wait_for("Active", PATIENCE, || {
                objects().into_iter().find(|one| one["state"] == "Active")
            });
            assert_eq!(active["vrrp_instance"], "VI_1");
            assert_eq!(active["previous_state"], "Backup");
            assert_eq!(active["level"], "INFO");
            let words = active["message"].as_str().unwrap();
            assert!(
                words.starts_with("VI_1: Backup -> Active: no advert"),
                "{words}"
            );
            end(daemon);
            assert!(objects().len() > 3);
        },
    );
}

#[test]
fn the_journal_gets_fields_from_every_process() {
    enclosed(
        "logs::the_journal_gets_fields_from_every_process",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            fs::create_dir_all(node.path("run/systemd/journal")).unwrap();
            let journal = UnixDatagram::bind(node.path("run/systemd/journal/socket")).unwrap();
            journal.set_read_timeout(Some(PATIENCE)).unwrap();
            let daemon = run(&node, &["--log-target", "journald"]);
            let mut seen = Vec::new();
            let mut buffer = [0; 4096];
            loop {
                let length = match journal.recv(&mut buffer) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    received => received.unwrap(),
                };
                let entry = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let is_active = entry.contains("\nSTATE=Active\n");
                seen.push(entry);
                if is_active {
                    break;
                }
            }
            let active = seen.last().unwrap();
            for field in [
                "PRIORITY=6\n",
                "SYSLOG_IDENTIFIER=ha-lb\n",
                "\nMESSAGE=VI_1: Backup -> Active: no advert from anyone for ",
                "\nVRRP_INSTANCE=VI_1\n",
                "\nPREVIOUS_STATE=Backup\n",
            ] {
                assert!(active.contains(field), "{field}\n{active}");
            }
            assert!(
                seen.iter().any(|entry| entry.contains("listens after")),
                "the supervisor: {seen:?}"
            );
            assert_eq!(node.log(), "", "nothing twice");
            end(daemon);
        },
    );
}
