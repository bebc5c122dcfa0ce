//! Checks going up and down, with their log lines; a queue in front of `maxconn`; everything down.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    case::{Act, Case, PATIENT, Step},
    client,
    compare::Pair,
    peer::{Peer, haproxy_is_installed},
};

/// A check may take as long as it takes; only what a server is seen to change to is asked for often.
const CHECKED: &str = "{global}{http}    timeout connect 10s
    timeout client 30s
    timeout server 30s
    timeout check 10s
frontend front
    bind {front}
    default_backend servers
backend servers
    option httpchk GET /health
    option log-health-checks
    server one {a} check inter 2s fastinter 50ms downinter 50ms rise 2 fall 2
";

const NARROW: &str = "{global}{http}    timeout connect 10s
    timeout client 30s
    timeout server 30s
frontend narrow
    bind {front}
    default_backend impatient
backend impatient
    timeout queue 300ms
    server one {b} maxconn 1
frontend patient
    bind {front2}
    default_backend one_at_a_time
backend one_at_a_time
    timeout queue 30s
    server one {b} maxconn 1
";

const PATIENCE: Duration = Duration::from_secs(20);
const GET: Case = Case::new("get", &[Step::Send(b"GET / HTTP/1.0\r\n\r\n")]).silence(PATIENT);
const SICK: &[Act] = &[
    Act::Head,
    Act::Send(b"HTTP/1.0 500 Sick\r\n\r\n"),
    Act::Close,
];
const WELL: &[Act] = &[Act::Head, Act::Send(b"HTTP/1.0 200 OK\r\n\r\n"), Act::Close];

/// Answers when it is told to.
const HELD: &[Act] = &[
    Act::Head,
    Act::Told,
    Act::Send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
    Act::Close,
];

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
    let (theirs, ours) = thread::scope(|scope| {
        let theirs = scope.spawn(|| story(&pair.haproxy));
        let ours = story(&pair.ha_lb);
        (theirs.join().unwrap(), ours)
    });
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(ours, theirs, "left: ha-lb, right: haproxy");
    }
}

#[test]
fn a_queue_gives_up_and_serves_in_turn() {
    if !haproxy_is_installed("a_queue_gives_up_and_serves_in_turn") {
        return;
    }
    let pair = Pair::start(NARROW);
    let story = |peer: &Peer| {
        let origin = &peer.origins[1];
        let get = |front: usize| {
            let answer = client::play(&GET, peer.fronts[front], origin, 1);
            String::from_utf8_lossy(&answer.bytes).into_owned()
        };
        thread::scope(|scope| {
            peer.forget();
            origin.play(HELD);
            let first = scope.spawn(|| get(0));
            origin.wait_for(b"GET /", PATIENCE);
            // The second one waits for a place until its time is over.
            let mut told = vec![get(0), wait_for_log(peer, " 503 ")];
            peer.wait_for_clients(0, 1);
            origin.tell();
            told.extend([first.join().unwrap(), wait_for_log(peer, " 200 ")]);
            peer.wait_for_clients(0, 0);
            told.extend(peer.log());

            peer.forget();
            origin.play(HELD);
            let first = scope.spawn(|| get(1));
            origin.wait_for(b"GET /", PATIENCE);
            let second = scope.spawn(|| get(1));
            let deadline = Instant::now() + PATIENCE;
            while !queued(peer) {
                assert!(Instant::now() < deadline, "nobody waits");
                thread::sleep(Duration::from_millis(2));
            }
            origin.tell();
            told.push(first.join().unwrap());
            peer.wait_for_clients(1, 1);
            origin.tell();
            told.push(second.join().unwrap());
            while peer.log().len() < 2 && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(2));
            }
            // Whether the next one has its place already when a line is written is a matter of chance.
            let lines = peer.log().into_iter();
            told.extend(lines.map(|line| line.replace(" 2/2/1/1/0 ", " 2/2/1/0/0 ")));
            told
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
