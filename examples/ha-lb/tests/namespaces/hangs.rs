//! Processes that stand still (SIGSTOP): who notices, how soon, and what becomes of the address.

use std::{
    fs,
    net::UdpSocket,
    time::{Duration, Instant},
};

use nix::sys::{ptrace, wait};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    gauge::Gauge,
    processes::{Site, VIP},
    support::{Needs, enclosed, wait_for},
};

const PATIENCE: Duration = Duration::from_secs(10);
/// A second, and what a busy machine and the question for it may take.
const SEEN: Duration = Duration::from_millis(1500);

/// A speaker that is silent for 3 s is killed; its last sign of life may be a little older than what stopped it.
const GIVEN_UP: Duration = Duration::from_millis(2500);

/// What `began` then may take: a machine that stood still did so for all, and who is awake again listens for as long
/// before it judges.
fn seen_within(gauge: &Gauge, began: Instant) -> Duration {
    SEEN + gauge.halts(began).iter().sum::<Duration>() * 2
}

#[test]
fn a_speaker_gives_the_address_up_while_its_supervisor_is_stopped() {
    enclosed(
        "hangs::a_speaker_gives_the_address_up_while_its_supervisor_is_stopped",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let site = Site::start(scratch.path(), "script \"pidof haproxy\"", "", "");
            let gauge = Gauge::start();
            // The balancer too: nobody else would notice.
            let status = site.node.status().unwrap();
            let signal = |role: &str, signal| {
                let pid = i32::try_from(status[role]["pid"].as_i64().unwrap()).unwrap();
                kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
            };
            signal("supervisor", Signal::STOP);
            signal("balancer", Signal::STOP);
            let began = Instant::now();
            wait_for("the address goes", PATIENCE, || {
                (!site.node.holds(VIP)).then_some(())
            });
            let after = began.elapsed();
            println!("supervisor stopped: address given up after {after:?}");
            let allowed = seen_within(&gauge, began);
            assert!(after < allowed, "{after:?}, {allowed:?}");
            says(
                &site,
                "the supervisor is silent for 800 ms: giving the addresses up",
            );
            // In this order: a supervisor that goes on may end a balancer that is silent.
            signal("balancer", Signal::CONT);
            signal("supervisor", Signal::CONT);
            let status = site.wait("Active again", |status| {
                status["instances"][0]["state"] == "Active"
            });
            assert_eq!(status["vrrp"]["restarts"], 0);
            says(
                &site,
                "VI_1: Active -> Fault: nobody watches the service: the supervisor is silent",
            );
        },
    );
}

/// A line follows what it tells of.
fn says(site: &Site, words: &str) {
    wait_for(&format!("{words}\n{}", site.node.log()), PATIENCE, || {
        site.node.log().contains(words).then_some(())
    });
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
                        let stat = fs::read_to_string(&process).unwrap_or_default();
                        (stat.is_empty() || stat.contains(") Z ")).then_some(())
                    },
                );
            }
            assert!(!site.node.holds(VIP));
        },
    );
}

fn pid(site: &Site, role: &str) -> i32 {
    i32::try_from(site.node.status().unwrap()[role]["pid"].as_i64().unwrap()).unwrap()
}

/// Stops one thread, until it is detached; when it was asked to.
fn stop(thread: nix::unistd::Pid) -> Instant {
    ptrace::seize(thread, ptrace::Options::empty()).unwrap();
    ptrace::interrupt(thread).unwrap();
    let began = Instant::now();
    let stopped = wait::waitpid(thread, Some(wait::WaitPidFlag::__WALL)).unwrap();
    assert!(
        matches!(stopped, wait::WaitStatus::PtraceEvent(..)),
        "{stopped:?}"
    );
    began
}

/// The other threads run on, so that nothing but the event loop can tell.
#[test]
fn a_supervisor_whose_event_loop_alone_stands_still_is_noticed_within_a_second() {
    enclosed(
        "hangs::a_supervisor_whose_event_loop_alone_stands_still_is_noticed_within_a_second",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let site = Site::start(scratch.path(), "script \"pidof haproxy\"", "", "");
            let gauge = Gauge::start();
            let main_thread = nix::unistd::Pid::from_raw(pid(&site, "supervisor"));
            let began = stop(main_thread);
            wait_for("the address goes", PATIENCE, || {
                (!site.node.holds(VIP)).then_some(())
            });
            let after = began.elapsed();
            println!("supervisor's event loop stands still: address given up after {after:?}");
            let allowed = seen_within(&gauge, began);
            assert!(after < allowed, "{after:?}, {allowed:?}");
            ptrace::detach(main_thread, None).unwrap();
            let status = site.wait("Active again", |status| {
                status["instances"][0]["state"] == "Active"
            });
            assert_eq!(status["vrrp"]["restarts"], 0);
        },
    );
}

