//! Requests that wait in line or are under way while an operator changes their server.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::{
    compare::Pair,
    peer::{Peer, haproxy_is_installed},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// One server, held by `origin`; a request for `/cut` goes to a backend whose sessions end with it.
fn config(origin: SocketAddr) -> String {
    format!(
        "global
    stats socket {{dir}}/stats level admin
defaults
    mode http
    timeout connect 10s
    timeout queue 20s
    timeout client 20s
    timeout server 20s
frontend front
    bind {{front}}
    use_backend cut if {{ path /cut }}
    default_backend line
backend line
    balance source
    server one {origin} maxconn 1 maxqueue 1
backend cut
    server one {origin} on-marked-down shutdown-sessions
"
    )
}

fn ask(peer: &Peer, path: &str) -> TcpStream {
    let mut client = TcpStream::connect(peer.fronts[0]).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).unwrap();
    client
}

/// Takes the next request at the origin.
fn taken(origin: &TcpListener) -> TcpStream {
    let (mut server, _) = origin.accept().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        server.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    server
}

fn answer(mut server: TcpStream) {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    server.write_all(head).unwrap();
}

/// The status of the answer.
fn status(mut client: TcpStream) -> String {
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// Waits until so many wait for the server of `line`.
fn in_line(peer: &Peer, wanted: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rows = peer.ask("show stat line 4 -1");
        let row = rows.lines().find(|row| row.starts_with("line,one,"));
        if row.and_then(|row| row.split(',').nth(2)) == Some(wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "{rows}");
        thread::yield_now();
    }
}

#[test]
fn an_operators_changes_reach_those_who_wait_and_those_who_are_served_alike() {
    if !haproxy_is_installed(
        "an_operators_changes_reach_those_who_wait_and_those_who_are_served_alike",
    ) {
        return;
    }
    let origin = TcpListener::bind("127.0.0.1:0").unwrap();
    let pair = Pair::start(&config(origin.local_addr().unwrap()));
    let told = [&pair.haproxy, &pair.ha_lb].map(|peer| {
        let first = ask(peer, "/");
        let served = taken(&origin);
        let second = ask(peer, "/");
        in_line(peer, "1");
        // The queue is full, though a hash chose the server.
        let third = status(ask(peer, "/"));
        peer.ask("set server line/one state maint");
        answer(served);
        let first = status(first);
        peer.ask("set server line/one state ready");
        answer(taken(&origin));
        let second = status(second);
        let cut = ask(peer, "/cut");
        let held = taken(&origin);
        peer.ask("set server cut/one state maint");
        let cut = status(cut);
        drop(held);
        [first, second, third, cut]
    });
    let [theirs, ours] = told;
    assert_eq!(ours, theirs, "left: ha-lb, right: haproxy");
    assert_eq!(ours, ["200", "200", "503", "502"]);
}
