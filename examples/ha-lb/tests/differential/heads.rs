//! Request heads: ordinary ones, odd ones, and those of request smuggling that must be refused.

use crate::{
    case::{Case, Step::*, sends},
    compare::assert_alike,
};

/// What most files share.
pub(crate) const PLAIN: &str = "{global}{http}    timeout http-request 5s
    timeout connect 10s
    timeout client 5s
    timeout server 5s
frontend front
    bind {front}
    default_backend servers
backend servers
    server one {a}
";

const ORDINARY: &[Case] = &[
    sends("get", &[Send(b"GET /a?b=c HTTP/1.1\r\nHost: h\r\nUser-Agent: x\r\n\r\n")]),
    sends("get_close", &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")]),
    sends("keep_alive_token", &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Keep-Alive\r\nKeep-Alive: 300\r\n\r\n")]),
    sends("header_case_and_order", &[Send(b"GET / HTTP/1.1\r\nX-B: 1\r\nhOsT: h\r\nX-a: 2\r\nX-B: 3\r\nX-Empty:\r\nX-Space:   v  \r\n\r\n")]),
    sends("http10", &[Send(b"GET / HTTP/1.0\r\n\r\n")]),
    sends("http10_keep_alive", &[Send(b"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")]),
    sends("leading_empty_lines", &[Send(b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")]),
    sends("pipelined", &[Send(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")]).logs(3),
    sends("two_in_turn", &[Send(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"), Until(b"ok"), Send(b"GET /2 HTTP/1.1\r\nHost: h\r\n\r\n"), Until(b"ok"), Send(b"HEAD /3 HTTP/1.0\r\n\r\n")]).logs(3),
    sends("in_pieces", &[Send(b"GE"), Send(b"T /pieces HTTP/1.1\r"), Send(b"\nHost"), Send(b": h\r\nConnection: close\r\n\r"), Send(b"\n")]),
    sends("options_star", &[Send(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")]),
    sends("absolute_form", &[Send(b"GET http://h/x?y HTTP/1.1\r\nHost: h\r\n\r\n")]),
    sends("absolute_form_port", &[Send(b"GET http://h:80/x HTTP/1.1\r\nHost: h\r\n\r\n")]),
    sends("absolute_form_no_path", &[Send(b"GET http://h HTTP/1.1\r\nHost: h\r\n\r\n")]),
    sends("absolute_form_other_host", &[Send(b"GET http://g/x HTTP/1.1\r\nHost: h\r\n\r\n")]),
    sends("absolute_form_no_host", &[Send(b"GET http://g/x HTTP/1.1\r\n\r\n")]),
    sends("odd_method", &[Send(b"X-9!$%&'*+^_`|~ / HTTP/1.1\r\nHost: h\r\n\r\n")]),
    sends("lower_method", &[Send(b"get / HTTP/1.1\r\nHost: h\r\n\r\n")]),
    sends("delete", &[Send(b"DELETE /x HTTP/1.1\r\nHost: h\r\n\r\n")]),
    sends("put_body", &[Send(b"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")]),
    sends("trace", &[Send(b"TRACE /x HTTP/1.1\r\nHost: h\r\n\r\n")]),
    sends("missing_host", &[Send(b"GET / HTTP/1.1\r\n\r\n")]),
    sends("empty_host", &[Send(b"GET / HTTP/1.1\r\nHost:\r\n\r\n")]),
    sends("equal_hosts", &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n")]),
    sends("slashes", &[Send(b"GET //a/../b/%2f/./c HTTP/1.1\r\nHost: h\r\n\r\n")]),
    sends("long_target", &[Send(b"GET /"), Fill(b'a', 5000), Send(b" HTTP/1.1\r\nHost: h\r\n\r\n")]),
    sends("nominated", &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: X-Auth, close\r\nX-Auth: 1\r\n\r\n")]),
    sends("proxy_connection", &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nConnection: TE\r\n\r\n")]),
    sends("connection_lists", &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: foo\r\nConnection: bar, keep-alive\r\n\r\n")]),
    sends("quotes_in_target", &[Send(b"GET /\"a\"\\ HTTP/1.1\r\nHost: h\r\n\r\n")]),
    sends("h2c", &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")]),
    sends("expect_unknown", &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nExpect: y 100-continue\r\n\r\n")]),
    sends("obs_fold", &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nX-F: a\r\n  b\r\n\tc\r\n\r\n")]),
    sends("bare_lf", &[Send(b"GET / HTTP/1.1\nHost: h\nConnection: close\n\n")]),
    sends("range_list", &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nRange: bytes=0-0,1-1,2-2,3-3\r\n\r\n")]),
    sends("version_1_2", &[Send(b"GET / HTTP/1.2\r\nHost: h\r\n\r\n")]),
    sends("ninety_headers", &[Send(NINETY)]),
];

const NINETY: &[u8] = {
    const LINE: &[u8; 8] = b"X-A: 1\r\n";
    const TEXT: [u8; 27 + 90 * 8 + 2] = {
        let mut text = [0; 27 + 90 * 8 + 2];
        let start = b"GET / HTTP/1.1\r\nHost: host\r";
        let mut at = 0;
        while at < 27 {
            text[at] = start[at];
            at += 1;
        }
        // The line end after Host's carriage return is the first byte of what follows.
        text[26] = b'\n';
        text[25] = b'\r';
        while at < 27 + 90 * 8 {
            text[at] = LINE[(at - 27) % 8];
            at += 1;
        }
        text[at] = b'\r';
        text[at + 1] = b'\n';
        text
    };
    &TEXT
};

const REFUSED: &[Case] = &[
    sends("garbage", &[Send(b"hello\r\n\r\n")]),
    sends(
        "tls_to_plain",
        &[Send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")],
    ),
    sends("h2_preface", &[Send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")]).logs(0),
    sends("http09", &[Send(b"GET /\r\n\r\n")]),
    sends(
        "version_2_on_1",
        &[Send(b"GET / HTTP/2.0\r\nHost: h\r\n\r\n")],
    ),
    sends(
        "version_1_10",
        &[Send(b"GET / HTTP/1.10\r\nHost: h\r\n\r\n")],
    ),
    sends(
        "version_lower",
        &[Send(b"GET / http/1.1\r\nHost: h\r\n\r\n")],
    ),
    sends("version_3", &[Send(b"GET / HTTP/3.0\r\nHost: h\r\n\r\n")]),
    sends("two_spaces", &[Send(b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n")]),
    sends(
        "tab_between",
        &[Send(b"GET\t/\tHTTP/1.1\r\nHost: h\r\n\r\n")],
    ),
    sends(
        "space_in_target",
        &[Send(b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n")],
    ),
    sends("fragment", &[Send(b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n")]),
    sends(
        "high_bit_target",
        &[Send(b"GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n")],
    ),
    sends(
        "control_target",
        &[Send(b"GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n")],
    ),
    sends("no_slash", &[Send(b"GET a HTTP/1.1\r\nHost: h\r\n\r\n")]),
    sends(
        "differing_hosts",
        &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nHost: g\r\n\r\n")],
    ),
    sends(
        "host_with_space",
        &[Send(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")],
    ),
    sends(
        "no_colon",
        &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nNoColon\r\n\r\n")],
    ),
    sends(
        "empty_name",
        &[Send(b"GET / HTTP/1.1\r\nHost: h\r\n: v\r\n\r\n")],
    ),
    sends(
        "space_in_name",
        &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nA B: v\r\n\r\n")],
    ),
    sends(
        "space_before_colon",
        &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nA : v\r\n\r\n")],
    ),
    sends(
        "first_field_folded",
        &[Send(b"GET / HTTP/1.1\r\n Host: h\r\n\r\n")],
    ),
    sends(
        "nul_in_value",
        &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n")],
    ),
    sends(
        "cr_in_value",
        &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n")],
    ),
    sends(
        "cr_before_crlf",
        &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\r\n\r\n")],
    ),
    sends(
        "high_bit_value",
        &[Send(b"GET / HTTP/1.1\r\nHost: h\r\nX: \xff\r\n\r\n")],
    ),
    sends(
        "high_bit_name",
        &[Send(b"GET / HTTP/1.1\r\nHost: h\r\n\xe9: v\r\n\r\n")],
    ),
    sends(
        "big_head",
        &[
            Send(b"GET / HTTP/1.1\r\nHost: h\r\nX: "),
            Fill(b'a', 20000),
            Send(b"\r\n\r\n"),
        ],
    ),
    sends(
        "big_target",
        &[
            Send(b"GET /"),
            Fill(b'a', 20000),
            Send(b" HTTP/1.1\r\nHost: h\r\n\r\n"),
        ],
    ),
    sends(
        "connect",
        &[Send(b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n")],
    ),
    sends(
        "connect_other_host",
        &[Send(b"CONNECT h:443 HTTP/1.1\r\nHost: g\r\n\r\n")],
    ),
    sends(
        "bad_then_good",
        &[Send(
            b"GET / HTTP/1.1\r\nHost: h\r\n: v\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        )],
    ),
    sends(
        "good_then_bad",
        &[Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nBAD\r\n\r\n")],
    )
    .logs(2),
    sends(
        "half_head_then_end",
        &[Send(b"GET / HTTP/1.1\r\nHost"), HalfClose],
    ),
    sends(
        "half_head_then_reset",
        &[Send(b"GET / HTTP/1.1\r\nHost"), Reset],
    ),
    sends("nothing_then_end", &[HalfClose]),
    sends("nothing_then_reset", &[Reset]),
    sends(
        "end_after_request",
        &[Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), HalfClose],
    ),
];

#[test]
fn ordinary_heads() {
    assert_alike("ordinary_heads", PLAIN, ORDINARY);
}

#[test]
fn refused_heads() {
    assert_alike("refused_heads", PLAIN, REFUSED);
}