/// Whoever changes addresses waits for the kernel where other programs make it busy; adverts do not.
#[test]
fn a_speaker_whose_work_on_addresses_alone_stands_still_stays_active_and_puts_the_address_back() {
    enclosed(
        "hangs::a_speaker_whose_work_on_addresses_alone_stands_still_stays_active_and_puts_the_address_back",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let site = Site::start_with(scratch.path(), |node| {
                let path = node.path("keepalived.conf");
                let text = fs::read_to_string(&path).unwrap();
                // No pause of a busy machine is as long as what others wait for.
                fs::write(&path, text.replace("advert_int 0.7", "advert_int 1")).unwrap();
            });
            wait_for("the address", PATIENCE, || {
                site.node.holds(VIP).then_some(())
            });
            let worker = nix::unistd::Pid::from_raw(thread(pid(&site, "vrrp"), "vip-netlink"));
            stop(worker);
            wait_for("the lease ends", PATIENCE, || {
                (!site.node.holds(VIP)).then_some(())
            });
            ptrace::detach(worker, None).unwrap();
            let began = Instant::now();
            wait_for("the address is back", PATIENCE, || {
                site.node.holds(VIP).then_some(())
            });
            println!("the address was put back after {:?}", began.elapsed());
            let said = format!(
                "the lease of {VIP} ran out, for the kernel was slow to renew it: putting it back"
            );
            says(&site, &said);
            let sent = || {
                let status = site.node.status().unwrap();
                status["instances"][0]["counters"]["sent"].as_u64().unwrap()
            };
            let before = sent();
            wait_for("more adverts", PATIENCE, || {
                (sent() >= before + 2).then_some(())
            });
            assert!(site.node.holds(VIP));
            let log = site.node.log();
            assert!(!log.contains("Active -> "), "{log}");
        },
    );
}

/// The thread of a process that has that name.
fn thread(process: i32, name: &str) -> i32 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let mut named = tasks.map(Result::unwrap).filter(|task| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
    });
    let found = named.next().unwrap().file_name();
    found.to_str().unwrap().parse().unwrap()
}

#[test]
fn a_speaker_that_is_stopped_is_told_within_a_second_and_then_replaced() {
    enclosed(
        "hangs::a_speaker_that_is_stopped_is_told_within_a_second_and_then_replaced",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let site = Site::start(scratch.path(), "script \"pidof haproxy\"", "", "");
            let gauge = Gauge::start();
            let stands_still = |site: &Site| site.node.log().matches("stands still").count();
            let before = stands_still(&site);
            let speaker = Pid::from_raw(pid(&site, "vrrp")).unwrap();
            let began = Instant::now();
            kill_process(speaker, Signal::STOP).unwrap();
            wait_for("a word", PATIENCE, || {
                (stands_still(&site) > before).then_some(())
            });
            let after = began.elapsed();
            println!("speaker stopped: told after {after:?}");
            let allowed = seen_within(&gauge, began);
            assert!(after < allowed, "{after:?}, {allowed:?}");
            let hangs = site.node.ask("/vrrp/hangs");
            // One that goes on in time is left in peace.
            kill_process(speaker, Signal::CONT).unwrap();
            let in_time = began.elapsed() < GIVEN_UP;
            let status = site.wait("turns again", |status| status["vrrp"]["hangs"] == false);
            let restarts = status["vrrp"]["restarts"].as_u64().unwrap();
            if in_time {
                assert_eq!((hangs, restarts), (Some(true.into()), 0));
            }

            site.node.signal(&["vrrp"], Signal::STOP);
            let began = Instant::now();
            site.wait("another speaker is Active", |status| {
                let again = status["vrrp"]["restarts"] == restarts + 1;
                again && status["instances"][0]["state"] == "Active"
            });
            println!(
                "speaker stopped for good: another is Active after {:?}",
                began.elapsed()
            );
            says(
                &site,
                "hangs, its event loop did not turn for 3 s: killing it",
            );
        },
    );
}

/// The name server hears questions and says nothing.
#[test]
fn a_reload_that_waits_for_a_name_server_holds_nothing_up() {
    enclosed(
        "hangs::a_reload_that_waits_for_a_name_server_holds_nothing_up",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let mut deaf = None;
            let site = Site::start_with(scratch.path(), |node| {
                let bind = || Ok(UdpSocket::bind("127.0.0.1:53").unwrap());
                deaf = Some(node.host.run(bind).unwrap());
                let resolver = "nameserver 127.0.0.1\noptions timeout:1 attempts:4\n";
                fs::write(node.path("etc/resolv.conf"), resolver).unwrap();
            });
            let haproxy = site.node.path("haproxy.cfg");
            let text = fs::read_to_string(&haproxy).unwrap();
            let named = format!("{text} server named some.example:80\n");
            fs::write(&haproxy, named).unwrap();
            let gauge = Gauge::start();
            site.node.signal(&["supervisor"], Signal::HUP);
            let began = Instant::now();
            let over = || {
                let status = site.node.status().unwrap();
                assert_eq!(
                    status["instances"][0]["state"],
                    "Active",
                    "{}",
                    site.node.log()
                );
                !status["reload"].is_null()
            };
            let mut slowest = Duration::ZERO;
            loop {
                let asked = Instant::now();
                let over = over();
                slowest = slowest.max(asked.elapsed());
                if over {
                    break;
                }
                assert!(began.elapsed() < 3 * PATIENCE, "{}", site.node.log());
            }
            println!(
                "a reload took {:?}, the longest answer meanwhile {slowest:?}",
                began.elapsed()
            );
            assert!(
                began.elapsed() > Duration::from_secs(2),
                "nothing was waited for"
            );
            let allowed = Duration::from_secs(1) + gauge.halts(began).iter().sum::<Duration>();
            assert!(slowest < allowed, "{slowest:?}, {allowed:?}");
            let log = site.node.log();
            assert!(!log.contains("the supervisor is silent"), "{log}");
        },
    );
}
