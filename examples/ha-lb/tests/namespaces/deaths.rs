//! Deaths, each once: who answers for the address, asked every 5 ms by hardware address, and what a client saw.
//! All of them, many times: `cargo run --release -p drill -- kill`.

use std::{fs, path::Path, time::Duration};

use ha_lb::{
    drill::{Case, Setup, Site, Slack, round},
    lab::Lab,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    node::Node,
    support::{Needs, enclosed, wait_for},
};

/// The program under test.
const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");

/// A debug build on a machine that runs other tests beside.
const SLACK: Slack = Slack {
    kill: Duration::from_millis(50),
    address: Duration::from_millis(400),
    client: Duration::from_millis(800),
};

/// How long a daemon is waited for that does something at once.
const PATIENCE: Duration = Duration::from_secs(15);

/// A host that is to hold 10.9.1.1.
fn host(scratch: &Path) -> (Lab, Node) {
    let lab = Lab::new().unwrap();
    let node = Node::new(&lab, scratch, "lb", "eth0", &["192.168.10.11/24"]);
    let text = "vrrp_instance V {\n version 3\n advert_int 0.1\n interface eth0\n virtual_router_id 1\n \
        virtual_ipaddress {\n 10.9.1.1\n }\n}\n";
    fs::write(node.path("etc/keepalived/keepalived.conf"), text).unwrap();
    (lab, node)
}

/// Holds these cases in one cluster, one after the other.
fn drill(test: &str, setup: &str, cases: &[&str]) {
    enclosed(test, Needs::Namespaces, &["unshare", "ip"], || {
        let scratch = tempfile::tempdir().unwrap();
        let setup = *Setup::named(setup).unwrap();
        let mut site = Site::start(setup, Path::new(HA_LB), scratch.path()).unwrap();
        let mut missed = Vec::new();
        for name in cases {
            let case = Case::named(name).unwrap();
            // Beside other tests a time may be missed once; that two hosts answer may never be.
            for attempt in 1..=2 {
                let outcome = match round(&mut site, case) {
                    Ok(outcome) => outcome,
                    Err(error) => {
                        missed.push(format!("{name}: {error}"));
                        break;
                    }
                };
                println!("{}: {name}: {outcome:?}", setup.name);
                let bars = outcome.missed(case, &setup, SLACK);
                if bars.is_empty() {
                    break;
                }
                println!("{name}: {bars:?}");
                if attempt == 2 || !outcome.doubles.is_empty() {
                    missed.extend(bars.into_iter().map(|bar| format!("{name}: {bar}")));
                    break;
                }
            }
        }
        assert!(missed.is_empty(), "{missed:#?}\n{}", site.describe());
    });
}

#[test]
fn processes_are_killed() {
    drill(
        "deaths::processes_are_killed",
        "v3-100ms-fault",
        &[
            "kill balancer",
            "kill speaker",
            "kill supervisor",
            "kill all",
            "crash and start",
            "start with a leftover",
        ],
    );
}

#[test]
fn processes_are_stopped_and_go_on() {
    drill(
        "deaths::processes_are_stopped_and_go_on",
        "v3-100ms-fault",
        &[
            "stop balancer",
            "stop speaker",
            "stop supervisor",
            "stop all",
        ],
    );
}

#[test]
fn hosts_and_cables_die_and_balancers_die_again() {
    drill(
        "deaths::hosts_and_cables_die_and_balancers_die_again",
        "v3-100ms-fault",
        &[
            "silent death",
            "cable cut",
            "balancer out of memory",
            "balancer dies 4 times",
        ],
    );
}

#[test]
fn keepaliveds_usual_interval() {
    drill(
        "deaths::keepaliveds_usual_interval",
        "v2-1s",
        &["kill balancer", "kill all"],
    );
}

/// Who started the daemon is to see that something of it has died (`--dont-respawn`), as with keepalived.
#[test]
fn without_respawn_the_daemon_ends_with_its_speaker_as_keepalived_does() {
    let name = "deaths::without_respawn_the_daemon_ends_with_its_speaker_as_keepalived_does";
    enclosed(name, Needs::Users, &["unshare", "ip", "keepalived"], || {
        let scratch = tempfile::tempdir().unwrap();
        let (_lab, node) = host(scratch.path());
        let mut codes = Vec::new();
        for program in [&["/usr/sbin/keepalived"][..], &[HA_LB, "keepalived"]] {
            let mut daemon = node
                .command(program[0])
                .args(&program[1..])
                .args(["-n", "-l", "-P", "-R"])
                .output(node.path("log"))
                .spawn()
                .unwrap();
            wait_for(&node.log(), PATIENCE, || {
                node.holds("10.9.1.1").then_some(())
            });
            let speaker = fs::read_to_string(node.path("run/vrrp.pid")).unwrap();
            let speaker = Pid::from_raw(speaker.trim().parse().unwrap()).unwrap();
            kill_process(speaker, Signal::KILL).unwrap();
            let ended = wait_for("the end of the daemon", PATIENCE, || {
                daemon.try_wait().unwrap()
            });
            codes.push(ended.code());
            node.ip(&["address", "flush", "dev", "eth0", "to", "10.9.1.1"]);
        }
        assert_eq!(codes[1], codes[0], "{}", node.log());
        assert!(node.log().contains("the speaker died"), "{}", node.log());
    });
}

/// Of the children that a reload makes room for, and of those alone, the daemon does not die.
#[test]
fn without_respawn_the_daemon_lives_through_a_reload_while_it_starts() {
    let name = "deaths::without_respawn_the_daemon_lives_through_a_reload_while_it_starts";
    enclosed(name, Needs::Users, &["unshare", "ip"], || {
        let scratch = tempfile::tempdir().unwrap();
        let (_lab, node) = host(scratch.path());
        for attempt in 1.. {
            assert!(
                attempt <= 20,
                "the speaker is always faster\n{}",
                node.log()
            );
            let _ = fs::remove_file(node.path("log"));
            let mut daemon = node
                .command(HA_LB)
                .args(["keepalived", "-n", "-l", "-P", "-R"])
                .output(node.path("log"))
                .spawn()
                .unwrap();
            let pid = Pid::from_child(&daemon);
            let children = format!("/proc/{0}/task/{0}/children", daemon.id());
            let speaker = wait_for("a speaker that starts", PATIENCE, || {
                let children = fs::read_to_string(&children).ok()?;
                let mut children = children.split_whitespace();
                let speaks = |pid: &&str| {
                    let line = fs::read_to_string(format!("/proc/{pid}/cmdline"));
                    line.is_ok_and(|line| line.contains("\0speaker\0"))
                };
                Pid::from_raw(children.find(speaks)?.parse().ok()?)
            });
            // It starts for as long as that.
            kill_process(speaker, Signal::STOP).unwrap();
            kill_process(pid, Signal::HUP).unwrap();
            let in_time = wait_for("the reload", PATIENCE, || {
                let log = node.log();
                let serves = log.contains("listens after");
                let applied = log.contains("reload: nothing had changed");
                (serves || applied).then_some(!serves)
            });
            if in_time {
                wait_for("another speaker", PATIENCE, || {
                    assert_eq!(daemon.try_wait().unwrap(), None, "{}", node.log());
                    node.log().contains("listens after").then_some(())
                });
            } else {
                kill_process(speaker, Signal::CONT).unwrap();
            }
            kill_process(pid, Signal::TERM).unwrap();
            let ended = wait_for("the end", PATIENCE, || daemon.try_wait().unwrap());
            if in_time {
                assert_eq!(ended.code(), Some(0), "{}", node.log());
                break;
            }
        }
    });
}
