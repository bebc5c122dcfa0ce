//! Each timeout with its status and termination state; retries, redispatch, servers that cannot be reached.

use crate::{
    case::{Act, Case, OK, PATIENT, Step, sends},
    compare::assert_alike,
};

const TIMEOUTS: &str = "{global}{http}    option dontlognull
    retries 2
    timeout http-request 400ms
    timeout http-keep-alive 300ms
    timeout connect 300ms
    timeout client 2s
    timeout server 500ms
    timeout queue 300ms
frontend front
    bind {front}
    use_backend refused if { path /refused }
    use_backend hole if { path /hole }
    use_backend redispatched if { path /redispatch }
    use_backend persistent if { path /persistent }
    use_backend empty if { path /empty }
    default_backend servers
backend servers
    server one {a}
backend refused
    server dead {dead}
backend hole
    retries 0
    server hole {hole}
backend redispatched
    option redispatch
    retries 1
    server dead {dead}
    server live {a}
backend persistent
    option redispatch
    cookie S insert indirect nocache
    server dead {dead} cookie d
    server live {a} cookie l
backend empty
listen logged_nulls
    bind {front2}
    no option dontlognull
    server one {a}
listen inspected
    bind {front3}
    mode tcp
    timeout client 1s
    tcp-request inspect-delay 20s
    tcp-request content accept if { req.payload(0,10) -m found }
    server one {a}
";

const CASES: &[Case] = &[
    sends(
        "timeout_http_request",
        &[Step::Send(b"GET / HTTP/1.1\r\nHost")],
    )
    .silence(PATIENT),
    sends("timeout_http_request_nothing", &[])
        .silence(PATIENT)
        .logs(0),
    sends("timeout_http_request_nothing_logged", &[])
        .silence(PATIENT)
        .front(1),
    sends("timeout_client_inspected", &[Step::Send(b"abc")])
        .silence(PATIENT)
        .front(2),
    sends("null_connection_logged", &[Step::HalfClose]).front(1),
    sends("null_connection", &[Step::HalfClose]).logs(0),
    sends(
        "timeout_keep_alive",
        &[Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .silence(PATIENT),
    sends(
        "timeout_keep_alive_second",
        &[
            Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
            Step::Until(b"ok"),
            Step::Send(b"GET /2 HT"),
        ],
    )
    .silence(PATIENT)
    .logs(2),
    sends(
        "timeout_body",
        &[Step::Send(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc",
        )],
    )
    .silence(PATIENT),
    sends(
        "timeout_server",
        &[Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .origin(&[Act::Head, Act::Stall])
    .silence(PATIENT),
    sends(
        "timeout_server_head",
        &[Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\r\nX:"), Act::Stall])
    .silence(PATIENT),
    sends(
        "timeout_server_body",
        &[Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .origin(&[
        Act::Head,
        Act::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
        Act::Stall,
    ])
    .silence(PATIENT),
    sends(
        "timeout_server_post",
        &[Step::Send(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        )],
    )
    .origin(&[Act::Head, Act::Body, Act::Stall])
    .silence(PATIENT),
    sends(
        "timeout_connect",
        &[Step::Send(b"GET /hole HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .silence(PATIENT),
    sends(
        "connect_refused_all",
        &[Step::Send(b"GET /refused HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .silence(PATIENT),
    sends(
        "connect_redispatched",
        &[Step::Send(
            b"GET /redispatch HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        )],
    )
    .silence(PATIENT),
    sends(
        "connect_redispatched_cookie",
        &[Step::Send(
            b"GET /persistent HTTP/1.1\r\nHost: h\r\nCookie: S=d\r\nConnection: close\r\n\r\n",
        )],
    )
    .silence(PATIENT),
    sends(
        "no_servers",
        &[Step::Send(b"GET /empty HTTP/1.1\r\nHost: h\r\n\r\n")],
    ),
    sends(
        "no_servers_post",
        &[Step::Send(
            b"POST /empty HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab",
        )],
    ),
    sends(
        "slow_head_in_time",
        &[
            Step::Send(b"GET / HTTP/1.1\r\n"),
            Step::Send(b"Host: h\r\nConnection: close\r\n\r\n"),
        ],
    )
    .origin(&[Act::Head, Act::Send(OK)]),
];

#[test]
fn timeouts_and_retries() {
    assert_alike("timeouts_and_retries", TIMEOUTS, CASES);
}
