//! How large messages may be: `tune.bufsize`, `tune.maxrewrite` and `tune.http.maxhdr`.

use crate::{
    case::{Act, Case, Step::*, sends},
    compare::assert_alike,
};

const LARGE: &str = "{global}    tune.bufsize 65536
    tune.maxrewrite 8192
    tune.http.maxhdr 120
{http}    timeout http-request 5s
    timeout connect 10s
    timeout client 5s
    timeout server 5s
frontend front
    bind {front}
    http-request wait-for-body time 5s if { path_beg /wait }
    http-request set-header x-seen %[req.body_len] if { path_beg /wait }
    default_backend servers
frontend bytes
    mode tcp
    bind {front2}
    tcp-request inspect-delay 10s
    tcp-request content accept if { req.len gt 40000 }
    tcp-request content reject
    default_backend raw
backend servers
    server one {a}
backend raw
    mode tcp
    server one {a}
";

/// A head whose one field makes it as long as that.
macro_rules! field_of {
    ($length:expr) => {
        &[
            Send(b"GET / HTTP/1.1\r\nHost: h\r\nX: "),
            Fill(b'a', $length),
            Send(b"\r\n\r\n"),
        ]
    };
}

const ANSWER: &[Act] = &[
    Act::Head,
    Act::Send(b"HTTP/1.1 200 OK\r\nX: "),
    Act::Fill(b'a', 50_000),
    Act::Send(b"\r\nContent-Length: 2\r\n\r\nok"),
];

const TOO_LONG: &[Act] = &[
    Act::Head,
    Act::Send(b"HTTP/1.1 200 OK\r\nX: "),
    Act::Fill(b'a', 70_000),
    Act::Send(b"\r\nContent-Length: 2\r\n\r\nok"),
];

const CASES: &[Case] = &[
    sends("sizes_head_of_20000", field_of!(20_000)),
    sends("sizes_head_of_50000", field_of!(50_000)),
    sends("sizes_head_of_60000", field_of!(60_000)),
    sends(
        "sizes_second_head",
        &[
            Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nX: "),
            Fill(b'a', 50_000),
            Send(b"\r\n\r\n"),
        ],
    )
    .logs(2),
    sends(
        "sizes_answer",
        &[Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .origin(ANSWER),
    sends(
        "sizes_answer_too_long",
        &[Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")],
    )
    .origin(TOO_LONG),
    sends(
        "sizes_content",
        &[
            Send(b"POST /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n"),
            Fill(b'b', 50_000),
        ],
    ),
    sends("sizes_lines", &[Send(LINES_118)]),
    sends("sizes_too_many_lines", &[Send(LINES_122)]),
    sends("sizes_bytes", &[Fill(b'c', 45_000), HalfClose]).front(1),
];

const LINE: &[u8] = b"X-A: 1\r\n";
const FIRST: &[u8] = b"GET / HTTP/1.1\r\nHost: host\r\n";

/// A head of as many lines as `SIZE` has room for.
const fn head<const SIZE: usize>() -> [u8; SIZE] {
    let mut text = [b'\n'; SIZE];
    let mut at = 0;
    while at < SIZE - 2 {
        text[at] = if at < FIRST.len() {
            FIRST[at]
        } else {
            LINE[(at - FIRST.len()) % LINE.len()]
        };
        at += 1;
    }
    text[SIZE - 2] = b'\r';
    text
}

const LINES_118: &[u8] = &head::<{ FIRST.len() + 116 * LINE.len() + 2 }>();
const LINES_122: &[u8] = &head::<{ FIRST.len() + 120 * LINE.len() + 2 }>();

#[test]
fn messages_may_be_as_large_as_the_file_says() {
    assert_alike("sizes", LARGE, CASES);
}
