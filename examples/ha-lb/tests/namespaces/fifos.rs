//! Programs that read notify fifos, beside Debian's keepalived: started with the same words and told the same; and kept
//! running through what ends them.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::{
    node::Node,
    peers::with_files_and,
    support::{Needs, wait_for},
};

const PATIENCE: Duration = Duration::from_secs(20);
/// The hosts' account of that name.
const HAPROXY: u32 = 4711;

/// Notes its words, each line and its end, be that the fifo's or SIGTERM.
const READER: &str = "echo $$ > /run/reader.pid\n\
    say() { printf '%s\\n' \"$1\" >> /run/told; }\n\
    trap 'say end; exit 0' TERM\n\
    say \"begin $(printf '<%s>' \"$@\")\"\n\
    while read -r line; do say \"$line\"; done < \"$3\"\n\
    say end";

/// A in a group and B alone; the VRIDs follow from the host's number.
fn file(number: u8) -> String {
    let instance = |name: &str, offset: u8| {
        let vrid = number * 10 + offset;
        format!(
            "vrrp_instance {name} {{\n version 3\n interface ens37\n virtual_router_id {vrid}\n priority 100\n advert_int \
             1\n virtual_ipaddress {{\n 192.168.10.{vrid}\n }}\n}}\n"
        )
    };
    format!(
        "global_defs {{\n script_user root\n enable_script_security\n notify_fifo /run/every haproxy root\n \
         vrrp_notify_fifo /run/fifo\n vrrp_notify_fifo_script \"/run/reader x 'y  z'\"\n \
         fifo_write_vrrp_states_on_reload\n}}\nvrrp_sync_group G {{\n group {{\n A\n }}\n}}\n{}{}",
        instance("A", 1),
        instance("B", 2)
    )
}

fn told(node: &Node) -> Vec<String> {
    let told = fs::read_to_string(node.path("run/told")).unwrap_or_default();
    told.lines().map(str::to_owned).collect()
}

/// What a host's readers were told beyond the first `known` lines, once it is that much, in any order.
fn told_then(node: &Node, what: &str, known: usize, more: usize) -> Vec<String> {
    wait_for(what, PATIENCE, || {
        let mut lines = told(node).split_off(known);
        lines.sort();
        (lines.len() >= more).then_some(lines)
    })
}

fn reader(node: &Node) -> Pid {
    let pid = fs::read_to_string(node.path("run/reader.pid")).unwrap();
    Pid::from_raw(pid.trim().parse().unwrap()).unwrap()
}

#[test]
fn readers_hear_what_keepalived_s_hear_and_are_kept_running() {
    let name = "fifos::readers_hear_what_keepalived_s_hear_and_are_kept_running";
    let text = |number: u8, _| file(number);
    with_files_and(Needs::Users, name, &[], (100, 100), text, |mut pair| {
        for node in [&pair.theirs, &pair.ours] {
            node.script("run/reader", READER);
        }
        pair.start_theirs();
        pair.start_ours();
        let start = [&pair.theirs, &pair.ours].map(|node| told_then(node, "start", 0, 7));
        assert_eq!(start[1], start[0]);
        assert_eq!(start[1].last().unwrap(), "begin <x><y  z></run/fifo>");
        for node in [&pair.theirs, &pair.ours] {
            let found = fs::metadata(node.path("run/every")).unwrap();
            assert!(found.file_type().is_fifo());
            let rights = (found.uid(), found.gid(), found.mode() & 0o777);
            assert_eq!(rights, (HAPROXY, 0, 0o600));
        }

        // keepalived leaves the fifo without a reader.
        let killed = reader(&pair.ours);
        kill_process(killed, Signal::KILL).unwrap();
        let again = told_then(&pair.ours, "another reader", 7, 1);
        assert_eq!(again, ["begin <x><y  z></run/fifo>"]);

        let output = pair.ours.ha_lb(&["upgrade"]);
        assert!(output.status.success(), "{output:?}\n{}", pair.ours.log());
        let before = reader(&pair.ours);
        let running = || {
            let told = pair.ours.ask("/notify")?;
            let mut all = told.as_array()?.iter();
            let of = all.find(|one| one["kind"] == "fifo" && one["name"] == "/run/fifo")?;
            of["running"].as_str().map(str::to_owned)
        };
        let shown = wait_for("the reader in status", PATIENCE, running);
        assert_eq!(shown, "/run/reader x y  z /run/fifo");

        // A new reader, which is told the states: keepalived 2.2.7 forgets those of instances.
        pair.theirs.hang_up();
        pair.ours.hang_up();
        let theirs = told_then(&pair.theirs, "keepalived's reload", 7, 3);
        let ours = told_then(&pair.ours, "our reload", 8, 5);
        assert_eq!(
            theirs,
            ["GROUP \"G\" MASTER 0", "begin <x><y  z></run/fifo>", "end"]
        );
        let instances = ["A", "B"].map(|name| format!("INSTANCE \"{name}\" MASTER 100"));
        assert_eq!(
            ours.iter().filter(|line| instances.contains(line)).count(),
            2
        );
        for line in &theirs {
            assert!(ours.contains(line), "{line}: {ours:?}");
        }
        let lines = told(&pair.ours);
        let begins = lines.iter().rposition(|line| line.starts_with("begin"));
        assert_eq!(
            lines.iter().rposition(|line| line == "end"),
            begins.map(|at| at - 1),
            "one at a time: {lines:?}"
        );
        assert_ne!(reader(&pair.ours), before);
        // It went on over the upgrade, and ends here.
        wait_for("the end of the reader before", PATIENCE, || {
            test_kill_process(before).is_err().then_some(())
        });

        let last = reader(&pair.ours);
        for node in [&mut pair.theirs, &mut pair.ours] {
            assert_eq!(node.terminate(), Some(0));
        }
        let mut stop = told(&pair.ours).split_off(13);
        stop.sort();
        let stops = [
            "GROUP \"G\" STOP 0",
            "INSTANCE \"A\" STOP 100",
            "INSTANCE \"B\" STOP 100",
            "end",
        ];
        assert_eq!(stop, stops, "nothing is lost at the end");
        assert!(test_kill_process(last).is_err());
        for node in [&pair.theirs, &pair.ours] {
            assert!(!node.path("run/fifo").exists());
            assert!(!node.path("run/every").exists());
        }
    });
}
