//! The files that keepalived writes when it is signalled, beside Debian's keepalived on the same file.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use ha_lb::lab::Lab;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    node::Node,
    support::{Needs, enclosed, wait_for},
};

mod exporter;

const PATIENCE: Duration = Duration::from_secs(15);
const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");
/// Number and file.
const SIGNALS: [(i32, &str); 3] = [
    (Signal::USR1.as_raw(), "keepalived.data"),
    (Signal::USR2.as_raw(), "keepalived.stats"),
    (36, "keepalived.json"),
];

const CONFIG: &str = "\
global_defs {
    router_id h1
    script_user root
    vrrp_garp_master_delay 3
}
vrrp_script chk {
    script \"/usr/bin/true 'a b' c\\ d \\\"e f\\\" \\x41\\102 #g\"
    interval 1
    weight -5
    fall 3
    rise 2
}
vrrp_instance V1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 150
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass secret1
    }
    virtual_ipaddress {
        10.77.0.100/24 brd 10.77.0.255 dev eth0 label eth0:v
        10.77.0.101
    }
    track_script {
        chk weight 3
    }
    track_interface {
        lo weight 2
    }
    notify '/usr/bin/true a \"b c\"'
    notify_master /usr/bin/\"tr\"ue
}
vrrp_instance V2 {
    state BACKUP
    interface eth0
    virtual_router_id 52
    priority 100
    nopreempt
    promote_secondaries
    version 3
    advert_int 0.7
    garp_master_delay 4
    garp_master_repeat 2
    notify_deleted /usr/bin/true
    notify_master_rx_lower_pri /usr/bin/true
    unicast_src_ip 10.77.0.11
    unicast_peer {
        10.77.0.12
    }
    virtual_ipaddress {
        10.77.0.110
        10.77.0.111 peer 10.99.0.1 no_track
        10.77.1.112/24 -nodad noprefixroute
    }
    virtual_ipaddress_excluded {
        2001:db8::110 no_track
        2001:db8::111/64
        2001:db8::112/64 preferred_lft 7
    }
}
vrrp_instance VF {
    interface eth0
    virtual_router_id 54
    priority 100
    track_interface {
        down0
    }
    virtual_ipaddress {
        10.77.0.120
    }
}
";

/// What one program wrote.
struct Written {
    data: String,
    stats: String,
    json: Value,
}

