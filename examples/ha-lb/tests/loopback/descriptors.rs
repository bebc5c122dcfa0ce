//! A daemon that may not have as many open files as its `maxconn` needs: no more clients are let in than fit, the
//! others wait, and operators are answered all the same.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::support::{Daemon, PATIENCE, free_address};

const LIMIT: usize = 420;
/// Long enough for splice(2).
const BODY: usize = 200_000;

/// A line of `show info`.
fn show_info(daemon: &Daemon, fact: &str) -> usize {
    let answer = daemon.ask("show info");
    let line = answer.lines().find_map(|line| line.strip_prefix(fact));
    line.unwrap().trim_start_matches(": ").parse().unwrap()
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
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            read => {
                let length = read.expect("nobody is refused");
                assert!(length > 0, "cut off after {} bytes", client.1);
                client.1 += length;
            }
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
    let (origin, address) = (origin(), free_address());
    let daemon = Daemon::start_with_files(LIMIT, |folder| {
        format!(
            "global\n maxconn 5000\n nbthread 2\n stats socket {folder}/stats level admin\n\
             defaults\n mode http\n timeout client 30s\n timeout server 30s\n timeout connect 5s\n\
             listen web\n bind {address}\n server one {origin} check\n server two {origin} check\n"
        )
    });
    assert!(
        daemon.log().contains("the hard limit is 420"),
        "{}",
        daemon.log()
    );
    let room = show_info(&daemon, "Maxconn");
    println!("{LIMIT} open files: {room} connections");
    assert!((16..LIMIT / 2).contains(&room), "{room}");

    // Five times as many, which keep their connections.
    let mut waiting: Vec<(TcpStream, usize)> = (0..room * 5)
        .map(|_| {
            let mut client = TcpStream::connect(address).unwrap();
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
        assert_eq!(show_info(&daemon, "CurrConns"), answered.len());
        assert!(begun.elapsed() < Duration::from_secs(10));
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

#[test]
fn a_reload_says_anew_how_many_pipes_there_may_be() {
    let (origin, address) = (origin(), free_address());
    let config = |folder: &str, pipes: &str| {
        format!(
            "global\n nbthread 1\n stats socket {folder}/stats level admin\n {pipes}\n\
             defaults\n mode http\n timeout client 30s\n timeout server 30s\n timeout connect 5s\n\
             listen web\n bind {address}\n server one {origin}\n"
        )
    };
    let mut daemon = Daemon::start(|folder| config(folder, "nosplice"));
    let descriptors = PathBuf::from(format!("/proc/{}/fd", daemon.balancer()));
    // What it was started with may be pipes.
    let pipes = || {
        let open = fs::read_dir(&descriptors).unwrap().flatten();
        let links = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        let pipes = links.filter(|link| link.to_string_lossy().starts_with("pipe:"));
        pipes.count()
    };
    let none = pipes();
    let mut client = (TcpStream::connect(address).unwrap(), 0);
    let mut fetch = || {
        client.1 = 0;
        let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        client.0.write_all(request).unwrap();
        client.0.set_nonblocking(true).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !is_answered(&mut client) {
            assert!(Instant::now() < deadline, "an answer");
            thread::yield_now();
        }
        client.0.set_nonblocking(false).unwrap();
        pipes()
    };
    for _ in 0..10 {
        assert_eq!(fetch(), none);
    }
    let told = |daemon: &Daemon| {
        [
            "Maxpipes",
            "PipesUsed",
            "PipesFree",
            "TotalSplicdedBytesOut",
        ]
        .map(|fact| show_info(daemon, fact))
    };
    assert_eq!(told(&daemon), [0; 4]);
    for (words, expected) in [("", true), ("nosplice", false)] {
        daemon.write(|folder| config(folder, words));
        assert_eq!(daemon.reload()["applied"], true, "{}", daemon.log());
        let deadline = Instant::now() + PATIENCE;
        while (fetch() > none) != expected {
            assert!(Instant::now() < deadline, "{words}: {}", daemon.log());
        }
        let [most, used, free, bytes] = told(&daemon);
        assert_eq!((most > 0, used + free > 0), (expected, expected), "{words}");
        assert!(bytes > 0, "{words}");
    }
    for _ in 0..10 {
        assert_eq!(fetch(), none);
    }
}
