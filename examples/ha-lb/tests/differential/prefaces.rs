//! What clients send in place of a preface or of requests in HTTP/2: the same lines in the log, although the frames that
//! answer are each program's own.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    admin::agree,
    case::{
        Case, PATIENT,
        Step::{self, HalfClose, Send},
    },
    checks::PATIENCE,
    client,
    compare::Pair,
    peer::{Peer, haproxy_is_installed},
};

const FRONTS: &str = "{global}{http}    timeout connect 10s
    timeout client 5s
    timeout server 5s
frontend either
    bind {front}
    http-request return status 200
frontend two
    bind {front2} proto h2
    http-request return status 200
frontend probed
    bind {front3} proto h2
    option dontlognull
    http-request return status 200
";

const PREFACE: Step = Send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const SETTINGS: Step = Send(b"\0\0\0\x04\0\0\0\0\0");

/// Fronts and what they get.
const CASES: &[(&[usize], &[Step])] = &[
    (&[0, 1, 2], &[PREFACE, Send(b"no frames of any kind")]),
    (
        &[0, 1, 2],
        &[PREFACE, Send(b"\0\0\x01\x01\x05\0\0\0\x01\x82")],
    ),
    (&[1, 2], &[Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")]),
    (&[1, 2], &[Send(b"PRI * HTTP/2.0\r\n\r\nMS\r\n\r\n")]),
    (&[1, 2], &[Send(b"PRI * HT"), HalfClose]),
    (&[1, 2], &[HalfClose]),
    (&[0, 1, 2], &[PREFACE, HalfClose]),
    (&[1], &[PREFACE, SETTINGS, HalfClose]),
    // A settings frame of a length, and with a value, that there is not.
    (&[1], &[PREFACE, Send(b"\0\0\x05\x04\0\0\0\0\0abcde")]),
    (
        &[1],
        &[PREFACE, Send(b"\0\0\x06\x04\0\0\0\0\0\0\x02\0\0\0\x09")],
    ),
    // Heads: of a stream that is the server's, not to be decoded, without a path.
    (
        &[1],
        &[PREFACE, SETTINGS, Send(b"\0\0\x01\x01\x05\0\0\0\x02\x82")],
    ),
    (
        &[1],
        &[PREFACE, SETTINGS, Send(b"\0\0\x01\x01\x05\0\0\0\x01\xff")],
    ),
    (
        &[1],
        &[PREFACE, SETTINGS, Send(b"\0\0\x01\x01\x05\0\0\0\x01\x82")],
    ),
    // A stream that was never opened, and a ping of one byte.
    (
        &[1],
        &[
            PREFACE,
            SETTINGS,
            Send(b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08"),
        ],
    ),
    (&[1], &[PREFACE, SETTINGS, Send(b"\0\0\x01\x06\0\0\0\0\0a")]),
    // A request tells of itself, and of what follows.
    (
        &[1],
        &[
            PREFACE,
            SETTINGS,
            Send(b"\0\0\x0d\x01\x05\0\0\0\x01\x82\x86\x84\x41\x08web.test"),
        ],
    ),
];

/// Asks for something that is logged, and waits for its line: those of before have come.
fn settle(peer: &Peer) {
    const MARK: &[Step] = &[Send(
        b"GET /mark HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    )];
    let mark = Case::new("mark", MARK).silence(PATIENT);
    client::play(&mark, peer.fronts[0], &peer.origins[0], 1);
    let deadline = Instant::now() + PATIENCE;
    while !peer.log().iter().any(|line| line.contains("/mark")) {
        assert!(Instant::now() < deadline, "no line: {:?}", peer.log());
        thread::sleep(Duration::from_millis(2));
    }
}

/// Its lines, in whichever order its threads wrote them, but for who else was connected: a client sees the end of its
/// connection before the connection is counted as gone.
fn lines(peer: &Peer) -> String {
    let connections = |word: &str| {
        word.matches('/').count() == 4
            && word
                .bytes()
                .all(|byte| byte == b'/' || byte.is_ascii_digit())
    };
    let without = |line: &String| {
        let words = line.split(' ').filter(|word| !connections(word));
        words.collect::<Vec<_>>().join(" ")
    };
    let mut lines: Vec<String> = peer.log().iter().map(without).collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn what_is_no_http_2_is_logged_alike() {
    if !haproxy_is_installed("what_is_no_http_2_is_logged_alike") {
        return;
    }
    let pair = Pair::start(FRONTS);
    let mut said = 0;
    for (fronts, steps) in CASES {
        for front in *fronts {
            for peer in [&pair.haproxy, &pair.ha_lb] {
                peer.forget();
                let case = Case::new("preface", steps).front(*front);
                let (front, origin) = (peer.fronts[*front], &peer.origins[0]);
                client::play_until(&case, front, origin, 1, || !peer.log().is_empty());
                settle(peer);
            }
            agree(&pair, &format!("front {front}: {steps:?}"), lines);
            said += usize::from(lines(&pair.haproxy).contains("<BADREQ>"));
        }
    }
    // Of silence where that is not wanted, of ends behind the preface and of the request nothing is said.
    let all: usize = CASES.iter().map(|(fronts, _)| fronts.len()).sum();
    assert_eq!(said, all - 6);
}
