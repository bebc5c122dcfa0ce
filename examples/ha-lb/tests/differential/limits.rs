//! Checks going up and down, with their log lines; a queue in front of `maxconn`; everything down.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    case::{Act, Case, Step},
    client,
    compare::Pair,
    peer::{Peer, haproxy_is_installed},
};

const CHECKED: &str = "{global}{http}    timeout connect 1s
    timeout client 5s
    timeout server 5s
    timeout queue 300ms
frontend front
    bind {front}
    default_backend servers
backend servers
    option httpchk GET /health
    option log-health-checks
    server one {a} check inter 50ms rise 2 fall 2
frontend narrow
    bind {front2}
    default_backend one_at_a_time
backend one_at_a_time
    server one {b} maxconn 1
";

const PATIENCE: Duration = Duration::from_secs(10);
const GET: Case = Case::new("get", &[Step::Send(b"GET / HTTP/1.0\r\n\r\n")]);
const SICK: &[Act] = &[
    Act::Head,
    Act::Send(b"HTTP/1.0 500 Sick\r\n\r\n"),
    Act::Close,
];
const WELL: &[Act] = &[Act::Head, Act::Send(b"HTTP/1.0 200 OK\r\n\r\n"), Act::Close];

fn wait_for_log(peer: &Peer, what: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let lines = peer.log();
        if let Some(line) = lines.iter().find(|line| line.contains(what)) {
            return line.clone();
        }
        assert!(Instant::now() < deadline, "no {what} in {lines:#?}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn checks_and_their_lines() {
    if !haproxy_is_installed("checks_and_their_lines") {
        return;
    }
    let pair = Pair::start(CHECKED);
    let story = |peer: &Peer| {
        let mut lines = Vec::new();
        let origin = &peer.origins[0];
        let falls = ["status: 1/2 UP", "status: 0/2 DOWN", "is DOWN"];
        // Whatever the first check met.
        origin.play(WELL);
        wait_for_log(peer, "status: 2/2 UP");
        let rises = ["status: 1/2 DOWN", "status: 2/2 UP", "is UP"];
        for (script, words) in [(SICK, falls), (WELL, rises), (SICK, falls)] {
            peer.forget();
            origin.play(script);
            lines.extend(words.map(|words| wait_for_log(peer, words)));
        }
        lines.push(wait_for_log(peer, "no server available"));
        lines.push(String::from_utf8_lossy(&origin.requests()[0]).into_owned());
        peer.forget();
        let answer = client::play(&GET, peer.fronts[0], origin, 1);
        lines.push(String::from_utf8_lossy(&answer.bytes).into_owned());
        lines.push(wait_for_log(peer, "GET /"));
        lines
    };
    let (theirs, ours) = (story(&pair.haproxy), story(&pair.ha_lb));
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(ours, theirs, "left: ha-lb, right: haproxy");
    }
}

#[test]
fn a_queue_gives_up_and_serves_in_turn() {
    if !haproxy_is_installed("a_queue_gives_up_and_serves_in_turn") {
        return;
    }
    let pair = Pair::start(CHECKED);
    let story = |peer: &Peer| {
        let origin = &peer.origins[1];
        origin.play(&[
            Act::Head,
            Act::Told,
            Act::Send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
            Act::Close,
        ]);
        peer.forget();
        let get =
            |patience: u32| client::play(&GET.silence(1000), peer.fronts[1], origin, patience);
        thread::scope(|scope| {
            let first = scope.spawn(|| get(5));
            origin.wait_for(b"GET /", PATIENCE);
            // The second one waits for a place until its time is over.
            let second = get(1);
            let refused = wait_for_log(peer, " 503 ");
            let third = scope.spawn(|| get(5));
            let deadline = Instant::now() + PATIENCE;
            while !queued(peer) && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(2));
            }
            origin.tell();
            let served = [first.join().unwrap(), third.join().unwrap()];
            let mut lines = vec![String::from_utf8_lossy(&second.bytes).into_owned(), refused];
            lines.extend(served.map(|answer| String::from_utf8_lossy(&answer.bytes).into_owned()));
            // The first check of the other backend may end at any time.
            let requests = || {
                let mut log = peer.log();
                log.retain(|line| !line.contains("Health check"));
                log
            };
            while requests().len() < 3 && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(2));
            }
            let mut log = requests();
            // Whether the next one has its place already when a line is written is a matter of chance.
            for line in &mut log {
                *line = line.replace(" 2/2/1/1/0 ", " 2/2/1/0/0 ");
            }
            log.sort();
            lines.extend(log);
            lines
        })
    };
    let (theirs, ours) = (story(&pair.haproxy), story(&pair.ha_lb));
    assert_eq!(ours, theirs, "left: ha-lb, right: haproxy");
}

/// Whether a request waits for a place.
fn queued(peer: &Peer) -> bool {
    peer.ask("show stat").lines().any(|line| {
        let mut words = line.split(',');
        words.next() == Some("one_at_a_time")
            && words.next() == Some("BACKEND")
            && words.next() == Some("1")
    })
}
