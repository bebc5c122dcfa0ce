//! Responses from a cache: what comes from it, what the origin is asked, what the log says.

use crate::{
    case::{
        Act::{self, Body, Close, Head},
        Case,
        Step::{self, Until},
        sends,
    },
    compare::assert_alike,
};

/// An age is one second more for one of the two, now and then.
const CONFIG: &str = "{global}{http}    timeout connect 10s
    timeout client 5s
    timeout server 5s
cache small
    total-max-size 1
    max-object-size 1000
    max-age 30
cache varied
    total-max-size 1
    process-vary on
    max-secondary-entries 3
frontend front
    bind {front}
    http-after-response set-header x-hit \"%[res.cache_hit] %[res.cache_name]\"
    http-after-response set-header x-aged yes if { res.hdr(age) -m found }
    http-after-response del-header age
    default_backend plain
backend plain
    http-request cache-use small
    http-request deny if { req.hdr(x-deny) -m found }
    http-response set-header x-early \"%[res.cache_hit]\"
    http-response cache-store small
    http-response set-header x-late \"%[res.cache_hit]\"
    server one {a}
listen both
    bind {front2}
    filter cache varied
    filter compression
    compression algo gzip
    compression type text/plain
    http-request cache-use varied
    http-request set-path /changed if { path_beg /change }
    http-response cache-store varied
    http-after-response set-header x-hit \"%[res.cache_hit]\"
    http-after-response del-header age
    server one {a}
";

const fn send(request: &'static [u8]) -> Step {
    Step::Send(request)
}
const fn answer(message: &'static [u8]) -> Act {
    Act::Send(message)
}
/// The end of every content.
const END: Step = Until(b"END");
/// The end of a head without content.
const EMPTY: Step = Until(b"\r\n\r\n");

/// The same twice, on one connection.
macro_rules! twice {
    ($name:literal, $request:expr, $response:expr) => {
        sends($name, &[send($request), END, send($request), END])
            .origin(&[Head, Body, answer($response)])
            .logs(2)
    };
}

/// What stays in a cache. An age of one digit makes a log line of other bytes than one of two: what is looked for there
/// was put there a moment ago.
const KEPT: &[u8] = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nEND";
const GET: &[u8] = b"GET /conditions HTTP/1.1\r\nHost: h\r\n\r\n";

