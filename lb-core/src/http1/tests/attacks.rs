//! Ambiguous and malformed messages with the answer each must get.

use super::{request, request_with, response};
use crate::http1::{Error, Framing, Leniency};

fn status(text: &str) -> u16 {
    request(text).map_or_else(Error::status, |_| 200)
}

/// (status, everything after `GET / HTTP/1.1\r\nHost: h\r\n`).
const FIELDS: &[(u16, &str)] = &[
    (200, "\r\n"),
    // Content-Length beside Transfer-Encoding.
    (
        400,
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    (
        400,
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    ),
    (
        400,
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    // Transfer codings in disguise.
    (200, "Transfer-Encoding: chunked\r\n\r\n"),
    (200, "Transfer-Encoding: CHUNKED\r\n\r\n"),
    (200, "Transfer-Encoding:\tchunked \t\r\n\r\n"),
    (400, "Transfer-Encoding: xchunked\r\n\r\n"),
    (400, "Transfer-Encoding: chunked, identity\r\n\r\n"),
    (400, "Transfer-Encoding: chunked, chunked\r\n\r\n"),
    (
        400,
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    (
        400,
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
    ),
    (400, "Transfer-Encoding: chunked;a=b\r\n\r\n"),
    (400, "Transfer-Encoding: \"chunked\"\r\n\r\n"),
    (400, "Transfer-Encoding:\r\n\r\n"),
    (400, "Transfer-Encoding: \u{b}chunked\r\n\r\n"),
    (400, "Transfer-Encoding : chunked\r\n\r\n"),
    (400, "Transfer-Encoding\t: chunked\r\n\r\n"),
    (400, "Transfer-Encoding:\r\n chunked\r\n\r\n"),
    (501, "Transfer-Encoding: gzip, chunked\r\n\r\n"),
    // Content-Length.
    (200, "Content-Length: 3\r\nContent-Length: 3\r\n\r\n"),
    (200, "Content-Length: 3, 3\r\n\r\n"),
    (400, "Content-Length: 3\r\nContent-Length: 4\r\n\r\n"),
    (400, "Content-Length: 3, 4\r\n\r\n"),
    (400, "Content-Length: 3,\r\n\r\n"),
    (400, "Content-Length:\r\n\r\n"),
    (400, "Content-Length: +3\r\n\r\n"),
    (400, "Content-Length: -3\r\n\r\n"),
    (400, "Content-Length: 0x3\r\n\r\n"),
    (400, "Content-Length: 3 3\r\n\r\n"),
    (400, "Content-Length: 3.0\r\n\r\n"),
    (200, "Content-Length: 9223372036854775807\r\n\r\n"),
    (400, "Content-Length: 9223372036854775808\r\n\r\n"),
    (400, "Content-Length: 18446744073709551619\r\n\r\n"),
    (400, "Content-Length: 99999999999999999999999\r\n\r\n"),
    // Lines.
    (400, "A: b\r\n c\r\n\r\n"),
    (400, "A: b\n\r\n"),
    (400, "A: b\r\n\n"),
    (400, "A: b\0c\r\n\r\n"),
    (400, "A: b\rc\r\n\r\n"),
    (400, "A: b\x7fc\r\n\r\n"),
    (400, "A\r\n\r\n"),
    (400, ": b\r\n\r\n"),
    (400, "A b: c\r\n\r\n"),
    (400, "A : c\r\n\r\n"),
    (400, "\u{e9}: c\r\n\r\n"),
    (200, "A:\r\n\r\n"),
    (200, "A: \u{e9}\tx\r\n\r\n"),
    // Host.
    (400, "Host: h\r\n\r\n"),
    (400, "Host: other\r\n\r\n"),
    // Expect.
    (200, "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n"),
    (200, "Expect: 100-Continue\r\n\r\n"),
    (417, "Expect: y 100-continue\r\n\r\n"),
    (417, "Expect: 200-ok\r\n\r\n"),
];

/// (status, the whole head).
const HEADS: &[(u16, &str)] = &[
    (400, "GET / HTTP/1.1\r\n\r\n"),
    (200, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost:\r\nHost:\r\n\r\n"),
    (400, "GET http://h/ HTTP/1.1\r\nHost:\r\n\r\n"),
    (400, "CONNECT h:1 HTTP/1.1\r\nHost:\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
    (200, "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"),
    (200, "GET / HTTP/1.1\r\nHost: a:\r\n\r\n"),
    (200, "GET / HTTP/1.0\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
    // Targets.
    (200, "GET http://h/x HTTP/1.1\r\nHost: h\r\n\r\n"),
    (200, "GET http://h:80/x HTTP/1.1\r\nHost: H\r\n\r\n"),
    (200, "GET http://h HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "GET http://other/x HTTP/1.1\r\nHost: h\r\n\r\n"),
    (200, "GET https://h:443/x HTTP/1.1\r\nHost: h:\r\n\r\n"),
    (400, "GET http://h:443/x HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "GET http://h:8080/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "GET http://u:p@h/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "GET x HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "GET * HTTP/1.1\r\nHost: h\r\n\r\n"),
    (200, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "GET /#f HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "GET /\u{e9} HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "GET /a\x01 HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "GET /a\tHTTP/1.1\r\nHost: h\r\n\r\n"),
    (200, "GET //a/../b%2f HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "GET http://h?x HTTP/1.1\r\nHost: h\r\n\r\n"),
    // Methods and versions.
    (400, "PRI / HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "PRI * HTTP/2.0\r\n\r\n"),
    (400, "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, " GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "G(T / HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    (200, "get / HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "GET /\r\nHost: h\r\n\r\n"),
    (400, "GET / \r\nHost: h\r\n\r\n"),
    (400, "GET / HTTP/1.10\r\nHost: h\r\n\r\n"),
    (400, "GET / HTTP/1\r\nHost: h\r\n\r\n"),
    (400, "GET / http/1.1\r\nHost: h\r\n\r\n"),
    (400, "GET / HTTP/1.1 \r\nHost: h\r\n\r\n"),
    (505, "GET / HTTP/2.0\r\nHost: h\r\n\r\n"),
    (505, "GET / HTTP/1.2\r\nHost: h\r\n\r\n"),
    (505, "GET / HTTP/0.9\r\nHost: h\r\n\r\n"),
    (400, "\x16\x03\x01\x02\x00\x01\x00"),
    (200, "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    // CONNECT.
    (200, "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"),
    (200, "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "CONNECT h:80 HTTP/1.1\r\nHost: h:443\r\n\r\n"),
    (400, "CONNECT h:8080 HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "CONNECT h: HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "CONNECT /x HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, "CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n"),
    (
        400,
        "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\nContent-Length: 3\r\n\r\n",
    ),
    (
        400,
        "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    // A handshake without its key.
    (
        400,
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ),
    // Content that servers of HTTP/1.0 take for the next request.
    (413, "GET / HTTP/1.0\r\nContent-Length: 3\r\n\r\n"),
    (413, "HEAD / HTTP/1.0\r\nContent-Length: 3\r\n\r\n"),
    (413, "DELETE / HTTP/1.0\r\nContent-Length: 3\r\n\r\n"),
    (200, "GET / HTTP/1.0\r\nContent-Length: 0\r\n\r\n"),
    (200, "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n"),
    (
        200,
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n",
    ),
    // Chunks are unknown to HTTP/1.0.
    (400, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
];

#[test]
fn each_class_of_request_gets_its_answer() {
    for (expected, rest) in FIELDS {
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{rest}");
        assert_eq!(status(&text), *expected, "{text:?}");
    }
    for (expected, text) in HEADS {
        assert_eq!(status(text), *expected, "{text:?}");
    }
}

#[test]
fn the_port_that_goes_without_saying_is_taken_off_target_and_host() {
    for (head, target, host) in [
        (
            "GET http://h:80/x?y HTTP/1.1\r\nHost: h:80",
            "http://h/x?y",
            "h",
        ),
        ("GET https://h:/ HTTP/1.1\r\nHost: h:443", "https://h/", "h"),
        (
            "GET https://h:80/ HTTP/1.1\r\nHost: h:80",
            "https://h:80/",
            "h:80",
        ),
        ("GET http://h/ HTTP/1.1\r\nHost: h:80", "http://h/", "h:80"),
        ("GET / HTTP/1.1\r\nHost: h:80", "/", "h:80"),
        ("CONNECT h:443 HTTP/1.1\r\nHost: h:443", "h:443", "h:443"),
    ] {
        let text = format!("{head}\r\n\r\n");
        let (_, head) = request_with(Leniency::STRICT, &text).unwrap();
        let view = crate::head::HeadRef::new(&head, text.as_bytes());
        assert_eq!(view.target(), target.as_bytes(), "{text:?}");
        assert_eq!(view.value(b"host"), Some(host.as_bytes()), "{text:?}");
    }
}

#[test]
fn folded_lines_are_joined_before_they_are_understood() {
    let text = "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n chunked\r\nA: b\r\n c\r\n\r\n";
    let loose = Leniency {
        loose_syntax: true,
        ..Leniency::STRICT
    };
    let (summary, head) = request_with(loose, text).unwrap();
    assert_eq!(summary.framing, Framing::Chunked);
    let view = crate::head::HeadRef::new(&head, text.as_bytes());
    assert_eq!(view.value(b"a"), Some(&b"b c"[..]));
}

#[test]
fn relaxed_reading_takes_what_ends_no_word_and_nothing_that_two_readers_frame_differently() {
    let relaxed = |text: &str| {
        let read = request_with(Leniency::RELAXED, text);
        read.map(|(_, head)| {
            let view = crate::head::HeadRef::new(&head, text.as_bytes());
            let names: Vec<&[u8]> = view.fields().map(|(name, _)| name).collect();
            let names = names.join(&b'|');
            String::from_utf8_lossy(&[view.target(), b" ", &names].concat()).into_owned()
        })
    };
    for (text, expected) in [
        ("GET /a#b HTTP/1.1\r\n\r\n", "/a#b "),
        ("GET /\u{e9} HTTP/1.1\nHost: h\n\n", "/\u{e9} Host"),
        (
            "GET / HTTP/1.1\r\nx(y)[\u{e9}]: 1\r\n\r\n",
            "/ x(y)[\u{e9}]",
        ),
        ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "/ A"),
    ] {
        assert!(request(text).is_err(), "{text:?}");
        assert_eq!(relaxed(text).as_deref(), Ok(expected), "{text:?}");
    }
    for text in [
        "GET / HTTP/1.1\r\nContent-Length : 1\r\n\r\n",
        "GET / HTTP/1.1\r\nA\tb: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nA\0: 1\r\n\r\n",
        "GET / HTTP/1.1\r\n: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nA\r\n\r\n",
        "GET /a\x01 HTTP/1.1\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
    ] {
        assert!(relaxed(text).is_err(), "{text:?}");
    }
}

#[test]
fn compatible_answers_to_conflicting_framing_close_the_connection() {
    for text in [
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert_eq!(request(text), Err(Error::Conflict));
        let (summary, _) = request_with(Leniency::HAPROXY, text).unwrap();
        assert_eq!(summary.framing, Framing::Chunked);
        assert!(summary.close_after && !summary.persistent);
    }
    let text = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n";
    assert!(request_with(Leniency::HAPROXY, text).is_err());
}

#[test]
fn content_of_old_methods_passes_where_it_is_said_to() {
    let lenient = Leniency {
        old_content: true,
        ..Leniency::HAPROXY
    };
    let text = "GET / HTTP/1.0\r\nContent-Length: 3\r\n\r\n";
    let (summary, _) = request_with(lenient, text).unwrap();
    assert_eq!(summary.framing, Framing::Length(3));
}

#[test]
fn heads_have_limits() {
    let many = "A: b\r\n".repeat(110);
    let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n");
    assert_eq!(request(&text), Err(Error::TooManyFields(100)));
    let long = "x".repeat(20_000);
    let text = format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(request(&text), Err(Error::TooLarge(15360)));
    for (others, expected) in [(99, 200), (100, 400)] {
        let fields = "A: b\r\n".repeat(others);
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        assert_eq!(status(&text), expected, "{others}");
    }
}

#[test]
fn responses_that_two_readers_could_understand_differently_are_refused() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "<html>\r\n\r\n",
        "junk",
    ] {
        assert!(response(text).is_err(), "{text:?}");
    }
}
