//! What operators see of a running cluster: states and why, peers, rejections, processes, metrics.

use std::{fs, path::Path, time::Duration};

use ha_lb::lab::{Lab, Origin};
use serde_json::Value;

use crate::{
    exposition,
    node::Node,
    support::{Needs, enclosed, wait_for},
};

const VIP: &str = "10.77.0.10";
const PATIENCE: Duration = Duration::from_secs(15);
const PROGRAMS: [&str; 2] = ["unshare", "ip"];

/// An instance of VRID 51 with `password`; `more` are further lines of it.
fn keepalived(priority: u8, password: &str, more: &str) -> String {
    format!(
        "global_defs {{\n router_id lab\n log_unknown_vrids\n}}\n\
         vrrp_script check {{\n script \"test -e /run/good\"\n interval 1\n weight 20\n}}\n\
         vrrp_instance VI_1 {{\n version 2\n state BACKUP\n interface eth0\n virtual_router_id 51\n \
         priority {priority}\n advert_int 1\n authentication {{\n auth_type PASS\n auth_pass {password}\n }}\n \
         virtual_ipaddress {{\n {VIP}\n }}\n {more}\n}}\n"
    )
}

fn start(node: &mut Node, keepalived: &str, haproxy: Option<&str>) {
    let (vrrp, proxy) = (node.path("keepalived.conf"), node.path("haproxy.cfg"));
    fs::write(&vrrp, keepalived).unwrap();
    let mut files: Vec<&Path> = Vec::new();
    if let Some(text) = haproxy {
        fs::write(&proxy, text).unwrap();
        files.push(&proxy);
    }
    node.start(Some(&vrrp), &files);
}

fn wait(node: &Node, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, PATIENCE, || {
        node.status().filter(|status| condition(status))
    })
}

fn count(list: &Value, cause: &str) -> u64 {
    let mut all = list.as_array().into_iter().flatten();
    let one = all.find(|one| one["cause"] == cause);
    one.and_then(|one| one["count"].as_u64()).unwrap_or(0)
}

#[test]
fn status_tells_why_who_and_what_is_wrong() {
    enclosed(
        "observe::status_tells_why_who_and_what_is_wrong",
        Needs::Namespaces,
        &PROGRAMS,
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let node = |name: &str, address: &str| {
                Node::new(&lab, scratch.path(), name, "eth0", &[address])
            };
            let mut h1 = node("h1", "10.77.0.11/24");
            let mut h2 = node("h2", "10.77.0.12/24");
            let mut stranger = node("h3", "10.77.0.13/24");
            h1.flag("run/good", true);
            let track = "track_script {\n check\n }";
            start(&mut h1, &keepalived(100, "secret", track), None);
            start(&mut h2, &keepalived(110, "secret", ""), None);
            let unknown = "vrrp_instance VI_2 {\n interface eth0\n virtual_router_id 52\n advert_int 1\n \
                virtual_ipaddress {\n 10.77.0.20\n }\n}\n";
            let other = unknown.replace("VI_2", "VI_3").replace("52", "53");
            let strange = keepalived(50, "other", "") + unknown + &other.replace(".20", ".21");
            start(&mut stranger, &strange, None);

            active_explains_itself(&h1);
            backup_knows_whom_it_follows(&h2);
            for vrid in [52, 53] {
                wait_for("the unknown routers are told of", PATIENCE, || {
                    let told = format!(
                        "eth0: advert from 10.77.0.13: no virtual router {vrid} here (1 so far)"
                    );
                    h1.log().contains(&told).then_some(())
                });
                // What is told may be a little older than the log.
                let of = wait_for("the unknown routers in the status", PATIENCE, || {
                    let status = h1.status()?;
                    let mut strangers = status["strangers"].as_array()?.iter();
                    strangers.find(|one| one["vrid"] == vrid).cloned()
                });
                assert_eq!(
                    (&of["interface"], &of["address"]),
                    (&"eth0".into(), &"10.77.0.13".into())
                );
            }

            h1.flag("run/good", false);
            wait(&h2, "h2 is Active", |status| {
                status["instances"][0]["state"] == "Active"
            });
            let status = wait(&h1, "h1 gave way", |status| {
                status["instances"][0]["state"] == "Backup"
            });
            let one = &status["instances"][0];
            let reason = one["last_transition"]["reason"].as_str().unwrap();
            assert!(reason.contains("10.77.0.12 has priority 110"), "{reason}");
            assert_eq!(one["tracks"][0]["contribution"], 0);
            assert_eq!(status["scripts"][0]["result"], "fails");
            people_and_prometheus_read_the_same(&h1);
        },
    );
}

