//! What a request is marked with: captured cookies and samples, a unique id.

use crate::{
    case::{Act, Case, Step, sends},
    compare::assert_alike,
};

const MARKED: &str = "{global}{http}    timeout connect 10s
    timeout client 5s
    timeout server 5s
frontend front
    bind {front}
    declare capture request len 4
    declare capture response len 5
    capture request header Host len 6
    declare capture request len 2
    declare capture response len 3
    capture cookie SID= len 9
    unique-id-format %{+X}o%ci-%[req.hdr(x-n)]
    unique-id-header X-Id
    http-request capture path id 0 if { path_beg /captured }
    http-request capture hdr(x-n) len 3
    http-response capture res.hdr(x-answer) id 0
    http-request set-header X-Seen %[unique-id]
    http-request return status 200 hdr X-Bin %[bin(414243),hex] hdr X-Id %ID if { path /here }
    default_backend servers
backend servers
    http-request capture hdr(x-n) id 2
    http-request capture hdr(x-n) id 9
    http-response capture res.hdr(x-answer) id 1
    server one {a}
";

const SETS: &[Act] = &[
    Act::Head,
    Act::Send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Answer: long answer\r\nSet-Cookie: A=b\r\n\
          Set-Cookie: SID=fresh-value; Path=/\r\n\r\nok",
    ),
];

const CASES: &[Case] = &[
    sends(
        "marks nothing",
        &[Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")],
    ),
    sends(
        "marks all",
        &[Step::Send(
            b"GET /captured/x HTTP/1.1\r\nHost: site.example\r\nX-N: 12345\r\nConnection: close\r\n\
              Cookie: SIDE=1; a=b;SID=abcdefghij; SID=later\r\n\r\n",
        )],
    )
    .origin(SETS),
    sends(
        "marks twice",
        &[
            Step::Send(b"GET /captured HTTP/1.1\r\nHost: h\r\nCookie: SID=1\r\nX-N: a\r\n\r\n"),
            Step::Until(b"ok"),
            Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\nX-N: b\r\nConnection: close\r\n\r\n"),
        ],
    )
    .origin(SETS)
    .logs(2),
    sends(
        "marks answered here",
        &[Step::Send(
            b"GET /here HTTP/1.1\r\nHost: h\r\nX-N: \"q#\r\nCookie: SID=x\r\nConnection: close\r\n\r\n",
        )],
    ),
];

#[test]
fn marks_are_alike() {
    assert_alike("marks_are_alike", MARKED, CASES);
}
