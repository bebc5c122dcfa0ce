//! Clients that leave in each phase, and what broken origins do to a body that has begun.

use crate::{
    case::{Act, Case, PATIENT, Step, sends},
    compare::assert_alike,
};

pub(crate) const ABORTS: &str = "{global}{http}    timeout connect 10s
    timeout client 3s
    timeout server 3s
    timeout queue 1s
    option abortonclose
frontend front
    bind {front}
    default_backend servers
backend servers
    server one {a}
frontend narrow
    bind {front2}
    default_backend one_at_a_time
backend one_at_a_time
    timeout queue 300ms
    server one {a} maxconn 1
frontend patient
    bind {front3}
    no option abortonclose
    default_backend lasting
backend lasting
    no option abortonclose
    server one {a}
";

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";

pub(crate) const CASES: &[Case] = &[
    sends(
        "abort_waiting_reset",
        &[Step::Send(GET), Step::AtOrigin(b"GET"), Step::Reset],
    )
    .origin(&[Act::Head, Act::Stall]),
    sends(
        "abort_waiting_close",
        &[Step::Send(GET), Step::AtOrigin(b"GET"), Step::Close],
    )
    .origin(&[Act::Head, Act::Stall]),
    sends(
        "abort_waiting_half_close",
        &[Step::Send(GET), Step::AtOrigin(b"GET"), Step::HalfClose],
    )
    .origin(&[Act::Head, Act::Stall])
    .silence(PATIENT),
    sends(
        "patient_waiting_half_close",
        &[Step::Send(GET), Step::AtOrigin(b"GET"), Step::HalfClose],
    )
    .origin(&[Act::Head, Act::Stall])
    .silence(PATIENT)
    .front(2),
    sends(
        "patient_waiting_reset",
        &[Step::Send(GET), Step::AtOrigin(b"GET"), Step::Reset],
    )
    .origin(&[Act::Head, Act::Stall])
    .front(2),
    sends(
        "abort_in_response_reset",
        &[Step::Send(GET), Step::Until(b"abc"), Step::Reset],
    )
    .origin(&[
        Act::Head,
        Act::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
        Act::Stall,
    ]),
    sends(
        "abort_in_body_reset",
        &[
            Step::Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc"),
            Step::AtOrigin(b"abc"),
            Step::Reset,
        ],
    )
    .origin(&[Act::Head, Act::Stall]),
    sends(
        "origin_resets_in_response",
        &[Step::Send(GET), Step::Until(b"abc"), Step::Tell],
    )
    .origin(&[
        Act::Head,
        Act::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
        Act::Told,
        Act::Reset,
    ]),
    sends(
        "origin_resets_endless_response",
        &[Step::Send(GET), Step::Until(b"abc"), Step::Tell],
    )
    .origin(&[
        Act::Head,
        Act::Send(b"HTTP/1.1 200 OK\r\n\r\nabc"),
        Act::Told,
        Act::Reset,
    ]),
    sends("slow_reader", &[Step::Send(GET)]).origin(&[
        Act::Head,
        Act::Send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n"),
        Act::Send(b"a"),
        Act::Send(b"b"),
        Act::Send(b"c"),
        Act::Close,
    ]),
];

#[test]
fn aborts() {
    assert_alike("aborts", ABORTS, CASES);
}