/// An Active router that rejects a stranger.
fn active_explains_itself(h1: &Node) {
    let status = wait(h1, "h1 is Active and rejects", |status| {
        let one = &status["instances"][0];
        one["state"] == "Active" && count(&one["counters"]["rejected"], "authentication") > 1
    });
    let one = &status["instances"][0];
    let track = &one["tracks"][0];
    assert_eq!(
        (&track["kind"], &track["name"], &track["health"]),
        (&"script".into(), &"check".into(), &"up".into())
    );
    assert_eq!(
        (&track["weight"], &track["contribution"]),
        (&20.into(), &20.into())
    );
    assert_eq!(
        (&one["priority"], &one["effective_priority"]),
        (&100.into(), &120.into())
    );
    assert_eq!(one["refused"][0]["address"], "10.77.0.13", "{one}");
    assert_eq!(one["refused"][0]["reason"], "its password is not ours");
    assert_eq!(
        (&one["addresses"], &one["fence"]),
        (&"up".into(), &"on".into()),
        "{one}"
    );
    let left = one["lease"]["left"].as_f64().unwrap();
    assert!(left > 0.0 && left <= 3.0, "{one}");
    assert!(one["counters"]["sent"].as_u64().unwrap() >= 1);
    assert!(one["counters"]["send_lateness_max"].as_f64().unwrap() < 5.0);
    assert_eq!(one["transitions"][0]["to"], "Active");
    assert_eq!(
        one["transitions"][0],
        one["last_transition"].clone().with_time_of(one)
    );
    assert_eq!(
        status["vrrp"]["capabilities"],
        serde_json::json!(["CAP_NET_ADMIN", "CAP_NET_RAW"])
    );
    assert!(status["vrrp"]["memory"].as_u64().unwrap() > 1_000_000);
}

/// A Backup.
fn backup_knows_whom_it_follows(h2: &Node) {
    let status = wait(h2, "h2 follows h1", |status| {
        status["instances"][0]["peers"][0]["priority"] == 120
    });
    let one = &status["instances"][0];
    assert_eq!(one["state"], "Backup");
    let peer = &one["peers"][0];
    assert_eq!(
        (&peer["address"], &peer["interval"]),
        (&"10.77.0.11".into(), &1.0.into())
    );
    assert!(peer["age"].as_f64().unwrap() < 3.6, "{peer}");
    assert_eq!(one["active_address"], "10.77.0.11");
    assert!(one["takeover_in"].as_f64().unwrap() > 0.0, "{one}");
}

