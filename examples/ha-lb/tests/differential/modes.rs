//! A frontend in TCP mode: connections become HTTP when a backend that speaks it is chosen, and rules see requests
//! among bytes that stay bytes.

use crate::{
    case::{Act, Case, Step, sends},
    compare::assert_alike,
};

const MODES: &str = "{global}defaults
    log global
    timeout connect 10s
    timeout client 10s
    timeout server 10s
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

const MIXED: &str = "{global}defaults
    log global
    mode tcp
    option tcplog
    timeout connect 10s
    timeout client 10s
    timeout server 10s
frontend mixed
    bind {front}
    tcp-request inspect-delay 10s
    tcp-request content reject if HTTP { path /deny }
    tcp-request content accept if HTTP
    tcp-request content accept if { req.len gt 20 }
    use_backend named if HTTP { hdr(host) -i a.test }
    use_backend path if { path_beg /two }
    use_backend put if METH_POST
    default_backend other
backend named
    server one {a}
backend path
    server one {a}
backend put
    server one {a}
backend other
    server one {a}
";

const TALK: &[Act] = &[
    Act::Await(b"over there"),
    Act::Send(b"back"),
    Act::ToEnd,
    Act::Close,
];

const MIXED_CASES: &[Case] = &[
    sends(
        "mixed_host",
        &[Step::Send(b"GET / HTTP/1.1\r\nHost: A.test\r\n\r\n")],
    ),
    sends(
        "mixed_in_pieces",
        &[
            Step::Send(b"GET / HTTP/1.1\r\nHost: a.te"),
            Step::Send(b"st\r\n\r\n"),
        ],
    ),
    sends("mixed_path", &[Step::Send(b"GET /two HTTP/1.0\r\n\r\n")]),
    sends(
        "mixed_method",
        &[Step::Send(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok",
        )],
    ),
    sends("mixed_denied", &[Step::Send(b"GET /deny HTTP/1.0\r\n\r\n")]),
    sends(
        "mixed_other_protocol",
        &[
            Step::Send(b"SSH-2.0-x hello, over there\r\n"),
            Step::Until(b"back"),
            Step::HalfClose,
        ],
    )
    .origin(TALK),
    sends(
        "mixed_broken_request",
        &[
            Step::Send(b"GET /two HTTP/9.x over there\r\n\r\n"),
            Step::Until(b"back"),
            Step::HalfClose,
        ],
    )
    .origin(TALK),
];

#[test]
fn requests_are_seen_among_bytes() {
    assert_alike("requests_are_seen_among_bytes", MIXED, MIXED_CASES);
}
