//! Processes that stand still (SIGSTOP): who notices, how soon, and what becomes of the address.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    processes::{Site, VIP},
    support::{Needs, enclosed, wait_for},
};

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_speaker_gives_the_address_up_while_its_supervisor_is_stopped() {
    enclosed(
        "hangs::a_speaker_gives_the_address_up_while_its_supervisor_is_stopped",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let site = Site::start(scratch.path(), "script \"pidof haproxy\"", "", "");
            // The balancer too: nobody else would notice.
            let status = site.node.status().unwrap();
            let signal = |signal| {
                for role in ["supervisor", "balancer"] {
                    let pid = i32::try_from(status[role]["pid"].as_i64().unwrap()).unwrap();
                    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
                }
            };
            signal(Signal::STOP);
            let began = Instant::now();
            wait_for("the address goes", PATIENCE, || {
                (!site.node.holds(VIP)).then_some(())
            });
            println!(
                "supervisor stopped: address given up after {:?}",
                began.elapsed()
            );
            assert!(began.elapsed() < Duration::from_millis(2500));
            let log = site.node.log();
            let said = "the supervisor is silent for 1200 ms: giving the addresses up";
            assert!(log.contains(said), "{log}");
            signal(Signal::CONT);
            let status = site.wait("Active again", |status| {
                status["instances"][0]["state"] == "Active"
            });
            assert_eq!(status["vrrp"]["restarts"], 0);
            let log = site.node.log();
            let said =
                "VI_1: Active -> Fault: nobody watches the service: the supervisor is silent";
            assert!(log.contains(said), "{log}");
        },
    );
}

#[test]
fn a_supervisor_s_death_ends_a_speaker_that_is_stopped() {
    enclosed(
        "hangs::a_supervisor_s_death_ends_a_speaker_that_is_stopped",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let site = Site::start(scratch.path(), "script \"pidof haproxy\"", "", "");
            let status = site.node.status().unwrap();
            site.node.signal(&["vrrp", "balancer"], Signal::STOP);
            let pid = i32::try_from(status["supervisor"]["pid"].as_i64().unwrap()).unwrap();
            kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
            for role in ["vrrp", "balancer"] {
                let process = format!("/proc/{}/stat", status[role]["pid"]);
                wait_for(
                    &format!("{role} ends\n{}", site.node.log()),
                    PATIENCE,
                    || {
                        let stat = std::fs::read_to_string(&process).unwrap_or_default();
                        (stat.is_empty() || stat.contains(") Z ")).then_some(())
                    },
                );
            }
            assert!(!site.node.holds(VIP));
        },
    );
}
