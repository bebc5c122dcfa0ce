//! `tcp-response content` and `stick store-response`: what is done to the first bytes of a server.

use crate::{
    case::{Act::*, Case, PATIENT, Step, sends},
    client,
    compare::{Pair, assert_alike},
    peer::{Peer, haproxy_is_installed},
};

const TCP: &str = "{global}defaults
    mode tcp
    log global
    option tcplog
    timeout connect 10s
    timeout client 3s
    timeout server 3s
listen waits
    bind {front}
    tcp-response inspect-delay 300ms
    acl hello res.payload(0,5) -m str hello
    tcp-response content accept if hello
    tcp-response content close if { res.payload(0,3) -m str bye }
    tcp-response content reject if { res.len gt 0 }
    server one {a}
listen at_once
    bind {front2}
    tcp-response content reject if { res.payload(0,1) -m found }
    server one {a}
listen never
    bind {front3}
    tcp-response content reject
    server one {a}
";

const ASKS: &[Step] = &[Step::Send(b"ping")];

const STREAMS: &[Case] = &[
    sends(
        "accepted_in_pieces",
        &[
            Step::Until(b"hello"),
            Step::Send(b"ping"),
            Step::Until(b"pong"),
            Step::HalfClose,
        ],
    )
    .origin(&[
        Send(b"hel"),
        Send(b"lo"),
        Await(b"ping"),
        Send(b"pong"),
        ToEnd,
        Close,
    ]),
    sends("rejected", ASKS).origin(&[Await(b"ping"), Send(b"other"), ToEnd, Close]),
    // What the client says goes on while the server is waited for.
    sends("closed", ASKS).origin(&[Await(b"ping"), Send(b"bye now"), ToEnd, Close]),
    // The delay is over and no rule applies.
    sends(
        "silent",
        &[Step::Send(b"ping"), Step::Until(b"late"), Step::HalfClose],
    )
    .origin(&[Await(b"ping"), Told, Send(b"late"), ToEnd, Close])
    .silence(PATIENT),
    sends("short", ASKS).origin(&[Await(b"ping"), Send(b"hel"), Close]),
    // Without a delay rules see the connection before the server has said anything.
    sends(
        "too_early",
        &[Step::Send(b"ping"), Step::Until(b"pong"), Step::HalfClose],
    )
    .origin(&[Await(b"ping"), Send(b"pong"), ToEnd, Close])
    .front(1),
    sends("unconditional", &[]).origin(&[ToEnd, Close]).front(2),
];

const HTTP: &str = "{global}{http}    timeout connect 10s
    timeout client 3s
    timeout server 3s
listen web
    bind {front}
    tcp-response inspect-delay 10s
    tcp-response content reject if { res.hdr(x-reject) -m found }
    tcp-response content close if { res.hdr(x-close) -m found }
    tcp-response content set-var(txn.seen) res.hdr(x-seen),upper
    http-response set-header x-seen %[var(txn.seen)]
    server one {a}
listen early
    bind {front2}
    tcp-response content reject if { res.hdr(x-reject) -m found }
    tcp-response content set-var(txn.seen) str(early)
    http-response set-header x-seen %[var(txn.seen)]
    server one {a}
";

