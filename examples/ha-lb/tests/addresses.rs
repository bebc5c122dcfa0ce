//! Addresses that are no IP addresses, with the program as it runs: UNIX sockets by path and by abstract name, of
//! proxies and of servers, and sockets that the process was started with.
#![expect(clippy::unwrap_used, reason = "tests")]

mod reserve;

use std::{
    fs,
    io::Write as _,
    net::{TcpListener, TcpStream},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr as UnixName, UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use reserve::free_address;

const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");
const PATIENCE: Duration = Duration::from_secs(20);
const DEFAULTS: &str = "defaults\n timeout client 5s\n timeout server 5s\n timeout connect 1s\n";

/// The program as haproxy in the foreground; ends with the test.
struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// `redirect` are redirections of a shell, which open descriptors.
    fn start(folder: &Path, config: &str, input: Stdio, redirect: &str) -> Self {
        fs::write(folder.join("h.cfg"), config).unwrap();
        let log = folder.join("log");
        let child = Command::new("bash")
            .args([
                "-c",
                &format!("exec {HA_LB} haproxy -db -f h.cfg {redirect}"),
            ])
            .current_dir(folder)
            .env("XDG_RUNTIME_DIR", folder)
            .stdin(input)
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut daemon = Self { child, log };
        daemon.wait("serves after");
        daemon
    }

    fn wait(&mut self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !fs::read_to_string(&self.log).unwrap().contains(words) {
            let ended = self.child.try_wait().unwrap();
            let log = fs::read_to_string(&self.log).unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{words}: {log}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Answers every connection with this word, for as long as the test runs.
fn answers(listener: UnixListener, word: &'static str) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(word.as_bytes());
        }
    });
}

fn heard(mut stream: impl std::io::Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// HAProxy fills the whole address with zero bytes.
fn hidden(name: &str) -> UnixName {
    let mut name = name.as_bytes().to_vec();
    name.resize(107, 0);
    UnixName::from_abstract_name(name).unwrap()
}

#[test]
fn proxies_and_servers_meet_on_unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let (path, address) = (folder.path().join("origin"), free_address());
    let own = format!("ha-lb-test-{}", std::process::id());
    answers(UnixListener::bind(&path).unwrap(), "by path");
    answers(
        UnixListener::bind_addr(&hidden(&format!("{own}-o"))).unwrap(),
        "by name",
    );
    // Through a second proxy: the client's address travels in a PROXY header.
    let config = format!(
        "{DEFAULTS}\
         listen a\n bind {address}\n server s abns@{own} send-proxy-v2\n\
         listen b\n bind abns@{own} accept-proxy\n tcp-request session reject if !{{ src 127.0.0.1 }}\n \
         server s unix@{path} check inter 100ms\n\
         listen c\n bind unix@{folder}/c mode 600\n server s abns@{own}-o check\n server t {folder}/nowhere backup\n\
         listen d\n bind unix@{folder}/d\n server t {folder}/nowhere check inter 50ms fall 1\n",
        path = path.display(),
        folder = folder.path().display(),
    );
    let mut daemon = Daemon::start(folder.path(), &config, Stdio::null(), "");
    assert_eq!(heard(TcpStream::connect(address).unwrap()), "by path");
    assert_eq!(
        heard(UnixStream::connect_addr(&hidden(&own)).map_or_else(
            |error| panic!("{error}"),
            |mut stream| {
                stream
                    .write_all(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n")
                    .unwrap();
                stream
            }
        )),
        "by path"
    );
    assert_eq!(
        heard(UnixStream::connect(folder.path().join("c")).unwrap()),
        "by name"
    );
    let mode = fs::metadata(folder.path().join("c")).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777,
        0o600
    );
    daemon.wait("Server d/t is DOWN, reason: Layer4 connection problem, info: \"General socket error (No such file or directory)\"");
    drop(daemon);
    assert!(!folder.path().join("c").exists());
}

#[test]
fn a_socket_that_the_process_was_started_with_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("origin");
    answers(UnixListener::bind(&path).unwrap(), "yes");
    // As its standard input: no other program that a test starts gets it. A shell passes a duplicate on.
    let given = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = given.local_addr().unwrap();
    let config = format!(
        "global\n nbthread 2\n{DEFAULTS}listen x\n bind fd@50\n server s {}\n",
        path.display()
    );
    let given = Stdio::from(std::os::fd::OwnedFd::from(given));
    let daemon = Daemon::start(folder.path(), &config, given, "50<&0 </dev/null");
    for _ in 0..8 {
        assert_eq!(heard(TcpStream::connect(address).unwrap()), "yes");
    }
    // A reload keeps it: nobody else could open it again.
    let pid = rustix::process::Pid::from_child(&daemon.child);
    rustix::process::kill_process(pid, rustix::process::Signal::USR2).unwrap();
    let mut daemon = daemon;
    daemon.wait(" reload: ");
    assert_eq!(heard(TcpStream::connect(address).unwrap()), "yes");
    drop(daemon);
    assert!(
        TcpStream::connect(address).is_err(),
        "nobody holds it any more"
    );
}

#[test]
fn a_descriptor_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("h.cfg"),
        format!("{DEFAULTS}listen x\n bind fd@77\n"),
    )
    .unwrap();
    let output = Command::new(HA_LB)
        .args(["haproxy", "-db", "-f", "h.cfg"])
        .current_dir(folder.path())
        .env("XDG_RUNTIME_DIR", folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("Binding [h.cfg:6] for proxy 'x'") && said.contains("Bad file descriptor"),
        "{said}"
    );
}
