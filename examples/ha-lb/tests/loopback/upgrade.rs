//! `ha-lb upgrade` on loopback: what goes on, what is finished, and that nothing is left behind.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::net::{UnixDatagram, UnixStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    hard_stop::{echo, log_socket, session_line, talk},
    support::{Daemon, PATIENCE, config, connect, free_address, is_cut, origin, request},
};

/// Open descriptors of a process.
fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn children(pid: u32) -> usize {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    list.split_whitespace().count()
}

fn until(what: &str, daemon: &Daemon, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}\n{}", daemon.log());
        thread::yield_now();
    }
}

#[test]
fn ten_upgrades_leave_nothing_behind_and_keep_what_operators_and_managers_rely_on() {
    let front = free_address();
    let server = origin("a");
    let folder = tempfile::tempdir().unwrap();
    let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let words = || {
        let mut packet = [0; 256];
        let count = manager.recv(&mut packet).unwrap();
        String::from_utf8_lossy(&packet[..count]).into_owned()
    };
    let mut daemon = Daemon::start_as(
        |folder| {
            let section = format!(
                "listen web\n    bind {front}\n    server a {server} weight 4\n    server b {server}\n"
            );
            let pidfile = format!("pidfile {folder}/pid\n    nbthread");
            config(folder, 2, &section).replace("nbthread", &pidfile)
        },
        |command| {
            command.env("NOTIFY_SOCKET", folder.path().join("notify"));
        },
    );
    let pid = daemon.child.id();
    assert!(words().starts_with("READY=1\n"));
    daemon.ask("set server web/b state maint");
    daemon.ask("set weight web/a 50%");
    let mut after_two = 0;
    for turn in 1..=10 {
        daemon.upgrade();
        assert!(words().starts_with("RELOADING=1\n"));
        let ready = words();
        assert!(ready.starts_with("READY=1\n"), "{ready}");
        assert!(ready.contains(&format!("MAINPID={pid}")), "{ready}");
        assert!(request(front).unwrap().ends_with('a'));
        assert_eq!(daemon.stat("web", "b", "status"), "MAINT");
        assert_eq!(daemon.stat("web", "a", "weight"), "2");
        until("the balancer before ends", &daemon, || children(pid) == 1);
        if turn == 2 {
            after_two = descriptors(pid);
        }
    }
    // Those of whoever asked last are closed when that is noticed.
    until("no more descriptors", &daemon, || {
        descriptors(pid) <= after_two
    });
    let written = fs::read_to_string(daemon.path("pid")).unwrap();
    assert_eq!(written.trim(), pid.to_string());
    let status = daemon.status().unwrap();
    assert_eq!(status["upgrade"]["number"], 10);
    assert_eq!(daemon.reload()["outcome"], "nothing had changed");
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
    for path in ["pid", "control", "stats"] {
        assert!(!daemon.path(path).exists(), "{path} is left");
    }
}

#[test]
fn tables_of_a_peers_section_go_over_to_the_next_process() {
    let [front, own, other] = [free_address(), free_address(), free_address()];
    let server = origin("a");
    let mut daemon = Daemon::start(|folder| {
        let section = format!(
            "peers mine\n    peer here {own}\n    peer there {other}\n    table seen type string size 100k expire 1m store gpc0\n\
             listen web\n    bind {front}\n    server a {server}\n    http-request track-sc0 path table counts\n\
             backend counts\n    stick-table type string size 100 expire 1m peers mine store http_req_cnt\n"
        );
        config(folder, 2, &section).replace("nbthread", "localpeer here\n    nbthread")
    });
    // More than goes in one piece.
    let commands: Vec<String> = (0..5000)
        .map(|number| format!("set table mine/seen key k{number} data.gpc0 {number}"))
        .collect();
    for commands in commands.chunks(100) {
        daemon.ask(&commands.join(";"));
    }
    for turn in 1..=2 {
        assert!(request(front).unwrap().ends_with('a'));
        daemon.upgrade();
        until("the tables are told", &daemon, || {
            let counts = daemon.ask("show table counts");
            let seen = daemon.ask("show table mine/seen key k4999");
            counts.contains(&format!("http_req_cnt={turn}")) && seen.contains("gpc0=4999")
        });
        let table = daemon.ask("show table mine/seen");
        assert!(
            table.contains("used:5000"),
            "{}",
            table.lines().next().unwrap()
        );
    }
    let told = "peers mine: told the process that succeeds this one 5001 entries";
    until("the log says so", &daemon, || daemon.log().contains(told));
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
}

