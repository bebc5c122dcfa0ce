//! `mode tcp`: bytes, half-closes, resets, `Connect from` lines (those of HTTP mode, too) and `option tcplog`.

use crate::{
    case::{Act::*, Case, PATIENT, Step, sends},
    compare::assert_alike,
};

const TCP: &str = "{global}defaults
    mode tcp
    log global
    retries 1
    timeout connect 10s
    timeout client 4s
    timeout server 2s
listen plain
    bind {front}
    server one {a}
listen logged
    bind {front2}
    option tcplog
    option dontlognull
    server one {a}
listen broken
    bind {front3}
    option tcplog
    server one {dead}
";

const PING: &[Step] = &[Step::Send(b"ping"), Step::Until(b"pong"), Step::HalfClose];
const PINGED: &[crate::case::Act] = &[Await(b"ping"), Send(b"pong"), ToEnd, Close];

const CASES: &[Case] = &[
    sends("tcp_connect_line", PING).origin(PINGED),
    sends("tcp_log", PING).origin(PINGED).front(1),
    sends(
        "tcp_server_first",
        &[
            Step::Until(b"hello"),
            Step::Send(b"ping"),
            Step::Until(b"pong"),
            Step::HalfClose,
        ],
    )
    .origin(&[Send(b"hello"), Await(b"ping"), Send(b"pong"), Close])
    .front(1),
    sends(
        "tcp_client_half_close",
        &[Step::Send(b"all"), Step::HalfClose],
    )
    .origin(&[ToEnd, Send(b"answer"), Close])
    .front(1),
    sends(
        "tcp_server_half_close",
        &[Step::Until(b"answer"), Step::Send(b"more"), Step::HalfClose],
    )
    .origin(&[Send(b"answer"), HalfClose, ToEnd, Close])
    .front(1),
    sends("tcp_large", &[Step::Fill(b'x', 3_000_000), Step::HalfClose])
        .origin(&[ToEnd, Fill(b'y', 3_000_000), Close])
        .front(1),
    sends(
        "tcp_client_reset",
        &[Step::Send(b"ping"), Step::AtOrigin(b"ping"), Step::Reset],
    )
    .origin(&[Await(b"ping"), ToEnd])
    .front(1),
    sends(
        "tcp_client_closes",
        &[Step::Send(b"ping"), Step::AtOrigin(b"ping"), Step::Close],
    )
    .origin(&[Await(b"ping"), ToEnd, Close])
    .front(1),
    sends("tcp_server_reset", &[Step::Send(b"ping")])
        .origin(&[Await(b"ping"), Reset])
        .front(1),
    sends(
        "tcp_server_reset_after_answer",
        &[Step::Send(b"ping"), Step::Until(b"pong"), Step::Tell],
    )
    .origin(&[Await(b"ping"), Send(b"pong"), Told, Reset])
    .front(1)
    .silence(PATIENT),
    sends("tcp_null", &[Step::HalfClose])
        .origin(&[ToEnd, Close])
        .front(1)
        .logs(0),
    sends("tcp_null_closed", &[Step::Close])
        .origin(&[ToEnd, Close])
        .front(1)
        .logs(0),
    sends("tcp_refused", &[Step::Send(b"ping")])
        .front(2)
        .silence(PATIENT),
    sends("tcp_server_timeout", &[Step::Send(b"ping")])
        .origin(&[Await(b"ping"), Stall])
        .front(1)
        .silence(PATIENT),
    sends("tcp_client_timeout", &[])
        .origin(&[Send(b"hello"), Stall])
        .front(1)
        .silence(PATIENT)
        .logs(0),
    sends(
        "tcp_half_closed_timeout",
        &[Step::Send(b"ping"), Step::HalfClose],
    )
    .origin(&[ToEnd, Stall])
    .front(1)
    .silence(PATIENT),
];

#[test]
fn tcp_mode() {
    assert_alike("tcp_mode", TCP, CASES);
}

const HTTP: &str = "{global}defaults
    mode http
    log global
    timeout connect 10s
    timeout client 10s
    timeout server 10s
listen connects
    bind {front}
    http-request return status 200
";

/// A line for each request, and none for what is no request.
#[test]
fn connect_lines_of_http_mode() {
    const TWICE: &[u8] = b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let cases = [
        sends("connect_line_of_each_request", &[Step::Send(TWICE)]).logs(2),
        sends(
            "connect_line_of_no_request",
            &[Step::Send(b"nonsense\r\n\r\n")],
        )
        .logs(0),
        sends("connect_line_of_nothing", &[Step::HalfClose]).logs(0),
    ];
    assert_alike("connect_lines_of_http_mode", HTTP, &cases);
}
