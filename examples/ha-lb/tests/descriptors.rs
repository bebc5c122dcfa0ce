//! A daemon that may not have as many open files as its `maxconn` needs: no more clients are let in than fit, the
//! others wait, and operators are answered all the same.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");
const PATIENCE: Duration = Duration::from_secs(20);
const LIMIT: usize = 420;
/// Long enough for splice(2).
const BODY: usize = 200_000;

struct Daemon {
    child: Child,
    folder: tempfile::TempDir,
    address: SocketAddr,
}

impl Daemon {
    /// In a user namespace of its own, where not even root may raise the hard limit.
    fn start(origin: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let config = format!(
            "global\n maxconn 5000\n nbthread 2\n stats socket {}/stats level admin\n\
             defaults\n mode http\n timeout client 30s\n timeout server 30s\n timeout connect 5s\n\
             listen web\n bind {address}\n server one {origin} check\n server two {origin} check\n",
            folder.path().display()
        );
        fs::write(folder.path().join("haproxy.cfg"), config).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let script = format!("ulimit -n {LIMIT}; exec \"$0\" \"$@\"");
        let child = Command::new("unshare")
            .args(["-Ur", "sh", "-c", &script, HA_LB, "run", "-x"])
            .arg(folder.path().join("haproxy.cfg"))
            .arg("--control")
            .arg(folder.path().join("control"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let daemon = Self {
            child,
            folder,
            address,
        };
        daemon.wait("the balancer serves", || {
            daemon
                .status()
                .is_some_and(|s| s["balancer"]["ready"] == true)
        });
        daemon
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn status(&self) -> Option<Value> {
        let mut asked = Command::new(HA_LB);
        asked
            .args(["status", "--json", "--control"])
            .arg(self.path("control"));
        serde_json::from_slice(&asked.output().unwrap().stdout).ok()
    }

    fn show_info(&self, fact: &str) -> usize {
        let mut stream = UnixStream::connect(self.path("stats")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"show info\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let line = answer.lines().find_map(|line| line.strip_prefix(fact));
        line.unwrap().trim_start_matches(": ").parse().unwrap()
    }

    fn wait(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < deadline, "{what}\n{}", self.log());
            thread::yield_now();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut buffer = [0; 4096];
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n");
                let answer = [head.into_bytes(), vec![b'x'; BODY]].concat();
                while stream.read(&mut buffer).is_ok_and(|length| length > 0) {
                    if stream.write_all(&answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Whether the whole answer has come; a client that is refused or cut off fails the test.
fn is_answered(client: &mut (TcpStream, usize)) -> bool {
    let mut buffer = [0; 65536];
    loop {
        match client.0.read(&mut buffer) {
            Ok(0) => panic!("cut off after {} bytes", client.1),
            Ok(length) => client.1 += length,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error} after {} bytes", client.1),
        }
    }
    client.1 > BODY
}

#[test]
fn clients_beyond_the_limit_of_open_files_wait_and_operators_are_answered() {
    let permitted = Command::new("unshare").args(["-Ur", "true"]).status();
    if !permitted.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "no user namespaces");
        println!("skipped: no user namespaces");
        return;
    }
    let daemon = Daemon::start(origin());
    assert!(
        daemon.log().contains("the hard limit is 420"),
        "{}",
        daemon.log()
    );
    let room = daemon.show_info("Maxconn");
    println!("{LIMIT} open files: {room} connections");
    assert!((16..LIMIT / 2).contains(&room), "{room}");

    // Five times as many, which keep their connections.
    let mut waiting: Vec<(TcpStream, usize)> = (0..room * 5)
        .map(|_| {
            let mut client = TcpStream::connect(daemon.address).unwrap();
            client
                .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                .unwrap();
            client.set_nonblocking(true).unwrap();
            (client, 0)
        })
        .collect();
    let deadline = Instant::now() + 3 * PATIENCE;
    let mut rounds = 0;
    while !waiting.is_empty() {
        let mut answered = Vec::new();
        while answered.len() < room.min(waiting.len()) {
            assert!(Instant::now() < deadline, "{}", daemon.log());
            answered = (0..waiting.len())
                .filter(|&at| is_answered(&mut waiting[at]))
                .collect();
        }
        // Everybody who is let in sits there: whoever asks on the other socket is heard.
        let begun = Instant::now();
        assert_eq!(daemon.show_info("CurrConns"), answered.len());
        assert!(begun.elapsed() < Duration::from_secs(2));
        let status = daemon.status().unwrap();
        assert_eq!(status["balancer"]["restarts"], 0, "{}", daemon.log());
        let open = fs::read_dir(format!("/proc/{}/fd", status["balancer"]["pid"])).unwrap();
        assert!(open.count() < LIMIT);
        for at in answered.into_iter().rev() {
            waiting.swap_remove(at);
        }
        rounds += 1;
    }
    assert_eq!(rounds, 5);
    assert!(!daemon.log().contains("cannot accept"), "{}", daemon.log());
}
