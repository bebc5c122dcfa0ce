//! `ha-lb check --strict`: what keepalived would silently make something else of is refused, by name and place, by
//! anyone, on a host that has none of the interfaces.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");

/// Line 5 and later of an instance, the place of the warning, and words of it.
const SURPRISES: &[(&str, &str, &str)] = &[
    (
        "authentication {\nauth_type PASS\nauth_pass P@ss!word\n}",
        "7:15",
        "`!` begins a comment inside a word",
    ),
    (
        "authentication {\nauth_type PASS\nauth_pass a\\#b\n}",
        "7:13",
        "begins a comment all the same; the word ends here, as for keepalived 2.2",
    ),
    (
        "authentication {\nauth_type PASS\nauth_pass a\"b\"c\n}",
        "7:12",
        "text after the value of `auth_pass`; it is ignored to the end of the line, as by keepalived: a double quote",
    ),
    (
        "authentication {\nauth_type PASS\nauth_pass secretsecret\n}",
        "7:11",
        "longer than 8 bytes",
    ),
    ("priority 10 20 junk", "5:13", "text after the value"),
    ("advert_int 1 s", "5:14", "text after the value"),
    (
        "priority 10\npriority 20",
        "6:1",
        "this one counts, not the one of line 5",
    ),
    (
        "notify_master /bin/true\nnotify_master /bin/false",
        "6:1",
        "the first one counts, of line 5, not this one",
    ),
    ("advert_int 0.3", "5:12", "it is rounded to 1 s"),
    (
        "version 3\nadvert_int 0.123",
        "6:12",
        "it is rounded to 0.12 s",
    ),
    (
        "state MASTER",
        "1:15",
        "makes the owner of the addresses; priority is 255, as for keepalived",
    ),
    (
        "state MASTER\npriority 100\nnopreempt",
        "7:1",
        "needs `state BACKUP`; it is ignored, as by keepalived",
    ),
    (
        "track_script {\nlate\n}\n}\nvrrp_script late {\nscript /bin/true",
        "6:1",
        "keepalived would ignore this line",
    ),
    (
        "track_process {\nearly reverse\n}",
        "6:7",
        "the line is ignored, as by keepalived: `early` is not tracked",
    ),
    (
        "nopreempt\ntrack_process {\nearly weight 5\n}",
        "7:1",
        "a failing master keeps the addresses",
    ),
    (
        "track_script {\ngone\n}\n}\nvrrp_script gone {\nscript /no/such/program",
        "10:8",
        "no such program on this host",
    ),
    (
        "notify /no/such/program",
        "5:8",
        "no such program on this host",
    ),
    ("debug 3", "5:1", "has no effect here"),
];

fn check(folder: &Path, options: &[&str]) -> Output {
    let mut command = match rustix::process::geteuid().is_root() {
        // Nobody, in a network namespace with nothing in it.
        true => {
            let mut command = Command::new("unshare");
            command.args([
                "-n",
                "setpriv",
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
            ]);
            // By its descriptor: the folder that it was built in may be root's alone.
            command.arg("/proc/self/fd/0");
            command.stdin(fs::File::open(HA_LB).unwrap());
            command
        }
        false => Command::new(HA_LB),
    };
    command
        .args(["check", "-k"])
        .arg(folder.join("k.conf"))
        .args(options)
        .output()
        .unwrap()
}

/// A file whose instance has these lines.
fn write(folder: &Path, lines: &str) {
    let text = format!(
        "vrrp_instance V {{\ninterface nowhere0\nvirtual_router_id 1\nvirtual_ipaddress {{ 10.0.0.1 }}\n{lines}\n}}\n\
         vrrp_track_process early {{\nprocess sshd\n}}\n"
    );
    fs::write(folder.join("k.conf"), text).unwrap();
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn each_surprise_is_an_error_with_its_place() {
    let folder = folder();
    for (lines, place, words) in SURPRISES {
        write(folder.path(), lines);
        let lax = check(folder.path(), &[]);
        assert_eq!(lax.status.code(), Some(0), "{lines}: {lax:?}");
        let strict = check(folder.path(), &["--strict"]);
        assert_eq!(strict.status.code(), Some(1), "{lines}");
        let text = String::from_utf8(strict.stdout).unwrap();
        let named = format!("k.conf:{place}: error: ");
        let line = text
            .lines()
            .find(|l| l.contains(&named) && l.contains(words));
        assert!(line.is_some(), "{lines}\n{text}");
        assert!(text.contains("Configuration is refused: "), "{text}");

        let json = check(folder.path(), &["--strict", "--json"]);
        assert_eq!(json.status.code(), Some(1), "{lines}");
        let json: Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(
            (&json["valid"], &json["strict"]),
            (&false.into(), &true.into())
        );
        let (number, column) = place.split_once(':').unwrap();
        let found = json["diagnostics"].as_array().unwrap().iter().any(|d| {
            d["severity"] == "error"
                && d["span"]["line"].as_u64() == number.parse().ok()
                && d["span"]["column"].as_u64() == column.parse().ok()
        });
        assert!(found, "{lines}\n{json:#}");
    }
}

#[test]
fn a_file_without_surprises_passes() {
    let folder = folder();
    write(
        folder.path(),
        "priority 100\nadvert_int 2\nstate BACKUP\nnopreempt",
    );
    for options in [&["--strict"][..], &["--strict", "--json"]] {
        let passed = check(folder.path(), options);
        assert_eq!(passed.status.code(), Some(0), "{passed:?}");
    }
}
