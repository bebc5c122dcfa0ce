//! The daemon as a process on loopback, without root: a killed balancer serves again on the same sockets.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const HA_LB: &str = env!("CARGO_BIN_EXE_ha-lb");
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon with one HTTP listener, ended with the test.
struct Daemon {
    child: Child,
    folder: tempfile::TempDir,
    address: SocketAddr,
}

impl Daemon {
    fn start(origin: SocketAddr, dead: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let config = format!(
            "global
    maxconn 500
    nbthread 2
    stats socket {folder}/stats mode 600 level admin
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 5s
frontend front
    bind {address}
    default_backend servers
backend servers
    server live {origin}
    server spare {origin}
    server dead {dead} check inter 100ms fall 1
",
            folder = folder.path().display()
        );
        fs::write(folder.path().join("haproxy.cfg"), config).unwrap();
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
            address,
        };
        daemon.wait("the balancer serves", |status| {
            status["balancer"]["ready"] == true
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

    fn ask(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(self.path("stats")).unwrap();
        stream.write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn kill_balancer(&self) -> i64 {
        let status = self.status().unwrap();
        let pid = status["balancer"]["pid"].as_i64().unwrap();
        kill(pid, Signal::KILL);
        pid
    }

    fn terminate(&mut self) -> Option<i32> {
        kill(i64::from(self.child.id()), Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "{}", self.log());
            thread::yield_now();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kill(pid: i64, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Every thread of it stands still afterwards.
fn stop(pid: i64) {
    kill(pid, Signal::STOP);
    let stands = |task: io::Result<fs::DirEntry>| {
        let stat = fs::read_to_string(task.unwrap().path().join("stat"));
        stat.is_ok_and(|stat| stat.contains(") T "))
    };
    while !fs::read_dir(format!("/proc/{pid}/task"))
        .unwrap()
        .all(stands)
    {
        thread::yield_now();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Answers each request on its own connection.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).is_ok_and(|length| length > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn request(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_killed_balancer_serves_again_on_the_same_sockets_and_no_connection_is_refused() {
    let mut daemon = Daemon::start(origin(), free_address());
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicU32::new(0));
    let (address, stopped, counter) = (daemon.address, Arc::clone(&stop), Arc::clone(&served));
    // Connects without a pause; only connections that stand when the balancer dies may be cut.
    let client = thread::spawn(move || {
        let (mut longest, mut refused) = (Duration::ZERO, 0);
        let mut last = Instant::now();
        while !stopped.load(Ordering::Relaxed) {
            match request(address) {
                Ok(answer) if answer.starts_with("HTTP/1.1 200") => {
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                    counter.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => refused += 1,
                _ => {}
            }
        }
        (longest, refused)
    });
    let more_answers = |wanted: u32| {
        let before = served.load(Ordering::Relaxed);
        daemon.wait("answers", |_| {
            served.load(Ordering::Relaxed) >= before + wanted
        });
    };
    more_answers(50);
    let first = daemon.kill_balancer();
    let status = daemon.wait("another balancer serves", |status| {
        status["balancer"]["ready"] == true && status["balancer"]["pid"] != first
    });
    assert_eq!(status["balancer"]["restarts"], 1);
    more_answers(50);
    stop.store(true, Ordering::Relaxed);
    let (longest, refused) = client.join().unwrap();
    println!("longest time without an answer: {longest:?}");
    assert_eq!(refused, 0, "{}", daemon.log());
    assert!(longest < Duration::from_millis(1000), "{longest:?}");
    assert!(
        daemon.log().contains("was killed by signal 9"),
        "{}",
        daemon.log()
    );
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
    assert!(!daemon.path("control").exists() && !daemon.path("stats").exists());
}

#[test]
fn a_restarted_balancer_keeps_dead_servers_and_what_an_operator_set() {
    let daemon = Daemon::start(origin(), free_address());
    assert_eq!(daemon.ask("set server servers/spare state maint"), "\n");
    assert_eq!(daemon.ask("set weight servers/live 7"), "\n");
    let state = |status: &Value, server: usize| {
        let server = &status["backends"][0]["servers"][server];
        server["status"].as_str().unwrap_or_default().to_owned()
    };
    daemon.wait("the dead server is down", |status| {
        state(status, 2) == "DOWN"
    });
    let first = daemon.kill_balancer();
    let status = daemon.wait("another balancer serves", |status| {
        status["balancer"]["ready"] == true && status["balancer"]["pid"] != first
    });
    assert_eq!(state(&status, 1), "MAINT");
    assert!(state(&status, 2).starts_with("DOWN"), "{status}");
    assert_eq!(status["backends"][0]["servers"][0]["weight"], 7);
    assert!(
        daemon
            .ask("get weight servers/live")
            .starts_with("7 (initial 1)")
    );
}

#[test]
fn a_request_that_runs_at_sigterm_is_finished() {
    let slow = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut daemon = Daemon::start(slow.local_addr().unwrap(), free_address());
    let address = daemon.address;
    let client = thread::spawn(move || request(address));
    let (mut server, _) = slow.accept().unwrap();
    kill(i64::from(daemon.child.id()), Signal::TERM);
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < deadline, "{}", daemon.log());
        thread::yield_now();
    }
    server
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        .unwrap();
    assert!(client.join().unwrap().unwrap().ends_with("ok"));
    let deadline = Instant::now() + PATIENCE;
    let code = loop {
        if let Some(status) = daemon.child.try_wait().unwrap() {
            break status.code();
        }
        assert!(Instant::now() < deadline, "{}", daemon.log());
        thread::yield_now();
    };
    assert_eq!(code, Some(0), "{}", daemon.log());
}

#[test]
fn children_end_when_the_supervisor_is_killed() {
    let daemon = Daemon::start(origin(), free_address());
    let status = daemon.status().unwrap();
    let balancer = status["balancer"]["pid"].as_i64().unwrap();
    kill(i64::from(daemon.child.id()), Signal::KILL);
    let deadline = Instant::now() + PATIENCE;
    let runs = |pid: i64| {
        fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))
            .is_ok_and(|stat| !stat.contains(") Z "))
    };
    while runs(balancer) {
        assert!(Instant::now() < deadline, "{}", daemon.log());
        thread::yield_now();
    }
}

#[test]
fn a_balancer_that_hangs_is_replaced_on_the_same_sockets_within_a_second() {
    let daemon = Daemon::start(origin(), free_address());
    let first = daemon.status().unwrap()["balancer"]["pid"].clone();
    stop(first.as_i64().unwrap());
    // Waits in the socket's queue, and is served by the next balancer.
    let began = Instant::now();
    let answer = request(daemon.address);
    let waited = began.elapsed();
    assert!(answer.unwrap().ends_with("ok"), "{}", daemon.log());
    println!("a client waited {waited:?} for a balancer that hangs");
    assert!(waited < Duration::from_millis(2000), "{waited:?}");
    let log = daemon.log();
    let said = "hangs, an event loop did not turn for 700 ms: killing it";
    assert!(log.contains(said), "{log}");
    let status = daemon.wait("another balancer serves", |status| {
        status["balancer"]["ready"] == true && status["balancer"]["pid"] != first
    });
    assert_eq!(status["balancer"]["restarts"], 1);
}

#[test]
fn a_balancer_that_was_stopped_when_the_supervisor_died_keeps_no_socket() {
    let daemon = Daemon::start(origin(), free_address());
    let balancer = daemon.status().unwrap()["balancer"]["pid"]
        .as_i64()
        .unwrap();
    stop(balancer);
    kill(i64::from(daemon.child.id()), Signal::KILL);
    let deadline = Instant::now() + PATIENCE;
    while TcpListener::bind(daemon.address).is_err() {
        assert!(Instant::now() < deadline, "{}", daemon.log());
        thread::yield_now();
    }
}