/// Runs `program` until it holds the addresses, has it write its files, and ends it.
fn written(node: &Node, program: &Path, folder: &Path) -> Written {
    fs::create_dir(folder).unwrap();
    // Someone has laid a trap in a folder that everyone may write to.
    let precious = folder.join("precious");
    fs::write(&precious, "precious").unwrap();
    let trap = folder.join("keepalived.data");
    let is_ours =
        program.ends_with("sbin/keepalived") && program != Path::new("/usr/sbin/keepalived");
    if is_ours {
        std::os::unix::fs::symlink(&precious, &trap).unwrap();
    }
    let mut daemon = node
        .command("env")
        .arg(format!("TMPDIR={}", folder.display()))
        .arg(program)
        .args(["-n", "-l", "-P"])
        .output(node.path("log"))
        .spawn()
        .unwrap();
    wait_for(&node.log(), PATIENCE, || {
        let holds = ["10.77.0.101", "10.77.0.110"];
        holds.iter().all(|vip| node.holds(vip)).then_some(())
    });
    let read = |number: i32, name: &str| {
        let path = folder.join(name);
        send(daemon.id(), number);
        wait_for(&format!("{name}\n{}", node.log()), PATIENCE, || {
            let is_file = fs::symlink_metadata(&path).is_ok_and(|found| found.is_file());
            let text = fs::read_to_string(&path).ok().filter(|_| is_file)?;
            let whole = match number {
                36 => serde_json::from_str::<Value>(&text).is_ok(),
                _ => text.contains("VF") && text.ends_with('\n'),
            };
            whole.then_some(text)
        })
    };
    let [data, stats, json] = SIGNALS.map(|(number, name)| read(number, name));
    for (_, name) in SIGNALS {
        let mode = fs::metadata(folder.join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    if is_ours {
        clears(daemon.id(), folder);
    }
    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    daemon.wait().unwrap();
    Written {
        data,
        stats,
        json: serde_json::from_str(&json).unwrap(),
    }
}

fn send(pid: u32, number: i32) {
    let status = std::process::Command::new("kill")
        .args([format!("-{number}"), pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// `--signum=STATS_CLEAR`: the file has the last counters, the next one begins at 0.
fn clears(pid: u32, folder: &Path) {
    let path = folder.join("keepalived.stats");
    let became = |number: i32| {
        fs::remove_file(&path).unwrap();
        send(pid, number);
        wait_for("counters", PATIENCE, || {
            let text = fs::read_to_string(&path).ok()?;
            let line = text.lines().find(|line| line.contains("Became master"))?;
            Some(line.trim().to_owned())
        })
    };
    assert_eq!(became(63), "Became master: 1");
    assert_eq!(became(12), "Became master: 0");
}

/// Names of the lines, with their indent, numbers left out.
fn names(text: &str) -> Vec<String> {
    let name = |line: &str| {
        line.trim_end_matches(|c: char| c.is_ascii_digit())
            .to_owned()
    };
    text.lines().map(name).collect()
}

/// Lines of the sections that both have, as a set: what does not vary between runs.
fn settled(text: &str) -> BTreeSet<&str> {
    let start = text.find("------< VRRP Topology").unwrap();
    let varies = ["Last transition", "Read timeout", "Master down timer"];
    let is_settled = |line: &&str| !varies.iter().any(|name| line.contains(name));
    let lines = text[start..].lines().filter(is_settled);
    // Who runs a script is left out by ours.
    lines
        .map(|line| line.split(", uid:gid").next().unwrap())
        .collect()
}

#[test]
fn a_signalled_keepalived_writes_what_tools_read() {
    enclosed(
        "dumps::a_signalled_keepalived_writes_what_tools_read",
        Needs::Users,
        &["unshare", "ip", "keepalived"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let output = node
                .command("ip")
                .args([
                    "link", "add", "down0", "type", "veth", "peer", "name", "down1",
                ])
                .capture()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            fs::write(node.path("etc/keepalived/keepalived.conf"), CONFIG).unwrap();
            let sbin: PathBuf = scratch.path().join("sbin");
            fs::create_dir(&sbin).unwrap();
            std::os::unix::fs::symlink(HA_LB, sbin.join("keepalived")).unwrap();

            let theirs = written(
                &node,
                Path::new("/usr/sbin/keepalived"),
                &scratch.path().join("theirs"),
            );
            let ours = written(
                &node,
                &sbin.join("keepalived"),
                &scratch.path().join("ours"),
            );

            assert_eq!(names(&ours.stats), names(&theirs.stats));
            // What monitoring makes of them is the same, and nothing of it a password.
            let read = exporter::data(&ours.data);
            assert_eq!(read, exporter::data(&theirs.data));
            assert_eq!(read.0["V1"]["Virtual IP"].len(), 2, "{read:?}");
            assert_eq!(read.1["chk"]["Status"], ["GOOD"], "{read:?}");
            let counters = exporter::stats(&ours.stats).into_keys();
            assert!(counters.eq(exporter::stats(&theirs.stats).into_keys()));
            let log = node.log();
            for said in [&ours.data, &ours.stats, &ours.json.to_string(), &log] {
                assert!(!said.contains("secret1"), "{said}");
            }
            compare(&ours.json, &theirs.json);
            let (theirs, ours) = (settled(&theirs.data), settled(&ours.data));
            let invented: Vec<_> = ours.difference(&theirs).collect();
            assert!(invented.is_empty(), "{invented:#?}\n{theirs:#?}");
            for wanted in [
                " VRRP Instance = V1",
                "   State = MASTER",
                "   State = FAULT",
                "   Wantstate = FAULT",
                "   Virtual Router ID = 51",
                "   Effective priority = 155",
                "   Virtual IP (2):",
                "     10.77.0.101 dev eth0 scope global set",
                "   Command = '/usr/bin/true' 'a b' 'c' 'd' 'e f' 'AB' '#g'",
                "   Status = GOOD",
                "   Using src_ip = 10.77.0.11 (from configuration)",
            ] {
                assert!(ours.contains(wanted), "{wanted}: {ours:#?}");
            }
        },
    );
}

#[test]
fn what_runs_is_logged_at_the_start_and_after_a_reload_where_the_command_line_asks_for_it() {
    enclosed(
        "dumps::what_runs_is_logged_at_the_start_and_after_a_reload_where_the_command_line_asks_for_it",
        Needs::Users,
        &["unshare", "ip"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let file = node.path("etc/keepalived/keepalived.conf");
            let write = |priority: u8| {
                let text = format!(
                    "vrrp_instance V {{\n interface eth0\n virtual_router_id 5\n priority {priority}\n \
                     virtual_ipaddress {{\n 10.77.0.9\n }}\n}}\n"
                );
                fs::write(&file, text).unwrap();
            };
            write(100);
            let own = scratch.path().join("keepalived");
            std::os::unix::fs::symlink(HA_LB, &own).unwrap();
            let mut daemon = node
                .command(&own)
                .args(["-n", "-l", "-d", "-P"])
                .output(node.path("log"))
                .spawn()
                .unwrap();
            let logged = |what: &str| {
                wait_for(what, PATIENCE, || node.log().contains(what).then_some(()));
            };
            logged("------< VRRP Topology >------");
            logged(" VRRP Instance = V");
            logged("   Priority = 100");
            // What monitoring looks for in the log of a keepalived.
            logged("(V) Entering BACKUP STATE (init)");
            logged("(V) Entering MASTER STATE");
            write(120);
            kill_process(Pid::from_child(&daemon), Signal::HUP).unwrap();
            logged("   Priority = 120");
            kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
            assert!(daemon.wait().unwrap().success(), "{}", node.log());
        },
    );
}

/// Arguments for which both programs end at once, and with the same code.
const ENDINGS: [&str; 35] = [
    "--signum=STOP",
    "--signum=RELOAD",
    "--signum=DATA",
    "--signum=STATS",
    "--signum=STATS_CLEAR",
    "--signum=JSON",
    "--signum JSON",
    "--signum=HUP",
    "--signum=NOTIFY",
    "--signum",
    "-v",
    "-h",
    "--version",
    "--help",
    "-Z",
    "--foo",
    "-f",
    "--log -t",
    "--dont-fork=3",
    "-t -A",
    "-n -f /etc/missing",
    "-t -f /etc/ok",
    "-t -f /etc/ok extra",
    "-t -f /etc/unknown",
    "-t -f /etc/range",
    "-t -f /etc/brace",
    "-t -f /etc/empty",
    "-t/etc/log -f /etc/unknown",
    "--config-test=/etc/log -f /etc/ok",
    "-t -S 9 -f /etc/ok",
    "-t -u zz -f /etc/ok",
    "-t -p /run/p -r /run/r -c /run/c -f /etc/ok",
    "-t -m -M -R -x -d -D -l -G -e --all -f /etc/ok",
    "-t -i one -f /etc/id",
    "-t --config-id two -f /etc/id",
];

#[test]
fn options_and_signal_numbers_are_those_of_keepalived() {
    enclosed(
        "dumps::options_and_signal_numbers_are_those_of_keepalived",
        Needs::Users,
        &["unshare", "ip", "keepalived"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let ok = "vrrp_instance V {\n interface eth0\n virtual_router_id 5\n priority 100\n virtual_ipaddress \
                      {\n 10.77.0.9\n }\n}\n";
            for (name, text) in [
                ("ok", ok.to_owned()),
                ("unknown", ok.replace(" priority", " prioirty")),
                ("range", ok.replace("100", "300")),
                ("brace", ok.trim_end().trim_end_matches('}').to_owned()),
                ("empty", String::new()),
                // An unknown word, but not for `one`.
                ("id", ok.replace(" priority", " @^one foo 1\n priority")),
            ] {
                fs::write(node.path("etc").join(name), text).unwrap();
            }
            let sbin = scratch.path().join("sbin");
            fs::create_dir(&sbin).unwrap();
            std::os::unix::fs::symlink(HA_LB, sbin.join("keepalived")).unwrap();
            let mut differences = Vec::new();
            for line in ENDINGS {
                let ran = |program: &Path| {
                    let words = line.split_whitespace();
                    let output = node.command(program).args(words).capture().unwrap();
                    (output.status.code(), output.stdout)
                };
                // keepalived 2.2.7 dies of `--signum` without a name in a quarter of all cases (SIGSEGV).
                let mut theirs = (0..50).map(|_| ran(Path::new("/usr/sbin/keepalived")));
                let theirs = theirs.find(|theirs| theirs.0.is_some()).unwrap();
                let ours = ran(&sbin.join("keepalived"));
                let numbers = line.starts_with("--signum");
                if ours.0 != theirs.0 || (numbers && ours.1 != theirs.1) {
                    differences.push(format!("{line}: {ours:?}, keepalived {theirs:?}"));
                }
            }
            assert!(differences.is_empty(), "{differences:#?}");
        },
    );
}

/// The same names with the same values, but for moments, counts and the password.
fn compare(ours: &Value, theirs: &Value) {
    let (ours, theirs) = (ours.as_array().unwrap(), theirs.as_array().unwrap());
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        for part in ["data", "stats"] {
            let (ours, theirs) = (
                ours[part].as_object().unwrap(),
                theirs[part].as_object().unwrap(),
            );
            for (name, value) in theirs {
                match name.as_str() {
                    "auth_data" => assert!(!ours.contains_key(name)),
                    "last_transition" => assert!(ours[name].as_f64() > value.as_f64()),
                    "advert_sent" => assert_eq!(ours[name].is_u64(), value.is_u64()),
                    _ => assert_eq!(ours.get(name), Some(value), "{name}: {ours:?}"),
                }
            }
            assert!(ours.keys().all(|name| theirs.contains_key(name)));
        }
    }
}
