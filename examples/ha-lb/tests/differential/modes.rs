//! A frontend in TCP mode whose backend speaks HTTP: connections become HTTP when the backend is chosen.

use crate::{
    case::{Act, Case, Step, sends},
    compare::assert_alike,
};

const MODES: &str = "{global}defaults
    log global
    timeout connect 1s
    timeout client 2s
    timeout server 2s
frontend plain
    mode tcp
    bind {front}
    option httplog
    default_backend web
frontend inspected
    mode tcp
    bind {front2}
    option tcplog
    tcp-request inspect-delay 1s
    tcp-request content reject if { req.payload(0,4) -m bin 42414420 }
    use_backend raw if { req.payload(0,3) -m bin 524157 }
    default_backend web
backend web
    mode http
    http-request deny if { path /deny }
    http-request set-header x-was tcp
    server one {a}
backend raw
    mode tcp
    server one {a}
";

const CASES: &[Case] = &[
    sends("modes_request", &[Step::Send(b"GET / HTTP/1.0\r\n\r\n")]),
    sends(
        "modes_two_requests",
        &[
            Step::Send(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"),
            Step::Until(b"ok"),
            Step::Send(b"GET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
        ],
    )
    .logs(2),
    sends("modes_denied", &[Step::Send(b"GET /deny HTTP/1.0\r\n\r\n")]),
    sends(
        "modes_inspected",
        &[Step::Send(
            b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        )],
    )
    .front(1),
    sends("modes_rejected", &[Step::Send(b"BAD / HTTP/1.0\r\n\r\n")]).front(1),
    sends(
        "modes_raw",
        &[Step::Send(b"RAW"), Step::Until(b"back"), Step::HalfClose],
    )
    .origin(&[
        Act::Await(b"RAW"),
        Act::Send(b"back"),
        Act::ToEnd,
        Act::Close,
    ])
    .front(1),
];

#[test]
fn tcp_becomes_http() {
    assert_alike("tcp_becomes_http", MODES, CASES);
}