/// A Backup whose script fails.
fn people_and_prometheus_read_the_same(h1: &Node) {
    let text = String::from_utf8(h1.ha_lb(&["status"]).stdout).unwrap();
    for expected in [
        "VI_1: Backup for ",
        "+ 0 script check DOWN (weight 20)",
        "Active: priority 110",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    println!("{text}");

    // The supervisor alone answers, without a balancer.
    let metrics = String::from_utf8(h1.ha_lb(&["status", "--metrics"]).stdout).unwrap();
    let metrics = exposition::parse(&metrics);
    let instance = ("instance", "VI_1");
    assert_eq!(
        metrics.value("ha_lb_vrrp_state", &[instance, ("state", "Backup")]),
        1.0
    );
    assert_eq!(metrics.value("ha_lb_vrrp_priority", &[instance]), 100.0);
    let rejected = [instance, ("cause", "authentication")];
    assert!(metrics.value("ha_lb_vrrp_adverts_rejected_total", &rejected) > 1.0);
    assert_eq!(
        metrics.value(
            "ha_lb_vrrp_transitions_total",
            &[instance, ("to", "Active")]
        ),
        1.0
    );
    let why = [
        instance,
        ("from", "Active"),
        ("to", "Backup"),
        ("reason", "10.77.0.12 has priority 110, higher than own 100"),
    ];
    assert_eq!(metrics.value("ha_lb_vrrp_last_transition_info", &why), 1.0);
    assert_eq!(
        metrics.value("ha_lb_script_up", &[("script", "check")]),
        0.0
    );
    assert_eq!(
        metrics.value("ha_lb_process_up", &[("process", "vrrp")]),
        1.0
    );
}

/// The history's times are the supervisor's, the last change's the speaker's: the same but for a moment.
trait WithTimeOf {
    fn with_time_of(self, instance: &Value) -> Value;
}

impl WithTimeOf for Value {
    fn with_time_of(mut self, instance: &Value) -> Value {
        let theirs = instance["transitions"][0]["at"].as_f64().unwrap();
        assert!((self["at"].as_f64().unwrap() - theirs).abs() < 2.0);
        self["at"] = theirs.into();
        self
    }
}

#[test]
fn an_interface_that_vanishes_is_gone_and_not_down() {
    enclosed(
        "observe::an_interface_that_vanishes_is_gone_and_not_down",
        Needs::Namespaces,
        &PROGRAMS,
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let ip = |words: &str| {
                let done = node
                    .host
                    .command("ip")
                    .args(words.split(' '))
                    .capture()
                    .unwrap();
                assert!(done.status.success(), "{words}");
            };
            ip("link add spare type veth peer name other");
            ip("link set other up");
            ip("address add 10.88.0.1/24 dev spare");
            ip("link set spare up");
            let file = keepalived(100, "secret", "").replace("eth0", "spare");
            start(&mut node, &file, None);
            wait(&node, "Active", |status| {
                status["instances"][0]["state"] == "Active"
            });
            let done = node
                .host
                .command("ip")
                .args(["link", "del", "spare"])
                .capture()
                .unwrap();
            assert!(done.status.success());
            let status = wait(&node, "Fault", |status| {
                status["instances"][0]["state"] == "Fault"
            });
            let wanted = "interface spare is gone";
            assert_eq!(status["instances"][0]["held_by"], wanted);
            wait_for("the log says so", PATIENCE, || {
                node.log().contains(wanted).then_some(())
            });
        },
    );
}

#[test]
fn instances_are_listed_while_vrrp_startup_delay_runs() {
    enclosed(
        "observe::instances_are_listed_while_vrrp_startup_delay_runs",
        Needs::Namespaces,
        &PROGRAMS,
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            node.flag("run/good", true);
            let file = keepalived(100, "secret", "track_script {\n check\n }")
                .replace("router_id lab", "vrrp_startup_delay 4");
            start(&mut node, &file, None);
            let status = wait(&node, "a script's result", |status| {
                status["instances"][0]["tracks"][0]["health"] == "up"
            });
            let one = &status["instances"][0];
            assert_eq!(
                (&one["name"], &one["state"]),
                (&"VI_1".into(), &"Initialize".into())
            );
            let held = one["held_by"].as_str().unwrap();
            assert!(held.starts_with("vrrp_startup_delay, "), "{held}");
            let status = wait(&node, "Active", |status| {
                status["instances"][0]["state"] == "Active"
            });
            // What was told during the delay holds after it.
            assert_eq!(status["instances"][0]["effective_priority"], 120);
        },
    );
}

#[test]
fn a_dead_speaker_and_a_dead_balancer_leave_the_rest_to_be_seen() {
    enclosed(
        "observe::a_dead_speaker_and_a_dead_balancer_leave_the_rest_to_be_seen",
        Needs::Namespaces,
        &PROGRAMS,
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let _origin =
                Origin::start(&node.host, "10.77.0.11:8080".parse().unwrap(), "web").unwrap();
            let haproxy = "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n timeout check 5s\n\
                           listen web\n bind *:80\n option httpchk\n server web 10.77.0.11:8080 check inter 200\n \
                           server gone 10.77.0.11:8081 check inter 200\n";
            start(&mut node, &keepalived(100, "secret", ""), Some(haproxy));
            let status = wait(&node, "checked", |status| {
                status["instances"][0]["state"] == "Active"
                    && status["backends"][0]["servers"][0]["last_check"]["status"] == "L7OK"
                    && status["backends"][0]["servers"][1]["status"] == "DOWN"
            });
            let servers = &status["backends"][0]["servers"];
            assert_eq!(servers[0]["last_check"]["code"], 200);
            assert!(servers[0]["last_check"]["duration"].as_f64().is_some());
            assert_eq!(servers[1]["last_check"]["status"], "L4CON");
            assert_eq!(
                servers[1]["last_check"]["detail"], "Connection refused",
                "{servers}"
            );

            node.signal(&["vrrp"], rustix::process::Signal::KILL);
            let status = wait(&node, "a new speaker", |status| {
                status["vrrp"]["restarts"] == 1 && status["instances"][0]["state"] == "Active"
            });
            let history: Vec<_> = status["instances"][0]["transitions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["reason"].as_str().unwrap())
                .collect();
            assert!(
                history.contains(&"the VRRP process was killed by signal 9"),
                "{history:?}"
            );
        },
    );
}