#[test]
fn what_runs_is_finished_by_the_balancer_before_within_hard_stop_after() {
    let front = free_address();
    let (log, log_address) = log_socket();
    let echo = echo();
    let daemon = Daemon::start(|folder| {
        let section = format!(
            "listen t\n    mode tcp\n    option tcplog\n    log {log_address} local0\n    bind {front}\n    \
             server s {echo}\n"
        );
        config(folder, 2, &section).replace("nbthread", "hard-stop-after 3s\n    nbthread")
    });
    let first = daemon.balancer();
    let mut session = connect(front);
    talk(&mut session);
    let began = Instant::now();
    daemon.upgrade();
    assert_ne!(daemon.balancer(), first);
    talk(&mut session);
    let mut other = connect(front);
    talk(&mut other);
    assert!(is_cut(&mut session));
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(3), "{took:?}");
    let line = session_line(&log, "t");
    assert!(line.contains(" K- "), "{line}");
    until("the balancer before ends", &daemon, || {
        !Path::new(&format!("/proc/{first}")).exists()
    });
    talk(&mut other);
}

/// Asks on a command line that has a prompt.
fn ask(line: &mut UnixStream, command: &str) -> String {
    writeln!(line, "{command}").unwrap();
    let (mut said, mut byte) = (Vec::new(), [0]);
    while !said.ends_with(b"\n> ") {
        line.read_exact(&mut byte).expect(command);
        said.extend(byte);
    }
    String::from_utf8(said).unwrap()
}

#[test]
fn what_an_operator_wants_of_the_balancer_before_is_done_as_long_as_they_talk() {
    let front = free_address();
    let echo = echo();
    let daemon = Daemon::start(|folder| {
        let section = format!(
            "listen t\n    mode tcp\n    bind {front}\n    timeout client 1h\n    timeout server 1h\n    \
             server s {echo}\n"
        );
        config(folder, 1, &section)
    });
    let mut line = UnixStream::connect(daemon.path("stats")).unwrap();
    line.set_read_timeout(Some(PATIENCE)).unwrap();
    ask(&mut line, "prompt");
    let mut session = connect(front);
    talk(&mut session);
    daemon.upgrade();
    talk(&mut session);
    let sessions = ask(&mut line, "show sess");
    assert!(sessions.contains("fe=t"), "{sessions}");
    ask(&mut line, "shutdown sessions server t/s");
    assert!(is_cut(&mut session));
}

#[test]
fn a_daemon_that_is_stopped_while_it_is_upgraded_ends_and_leaves_nothing() {
    let server = origin("a");
    for milliseconds in [0, 2, 4, 7, 11, 16, 22, 30, 45] {
        let front = free_address();
        let section = format!("listen web\n    bind {front}\n    server a {server}\n");
        let mut daemon = Daemon::start(|folder| config(folder, 1, &section));
        let balancer = daemon.balancer();
        let mut asking = daemon.ask_for_upgrade();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(milliseconds) {
            thread::yield_now();
        }
        assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
        assert!(!daemon.path("stats").exists() && !daemon.path("control").exists());
        until("the balancer ends", &daemon, || {
            !Path::new(&format!("/proc/{balancer}/exe")).exists()
        });
        assert!(TcpListener::bind(front).is_ok(), "{}", daemon.log());
        let _ = asking.kill();
        let _ = asking.wait();
    }
}
