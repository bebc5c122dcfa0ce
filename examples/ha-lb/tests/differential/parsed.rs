//! `tcp-request content` of a proxy in HTTP mode: what is asked of bytes that have been parsed, and what is waited for.

use crate::{
    case::{Case, PATIENT, Step, sends},
    compare::assert_alike,
};

const PARSED: &str = "{global}{http}    timeout connect 10s
    timeout client 20s
    timeout server 10s
frontend front
    bind {front}
    tcp-request inspect-delay 20s
    tcp-request content accept if { path /hello } { req_ssl_hello_type 1 }
    tcp-request content accept if { path /name } { req.ssl_sni -i one.test }
    tcp-request content accept if { path /version } { req.ssl_ver 3 }
    tcp-request content accept if { path /protocols } { req.ssl_alpn h2 }
    tcp-request content accept if { path /curves } { req.ssl_ec_ext }
    tcp-request content accept if { path /bytes } { req.payload(0,7) -m found }
    tcp-request content accept if { path /counted } { req.payload_lv(0,1) -m found }
    tcp-request content accept if { path /cookie } RDP_COOKIE
    tcp-request content accept if { path /http } HTTP
    tcp-request content accept if { path /length } { req.len gt 100000 }
    tcp-request content accept if { path /end } WAIT_END
    tcp-request content reject if { path /body } { req.body -m sub evil }
    tcp-request content set-var(txn.body) req.body if { path /kept }
    http-request return status 200 content-type text/plain lf-string \"%[req.payload(0,3)].%[req.ssl_hello_type].%[var(txn.body)].END\"
";

/// A request without content.
macro_rules! bare {
    ($name:literal) => {
        sends(
            concat!("parsed_", $name),
            &[Step::Send(
                concat!("GET /", $name, " HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes(),
            )],
        )
    };
}

/// A request whose content comes late: the head alone decides.
macro_rules! late {
    ($name:literal) => {
        sends(
            concat!("parsed_late_", $name),
            &[
                Step::Send(
                    concat!(
                        "POST /",
                        $name,
                        " HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\nabc"
                    )
                    .as_bytes(),
                ),
                Step::Until(b"END"),
                Step::Send(b"defg"),
            ],
        )
    };
}

const CASES: &[Case] = &[
    bare!("hello"),
    bare!("name"),
    bare!("version"),
    bare!("protocols"),
    bare!("curves"),
    bare!("bytes"),
    bare!("counted"),
    bare!("cookie"),
    bare!("http"),
    bare!("length"),
    bare!("end"),
    bare!("body"),
    late!("hello"),
    late!("name"),
    late!("version"),
    late!("protocols"),
    late!("curves"),
    late!("bytes"),
    late!("counted"),
    late!("cookie"),
    late!("http"),
    sends(
        "parsed_whole",
        &[Step::Send(
            b"POST /end HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        )],
    ),
    sends(
        "parsed_chunks",
        &[
            Step::Send(b"POST /end HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            Step::Send(b"0\r\n\r\n"),
        ],
    ),
    sends(
        "parsed_kept",
        &[Step::Send(
            b"POST /kept HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        )],
    ),
    sends(
        "parsed_body_refused",
        &[
            Step::Send(b"POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\nan ev"),
            Step::Send(b"il"),
        ],
    ),
    sends(
        "parsed_body_harmless",
        &[
            Step::Send(b"POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\nan ev"),
            Step::Send(b"en"),
        ],
    ),
];

#[test]
fn parsed_requests_are_waited_for_alike() {
    assert_alike("parsed_requests_are_waited_for_alike", PARSED, CASES);
}

const SEEN: &str = "{global}{http}    timeout connect 10s
    timeout client 20s
    timeout server 10s
frontend front
    bind {front}
    http-request set-header x-seen \"%[req.body_len] %[req.body_size] %[req.body_param(a)] %[req.body,hex]\"
    use_backend long if { req.body_len gt 5 }
    use_backend named if { req.body_param(b) -m found }
    default_backend other
backend long
    http-request set-header x-backend long
    server one {a}
backend named
    http-request set-header x-backend \"named %[req.body]\"
    server one {a}
backend other
    server one {a}
frontend routes
    bind {front2}
    use_backend named if { req.body -m sub good }
    default_backend other
frontend waits
    bind {front3}
    http-request set-header x-one 1
    http-request wait-for-body time 500ms
    http-after-response set-header x-first 1
    http-after-response set-header x-second 2
    http-after-response set-header x-third 3
    default_backend other
";

const SEEN_CASES: &[Case] = &[
    sends(
        "seen_whole",
        &[Step::Send(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\na=1&b=2",
        )],
    ),
    sends(
        "seen_short",
        &[Step::Send(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nb=2",
        )],
    ),
    sends(
        "seen_chunks",
        &[Step::Send(
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na=1&b\r\n0\r\n\r\n",
        )],
    ),
    sends(
        "seen_in_part",
        &[
            Step::Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\na=1"),
            Step::AtOrigin(b"x-seen"),
            Step::Send(b"&b=2"),
        ],
    ),
    sends(
        "seen_nothing",
        &[Step::Send(b"GET /?a=1 HTTP/1.1\r\nHost: h\r\n\r\n")],
    ),
    sends(
        "seen_one_after_the_other",
        &[
            Step::Send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\na=1&b=2"),
            Step::Until(b"ok"),
            Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        ],
    )
    .logs(2),
    sends(
        "seen_too_late",
        &[Step::Send(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\ngood",
        )],
    )
    .silence(PATIENT)
    .front(2),
    sends(
        "seen_by_a_route",
        &[Step::Send(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\ngood",
        )],
    )
    .front(1),
    sends(
        "seen_by_another_route",
        &[Step::Send(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nbad",
        )],
    )
    .front(1),
];

#[test]
fn contents_are_seen_as_far_as_they_have_come() {
    assert_alike(
        "contents_are_seen_as_far_as_they_have_come",
        SEEN,
        SEEN_CASES,
    );
}