#[rustfmt::skip]
const CASES: &[Case] = &[
    twice!("cache_max_age", b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nServer: s\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\nX-A: b\r\n\r\nEND"),
    twice!("cache_s_maxage", b"GET /2?q HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 Fine\r\nCache-Control: public, s-maxage=60\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_etag", b"GET /3 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nETag: W/\"1\"\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_last_modified", b"GET /4 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nLast-Modified: Thu, 22 Oct 2020 16:51:12 GMT\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_expires", b"GET /5 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nExpires: Fri, 01 Jan 2100 00:00:00 GMT\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_expired", b"GET /6 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nExpires: Thu, 22 Oct 2020 16:51:12 GMT\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_nothing_said", b"GET /7 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_no_store", b"GET /8 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60, no-store\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_private", b"GET /9 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nCache-Control: private\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_no_cache", b"GET /10 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nETag: \"1\"\r\nCache-Control: no-cache\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_zero", b"GET /11 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nETag: \"1\"\r\nCache-Control: max-age=0\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_pragma", b"GET /12 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nETag: \"1\"\r\nPragma: no-cache\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_set_cookie", b"GET /13 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nETag: \"1\"\r\nSet-Cookie: a=b\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_aged", b"GET /14 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nAge: 20\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_too_old", b"GET /15 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nAge: 100\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_age_unknown", b"GET /16 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nAge: old\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_missing", b"GET /17 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 404 Gone\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_part", b"GET /18 HTTP/1.1\r\nHost: h\r\nRange: bytes=0-2\r\n\r\n", b"HTTP/1.1 206 Part\r\nCache-Control: max-age=60\r\nContent-Range: bytes 0-2/9\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_range_of_all", b"GET /19 HTTP/1.1\r\nHost: h\r\nRange: bytes=0-0\r\n\r\n", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_vary_not_looked_at", b"GET /20 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nVary: accept-encoding\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_authorization", b"GET /21 HTTP/1.1\r\nHost: h\r\nAuthorization: Basic eDp5\r\n\r\n", b"HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_post", b"POST /22 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_http_1_0", b"GET /23 HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_query_no_cache", b"GET /24 HTTP/1.1\r\nHost: h\r\nCache-Control: no-cache\r\n\r\n", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_query_pragma", b"GET /25 HTTP/1.1\r\nHost: h\r\nPragma: no-cache\r\n\r\n", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_query_max_age", b"GET /26 HTTP/1.1\r\nHost: h\r\nCache-Control: max-age=0\r\n\r\n", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_query_with_content", b"GET /27 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nEND"),
    twice!("cache_chunks", b"GET /28 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\nEND\r\n0\r\n\r\n"),
    sends("cache_other_host", &[send(b"GET /29 HTTP/1.1\r\nHost: h\r\n\r\n"), END, send(b"GET /29 HTTP/1.1\r\nHost: i\r\n\r\n"), END])
        .origin(&[Head, answer(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nEND")]).logs(2),
    sends("cache_denied", &[send(b"GET /33 HTTP/1.1\r\nHost: h\r\n\r\n"), END, send(b"GET /33 HTTP/1.1\r\nHost: h\r\nX-Deny: 1\r\n\r\n"), EMPTY])
        .origin(&[Head, answer(KEPT)]).logs(2),
    sends("cache_head", &[send(b"GET /34 HTTP/1.1\r\nHost: h\r\n\r\n"), END, send(b"HEAD /34 HTTP/1.1\r\nHost: h\r\n\r\n"), EMPTY])
        .origin(&[Head, answer(KEPT)]).logs(2),
    sends("cache_close", &[send(b"GET /35 HTTP/1.1\r\nHost: h\r\n\r\n"), END, send(b"GET /35 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), END])
        .origin(&[Head, answer(KEPT)]).logs(2),
    sends("cache_pipelined", &[send(b"GET /36 HTTP/1.1\r\nHost: h\r\n\r\n"), END, send(b"GET /36 HTTP/1.1\r\nHost: h\r\n\r\nGET /36 HTTP/1.1\r\nHost: h\r\n\r\n"), END])
        .origin(&[Head, answer(KEPT)]).logs(3),
    sends("cache_fill_for_conditions", &[send(GET), END])
        .origin(&[Head, answer(b"HTTP/1.1 200 OK\r\nETag: \"a\"\r\nLast-Modified: Thu, 22 Oct 2020 16:51:12 GMT\r\nContent-Length: 3\r\n\r\nEND")]),
    sends("cache_if_none_match", &[send(b"GET /conditions HTTP/1.1\r\nHost: h\r\nIf-None-Match: \"b\", W/\"a\"\r\n\r\n"), EMPTY]),
    sends("cache_if_none_match_any", &[send(b"HEAD /conditions HTTP/1.1\r\nHost: h\r\nIf-None-Match: *\r\n\r\n"), EMPTY]),
    sends("cache_if_none_match_other", &[send(b"GET /conditions HTTP/1.1\r\nHost: h\r\nIf-None-Match: \"b\"\r\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n\r\n"), END]),
    sends("cache_if_modified_since", &[send(b"GET /conditions HTTP/1.1\r\nHost: h\r\nIf-Modified-Since: Thu, 22 Oct 2020 16:51:12 GMT\r\n\r\n"), EMPTY]),
    sends("cache_if_modified_since_before", &[send(b"GET /conditions HTTP/1.1\r\nHost: h\r\nIf-Modified-Since: Thu, 22 Oct 2020 16:51:11 GMT\r\n\r\n"), END]),
    sends("cache_fill_for_puts", &[send(b"GET /37 HTTP/1.1\r\nHost: h\r\n\r\n"), END]).origin(&[Head, answer(KEPT)]),
    sends("cache_put_elsewhere", &[send(b"PUT /37 HTTP/1.1\r\nHost: i\r\nContent-Length: 0\r\n\r\n"), END])
        .origin(&[Head, answer(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nEND")]),
    sends("cache_put_fails", &[send(b"PUT /37 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"), END, send(b"GET /37 HTTP/1.1\r\nHost: h\r\n\r\n"), END])
        .origin(&[Head, answer(b"HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nEND")]).logs(2),
    sends("cache_put", &[send(b"PUT /37 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"), END, send(b"GET /37 HTTP/1.1\r\nHost: h\r\n\r\n"), END])
        .origin(&[Head, answer(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nEND")]).logs(2),
    sends("cache_cut", &[send(b"GET /30 HTTP/1.1\r\nHost: h\r\n\r\n")])
        .origin(&[Head, answer(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 9\r\n\r\nEND"), Close]),
    sends("cache_after_the_cut", &[send(b"GET /30 HTTP/1.1\r\nHost: h\r\n\r\n"), END])
        .origin(&[Head, answer(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nEND")]),
    sends("cache_until_close", &[send(b"GET /31 HTTP/1.1\r\nHost: h\r\n\r\n")])
        .origin(&[Head, answer(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\nEND"), Close]),
    sends("cache_after_until_close", &[send(b"GET /31 HTTP/1.1\r\nHost: h\r\n\r\n")])
        .origin(&[Head, answer(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\nEND"), Close]),
    sends("cache_too_large", &[send(b"GET /32 HTTP/1.1\r\nHost: h\r\n\r\n"), END, send(b"GET /32 HTTP/1.1\r\nHost: h\r\n\r\n"), END])
        .origin(&[Head, answer(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1003\r\n\r\n"), Act::Fill(b'x', 1000), answer(b"END")]).logs(2),
    sends("cache_vary_coding", &[
        send(b"GET /40 HTTP/1.1\r\nHost: h\r\nAccept-Encoding: br\r\n\r\n"), END,
        send(b"GET /40 HTTP/1.1\r\nHost: h\r\nAccept-Encoding: deflate, BR;q=0.1\r\n\r\n"), END,
        send(b"GET /40 HTTP/1.1\r\nHost: h\r\nAccept-Encoding: br;q=0\r\n\r\n"), END,
        send(b"GET /40 HTTP/1.1\r\nHost: h\r\n\r\n"), END,
    ]).front(1).logs(4)
        .origin(&[Head, answer(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nVary: Accept-Encoding\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nEND")]),
    sends("cache_vary_referer", &[
        send(b"GET /41 HTTP/1.1\r\nHost: h\r\nReferer: a\r\n\r\n"), END,
        send(b"GET /41 HTTP/1.1\r\nHost: h\r\nReferer: b\r\n\r\n"), END,
        send(b"GET /41 HTTP/1.1\r\nHost: h\r\nReferer: a\r\n\r\n"), END,
        send(b"GET /41 HTTP/1.1\r\nHost: h\r\n\r\n"), END,
        send(b"GET /41 HTTP/1.1\r\nHost: h\r\nReferer: c\r\n\r\n"), END,
        send(b"GET /41 HTTP/1.1\r\nHost: h\r\nReferer: c\r\n\r\n"), END,
    ]).front(1).logs(6)
        .origin(&[Head, answer(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nVary: referer\r\nContent-Length: 3\r\n\r\nEND")]),
    sends("cache_vary_unknown", &[
        send(b"GET /42 HTTP/1.1\r\nHost: h\r\nCookie: a\r\n\r\n"), END,
        send(b"GET /42 HTTP/1.1\r\nHost: h\r\nCookie: a\r\n\r\n"), END,
    ]).front(1).logs(2)
        .origin(&[Head, answer(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nVary: cookie\r\nContent-Length: 3\r\n\r\nEND")]),
    sends("cache_key_is_that_of_the_rule", &[
        send(b"GET /change1 HTTP/1.1\r\nHost: h\r\n\r\n"), END,
        send(b"GET /change2 HTTP/1.1\r\nHost: h\r\n\r\n"), END,
        send(b"GET /change1 HTTP/1.1\r\nHost: h\r\n\r\n"), END,
    ]).front(1).logs(3)
        .origin(&[Head, answer(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nEND")]),
    sends("cache_before_compression", &[
        send(b"GET /43 HTTP/1.1\r\nHost: h\r\nAccept-Encoding: br\r\n\r\n"), END,
        send(b"GET /43 HTTP/1.1\r\nHost: h\r\nAccept-Encoding: br\r\n\r\n"), END,
        send(b"HEAD /43 HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n"), EMPTY,
    ]).front(1).logs(3)
        .origin(&[Head, answer(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Type: text/plain\r\nETag: \"1\"\r\nContent-Length: 3\r\n\r\nEND")]),
];

#[test]
fn caches_are_alike() {
    assert_alike("caches_are_alike", CONFIG, CASES);
}
