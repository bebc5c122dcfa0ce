//! Two hosts on one cable: the address is on one, and on the other after a stop or `kill -9`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const INSIDE: &str = "VIP_FAILOVER_TEST_INSIDE";
const VIP: &str = "10.99.0.100";
const PATIENCE: Duration = Duration::from_secs(10);

fn sh(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A network namespace, and what runs in it.
struct Host {
    holder: Child,
}

impl Host {
    fn new() -> Self {
        let mut command = Command::new("unshare");
        let command = command.args(["-n", "cat"]).stdin(Stdio::piped());
        let host = Self {
            holder: command.spawn().unwrap(),
        };
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let theirs = format!("/proc/{}/ns/net", host.holder.id());
        until("a namespace", || {
            std::fs::read_link(&theirs).is_ok_and(|link| link != own)
        });
        host
    }

    fn sh(&self, command: &str) -> String {
        sh(&format!("nsenter -t {} -n {command}", self.holder.id()))
    }

    fn has_address(&self) -> bool {
        self.has(VIP)
    }

    fn has(&self, address: &str) -> bool {
        let prefix = if address.contains(':') { 128 } else { 32 };
        self.sh("ip addr show dev eth0")
            .contains(&format!(" {address}/{prefix} "))
    }

    fn start(&self, priority: u8) -> Child {
        self.start_with(priority, &[VIP])
    }

    fn start_with(&self, priority: u8, addresses: &[&str]) -> Child {
        let pid = self.holder.id().to_string();
        Command::new("nsenter")
            .args(["-t", &pid, "-n", env!("CARGO_BIN_EXE_vip-failover")])
            .args([
                "-i",
                "eth0",
                "--advert-ms",
                "100",
                "-p",
                &priority.to_string(),
            ])
            .args(addresses)
            .spawn()
            .unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !is_so() {
        assert!(
            start.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    start.elapsed()
}

/// Runs `body` with two hosts inside namespaces of its own; skips with a reason where they are not
/// permitted, but fails in CI.
fn with_two_hosts(test: &str, body: impl FnOnce(&Host, &Host)) {
    if std::env::var_os(INSIDE).is_none() {
        let flags = if sh("id -u").trim() == "0" {
            "-nm"
        } else {
            "-Urnm"
        };
        let permitted = Command::new("unshare").args([flags, "true"]).status();
        if !permitted.is_ok_and(|status| status.success()) {
            skip(&format!("unshare {flags} is not permitted here"));
            return;
        }
        let mut again = Command::new("unshare");
        again.arg(flags).arg(std::env::current_exe().unwrap());
        again
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, "1");
        assert!(again.status().unwrap().success());
        return;
    }
    let (a, b) = (Host::new(), Host::new());
    sh(&format!(
        "ip link add eth0 netns {} type veth peer name eth0 netns {}",
        a.holder.id(),
        b.holder.id()
    ));
    for (host, number) in [(&a, 1), (&b, 2)] {
        host.sh(&format!("ip addr add 10.99.0.{number}/24 dev eth0"));
        host.sh("ip link set eth0 up");
    }
    body(&a, &b);
}

fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    println!("skipped: {why}");
}

/// What the example promises: a program of 60 lines, of which the election takes fewer than 30.
#[test]
fn it_is_sixty_lines_and_the_election_fewer_than_thirty() {
    let source = include_str!("../src/main.rs");
    assert!(source.lines().count() <= 60, "{}", source.lines().count());
    let (_, main) = source.split_once("async fn main").unwrap();
    assert!(main.lines().count() < 30, "{}", main.lines().count());
}

#[test]
fn the_address_moves_when_its_host_stops_or_dies() {
    with_two_hosts("the_address_moves_when_its_host_stops_or_dies", |a, b| {
        let mut on_a = a.start(200);
        let mut on_b = b.start(100);
        until("A has the address", || a.has_address() && !b.has_address());

        sh(&format!("kill {}", on_a.id()));
        let stopped = until("B has it after A was stopped", || b.has_address());
        assert!(on_a.wait().unwrap().success());
        assert!(!a.has_address());

        on_a = a.start(200);
        until("A has it again", || a.has_address() && !b.has_address());

        on_a.kill().unwrap();
        let killed = until("B has it after A was killed", || b.has_address());
        // A still has the address, but it is silent: B alone answers.
        on_a.wait().unwrap();
        println!(
            "stopped: {stopped:?}, killed: {killed:?} (priority 100, adverts each 100 ms: 61 and 361 ms)"
        );
        // B's own lease may run out, too, while the machine stands still: then an election follows.
        until("the lease takes A's address, and B has it", || {
            !a.has_address() && b.has_address()
        });
        sh(&format!("kill {}", on_b.id()));
        assert!(on_b.wait().unwrap().success());
        assert!(!b.has_address());
    });
}

#[test]
fn addresses_of_ipv6_move_too() {
    with_two_hosts("addresses_of_ipv6_move_too", |a, b| {
        let vips = ["fe80::51", "2001:db8::51"];
        let holds = |host: &Host| vips.iter().all(|vip| host.has(vip));
        let mut on_a = a.start_with(200, &vips);
        let mut on_b = b.start_with(100, &vips);
        until("A has the addresses", || holds(a) && !b.has(vips[1]));
        on_a.kill().unwrap();
        until("B has them after A was killed", || holds(b));
        on_a.wait().unwrap();
        sh(&format!("kill {}", on_b.id()));
        assert!(on_b.wait().unwrap().success());
        assert!(!b.has(vips[0]) && !b.has(vips[1]));
    });
}

#[test]
fn keepalived_and_we_hand_the_address_to_each_other() {
    with_two_hosts(
        "keepalived_and_we_hand_the_address_to_each_other",
        |a, b| {
            if sh("command -v keepalived").is_empty() {
                skip("keepalived is not installed");
                return;
            }
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("keepalived.conf");
            let text = "global_defs {\n vrrp_version 3\n}\nvrrp_instance V {\n state BACKUP\n interface eth0\n \
                    virtual_router_id 51\n priority 150\n advert_int 0.1\n virtual_ipaddress {\n 10.99.0.100/32\n }\n}\n";
            std::fs::write(&file, text).unwrap();
            let keepalived = || {
                let own = directory.path().display();
                let pid = a.holder.id().to_string();
                Command::new("nsenter")
                    .args(["-t", &pid, "-n", "keepalived", "-n", "-l", "-f"])
                    .arg(&file)
                    .args([
                        "-p",
                        &format!("{own}/pid"),
                        "-r",
                        &format!("{own}/vrrp.pid"),
                    ])
                    .stderr(Stdio::null())
                    .stdout(Stdio::null())
                    .spawn()
                    .unwrap()
            };
            let mut on_b = b.start(100);
            until("B has the address", || b.has_address());
            let mut on_a = keepalived();
            until("keepalived preempts", || {
                a.has_address() && !b.has_address()
            });
            sh(&format!("kill {}", on_a.id()));
            until("B takes over from keepalived", || {
                b.has_address() && !a.has_address()
            });
            on_a.wait().unwrap();

            sh(&format!("kill {}", on_b.id()));
            on_b.wait().unwrap();
            on_a = keepalived();
            until("keepalived has the address", || a.has_address());
            on_b = b.start(200);
            until("B preempts keepalived", || {
                b.has_address() && !a.has_address()
            });
            sh(&format!("kill {}", on_b.id()));
            until("keepalived takes over from B", || {
                a.has_address() && !b.has_address()
            });
            on_b.wait().unwrap();
            sh(&format!("kill {}", on_a.id()));
            on_a.wait().unwrap();
        },
    );
}
