//! Connections are listed and cut alike on the command line.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::{
    compare::Pair,
    peer::{Peer, haproxy_is_installed},
};

const CONFIG: &str = "global
    stats socket {dir}/stats level admin
defaults
    mode tcp
    timeout connect 10s
    timeout client 30s
    timeout server 30s
frontend front
    bind {front}
    default_backend servers
backend servers
    server one {a}
";

/// What `show sess` says of a client: its number, and the names of frontend, backend and server.
fn listed(peer: &Peer, client: &TcpStream) -> Option<(String, Vec<String>)> {
    let source = format!("src={} ", client.local_addr().unwrap());
    let answer = peer.ask("show sess");
    let line = answer.lines().find(|line| line.contains(&source))?;
    let (id, rest) = line.split_once(": ")?;
    let wanted = ["proto=", "fe=", "be=", "srv="];
    let words = rest
        .split(' ')
        .filter(|word| wanted.iter().any(|name| word.starts_with(name)));
    Some((id.to_owned(), words.map(str::to_owned).collect()))
}

#[test]
fn a_connection_is_listed_and_cut_alike() {
    if !haproxy_is_installed("a_connection_is_listed_and_cut_alike") {
        return;
    }
    let pair = Pair::start(CONFIG);
    let told = [&pair.haproxy, &pair.ha_lb].map(|peer| {
        let [mut cut, mut other] = [(); 2].map(|()| {
            let mut client = TcpStream::connect(peer.fronts[0]).unwrap();
            client
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n").unwrap();
            client
        });
        // The server is known once the connection to it is there.
        let deadline = Instant::now() + Duration::from_secs(10);
        let (id, names) = loop {
            match listed(peer, &cut) {
                Some((id, names)) if names.contains(&"srv=one".to_owned()) => break (id, names),
                _ => assert!(Instant::now() < deadline),
            }
        };
        let one = peer.ask(&format!("show sess {id}"));
        assert!(
            one.contains(&id) && !one.contains("Session not found"),
            "{one}"
        );
        let answers = [
            peer.ask("show sess 0x123456789"),
            peer.ask("shutdown session 0x123456789"),
            peer.ask("shutdown session"),
            peer.ask(&format!("shutdown session {id}")),
        ];
        assert_eq!(cut.read(&mut [0; 10]).unwrap_or(0), 0, "it is cut");
        while listed(peer, &cut).is_some() {
            assert!(Instant::now() < deadline);
        }
        // Nobody else is.
        other.write_all(b"\r\n").unwrap();
        let mut answer = [0; 12];
        other.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        (names, answers.map(|answer| answer.trim_end().to_owned()))
    });
    let [theirs, ours] = told;
    assert_eq!(ours, theirs, "left: ha-lb, right: haproxy");
}
