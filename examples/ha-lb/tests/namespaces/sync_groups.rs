//! Sync groups beside Debian's keepalived: an IPv4 and an IPv6 instance that are always on the same host.

use std::{fs, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    ipv6::settled,
    peers::{Pair, with_files},
    support::wait_for,
};

const VIPS: &[&str] = &["192.168.10.10", "fe80::62", "2001:db8::62"];
const PATIENCE: Duration = Duration::from_secs(15);

fn instance(name: &str, vrid: u8, priority: u8, vips: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n version 3\n state BACKUP\n interface ens37\n virtual_router_id {vrid}\n priority \
         {priority}\n advert_int 0.7\n virtual_ipaddress {{\n {vips}\n }}\n}}\n"
    )
}

/// `members` with these priorities; what the group is told of stands in `/run/told`, and it fails while there is
/// `/run/fail`.
fn file(first: u8, second: u8) -> String {
    let instances = [
        instance("V4", 61, first, "192.168.10.10"),
        instance("V6", 62, second, "fe80::62\n 2001:db8::62"),
    ];
    format!(
        "global_defs {{\n script_user root\n}}\nvrrp_script check {{\n script \"/usr/bin/test ! -e /run/fail\"\n \
         interval 1\n}}\nvrrp_sync_group BOTH {{\n group {{\n V4\n V6\n }}\n track_script {{\n check\n }}\n \
         notify \"/bin/sh -c 'echo $* >> /run/told' told\"\n}}\n{}",
        instances.concat()
    )
}

fn group(name: &str, priorities: (u8, u8), scenario: impl FnOnce(Pair)) {
    let text = |_, priority| file(priority, priority);
    with_files(name, VIPS, priorities, text, |pair| scenario(settled(pair)));
}

#[test]
fn we_are_preferred() {
    group(
        "sync_groups::we_are_preferred",
        (150, 100),
        Pair::ours_is_preferred,
    );
}

#[test]
fn keepalived_is_preferred() {
    group(
        "sync_groups::keepalived_is_preferred",
        (100, 150),
        Pair::theirs_is_preferred,
    );
}

#[test]
fn a_fault_moves_all_members_and_the_group_is_told_once_for_all() {
    group(
        "sync_groups::a_fault_moves_all_members_and_the_group_is_told_once_for_all",
        (150, 100),
        |mut pair| {
            pair.start_ours();
            pair.start_theirs();
            pair.wait_for_ours();
            // One member cannot send: neither holds its addresses.
            let sysctl = ["-qw", "net.ipv6.conf.ens37.disable_ipv6=1"];
            let output = pair.ours.host.command("sysctl").args(sysctl).capture();
            assert!(output.unwrap().status.success());
            pair.wait_for_theirs();
            assert_eq!(pair.ours.state_of("V4"), "Fault");
            let held = pair.ours.ask("/instances/0/held_by").unwrap();
            assert_eq!(held, "V6 of its sync group is in fault");
            assert_eq!(pair.ours.ask("/instances/0/sync_group").unwrap(), "BOTH");
            let sysctl = ["-qw", "net.ipv6.conf.ens37.disable_ipv6=0"];
            let output = pair.ours.host.command("sysctl").args(sysctl).capture();
            assert!(output.unwrap().status.success());
            pair.wait_for_ours();

            pair.ours.flag("run/fail", true);
            pair.wait_for_theirs();
            pair.ours.flag("run/fail", false);
            pair.wait_for_ours();
            assert_eq!(pair.ours.terminate(), Some(0));
            let expected = "BACKUP MASTER FAULT BACKUP MASTER FAULT BACKUP MASTER STOP";
            let lines = expected
                .split(' ')
                .map(|state| format!("GROUP BOTH {state} 0\n"));
            let told = fs::read_to_string(pair.ours.path("run/told")).unwrap();
            assert_eq!(told, lines.collect::<String>());
            pair.nobody_saw_a_bogus_packet();
        },
    );
}

#[test]
fn priorities_that_cross_are_said_and_nobody_flaps() {
    let text = |number: u8, priority: u8| match number {
        11 => file(priority, 250 - priority),
        _ => file(250 - priority, priority),
    };
    with_files(
        "sync_groups::priorities_that_cross_are_said_and_nobody_flaps",
        VIPS,
        (150, 150),
        text,
        |pair| {
            let mut pair = settled(pair);
            pair.start_theirs();
            pair.wait_for_theirs();
            pair.start_ours();
            wait_for("the warning", PATIENCE, || {
                let log = pair.ours.log();
                log.contains("V6: the sync group cannot agree")
                    .then_some(())
            });
            let log = pair.ours.log();
            assert!(log.contains("but V4 with 150 beats 100"), "{log}");
            pair.wait_for_theirs();
        },
    );
}

#[test]
fn a_reload_that_binds_or_frees_instances_moves_no_address() {
    group(
        "sync_groups::a_reload_that_binds_or_frees_instances_moves_no_address",
        (150, 100),
        |mut pair| {
            let bound = fs::read_to_string(pair.our_file()).unwrap();
            let (before, rest) = bound.split_once("vrrp_sync_group").unwrap();
            let (_, after) = rest.split_once("}\nvrrp_instance V4").unwrap();
            let free = format!("{before}vrrp_instance V4{after}");
            fs::write(pair.our_file(), &free).unwrap();
            pair.start_ours();
            pair.wait_for_ours();
            for (number, text, group) in [
                (1, &bound, serde_json::json!("BOTH")),
                (2, &free, serde_json::Value::Null),
            ] {
                fs::write(pair.our_file(), text).unwrap();
                let pid = pair.ours.ask("/supervisor/pid").unwrap().as_i64().unwrap();
                let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
                kill_process(pid, Signal::HUP).unwrap();
                let reload = wait_for("the reload ends", PATIENCE, || {
                    let reload = pair.ours.ask("/reload")?;
                    (reload["number"] == number).then_some(reload)
                });
                assert_eq!(reload["applied"], true, "{reload}");
                let changes = reload["changes"].to_string();
                assert!(changes.contains("vrrp_sync_group BOTH"), "{changes}");
                wait_for("the group", PATIENCE, || {
                    let now = pair.ours.ask("/instances/0/sync_group")?;
                    (now == group).then_some(())
                });
                assert_eq!(pair.ours.state_of("V4"), "Active");
                assert_eq!(pair.ours.state_of("V6"), "Active");
            }
            let log = pair.ours.log();
            assert_eq!(log.matches("V6: Backup -> Active").count(), 1, "{log}");
            assert!(!log.contains("Active -> "), "{log}");
        },
    );
}
