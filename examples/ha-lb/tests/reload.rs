//! SIGHUP to a daemon on loopback, without root: requests go on, counters and states stay, a broken file changes
//! nothing.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
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
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon, ended with the test.
struct Daemon {
    child: Child,
    folder: tempfile::TempDir,
    reloads: u64,
}

impl Daemon {
    fn start(config: impl FnOnce(&str) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = config(&folder.path().display().to_string());
        fs::write(folder.path().join("haproxy.cfg"), text).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(HA_LB)
            .args(["run", "-x"])
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
            reloads: 0,
        };
        daemon.wait("the balancer serves", |status| {
            status["balancer"]["ready"] == true
        });
        daemon
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, config: impl FnOnce(&str) -> String) {
        let text = config(&self.folder.path().display().to_string());
        fs::write(self.path("haproxy.cfg"), text).unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn status(&self) -> Option<Value> {
        let output = Command::new(HA_LB)
            .args(["status", "--json", "--control"])
            .arg(self.path("control"))
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }

    fn wait(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.status()
                && condition(&status)
            {
                return status;
            }
            assert!(Instant::now() < deadline, "{what}\n{}", self.log());
            thread::yield_now();
        }
    }

    /// Sends SIGHUP and returns what `status` says of the reload when it is over.
    fn reload(&mut self) -> Value {
        self.reloads += 1;
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::HUP).unwrap();
        let number = self.reloads;
        let status = self.wait("the reload ends", |s| s["reload"]["number"] == number);
        status["reload"].clone()
    }

    fn diff(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(HA_LB)
            .args(["check", "--diff", "--control"])
            .arg(self.path("control"))
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.success(), text)
    }

    fn ask(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(self.path("stats")).unwrap();
        stream.write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// A column of `show stat`.
    fn stat(&self, proxy: &str, server: &str, column: &str) -> String {
        let table = self.ask("show stat");
        let mut lines = table.lines();
        let header = lines.next().unwrap().trim_start_matches("# ");
        let at = header.split(',').position(|c| c == column).unwrap();
        let prefix = format!("{proxy},{server},");
        let line = lines.find(|line| line.starts_with(&prefix));
        line.map_or_else(String::new, |line| {
            line.split(',').nth(at).unwrap().to_owned()
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A server that answers with its name.
fn origin(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                while read_head(&mut stream).is_some() {
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}",
                        name.len()
                    );
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// One request; the name of who answered.
fn get(stream: &mut TcpStream) -> String {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    let head = read_head(stream).expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut name = [0];
    stream.read_exact(&mut name).unwrap();
    String::from_utf8_lossy(&name).into_owned()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn config(folder: &str, threads: usize, sections: &str) -> String {
    format!(
        "global
    nbthread {threads}
    stats socket {folder}/stats mode 600 level admin
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 5s
{sections}"
    )
}

#[test]
fn no_request_fails_over_twenty_reloads() {
    reload_under_load(1_000);
}

#[test]
#[ignore = "the long form: 10,000 requests with keep-alive and as many without"]
fn none_of_twenty_thousand_requests_fails_over_twenty_reloads() {
    reload_under_load(10_000);
}

fn reload_under_load(requests: usize) {
    let origins = [origin("a"), origin("b"), origin("c")];
    let (front, extra) = (free_address(), free_address());
    let sections = |turn: usize| {
        let mut servers: Vec<String> = ["a", "b", "c"]
            .into_iter()
            .zip(origins)
            .map(|(name, address)| format!("    server {name} {address} check inter 200ms\n"))
            .collect();
        servers.rotate_left(turn % 3);
        servers.truncate(1 + turn % 3);
        let web = format!("frontend web\n    bind {front}\n    default_backend app\n");
        let other = format!(
            "listen extra\n    bind {extra}\n    server x {}\n",
            origins[0]
        );
        let app = format!("backend app\n{}", servers.concat());
        match turn % 3 {
            0 => web + &app,
            1 => other + &app + &web,
            _ => app + &web + &other,
        }
    };
    let mut daemon = Daemon::start(|folder| config(folder, 2, &sections(0)));
    let over = AtomicBool::new(false);
    let done = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let connections = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (over, done, connections) = (&over, &done, &connections);
        for (keep_alive, done) in [true, false].into_iter().zip(done) {
            scope.spawn(move || {
                let fresh = || {
                    connections.fetch_add(1, Ordering::SeqCst);
                    connect(front)
                };
                let mut kept = keep_alive.then(fresh);
                while !over.load(Ordering::SeqCst) {
                    let mut client = kept.take().unwrap_or_else(fresh);
                    get(&mut client);
                    done.fetch_add(1, Ordering::SeqCst);
                    kept = Some(client).filter(|_| keep_alive);
                }
            });
        }
        for turn in 1..=20 {
            let enough = requests * turn / 20;
            let deadline = Instant::now() + PATIENCE;
            while done.iter().any(|d| d.load(Ordering::SeqCst) < enough) {
                assert!(Instant::now() < deadline, "{}", daemon.log());
                thread::yield_now();
            }
            daemon.write(|folder| config(folder, 1 + turn % 4, &sections(turn)));
            let reload = daemon.reload();
            assert_eq!(reload["applied"], true, "{reload}\n{}", daemon.log());
        }
        over.store(true, Ordering::SeqCst);
    });
    let done: usize = done.iter().map(|d| d.load(Ordering::SeqCst)).sum();
    // Counters have gone through all of it; nothing was counted as an error.
    let number =
        |proxy, server, column| daemon.stat(proxy, server, column).parse::<usize>().unwrap();
    assert_eq!(number("web", "FRONTEND", "req_tot"), done);
    assert_eq!(
        number("web", "FRONTEND", "conn_tot"),
        connections.load(Ordering::SeqCst)
    );
    assert_eq!(number("app", "BACKEND", "stot"), done);
    for column in ["econ", "eresp", "wretr", "wredis", "hrsp_5xx"] {
        assert_eq!(number("app", "BACKEND", column), 0, "{column}");
    }
    assert!(!daemon.log().contains(" is DOWN"), "{}", daemon.log());
    assert_eq!(daemon.status().unwrap()["balancer"]["restarts"], 0);
}

#[test]
fn a_broken_file_changes_nothing_and_the_plan_is_shown_before() {
    let front = free_address();
    let a = origin("a");
    let good = |folder: &str, weight: u8| {
        config(
            folder,
            1,
            &format!("listen web\n    bind {front}\n    server a {a} weight {weight}\n"),
        )
    };
    let mut daemon = Daemon::start(|folder| good(folder, 1));
    let mut client = connect(front);
    get(&mut client);

    daemon.write(|folder| good(folder, 1) + "    balance nonsense\n");
    let (applies, text) = daemon.diff(&[]);
    assert!(!applies && text.contains("nonsense"), "{text}");
    let reload = daemon.reload();
    assert_eq!(reload["applied"], false);
    assert!(daemon.log().contains("nonsense"), "{}", daemon.log());
    get(&mut client);

    // An address that cannot be had: refused as well, and what could be had is given back.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = free_address();
    daemon.write(|folder| {
        let more = format!(
            "    bind {free}\n    bind {}\n",
            taken.local_addr().unwrap()
        );
        good(folder, 9) + &more
    });
    let reload = daemon.reload();
    assert!(
        reload["outcome"]
            .as_str()
            .unwrap()
            .contains("another program listens there"),
        "{reload}"
    );
    assert!(TcpStream::connect(free).is_err());
    assert_eq!(daemon.stat("web", "a", "weight"), "1");

    // What only a restart can change is named.
    daemon.write(|folder| good(folder, 1).replace("nbthread", "chroot /tmp\n    nbthread"));
    let (applies, text) = daemon.diff(&[]);
    assert!(!applies);
    assert_eq!(
        text,
        "needs a restart: global: `chroot` cannot be changed in a running balancer\n"
    );

    daemon.write(|folder| good(folder, 7));
    let (applies, text) = daemon.diff(&[]);
    assert!(applies);
    assert_eq!(text, "listen web, server a changed: weight 1 -> 7\n");
    assert_eq!(daemon.stat("web", "a", "weight"), "1", "only shown");
    let reload = daemon.reload();
    assert_eq!(reload["applied"], true, "{reload}");
    assert_eq!(
        reload["changes"][0],
        "listen web, server a changed: weight 1 -> 7"
    );
    assert_eq!(daemon.stat("web", "a", "weight"), "7");
    assert_eq!(daemon.stat("web", "a", "stot"), "2");
    get(&mut client);
    assert_eq!(daemon.diff(&[]).1, "nothing changes\n");
}

#[test]
fn states_of_servers_and_orders_of_operators_stay() {
    let (front, dead) = (free_address(), free_address());
    let a = origin("a");
    let sections = |servers: &str| format!("listen web\n    bind {front}\n{servers}");
    let dead = format!("    server dead {dead} check inter 100ms fall 1\n");
    let live = format!("    server live {a}\n    server spare {a}\n");
    let mut daemon = Daemon::start(|folder| config(folder, 1, &sections(&format!("{dead}{live}"))));
    let deadline = Instant::now() + PATIENCE;
    while daemon.stat("web", "dead", "status") != "DOWN" {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
    daemon.ask("set server web/spare state maint");
    daemon.write(|folder| config(folder, 1, &sections(&format!("{live}{dead}"))));
    assert_eq!(daemon.reload()["applied"], true);
    assert_eq!(daemon.stat("web", "dead", "status"), "DOWN");
    assert_eq!(daemon.stat("web", "dead", "chkdown"), "1");
    assert_eq!(daemon.stat("web", "spare", "status"), "MAINT");
    let log = daemon.log();
    assert_eq!(log.matches("is DOWN").count(), 1, "{log}");
    assert_eq!(log.matches("is UP").count(), 0, "{log}");
}
