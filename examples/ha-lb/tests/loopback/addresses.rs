//! Servers without an address, and servers that an operator moves at run time.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use rustix::process::Signal;

use crate::support::{Daemon, PATIENCE, config, connect, free_address, get, kill, origin, request};

const PEER: &str = "/usr/sbin/haproxy";

fn wait(what: &str, daemon: &Daemon, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}\n{}", daemon.log());
        thread::yield_now();
    }
}

#[test]
fn a_server_that_is_moved_serves_and_is_checked_there_and_stays_there() {
    let front = free_address();
    let (first, second) = (origin("a"), origin("b"));
    let dead = free_address();
    let sections = |more: &str| {
        format!(
            "listen web\n    bind {front}\n    http-reuse always\n    server s {first} check inter 300ms fall 1 rise 1\n{more}"
        )
    };
    let mut daemon = Daemon::start(|folder| config(folder, 2, &sections("")));
    let mut client = connect(front);
    assert_eq!(get(&mut client), "a");
    let port = second.port();
    let (from, ip) = (first.port(), "127.0.0.1");
    assert_eq!(
        daemon.ask(&format!("set server web/s addr {ip} port {port}")),
        format!(
            "no need to change the addr, port changed from '{from}' to '{port}' by 'stats socket command'\n\n"
        )
    );
    // The very next request of a client that was there before; no idle connection leads to the old place.
    wait("the idle connection is closed", &daemon, || {
        daemon.stat("web", "s", "srv_icur") == "0"
    });
    assert_eq!(get(&mut client), "b");
    assert_eq!(daemon.stat("web", "s", "addr"), second.to_string());
    // Checks go there, too.
    daemon.ask(&format!("set server web/s addr {ip} port {}", dead.port()));
    wait("the check fails", &daemon, || {
        daemon.stat("web", "s", "status") == "DOWN"
    });
    daemon.ask(&format!("set server web/s addr {ip} port {port}"));
    wait("the check passes", &daemon, || {
        daemon.stat("web", "s", "status") == "UP"
    });
    // A reload that says nothing else of it, a balancer that dies, an upgrade.
    let stays = |daemon: &Daemon| {
        assert_eq!(daemon.stat("web", "s", "addr"), second.to_string());
        assert!(request(front).unwrap().ends_with('b'));
    };
    daemon.write(|folder| config(folder, 2, &sections("    server t 127.0.0.1:9 backup\n")));
    assert_eq!(daemon.reload()["applied"], true);
    stays(&daemon);
    let before = daemon.balancer();
    kill(before, Signal::KILL);
    daemon.wait("another balancer", |status| {
        status["balancer"]["ready"] == true && status["balancer"]["pid"] != before
    });
    stays(&daemon);
    daemon.upgrade();
    stays(&daemon);
    // The file has the last word when it changes.
    let third = origin("c");
    let moved = sections("").replace(&first.to_string(), &third.to_string());
    daemon.write(|folder| config(folder, 2, &moved));
    assert_eq!(daemon.reload()["applied"], true);
    assert_eq!(daemon.stat("web", "s", "addr"), third.to_string());
    assert!(request(front).unwrap().ends_with('c'));
}

#[test]
fn a_server_whose_host_has_no_address_waits_in_maintenance_until_it_is_given_one() {
    let front = free_address();
    let server = origin("a");
    let port = server.port();
    let sections = format!(
        "listen web\n    bind {front}\n    server n nosuch.invalid:{port} init-addr none check inter 50ms\n"
    );
    let daemon = Daemon::start(|folder| config(folder, 1, &sections));
    assert_eq!(daemon.stat("web", "n", "status"), "MAINT (resolution)");
    assert!(request(front).unwrap().starts_with("HTTP/1.1 503"));
    let state = daemon.ask("show servers state");
    assert!(state.contains(" web 1 n - 0 32 "), "{state}");
    assert!(
        state.contains(&format!(" nosuch.invalid {port} - ")),
        "{state}"
    );
    assert_eq!(
        daemon.ask("set server web/n addr 127.0.0.1"),
        "IP changed from '' to '127.0.0.1' by 'stats socket command'\n\n"
    );
    assert!(request(front).unwrap().ends_with('a'));
    wait("it is checked", &daemon, || {
        daemon.stat("web", "n", "check_status") == "L4OK"
    });
    let log = daemon.log();
    let back = "Server web/n ('nosuch.invalid') is UP/READY (resolves again).";
    assert!(log.contains(back), "{log}");
}

/// What a program answers to a command.
fn ask(socket: &Path, command: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.write_all(format!("{command}\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn addresses_are_shown_and_changed_in_haproxy_s_words() {
    if !Path::new(PEER).exists() {
        assert!(std::env::var_os("CI").is_none(), "{PEER} is missing");
        println!("skipped: {PEER} is not installed");
        return;
    }
    let sections = |front: SocketAddr| {
        format!(
            "listen web\n    bind {front}\n    server s 127.0.0.1:9\n    server n nosuch.invalid:80 init-addr none\n    \
             server m localhost:81 init-addr none,127.0.0.3\n    server l localhost:82 init-addr libc,none\n"
        )
    };
    let daemon = Daemon::start(|folder| config(folder, 1, &sections(free_address())));
    let folder = tempfile::tempdir().unwrap();
    let text = config(
        &folder.path().display().to_string(),
        1,
        &sections(free_address()),
    );
    fs::write(folder.path().join("h.cfg"), text).unwrap();
    let mut peer = Command::new(PEER)
        .args(["-db", "-f"])
        .arg(folder.path().join("h.cfg"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let theirs = folder.path().join("stats");
    wait("the peer answers", &daemon, || {
        ask(&theirs, "show info").is_some()
    });
    let mut differences = Vec::new();
    for command in [
        "show servers state",
        "set server web/s addr",
        "set server web/s addr 127.0.0.1",
        "set server web/s addr 127.0.0.1 port 9",
        "set server web/s addr 127.0.0.1 port 10",
        "set server web/s addr 127.0.0.2 port 10",
        "set server web/s addr ::1",
        "set server web/s addr localhost",
        "set server web/q addr 127.0.0.7",
        "set server web/l addr 127.0.0.9 port 99",
        "show servers state",
    ] {
        // Seconds since the last change, and the numbers of checks that there are none of.
        let alike = |answer: &str| {
            let line = |line: &str| {
                let words = line.split(' ').enumerate();
                let kept = words.filter(|(at, _)| !line.starts_with("2 web ") || *at != 9);
                kept.map(|(_, word)| word).collect::<Vec<_>>().join(" ")
            };
            answer.lines().map(line).collect::<Vec<_>>().join("\n")
        };
        let (theirs, ours) = (ask(&theirs, command).unwrap(), daemon.ask(command));
        if alike(&theirs) != alike(&ours) {
            differences.push(format!("{command}\n{theirs}\n{ours}"));
        }
    }
    let _ = peer.kill();
    let _ = peer.wait();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