const GET: &[Step] = &[Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")];
const REJECTED: &[crate::case::Act] = &[
    Head,
    Send(b"HTTP/1.1 200 OK\r\nX-Reject: 1\r\nContent-Length: 2\r\n\r\nok"),
];

const RESPONSES: &[Case] = &[
    sends("a_variable_from_the_response", GET).origin(&[
        Head,
        Send(b"HTTP/1.1 200 OK\r\nX-Seen: text\r\nContent-Length: 2\r\n\r\nok"),
    ]),
    sends("a_response_is_rejected", GET).origin(REJECTED),
    sends("the_server_is_left", GET).origin(&[
        Head,
        Send(b"HTTP/1.1 200 OK\r\nX-Close: 1\r\nContent-Length: 2\r\n\r\nok"),
        ToEnd,
        Close,
    ]),
    sends("nothing_is_seen_without_a_delay", GET)
        .origin(REJECTED)
        .front(1),
];

#[test]
fn first_bytes_of_servers_are_judged_alike() {
    assert_alike("first_bytes_of_servers_are_judged_alike", TCP, STREAMS);
    assert_alike("first_bytes_of_servers_are_judged_alike", HTTP, RESPONSES);
}

const LEARNING: &str = "{global}{http}    timeout connect 10s
    timeout client 3s
    timeout server 3s
listen web
    bind {front}
    balance roundrobin
    stick-table type string len 20 size 100 expire 1m
    stick match hdr(x-session)
    stick store-request hdr(x-first)
    stick store-request hdr(x-second)
    stick store-response res.hdr(x-other) if { res.hdr(x-skip) -m found }
    stick store-response res.hdr(x-session)
    server one {a} id 7
    server two {b} id 9
listen bytes
    bind {front2}
    mode tcp
    stick-table type binary len 4 size 100 expire 1m
    tcp-response inspect-delay 10s
    tcp-response content accept if { res.len ge 5 }
    stick store-response payload_lv(0,1)
    server one {a}
";

#[test]
fn servers_are_learned_from_their_answers() {
    if !haproxy_is_installed("servers_are_learned_from_their_answers") {
        return;
    }
    let pair = Pair::start(LEARNING);
    let learned = [
        sends(
            "from_both",
            &[Step::Send(b"GET / HTTP/1.0\r\nX-First: f\r\nX-Second: s\r\n\r\n")],
        )
        .origin(&[
            Head,
            Send(b"HTTP/1.1 200 OK\r\nX-Session: abc\r\nX-Other: o\r\nContent-Length: 0\r\n\r\n"),
        ]),
        sends("the_first_criterion", &[Step::Send(b"GET / HTTP/1.0\r\n\r\n")]).origin(&[
            Head,
            Send(
                b"HTTP/1.1 200 OK\r\nX-Session: def\r\nX-Skip: 1\r\nX-Other: o\r\nContent-Length: 0\r\n\r\n",
            ),
        ]),
        sends("bytes", &[Step::Until(b"body"), Step::HalfClose])
            .origin(&[Send(b"\x03ab"), Send(b"cbody"), ToEnd, Close])
            .front(1),
    ];
    let peers = [&pair.haproxy, &pair.ha_lb];
    for case in &learned {
        for peer in peers {
            peer.origins
                .iter()
                .for_each(|origin| origin.play(case.origin));
            let case = case.silence(PATIENT);
            client::play(&case, peer.fronts[case.front], &peer.origins[0], 1);
            // Whoever is connected uses the entry.
            peer.wait_for_clients(case.front, 0);
        }
        for table in ["web", "bytes"] {
            let [theirs, ours] = peers.map(|peer| entries(peer, table));
            assert_eq!(ours, theirs, "{}: {table}", case.name);
        }
    }
    let web = entries(&pair.ha_lb, "web");
    for key in ["key=abc ", "key=f ", "key=o "] {
        assert!(web.contains(key), "{key}: {web}");
    }
    assert!(
        !web.contains("key=s ") && !web.contains("key=def "),
        "{web}"
    );
    assert!(entries(&pair.ha_lb, "bytes").contains("key=61626300"));
}

/// The entries of a table in the order of their keys, without addresses and times.
fn entries(peer: &Peer, table: &str) -> String {
    let answer = peer.ask(&format!("show table {table}"));
    let mut lines: Vec<String> = answer
        .lines()
        .filter_map(|line| {
            let (_, entry) = line.split_once(": key=")?;
            let words = entry.split(' ').filter(|word| !word.starts_with("exp="));
            Some(format!("key={}", words.collect::<Vec<_>>().join(" ")))
        })
        .collect();
    lines.sort();
    lines.join("\n")
}
