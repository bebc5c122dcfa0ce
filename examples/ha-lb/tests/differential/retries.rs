//! `retry-on`: after which failures a request goes out again, how often, where to, and what the log says of it.

use crate::{
    case::{Act, Case, Step, sends},
    compare::assert_alike,
};

const RETRIES: &str = "{global}{http}    retries 2
    timeout connect 300ms
    timeout client 3s
    timeout server 3s
frontend front
    bind {front}
    http-request disable-l7-retry if { path_end /once }
    use_backend %[path,field(2,/)]
listen good
    bind {front2}
    no log
    http-request return status 200 content-type text/plain string good
backend usual
    server one {a}
backend none
    retry-on none
    server dead {dead}
backend empty
    retry-on empty-response
    server one {a}
backend junk
    retry-on junk-response
    server one {a}
backend late
    retry-on response-timeout
    retries 1
    timeout server 300ms
    server one {a}
backend status
    retry-on 404 503
    server one {a}
backend all
    retry-on all-retryable-errors
    server one {a}
backend over
    retry-on 503 empty-response
    balance first
    option redispatch
    server one {a}
    server two {front2}
backend stays
    retry-on 503 empty-response
    balance source
    server one {a}
";

const GONE: &[Act] = &[Act::Head, Act::Body, Act::Close];
const BUSY: &[Act] = &[
    Act::Head,
    Act::Body,
    Act::Send(b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy"),
];

const CASES: &[Case] = &[
    sends(
        "retry_usually_not",
        &[Step::Send(b"GET /usual/ HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .origin(GONE),
    sends(
        "retry_none",
        &[Step::Send(b"GET /none/ HTTP/1.1\r\nHost: h\r\n\r\n")],
    ),
    sends(
        "retry_empty",
        &[Step::Send(b"GET /empty/ HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .origin(GONE),
    sends(
        "retry_reset",
        &[Step::Send(b"GET /empty/ HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .origin(&[Act::Head, Act::Reset]),
    sends(
        "retry_empty_post",
        &[Step::Send(
            b"POST /empty/ HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        )],
    )
    .origin(GONE),
    sends(
        "retry_empty_chunks",
        &[Step::Send(
            b"POST /empty/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        )],
    )
    .origin(GONE),
    sends(
        "retry_disabled",
        &[Step::Send(b"GET /empty/once HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .origin(GONE),
    sends(
        "retry_junk",
        &[Step::Send(b"GET /junk/ HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .origin(&[Act::Head, Act::Send(b"SSH-2.0\r\n\r\n"), Act::Stall]),
    sends(
        "retry_junk_is_not_empty",
        &[Step::Send(b"GET /empty/ HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .origin(&[Act::Head, Act::Send(b"SSH-2.0\r\n\r\n"), Act::Stall]),
    sends(
        "retry_late",
        &[Step::Send(b"GET /late/ HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .origin(&[Act::Head, Act::Stall]),
    sends(
        "retry_status",
        &[Step::Send(b"GET /status/ HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .origin(BUSY),
    sends(
        "retry_other_status",
        &[Step::Send(b"GET /status/ HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .origin(&[
        Act::Head,
        Act::Send(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"),
    ]),
    sends(
        "retry_all",
        &[Step::Send(b"GET /all/ HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .origin(BUSY),
    sends(
        "retry_goes_over",
        &[Step::Send(
            b"GET /over/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        )],
    )
    .origin(BUSY),
    sends(
        "retry_goes_over_with_content",
        &[Step::Send(
            b"POST /over/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
        )],
    )
    .origin(GONE),
    sends(
        "retry_stays",
        &[Step::Send(b"GET /stays/ HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .origin(BUSY),
];

#[test]
fn requests_go_out_again() {
    assert_alike("requests_go_out_again", RETRIES, CASES);
}
