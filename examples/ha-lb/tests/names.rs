//! The program called as `haproxy` and `keepalived`, without root: words and exit codes that tools read.
#![expect(clippy::unwrap_used, reason = "tests")]

mod reserve;

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::{net::UnixStream, process::ExitStatusExt as _},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use reserve::free_address;
use rustix::process::{Pid, Signal, kill_process};

const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder with the program under both names.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["haproxy", "keepalived"] {
            std::os::unix::fs::symlink(HA_LB, folder.path().join(name)).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A command line; files lie in the folder, which is the current one.
    fn command(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let mut command = Command::new(self.path(words.next().unwrap()));
        command
            .args(words)
            .current_dir(self.0.path())
            .env("XDG_RUNTIME_DIR", self.0.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Lines with `(pid)` in place of the number.
fn lines(bytes: &[u8]) -> Vec<String> {
    let anonymous = |line: &str| match (line.find('('), line.find(')')) {
        (Some(from), Some(to)) if line.starts_with('[') => {
            format!("{}(pid){}", &line[..from], &line[to + 1..])
        }
        _ => line.to_owned(),
    };
    text(bytes).lines().map(anonymous).collect()
}

fn valid(address: SocketAddr) -> String {
    format!(
        "defaults\n    mode http\n    timeout client 1s\n    timeout server 1s\n    timeout connect 1s\nlisten x\n    \
         bind {address}\n    server s 127.0.0.1:9\n"
    )
}

const NO_TIMEOUTS: &str =
    "defaults\n    mode http\nlisten x\n    bind 127.0.0.1:9\n    server s 127.0.0.1:9\n";

#[test]
fn haproxy_c_says_and_exits_as_haproxy_2_6_does() {
    let place = Place::new();
    place.write("ok.cfg", &valid(free_address()));
    place.write("warn.cfg", NO_TIMEOUTS);
    place.write("bad.cfg", "global\n    maxcon 5\n");
    place.write("empty.cfg", "");
    fs::create_dir(place.path("folder")).unwrap();
    place.write("folder/a.cfg", "global\n    maxconn 50\n");
    place.write("folder/b.cfg", &valid(free_address()));
    place.write("folder/c.txt", "nonsense\n");
    const VALID: &str = "Configuration file is valid\n";
    const NOTHING_LISTENS: &str =
        "Configuration file has no error but will not start (no listener) => exit(2).\n";
    // Standard output word for word, and whether standard error says anything.
    for (line, code, out, tells) in [
        ("-c -f ok.cfg", 0, VALID, false),
        ("-W -V -c -f ok.cfg", 0, VALID, false),
        ("-c -q -f ok.cfg", 0, "", false),
        ("-c -f folder", 0, VALID, false),
        ("-c -- ok.cfg", 0, VALID, false),
        (
            "-c -f warn.cfg",
            0,
            "Warnings were found.\nConfiguration file is valid\n",
            true,
        ),
        ("-c -q -f warn.cfg", 0, "", false),
        ("-c -dW -f warn.cfg", 1, "", true),
        ("-c -f bad.cfg", 1, "", true),
        ("-c -q -f bad.cfg", 1, "", false),
        ("-c -f missing.cfg", 1, "", true),
        ("-c -f empty.cfg", 2, NOTHING_LISTENS, false),
        ("-C /no/such -c -f ok.cfg", 1, "", true),
        ("-cc version_atleast(2.4)", 0, "", false),
        ("-cc version_atleast(2.9)", 1, "", false),
        ("-cc nonsense(1)", 2, "", true),
    ] {
        let output = place.run(&format!("haproxy {line}"));
        assert_eq!(output.status.code(), Some(code), "{line}: {output:?}");
        assert_eq!(text(&output.stdout), out, "{line}");
        let said = text(&output.stderr);
        assert_eq!(!said.is_empty(), tells, "{line}: {said}");
    }
}

#[test]
fn haproxy_s_findings_have_haproxy_s_form() {
    let place = Place::new();
    place.write("bad.cfg", "global\n    maxcon 5\n    foo\n");
    let output = place.run("haproxy -c -f bad.cfg");
    let said = lines(&output.stderr);
    assert!(
        said[0].starts_with("[NOTICE]   (pid) : haproxy version is 2.6."),
        "{said:?}"
    );
    assert!(
        said[1].starts_with("[NOTICE]   (pid) : path to executable is /"),
        "{said:?}"
    );
    let rest = "[ALERT]    (pid) : config :";
    assert_eq!(
        said[2..],
        [
            format!(
                "{rest} parsing [bad.cfg:2] : unknown keyword 'maxcon' in 'global' section; did you mean 'maxconn' \
                 maybe ?"
            ),
            format!("{rest} parsing [bad.cfg:3] : unknown keyword 'foo' in 'global' section"),
            format!("{rest} Error(s) found in configuration file : bad.cfg"),
            format!("{rest} Fatal errors found in configuration."),
        ]
    );
    // The same places as `ha-lb check` finds.
    let output = Command::new(HA_LB)
        .args(["check", "-x"])
        .arg(place.path("bad.cfg"))
        .output()
        .unwrap();
    let checked = text(&output.stdout);
    assert_eq!(checked.matches(": error: ").count(), 2, "{checked}");
    assert!(checked.contains("bad.cfg:2:5: error: "), "{checked}");

    let output = place.run("haproxy -c -f missing.cfg");
    assert_eq!(
        lines(&output.stderr)[2],
        "[ALERT]    (pid) : config : Cannot open configuration file/directory missing.cfg : No such file or directory"
    );
}

#[test]
fn haproxy_without_a_file_or_with_an_unknown_flag_shows_its_usage() {
    let place = Place::new();
    for line in [
        "haproxy",
        "haproxy -k",
        "haproxy -c -f x extra",
        "haproxy -h",
    ] {
        let output = place.run(line);
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert!(
            text(&output.stdout).starts_with("HAProxy version 2.6."),
            "{line}"
        );
        assert!(
            text(&output.stderr).starts_with("Usage : haproxy "),
            "{line}"
        );
    }
    let output = place.run("haproxy -v");
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("HAProxy version 2.6."));
    let output = place.run("haproxy -vv");
    let details = text(&output.stdout);
    assert!(details.contains("\n  TARGET  = linux-glibc\n"), "{details}");
    let line = |name: &str| {
        let line = details.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name}\n{details}"))
    };
    assert_eq!(line("Available services : "), "prometheus-exporter");
    for feature in line("Feature list : ").split(' ') {
        let (sign, name) = feature.split_at(1);
        let output = place.run(&format!("haproxy -cc feature({name})"));
        let expected = i32::from(sign != "+");
        assert_eq!(output.status.code(), Some(expected), "{feature}");
    }
}

#[test]
fn an_address_in_use_is_told_as_haproxy_tells_it() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    place.write("h.cfg", &valid(address));
    let output = place.run("haproxy -db -f h.cfg");
    assert_eq!(output.status.code(), Some(1));
    let said = lines(&output.stderr);
    assert!(
        said.iter().any(|line| line
            .starts_with("[ALERT]    (pid) : Binding [h.cfg:7] for proxy 'x'")
            && line.ends_with(&format!(
                "cannot bind socket (Address already in use) for [{address}]"
            ))),
        "{said:?}"
    );
    let last = "[ALERT]    (pid) : [haproxy.main()] Some protocols failed to start their listeners! Exiting.";
    assert_eq!(said.last().unwrap(), last);
    place.write("n.cfg", "backend b\n    server s 127.0.0.1:9\n");
    let output = place.run("haproxy -f n.cfg");
    assert!(
        text(&output.stderr)
            .contains("No enabled listener found (check for 'bind' directives) ! Exiting."),
        "{output:?}"
    );
}

