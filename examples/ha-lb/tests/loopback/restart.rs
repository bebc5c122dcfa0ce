//! A killed balancer serves again on the same sockets; a daemon that is stopped finishes what runs.

use std::{
    fs,
    io::{self, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;

use crate::gauge::Gauge;
use crate::support::{Daemon, PATIENCE, config, free_address, kill, origin, request};

/// A daemon with one HTTP listener.
fn start(origin: SocketAddr, dead: SocketAddr) -> (Daemon, SocketAddr) {
    let address = free_address();
    let sections = format!(
        "frontend front
    bind {address}
    default_backend servers
backend servers
    server live {origin}
    server spare {origin}
    server dead {dead} check inter 100ms fall 1
"
    );
    let daemon = Daemon::start(|folder| config(folder, 2, &sections));
    (daemon, address)
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

fn kill_balancer(daemon: &Daemon) -> i64 {
    let pid = daemon.balancer();
    kill(pid, Signal::KILL);
    pid
}

#[test]
fn a_killed_balancer_serves_again_on_the_same_sockets_and_no_connection_is_refused() {
    let (mut daemon, address) = start(origin("o"), free_address());
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicU32::new(0));
    let (stopped, counter) = (Arc::clone(&stop), Arc::clone(&served));
    // Connects without a pause; only connections that stand when the balancer dies may be cut.
    let (gauge, began) = (Gauge::start(), Instant::now());
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
    let first = kill_balancer(&daemon);
    let status = daemon.wait("another balancer serves", |status| {
        status["balancer"]["ready"] == true && status["balancer"]["pid"] != first
    });
    assert_eq!(status["balancer"]["restarts"], 1);
    more_answers(50);
    stop.store(true, Ordering::Relaxed);
    let (longest, refused) = client.join().unwrap();
    println!("longest time without an answer: {longest:?}");
    assert_eq!(refused, 0, "{}", daemon.log());
    let halts: Duration = gauge.halts(began).iter().sum();
    let allowed = Duration::from_millis(1000) + halts;
    assert!(longest < allowed, "{longest:?}, {allowed:?}");
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
    let (daemon, _) = start(origin("o"), free_address());
    assert_eq!(daemon.ask("set server servers/spare state maint"), "\n");
    assert_eq!(daemon.ask("set weight servers/live 7"), "\n");
    let state = |status: &Value, server: usize| {
        let server = &status["backends"][0]["servers"][server];
        server["status"].as_str().unwrap_or_default().to_owned()
    };
    daemon.wait("the dead server is down", |status| {
        state(status, 2) == "DOWN"
    });
    let first = kill_balancer(&daemon);
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
    let (mut daemon, address) = start(slow.local_addr().unwrap(), free_address());
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
    let code = daemon.end();
    assert_eq!(code, Some(0), "{}", daemon.log());
}

#[test]
fn children_end_when_the_supervisor_is_killed() {
    let (daemon, _) = start(origin("o"), free_address());
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
    let (daemon, address) = start(origin("o"), free_address());
    let first = daemon.balancer();
    let gauge = Gauge::start();
    stop(first);
    // Waits in the socket's queue, and is served by the next balancer.
    let began = Instant::now();
    let answer = request(address);
    let waited = began.elapsed();
    assert!(answer.unwrap().ends_with('o'), "{}", daemon.log());
    println!("a client waited {waited:?} for a balancer that hangs");
    // Who judges by silence listens for as long again as the machine stood still.
    let halts: Duration = gauge.halts(began).iter().sum();
    let allowed = Duration::from_millis(2000) + halts * 2;
    assert!(waited < allowed, "{waited:?}, {allowed:?}");
    let log = daemon.log();
    let said = "hangs, an event loop did not turn for 700 ms: killing it";
    assert!(log.contains(said), "{log}");
    let status = daemon.wait("another balancer serves", |status| {
        status["balancer"]["ready"] == true && status["balancer"]["pid"] != first
    });
    assert_eq!(status["balancer"]["restarts"], 1);
}

#[test]
fn a_reload_that_meets_a_hanging_balancer_is_applied_by_the_next_one() {
    let (address, new) = (free_address(), free_address());
    let origin = origin("o");
    let listen = |at: SocketAddr| format!("listen web\n    bind {at}\n    server o {origin}\n");
    let daemon = Daemon::start(|folder| config(folder, 2, &listen(address)));
    stop(daemon.balancer());
    daemon.write(|folder| config(folder, 2, &listen(new)));
    daemon.hang_up();
    let status = daemon.wait("the second try", |status| status["reload"]["number"] == 2);
    assert_eq!(status["reload"]["applied"], true, "{}", daemon.log());
    let said = "the balancer was killed by signal 9 meanwhile; it is tried again when that serves";
    assert!(daemon.log().contains(said), "{}", daemon.log());
    assert!(request(new).unwrap().ends_with('o'), "{}", daemon.log());
}

#[test]
fn a_balancer_that_was_stopped_when_the_supervisor_died_keeps_no_socket() {
    let (daemon, address) = start(origin("o"), free_address());
    stop(daemon.balancer());
    kill(i64::from(daemon.child.id()), Signal::KILL);
    let deadline = Instant::now() + PATIENCE;
    while TcpListener::bind(address).is_err() {
        assert!(Instant::now() < deadline, "{}", daemon.log());
        thread::yield_now();
    }
}
