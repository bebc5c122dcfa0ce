//! The command line as a user meets it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::PathBuf,
    process::{Command, Output},
};

const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");

fn ha_lb(arguments: &[&str]) -> Output {
    Command::new(HA_LB).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

struct Files(tempfile::TempDir);

impl Files {
    fn new(haproxy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("haproxy.cfg"), haproxy).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn check(&self, more: &[&str]) -> Output {
        let mut arguments = vec!["check", "-x"];
        let path = self.path("haproxy.cfg");
        arguments.push(&path);
        arguments.extend(more);
        ha_lb(&arguments)
    }
}

const VALID: &str = "defaults
    mode http
    timeout client 1s
    timeout server 1s
    timeout connect 1s
listen x
    bind 127.0.0.1:18080
    server s 127.0.0.1:18081
";

#[test]
fn check_says_valid_or_tells_what_is_wrong_and_where() {
    let output = Files::new(VALID).check(&[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stdout), "Configuration is valid.\n");

    let files = Files::new(&VALID.replace("    bind", "    bnid"));
    let output = files.check(&[]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    let place = format!("{}:7:5: error: ", files.path("haproxy.cfg"));
    let error = told.lines().find(|line| line.starts_with(&place)).unwrap();
    assert!(error.contains("`bnid`"), "{told}");
    assert!(
        told.ends_with("Configuration is refused: 1 error.\n"),
        "{told}"
    );
}

#[test]
fn check_speaks_json() {
    let files = Files::new(&VALID.replace("    bind", "    bnid"));
    let output = files.check(&["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["valid"], false);
    assert_eq!(report["errors"], 1);
    let diagnostics = report["diagnostics"].as_array().unwrap();
    let error = diagnostics
        .iter()
        .find(|d| d["severity"] == "error")
        .unwrap();
    assert_eq!(error["span"]["line"], 7);

    let output = Files::new(VALID).check(&["--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["valid"], true);
}

#[test]
fn a_missing_file_is_named() {
    for option in ["-k", "-x"] {
        let output = ha_lb(&["check", option, "/no/such/file"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stdout).contains("/no/such/file"), "{output:?}");
    }
}

#[test]
fn status_without_a_daemon_says_so() {
    let output = ha_lb(&["status", "--control", "/no/such/socket"]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(
        told.contains("no daemon answers at /no/such/socket"),
        "{told}"
    );
}

#[test]
fn run_refuses_what_cannot_run_and_says_what_to_do() {
    let control = |files: &Files| files.path("control");
    for (config, expected) in [
        (
            VALID.replace("    bind", "    bnid"),
            "the configuration has errors",
        ),
        (
            format!("global\n    chroot /no/such/directory\n{VALID}"),
            "sudo mkdir -p /no/such/directory",
        ),
        (
            format!("global\n    user no-such-user\n{VALID}"),
            "the user 'no-such-user' does not exist",
        ),
    ] {
        let files = Files::new(&config);
        let output = ha_lb(&[
            "run",
            "-x",
            &files.path("haproxy.cfg"),
            "--control",
            &control(&files),
        ]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains(expected), "{output:?}");
        assert!(!PathBuf::from(control(&files)).exists());
    }
}

#[test]
fn a_script_s_missing_user_is_told_with_what_follows() {
    let files = Files::new(VALID);
    let keepalived = "vrrp_script c {\n script /bin/true\n user no-such-user\n}\n\
        vrrp_instance V {\n interface lo\n virtual_router_id 51\n virtual_ipaddress {\n 192.0.2.1\n }\n \
        track_script {\n c\n }\n}\n";
    let path = files.path("keepalived.conf");
    fs::write(&path, keepalived).unwrap();
    let output = ha_lb(&["check", "-k", &path]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = text(&output.stdout);
    for words in [
        ":3:7: warning: the user 'no-such-user' does not exist",
        "the script fails",
    ] {
        assert!(told.contains(words), "{told}");
    }
    let output = ha_lb(&["check", "--strict", "-k", &path]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn an_interface_that_is_missing_here_is_a_note_and_no_more() {
    let files = Files::new(VALID);
    let path = files.path("keepalived.conf");
    let text = "vrrp_instance V {\n interface nowhere0\n virtual_router_id 51\n \
        virtual_ipaddress {\n 192.0.2.1\n }\n}\n";
    fs::write(&path, text).unwrap();
    for strict in [None, Some("--strict")] {
        let arguments = ["check", "-k", &path];
        let output = ha_lb(&arguments.into_iter().chain(strict).collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let told = text_of_note(&output);
        assert!(
            told.contains("`nowhere0`; the instance is in fault"),
            "{told}"
        );
    }
}

/// The one line that is a note.
fn text_of_note(output: &Output) -> String {
    let told = text(&output.stdout);
    let mut notes = told.lines().filter(|line| line.contains(": note: "));
    let note = notes.next().unwrap_or_default().to_owned();
    assert!(notes.next().is_none(), "{told}");
    note
}

#[test]
fn without_rights_the_missing_capability_and_its_command_are_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("keepalived.conf");
    fs::write(
        &path,
        "vrrp_instance VI_1 {\n interface lo\n virtual_router_id 51\n virtual_ipaddress {\n 192.0.2.1\n }\n}\n",
    )
    .unwrap();
    // The program itself may lie in a folder that only root can enter.
    let program = folder.path().join("ha-lb");
    // By another process, so that no child forked here meanwhile holds the copy open for writing.
    let copied = Command::new("cp").arg(HA_LB).arg(&program).status();
    assert!(copied.unwrap().success());
    let mut command = Command::new(&program);
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let output = command
        .args(["run", "-k"])
        .arg(&path)
        .arg("--control")
        .arg(folder.path().join("control"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = text(&output.stderr);
    assert!(
        told.contains("lacks the capability CAP_NET_ADMIN, which it needs to"),
        "{told}"
    );
    assert!(
        told.contains("lacks the capability CAP_NET_RAW, which it needs to"),
        "{told}"
    );
    assert!(
        told.contains("sudo setcap cap_net_admin,cap_net_raw") && told.contains("ha-lb"),
        "{told}"
    );
}

#[test]
fn help_has_examples_and_the_roles_are_hidden() {
    let help = text(&ha_lb(&["--help"]).stdout);
    assert!(help.contains("Examples:"), "{help}");
    assert!(!help.contains("speaker"), "{help}");
    let help = text(&ha_lb(&["run", "--help"]).stdout);
    assert!(
        help.contains("-k, --keepalived <KEEPALIVED_CONF>"),
        "{help}"
    );
}