#[test]
fn watch_repeats_into_a_pipe_and_ends_with_its_reader() {
    enclosed(
        "observe::watch_repeats_into_a_pipe_and_ends_with_its_reader",
        Needs::Namespaces,
        &["unshare", "ip", "head"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            start(&mut node, &keepalived(100, "secret", ""), None);
            let script = format!(
                "{} status --json --watch=0.1 --control {} | head -n 3; exit ${{PIPESTATUS[0]}}",
                env!("CARGO_BIN_EXE_ha-lb"),
                node.path("control").display()
            );
            let done = node
                .host
                .command("bash")
                .args(["-c", &script])
                .capture()
                .unwrap();
            assert!(done.status.success(), "{done:?}");
            let text = String::from_utf8(done.stdout).unwrap();
            let documents: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert_eq!(documents.len(), 3);
            assert!(documents[0]["at"].as_f64() < documents[2]["at"].as_f64());
        },
    );
}

/// What an operator does to servers, one after the other.
const OPERATIONS: [&str; 8] = [
    "set server app/a state maint",
    "set server app/a state ready",
    "set server app/b state drain",
    "set server app/a state drain",
    "set server app/b state ready",
    "disable server app/a",
    "disable server app/b",
    "enable server app/b",
];

#[test]
fn what_operators_do_to_servers_is_logged_in_haproxy_s_words() {
    enclosed(
        "observe::what_operators_do_to_servers_is_logged_in_haproxy_s_words",
        Needs::Namespaces,
        &["unshare", "ip", "haproxy", "socat"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let node = |name: &str, address: &str| {
                Node::new(&lab, scratch.path(), name, "eth0", &[address])
            };
            let mut ours = node("ours", "10.77.0.11/24");
            let theirs = node("theirs", "10.77.0.12/24");
            let file = scratch.path().join("haproxy.cfg");
            let text = "global\n log 127.0.0.1:514 local0\n stats socket /run/admin.sock level admin\n\
                        defaults\n mode http\n log global\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n\
                        frontend web\n bind *:80\n default_backend app\n\
                        backend app\n server a 10.77.0.3:8081\n server b 10.77.0.3:8082\n";
            fs::write(&file, text).unwrap();
            ours.start(None, &[&file]);
            let mut haproxy = theirs
                .command("haproxy")
                .args(["-db", "-f"])
                .arg(&file)
                .output(theirs.path("log"))
                .spawn()
                .unwrap();
            let logged = [&ours, &theirs].map(|node| {
                wait_for("the socket", PATIENCE, || {
                    node.path("run/admin.sock").exists().then_some(())
                });
                for operation in OPERATIONS {
                    let words =
                        format!("echo {operation} | socat -t 5 - UNIX-CONNECT:/run/admin.sock");
                    let done = node.command("sh").args(["-c", &words]).capture().unwrap();
                    assert!(done.status.success(), "{done:?}");
                }
                wait_for("ten lines", PATIENCE, || {
                    let lines: Vec<String> = node
                        .syslog()
                        .iter()
                        .filter(|line| line.contains("app"))
                        .map(|line| without_time_and_pid(line))
                        .collect();
                    (lines.len() == 10).then_some(lines)
                })
            });
            assert_eq!(logged[0], logged[1]);
            haproxy.kill().unwrap();
            haproxy.wait().unwrap();
        },
    );
}

/// `<129>haproxy: Server app/a is going DOWN ...`.
fn without_time_and_pid(line: &str) -> String {
    let (priority, rest) = line.trim_end().split_once('>').unwrap();
    let (_, message) = rest.split_once("]: ").unwrap();
    format!("{priority}> {message}")
}