/// A plain haproxy in the foreground.
fn foreground(place: &Place, flags: &str) -> (Child, SocketAddr) {
    let address = free_address();
    place.write("h.cfg", &valid(address));
    let mut child = place
        .command(&format!("haproxy {flags} -f h.cfg"))
        .stderr(fs::File::create(place.path("log")).unwrap())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    // Log lines come from the balancer that serves; the socket listens before.
    while !fs::read_to_string(place.path("log"))
        .unwrap()
        .contains("serves after")
    {
        assert!(child.try_wait().unwrap().is_none() && Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    (child, address)
}

#[test]
fn a_plain_haproxy_dies_of_its_signals_and_a_master_does_not() {
    for (flags, signal, code, died_of) in [
        ("-db", Signal::TERM, None, Some(15)),
        ("-db", Signal::INT, None, Some(2)),
        ("-db", Signal::USR1, Some(0), None),
        ("-W", Signal::TERM, Some(0), None),
        ("-W", Signal::INT, Some(130), None),
        ("-W -p pid", Signal::USR1, Some(0), None),
    ] {
        let place = Place::new();
        let (mut child, address) = foreground(&place, flags);
        let pid = fs::read_to_string(place.path("pid")).ok();
        let written = flags.contains("-p").then(|| format!("{}\n", child.id()));
        assert_eq!(pid, written, "{flags}");
        kill_process(Pid::from_child(&child), signal).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(
            (status.code(), status.signal()),
            (code, died_of),
            "{flags} {signal:?}"
        );
        assert!(TcpStream::connect(address).is_err());
        assert!(!place.path("pid").exists());
    }
}

#[test]
fn soft_stop_waits_for_the_connection_that_runs() {
    use std::io::{Read as _, Write as _};
    let place = Place::new();
    let origin = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free_address();
    let server = origin.local_addr().unwrap();
    place.write(
        "h.cfg",
        &format!(
            "defaults\n timeout client 20s\n timeout server 20s\n timeout connect 1s\nlisten x\n bind {address}\n \
             server s {server}\n"
        ),
    );
    let mut child = place
        .command("haproxy -db -f h.cfg")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut client = loop {
        if let Ok(stream) = TcpStream::connect(address) {
            break stream;
        }
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    };
    let (mut served, _) = origin.accept().unwrap();
    kill_process(Pid::from_child(&child), Signal::USR1).unwrap();
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < deadline, "the listener is still open");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.try_wait().unwrap().is_none());
    client.write_all(b"ping").unwrap();
    let mut buffer = [0; 4];
    served.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"ping");
    drop((client, served));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_background_process_relieves_the_one_before() {
    let place = Place::new();
    let address = free_address();
    let stats = place.path("stats");
    let global = format!("global\n    stats socket {} level admin\n", stats.display());
    place.write("h.cfg", &(global + &valid(address)));
    let output = place.run("haproxy -D -f h.cfg -p pid");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let pid = |name: &str| -> i32 {
        fs::read_to_string(place.path(name))
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    };
    let first = pid("pid");
    assert!(TcpStream::connect(address).is_ok());
    let output = place.run(&format!("haproxy -D -f h.cfg -p pid2 -sf {first}"));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let second = pid("pid2");
    assert_ne!(first, second);
    let deadline = Instant::now() + PATIENCE;
    while place.path("pid").exists() {
        assert!(Instant::now() < deadline, "the first still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(TcpStream::connect(address).is_ok());
    assert!(UnixStream::connect(&stats).is_ok(), "the second's socket");
    kill_process(Pid::from_raw(second).unwrap(), Signal::TERM).unwrap();
    while place.path("pid2").exists() {
        assert!(Instant::now() < deadline, "the second still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!stats.exists());
    // One that cannot start is no success, and says why.
    place.write("h.cfg", &valid(address).replace("bind", "bnid"));
    let output = place.run("haproxy -D -f h.cfg");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("unknown keyword 'bnid'"));
    // Even when that shows only in the background.
    place.write("h.cfg", &valid(address));
    let output = place.run("haproxy -D -f h.cfg -p no/such/folder/pid");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("pid file no/such/folder/pid: "),
        "{output:?}"
    );
}

#[test]
fn keepalived_checks_and_exits_as_keepalived_does() {
    let place = Place::new();
    let good = "vrrp_instance V {\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {\n 192.0.2.1\n }\n}\n\
                global_defs {\n dynamic_interfaces\n}\n";
    place.write("good.conf", good);
    place.write("bad.conf", &good.replace("51", "951"));
    for (line, code) in [
        ("-t -f good.conf", 0),
        ("--config-test -f good.conf", 0),
        ("-t -f bad.conf", 5),
        ("--config-test=found --use-file=bad.conf", 5),
        ("-t -f missing.conf", 6),
        ("-n -f missing.conf", 6),
        ("-n -f bad.conf", 2),
        ("--signum=JSON", 0),
        ("--foo", 1),
        ("-v", 0),
    ] {
        let output = place.run(&format!(
            "keepalived {line} -p {}",
            place.path("pid").display()
        ));
        assert_eq!(output.status.code(), Some(code), "{line}: {output:?}");
    }
    let output = place.run("keepalived -t -f bad.conf");
    assert!(
        text(&output.stderr).contains("(bad.conf: Line 3) "),
        "{output:?}"
    );
    let found = fs::read_to_string(place.path("found")).unwrap();
    assert!(found.contains("(bad.conf: Line 3) "), "{found}");
    assert_eq!(text(&place.run("keepalived --signum=DATA").stdout), "10\n");
}

#[test]
fn a_certificate_that_no_balancer_would_start_with_is_told_by_the_check() {
    const ONE: &str = include_str!("../../../lb-core/tests/plane/data/one.test.pem");
    const TWO: &str = include_str!("../../../lb-core/tests/plane/data/two.test.pem");
    let place = Place::new();
    let key = |pem: &'static str| pem.find("-----BEGIN PRIVATE KEY").unwrap();
    let mixed = format!("{}{}", &ONE[..key(ONE)], &TWO[key(TWO)..]);
    let cut = ONE.replacen("MII", "MI", 1);
    for (pem, reason) in [
        (ONE, None),
        (mixed.as_str(), Some("KeyMismatch")),
        (cut.as_str(), Some("")),
    ] {
        place.write("site.pem", pem);
        let file = place.path("site.pem");
        let config = format!(
            "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n\
             frontend f\n bind {} ssl crt {}\n http-request return status 200\n",
            free_address(),
            file.display()
        );
        place.write("tls.cfg", &config);
        for check in [["haproxy", "-c", "-f"].as_slice(), &["check", "-x"]] {
            let mut command = Command::new(HA_LB);
            let output = command.args(check).arg(place.path("tls.cfg")).output();
            let output = output.unwrap();
            let said = text(&output.stdout) + &text(&output.stderr);
            assert_eq!(
                output.status.success(),
                reason.is_none(),
                "{check:?}: {said}"
            );
            if let Some(reason) = reason {
                let line = format!("{}:7", place.path("tls.cfg").display());
                let named = format!("proxy 'f': certificate {}: ", file.display());
                assert!(
                    said.contains(&line) && said.contains(&named) && said.contains(reason),
                    "{said}"
                );
            }
        }
    }
}

#[test]
fn ha_lb_takes_the_names_as_its_first_word_too() {
    let place = Place::new();
    place.write("ok.cfg", &valid(free_address()));
    let output = Command::new(HA_LB)
        .args(["haproxy", "-c", "-f"])
        .arg(place.path("ok.cfg"))
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), "Configuration file is valid\n");
    let output = Command::new(HA_LB)
        .args(["keepalived", "--signum=STOP"])
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), "15\n");
}
