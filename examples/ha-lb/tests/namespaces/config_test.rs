//! `keepalived -t` of files that name accounts, programs and interfaces, beside Debian's keepalived on the same host: the
//! same exit codes, and the matter is named where it stands.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use ha_lb::lab::Lab;

use crate::{
    node::Node,
    support::{Needs, enclosed},
};

const SECURE: &str = "enable_script_security\nscript_user root\n";

const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");

/// An instance with these lines, from line 20 on.
fn file(global: &str, top: &str, instance: &str) -> String {
    let mut text = format!("global_defs {{\n{global}}}\n{top}\n");
    let missing = 13_usize.saturating_sub(text.lines().count());
    text.push_str(&"\n".repeat(missing));
    text + &format!(
        "vrrp_instance V {{\ninterface eth0\nvirtual_router_id 5\nvirtual_ipaddress {{\n10.77.0.9\n}}\n{instance}\n}}\n"
    )
}

/// Text of a file, exit code of both, words of ours with the line.
type Case = (String, i32, &'static str);

const TRACK: &str = "track_script {\ns\n}";
const VIOLATION: &str =
    "SECURITY VIOLATION - scripts are being executed but script_security not enabled.";

fn scripts() -> Vec<Case> {
    let check = |script: &str| format!("vrrp_script s {{\nscript \"{script}\"\n}}");
    let secure = |top: &str, instance: &str| file(SECURE, top, instance);
    let lax = |top: &str, instance: &str| file("script_user root\n", top, instance);
    vec![
        (file("", "", ""), 0, ""),
        // Programs.
        (secure(&check("/bin/true"), TRACK), 0, ""),
        (
            secure(&check("/no/such x"), TRACK),
            5,
            "Line 6) no such program on this host",
        ),
        (
            secure(&check("/no/such x"), ""),
            5,
            "Line 6) no such program on this host",
        ),
        (
            lax(&check("/no/such x"), TRACK),
            5,
            "Line 5) no such program",
        ),
        (
            secure("", "notify \"/no/such x\""),
            0,
            "Line 20) warning: no such program",
        ),
        // Script security.
        (lax(&check("/bin/true"), TRACK), 6, VIOLATION),
        (lax("", "notify_master \"/bin/true x\""), 6, VIOLATION),
        (
            lax("", "notify_master /etc/weak"),
            6,
            "There are insecure scripts.",
        ),
        (
            lax(&check("/etc/weak"), TRACK),
            6,
            "There are insecure scripts.",
        ),
        (
            secure(&check("/etc/weak"), TRACK),
            5,
            "Line 6) root would run /etc/weak, but everybody can write",
        ),
        (
            file(
                "vrrp_notify_fifo /run/f\nvrrp_notify_fifo_script /bin/true root\n",
                "",
                "",
            ),
            6,
            VIOLATION,
        ),
        (
            file(
                "vrrp_notify_fifo /run/f\nvrrp_notify_fifo_script /no/such root\n",
                "",
                "",
            ),
            0,
            "Line 3) warning: no such",
        ),
    ]
}

fn accounts_and_interfaces() -> Vec<Case> {
    let check = |script: &str| format!("vrrp_script s {{\nscript \"{script}\"\n}}");
    vec![
        (
            file("script_user nosuch\n", &check("/bin/true"), TRACK),
            5,
            "Line 2) the user 'nosuch' does not exist",
        ),
        (
            file("script_user root nosuch\n", &check("/bin/true"), TRACK),
            5,
            "Line 2) the group 'nosuch' does not exist",
        ),
        (
            file(
                "enable_script_security\n",
                "vrrp_script s {\nscript /bin/true\nuser nosuch\n}",
                TRACK,
            ),
            5,
            "Line 6) the user 'nosuch' does not exist",
        ),
        (
            file(
                "enable_script_security\nshutdown_script /bin/true nosuch\n",
                "",
                "",
            ),
            5,
            "Line 3) the user 'nosuch' does not exist",
        ),
        (
            file(SECURE, "", "notify /bin/true nosuch"),
            0,
            "Line 20) warning: the user 'nosuch' does not exist",
        ),
        (
            file("notify_fifo /run/a nosuch\n", "", ""),
            0,
            "Line 2) warning: the user 'nosuch' does not exist",
        ),
        // Interfaces.
        (
            file(
                "",
                "",
                "virtual_ipaddress_excluded {\n10.77.0.8 dev eth7\n}",
            ),
            5,
            "Line 21) no such interface on this host: `eth7`",
        ),
        (
            file("", "", "").replace("eth0", "eth7"),
            5,
            "Line 14) no such interface on this host: `eth7`",
        ),
        (
            file("", "", "track_interface {\neth7\n}"),
            5,
            "no such interface on this host: `eth7`",
        ),
        (
            file("dynamic_interfaces\n", "", "").replace("eth0", "eth7"),
            0,
            "",
        ),
        // Fifos.
        (
            file("notify_fifo /run/a\nvrrp_notify_fifo\n", "", ""),
            5,
            "Line 3)",
        ),
        (
            file("vrrp_notify_fifo_script /no/such root\n", "", ""),
            0,
            "Line 2) warning: `vrrp_notify_fifo_script` without",
        ),
    ]
}

#[test]
fn what_does_not_fit_the_host_is_found_as_by_keepalived() {
    enclosed(
        "config_test::what_does_not_fit_the_host_is_found_as_by_keepalived",
        Needs::Users,
        &["unshare", "ip", "keepalived"],
        || {
            let scratch = tempfile::tempdir().unwrap();
            let lab = Lab::new().unwrap();
            let node = Node::new(&lab, scratch.path(), "h1", "eth0", &["10.77.0.11/24"]);
            let weak = node.path("etc/weak");
            fs::write(&weak, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&weak, PermissionsExt::from_mode(0o777)).unwrap();
            let sbin = scratch.path().join("sbin");
            fs::create_dir(&sbin).unwrap();
            std::os::unix::fs::symlink(HA_LB, sbin.join("keepalived")).unwrap();
            let mut differences = Vec::new();
            for (text, code, words) in scripts().into_iter().chain(accounts_and_interfaces()) {
                fs::write(node.path("etc/k.conf"), &text).unwrap();
                let ran = |program: &Path| {
                    let command = node.command(program).args(["-t", "-f", "/etc/k.conf"]);
                    let output = command.capture().unwrap();
                    let said = String::from_utf8_lossy(&output.stderr).into_owned();
                    (output.status.code(), said)
                };
                let theirs = ran(Path::new("/usr/sbin/keepalived"));
                let ours = ran(&sbin.join("keepalived"));
                if (ours.0, theirs.0) != (Some(code), Some(code)) || !ours.1.contains(words) {
                    differences.push(format!("{text}\n{ours:?}, keepalived {theirs:?}"));
                }
            }
            assert!(differences.is_empty(), "{}", differences.join("\n"));
        },
    );
}
