//! Routes and rules of keepalived.conf: the same as keepalived's, put back, kept over a reload, swept after a crash.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use ha_lb::lab::Lab;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    node::Node,
    support::{Needs, enclosed, wait_for},
};

const PATIENCE: Duration = Duration::from_secs(10);

fn ip(node: &Node, arguments: &str) -> String {
    let command = node.host.command("ip").args(arguments.split(' '));
    let output = command.capture().unwrap();
    assert!(
        output.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Everything that is marked as keepalived's, as `ip` shows it, and the next hops of it.
fn marked(node: &Node) -> String {
    let all = ["-d route show table all", "-d rule show", "-6 -d rule show"];
    let text: String = all.iter().map(|arguments| ip(node, arguments)).collect();
    let mut is_ours = false;
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim_end) {
        is_ours = line.contains("proto keepalived") || is_ours && line.starts_with('\t');
        if is_ours {
            lines.push(line.to_owned() + "\n");
        }
    }
    lines.concat()
}

/// What 2.2.7 puts up too: it fails at `or`, and gives no mark to rules that are not tracked.
const SAME: &str = "
    virtual_routes {
        src 10.77.0.10 to 192.168.109.0/24 via 10.77.0.2 dev eth0
        192.168.110.0/24 via 10.77.0.2
        192.168.111.0/24 dev eth0 scope link metric 7 no_track
        blackhole 192.168.114.0/24
        unreachable 192.168.115.0/24 table 7
        prohibit 192.168.116.0/24 table 7
        throw 192.168.117.0/24 table 7
        0.0.0.0/0 gw 10.77.0.2 table 100
        default via 10.77.0.2 metric 900
        192.168.100.0/24 table 6909 nexthop via 10.77.0.2 dev eth0 onlink weight 1 nexthop via 10.77.0.4 dev eth0 onlink weight 2
        192.168.200.0/24 dev eth0 table 6909 tos 0x04 scope link priority 12 mtu 1000 hoplimit 100 advmss 101 rtt 102 rttvar 103 reordering 104 window 105 cwnd 106 ssthresh lock 107 rto_min 108 initcwnd 109 initrwnd 110 features ecn
        192.168.201.0/24 via 10.77.0.2 dev eth0 mtu lock 1400 quickack 1 congctl cubic realms 4/5
        192.168.202.0/24 dev eth0 append metric 3
        192.168.204.0/24 encap ip id 5 dst 10.9.9.9 ttl 7 via 10.77.0.2 dev eth0
        2001:470:69e9:1:2::/80 dev eth0 metric 12 mtu 1400
        2001:470:69e9:1:3::/80 via fe80::2 dev eth0 pref high
        blackhole 2001:db8:5::/48
    }
    virtual_rules {
        from 192.168.2.0/24 table 1
        to 192.168.2.0/24 table 1
        from 192.168.28.0/24 to 192.168.29.0/26 table 7 iif eth0 oif lo tos 0x10 fwmark 24/12 preference 39 realms 30/20
        from 192.168.3.0/24 preference 30 goto 40
        to 1:2:3:4:5:6:7:0/112 from 7:6:5:4:3:2::/96 table 6908 uidrange 0-0
        to 1:2:3:4:6:6:7:0/112 from 8:6:5:4:3:2::/96 l3mdev ipproto 17 sport 10-20 dport 20-30
        blackhole from 192.168.4.0/24
        from 192.168.5.0/24 unreachable priority 77
        not from 192.168.6.0/24 lookup main suppress_prefixlength 0
    }
";

fn keepalived(vrid: u8, rest: &str) -> String {
    format!(
        "static_ipaddress {{\n 10.78.0.1/24 dev eth0\n}}
         static_routes {{\n 172.20.0.0/24 via 10.78.0.9 dev eth0\n 172.21.0.0/24 dev eth0 metric 5\n}}
         static_rules {{\n from 172.22.0.0/24 table 101 priority 500\n}}
         vrrp_instance V {{\n state BACKUP\n interface eth0\n virtual_router_id {vrid}\n priority 100\n \
         advert_int 1\n virtual_ipaddress {{\n 10.77.0.10\n }}\n {rest}\n}}\n"
    )
}

fn file(node: &Node, text: &str) -> PathBuf {
    let path = node.path("keepalived.conf");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_same_file_makes_the_same_routes_and_rules_as_keepalived() {
    enclosed(
        "paths::the_same_file_makes_the_same_routes_and_rules_as_keepalived",
        Needs::Namespaces,
        &["unshare", "ip", "keepalived"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut ours = Node::new(&lab, scratch.path(), "ours", "eth0", &["10.77.0.1/24"]);
            let mut theirs = Node::new(&lab, scratch.path(), "theirs", "eth0", &["10.77.0.3/24"]);
            let before = [marked(&ours), marked(&theirs)];
            assert_eq!(before, ["", ""]);
            // Two virtual routers, so that both become master.
            let conf = file(&theirs, &keepalived(52, SAME));
            theirs.start_keepalived(&conf);
            let conf = file(&ours, &keepalived(51, SAME));
            ours.start(Some(&conf), &[]);
            for node in [&ours, &theirs] {
                wait_for("the last rule is up", PATIENCE, || {
                    let all = marked(node);
                    (all.contains("suppress_prefixlength 0")
                        && all.contains("0.0.0.0 dst 10.9.9.9"))
                    .then_some(())
                });
            }
            let (mine, expected) = (marked(&ours), marked(&theirs));
            assert_eq!(mine, expected);
            assert!(mine.lines().count() > 30, "{mine}");
            println!(
                "{} lines of routes and rules are keepalived's",
                mine.lines().count()
            );
            assert!(ip(&ours, "address show dev eth0").contains("10.78.0.1/24"));
            theirs.terminate();
            ours.terminate();
            for node in [&ours, &theirs] {
                assert_eq!(marked(node), "");
                assert!(!ip(node, "address show dev eth0").contains("10.78.0.1"));
            }
        },
    );
}

/// A line follows what it tells of.
fn says(node: &Node, what: &str) {
    wait_for(what, PATIENCE, || node.log().contains(what).then_some(()));
}

fn has(node: &Node, what: &str) {
    wait_for(what, PATIENCE, || marked(node).contains(what).then_some(()));
}

fn shows_what_cannot_go_up(node: &Node) {
    // What cannot go up is shown with the kernel's words, and goes up as soon as it can.
    let failure = wait_for("status shows the failure", PATIENCE, || {
        let failure = node.ask("/instances/0/retrying_paths/error")?;
        failure.as_str().map(str::to_owned)
    });
    assert!(
        failure.starts_with(
            "cannot add route 192.168.2.0/24 via 10.79.0.2 dev eth0: Network is unreachable"
        ),
        "{failure}"
    );
    let text = String::from_utf8(node.ha_lb(&["status"]).stdout).unwrap();
    assert!(
        text.contains("RETRYING    install routes and rules: cannot add route"),
        "{text}"
    );
    assert!(
        text.contains("routes      192.168.1.0/24 via 10.77.0.2 src 10.77.0.10"),
        "{text}"
    );
    ip(node, "address add 10.79.0.1/24 dev eth0");
    has(node, "192.168.2.0/24");
    wait_for("nothing is retried", PATIENCE, || {
        let retried = node.ask("/instances/0/retrying_paths")?;
        retried.is_null().then_some(())
    });
}

/// 100 ms, on a machine that is busy with other things too.
fn puts_the_address_back_at_once(node: &Node) {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..5 {
        ip(node, "address del 10.77.0.10/32 dev eth0");
        let start = Instant::now();
        wait_for("the address is back", PATIENCE, || {
            node.holds("10.77.0.10").then_some(())
        });
        times.push(start.elapsed());
        // What goes with it is back too: the kernel dropped the route from it, and told nobody.
        has(node, "192.168.1.0/24 via");
    }
    times.sort_unstable();
    println!("a removed address is back after {times:?}");
    assert!(times[2] < Duration::from_millis(100), "{times:?}");
    let told = "V: another program removed 10.77.0.10: putting it back";
    wait_for("five lines", PATIENCE, || {
        (node.log().matches(told).count() == 5).then_some(())
    });
}

/// Nothing of it is ever away: a monitor hears of no deletion.
fn keeps_all_over_an_upgrade(node: &Node) {
    let before = marked(node);
    let heard = node.path("monitor");
    let monitor = node.host.command("ip").args(["monitor", "route", "rule"]);
    let mut monitor = monitor.output(&heard).spawn().unwrap();
    let listens = || {
        // It hears this once it listens.
        ip(node, "route replace 192.168.77.0/24 dev eth0");
        let text = fs::read_to_string(&heard).unwrap_or_default();
        ip(node, "route del 192.168.77.0/24 dev eth0");
        text.contains("192.168.77.0").then_some(())
    };
    wait_for("the monitor listens", PATIENCE, listens);
    let command = node.command(&node.program).arg("upgrade");
    let output = command
        .arg("--control")
        .arg(node.path("control"))
        .capture()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    wait_for("the new program is Active", PATIENCE, || {
        (node.state() == "Active" && node.ask("/upgrade/number")? == 1).then_some(())
    });
    assert_eq!(marked(node), before);
    let _ = monitor.kill();
    monitor.wait().unwrap();
    let heard = fs::read_to_string(heard).unwrap();
    let deleted = heard.lines().filter(|line| line.starts_with("Deleted"));
    let deleted: Vec<_> = deleted
        .filter(|line| !line.contains("192.168.77.0"))
        .collect();
    assert_eq!(deleted, [""; 0], "{heard}");
}

fn puts_back_what_others_remove(node: &Node) {
    // Other programs.
    for (remove, back) in [
        ("route del 192.168.1.0/24", "192.168.1.0/24 via"),
        ("route del 172.21.0.0/24", "172.21.0.0/24 dev eth0"),
        ("rule del priority 500", "500:"),
    ] {
        ip(node, remove);
        has(node, back);
    }
    ip(node, "address del 10.78.0.1/24 dev eth0");
    has(node, "172.20.0.0/24 via 10.78.0.9");
    assert!(ip(node, "address show dev eth0").contains("10.78.0.1/24"));
    for told in [
        "V: route 192.168.1.0/24 via 10.77.0.2 src 10.77.0.10 was gone",
        "static addresses, routes and rules: rule priority 500 from 172.22.0.0/24 lookup 101 was gone",
        "static addresses, routes and rules: address 10.78.0.1/24 was gone",
    ] {
        says(node, told);
    }
}

#[test]
fn what_goes_is_put_back_and_a_reload_and_a_crash_leave_what_the_file_says() {
    enclosed(
        "paths::what_goes_is_put_back_and_a_reload_and_a_crash_leave_what_the_file_says",
        Needs::Namespaces,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let mut node = Node::new(&lab, scratch.path(), "ours", "eth0", &["10.77.0.1/24"]);
            let paths = |lines: &str| {
                keepalived(51, &format!("virtual_routes {{\n{lines}\n}}"))
                    .replace("advert_int 1", "version 3\n advert_int 1")
            };
            let kept = "192.168.1.0/24 via 10.77.0.2 src 10.77.0.10";
            let conf = file(
                &node,
                &paths(&format!("{kept}\n192.168.2.0/24 via 10.79.0.2 dev eth0")),
            );
            node.start(Some(&conf), &[]);
            has(&node, "192.168.1.0/24 via 10.77.0.2");
            shows_what_cannot_go_up(&node);
            puts_back_what_others_remove(&node);
            puts_the_address_back_at_once(&node);
            keeps_all_over_an_upgrade(&node);
            // A reload.
            file(
                &node,
                &paths(&format!("{kept}\n192.168.3.0/24 dev eth0"))
                    .replace("172.21.0.0/24", "172.24.0.0/24")
                    .replace("priority 500", "priority 501"),
            );
            let pid = node.ask("/supervisor/pid").unwrap().as_i64().unwrap();
            let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            kill_process(pid, Signal::HUP).unwrap();
            has(&node, "192.168.3.0/24");
            has(&node, "172.24.0.0/24");
            wait_for("what the file no longer says goes", PATIENCE, || {
                let all = marked(&node);
                let gone = ["192.168.2.0/24", "172.21.0.0/24", "500:"];
                (!gone.iter().any(|one| all.contains(one))).then_some(())
            });
            for told in [
                "static_routes changed",
                "static_rules changed",
                "V changed: virtual_routes",
            ] {
                says(&node, told);
            }
            // A crash, and another start: what was left is no hindrance, and no route stays when the host is Backup.
            node.kill();
            assert_eq!(
                ip(&node, "route show 192.168.3.0/24").trim_end(),
                "192.168.3.0/24 dev eth0 proto keepalived"
            );
            let backup = paths("192.168.3.0/24 dev eth0").replace("advert_int 1", "advert_int 40");
            let backup = backup
                .replace("172.21.0.0/24", "172.24.0.0/24")
                .replace("priority 500", "priority 501");
            let backup = file(&node, &backup);
            node.start(Some(&backup), &[]);
            wait_for("what was left is swept", PATIENCE, || {
                ip(&node, "route show 192.168.3.0/24")
                    .is_empty()
                    .then_some(())
            });
            has(&node, "172.24.0.0/24");
            node.terminate();
            assert_eq!(marked(&node), "");
        },
    );
}
