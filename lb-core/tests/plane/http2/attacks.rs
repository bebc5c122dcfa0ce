//! What must never reach an origin: each attack class over HTTP/2 by frames made by hand, with the right answer (RFC 9113 §5.4, §8).

use std::time::Duration;

use super::{
    frames::{
        DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Outcome, PING, Raw, WHOLE, WINDOW_UPDATE,
        fields, frame, request,
    },
    proxy,
};
use crate::common::{Origin, Plane};

const PROTOCOL_ERROR: Outcome = Outcome::Reset(1);
const BAD: Outcome = Outcome::Status(400);

/// A request with this field beside the good ones.
fn with(name: &str, value: &str) -> Vec<u8> {
    request("GET", "/", &[(name, value)])
}

/// A request with these pseudo fields and nothing else.
fn pseudo(list: &[(&str, &str)]) -> Vec<u8> {
    fields(list)
}

fn to_host(authority: &str, host: &str) -> Vec<u8> {
    fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", authority),
        ("host", host),
    ])
}

type Case = (&'static str, Vec<u8>, Outcome);

/// Fields.
fn field_cases() -> Vec<Case> {
    vec![
        ("upper case in a name", with("X-Up", "1"), PROTOCOL_ERROR),
        (
            "line end in a value",
            with("x", "1\r\ny: 2"),
            PROTOCOL_ERROR,
        ),
        ("LF in a value", with("x", "1\ny: 2"), PROTOCOL_ERROR),
        ("CR in a value", with("x", "1\r2"), PROTOCOL_ERROR),
        ("NUL in a value", with("x", "1\x002"), PROTOCOL_ERROR),
        ("line end in a name", with("x\r\ny", "1"), PROTOCOL_ERROR),
        ("space in a name", with("x y", "1"), PROTOCOL_ERROR),
        ("colon in a name", with("x:y", "1"), PROTOCOL_ERROR),
        ("empty name", with("", "1"), PROTOCOL_ERROR),
        ("connection", with("connection", "close"), PROTOCOL_ERROR),
        ("keep-alive", with("keep-alive", "5"), PROTOCOL_ERROR),
        (
            "proxy-connection",
            with("proxy-connection", "x"),
            PROTOCOL_ERROR,
        ),
        (
            "chunked",
            with("transfer-encoding", "chunked"),
            PROTOCOL_ERROR,
        ),
        ("upgrade", with("upgrade", "websocket"), PROTOCOL_ERROR),
        ("te", with("te", "gzip"), PROTOCOL_ERROR),
        (
            "an expectation in disguise",
            with("expect", "y 100-continue"),
            Outcome::Status(417),
        ),
    ]
}

/// Pseudo fields.
fn pseudo_cases() -> Vec<Case> {
    let get = (":method", "GET");
    let scheme = (":scheme", "http");
    let path = (":path", "/");
    let host = (":authority", "web.test");
    vec![
        ("no method", pseudo(&[scheme, path, host]), PROTOCOL_ERROR),
        ("no path", pseudo(&[get, scheme, host]), PROTOCOL_ERROR),
        ("no scheme", pseudo(&[get, path, host]), PROTOCOL_ERROR),
        (
            "two paths",
            pseudo(&[get, scheme, path, host, (":path", "/b")]),
            PROTOCOL_ERROR,
        ),
        (
            "two methods",
            pseudo(&[get, scheme, path, host, (":method", "PUT")]),
            PROTOCOL_ERROR,
        ),
        (
            "two authorities",
            pseudo(&[get, scheme, path, host, (":authority", "b")]),
            PROTOCOL_ERROR,
        ),
        (
            "pseudo field after others",
            pseudo(&[get, scheme, host, ("x", "1"), path]),
            PROTOCOL_ERROR,
        ),
        (
            "unknown pseudo field",
            pseudo(&[get, scheme, path, host, (":x", "1")]),
            PROTOCOL_ERROR,
        ),
        (
            "status in a request",
            pseudo(&[get, scheme, path, host, (":status", "200")]),
            PROTOCOL_ERROR,
        ),
        (
            "line end in a protocol",
            pseudo(&[
                (":method", "CONNECT"),
                scheme,
                path,
                host,
                (":protocol", "websocket\r\nx-injected: 1"),
            ]),
            PROTOCOL_ERROR,
        ),
        (
            "connect with a path",
            pseudo(&[(":method", "CONNECT"), scheme, path, host]),
            PROTOCOL_ERROR,
        ),
    ]
}

/// Where a request goes.
fn target_cases() -> Vec<Case> {
    vec![
        ("empty path", request("GET", "", &[]), PROTOCOL_ERROR),
        (
            "path without slash",
            request("GET", "evil", &[]),
            PROTOCOL_ERROR,
        ),
        (
            "absolute path",
            request("GET", "http://evil.test/", &[]),
            PROTOCOL_ERROR,
        ),
        (
            "path with a space",
            request("GET", "/a b", &[]),
            PROTOCOL_ERROR,
        ),
        (
            "path with a request",
            request("GET", "/ HTTP/1.1\r\nx: y", &[]),
            PROTOCOL_ERROR,
        ),
        ("path with NUL", request("GET", "/\0", &[]), PROTOCOL_ERROR),
        (
            "star of another method",
            request("GET", "*", &[]),
            PROTOCOL_ERROR,
        ),
        (
            "path with a fragment",
            request("GET", "/a#b", &[]),
            PROTOCOL_ERROR,
        ),
        (
            "path beyond ASCII",
            request("GET", "/\u{e4}", &[]),
            PROTOCOL_ERROR,
        ),
        (
            "method with a space",
            request("GE T", "/", &[]),
            PROTOCOL_ERROR,
        ),
        (
            "method with a line end",
            request("GET\r\n", "/", &[]),
            PROTOCOL_ERROR,
        ),
        ("empty method", request("", "/", &[]), PROTOCOL_ERROR),
        (
            "user in the authority",
            to_host("a@web.test", "a@web.test"),
            BAD,
        ),
        (
            "space in the authority",
            to_host("web test", "web test"),
            PROTOCOL_ERROR,
        ),
        (
            "two hosts",
            fields(&[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/"),
                ("host", "web.test"),
                ("host", "b.test"),
            ]),
            BAD,
        ),
        (
            "content of another length",
            with("content-length", "5"),
            PROTOCOL_ERROR,
        ),
    ]
}

#[test]
fn requests_that_http_1_would_read_in_another_way_never_reach_an_origin() {
    let cases = [field_cases(), pseudo_cases(), target_cases()].concat();
    let origin = Origin::echo();
    let plane = Plane::start(vec![proxy(&origin)]);
    for (name, block, expected) in &cases {
        let mut raw = Raw::open(plane.address());
        raw.send(&frame(HEADERS, WHOLE, 1, block));
        assert_eq!(raw.outcome(1), *expected, "{name}");
        let status = match expected {
            Outcome::Status(status) => status.to_string(),
            _ => "0".to_owned(),
        };
        let entry = plane.entry();
        assert_eq!(entry.end(), ("web/<NOSRV>", &*status, "PR--"), "{name}");
        // It was the stream's fault, not the connection's.
        raw.send(&frame(PING, 0, 0, &[7; 8]));
        while let Some((kind, flags, _, payload)) = raw.next() {
            assert_ne!(kind, GOAWAY, "{name}");
            if (kind, flags) == (PING, 1) {
                assert_eq!(payload, [7; 8]);
                break;
            }
        }
    }
    assert_eq!(origin.connections(), 0);
    plane.settle();
    let malformed = cases.iter().filter(|case| case.2 == PROTOCOL_ERROR).count();
    let counters = &plane.plane.balancer().frontend_counters[0];
    assert_eq!(counters.http2.malformed.value(), malformed as u64);
    assert_eq!(counters.http2.protocol_errors.value(), 0);
    assert_eq!(
        counters.traffic.total(|c| &c.request_errors),
        cases.len() as u64
    );
    plane.stop();
}

#[test]
fn lengths_that_differ_from_the_content_end_the_stream_and_the_request_at_the_origin() {
    let lengths = |list: &[&str]| -> Vec<u8> {
        let list: Vec<_> = list.iter().map(|l| ("content-length", *l)).collect();
        request("POST", "/", &list)
    };
    let cases: [(&str, Vec<u8>, &[u8], Outcome); 8] = [
        ("more", lengths(&["3"]), b"12345", PROTOCOL_ERROR),
        ("less", lengths(&["7"]), b"12345", PROTOCOL_ERROR),
        ("two", lengths(&["5", "6"]), b"12345", PROTOCOL_ERROR),
        ("list", lengths(&["5, 6"]), b"12345", PROTOCOL_ERROR),
        ("sign", lengths(&["+5"]), b"12345", PROTOCOL_ERROR),
        ("hexadecimal", lengths(&["0x5"]), b"12345", PROTOCOL_ERROR),
        ("empty", lengths(&[""]), b"12345", PROTOCOL_ERROR),
        (
            "too large",
            lengths(&["18446744073709551621"]),
            b"12345",
            PROTOCOL_ERROR,
        ),
    ];
    let (told, heard) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let origin = Origin::new(move |mut stream| {
        let mut seen = Vec::new();
        let _ = std::io::Read::read_to_end(&mut stream, &mut seen);
        let _ = told.lock().unwrap().send(seen);
    });
    let plane = Plane::start(vec![proxy(&origin)]);
    for (name, block, content, expected) in cases {
        let mut raw = Raw::open(plane.address());
        raw.send(&frame(HEADERS, END_HEADERS, 1, &block));
        raw.send(&frame(DATA, END_STREAM, 1, content));
        assert_eq!(raw.outcome(1), expected, "{name}");
    }
    plane.settle();
    drop(plane);
    // What reached it was broken off: never as many bytes as were announced.
    for seen in heard.try_iter() {
        let text = String::from_utf8_lossy(&seen).into_owned();
        // A connection on which nothing had been sent yet.
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let announced = head.split("content-length: ").nth(1).unwrap();
        let announced: usize = announced.lines().next().unwrap().parse().unwrap();
        assert_ne!(body.len(), announced, "{text}");
    }
}

#[test]
fn trailers_that_would_change_a_request_are_never_passed_on() {
    let origin = Origin::echo();
    let plane = Plane::start(vec![proxy(&origin)]);
    for (trailer, expected) in [
        (("content-length", "0"), BAD),
        (("host", "evil.test"), BAD),
        (("transfer-encoding", "chunked"), PROTOCOL_ERROR),
        ((":path", "/evil"), PROTOCOL_ERROR),
    ] {
        let mut raw = Raw::open(plane.address());
        raw.send(&frame(HEADERS, END_HEADERS, 1, &request("POST", "/", &[])));
        raw.send(&frame(DATA, 0, 1, b"abc"));
        raw.send(&frame(HEADERS, WHOLE, 1, &fields(&[trailer])));
        assert_eq!(raw.outcome(1), expected, "{trailer:?}");
    }
    plane.stop();
}

#[test]
fn a_connection_whose_frames_make_no_sense_is_closed_with_the_reason() {
    let good = request("GET", "/", &[]);
    let opened = frame(HEADERS, END_HEADERS, 1, &request("POST", "/", &[]));
    let after = |bytes: Vec<u8>| [opened.clone(), bytes].concat();
    let cases: Vec<(&str, Vec<u8>, Outcome)> = vec![
        (
            "fields that are none",
            frame(HEADERS, WHOLE, 1, &[0xff; 20]),
            Outcome::GoAway(9),
        ),
        (
            "content of no stream",
            frame(DATA, 0, 0, b"x"),
            Outcome::GoAway(1),
        ),
        (
            "an even number",
            frame(HEADERS, WHOLE, 2, &good),
            Outcome::GoAway(1),
        ),
        (
            "a number again",
            [
                frame(HEADERS, WHOLE, 5, &good),
                frame(HEADERS, WHOLE, 3, &good),
            ]
            .concat(),
            Outcome::GoAway(1),
        ),
        (
            "another frame in a head",
            [
                frame(HEADERS, END_STREAM, 1, &good),
                frame(PING, 0, 0, &[0; 8]),
            ]
            .concat(),
            Outcome::GoAway(1),
        ),
        (
            "a frame that is too long",
            frame(DATA, 0, 1, &[0; 16_385]),
            Outcome::GoAway(6),
        ),
        (
            "a ping of another length",
            frame(PING, 0, 0, &[0; 7]),
            Outcome::GoAway(6),
        ),
        (
            "a window that is too large",
            frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffffu32.to_be_bytes()),
            Outcome::GoAway(3),
        ),
        (
            "a window of nothing",
            frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
            Outcome::GoAway(1),
        ),
        (
            "a push",
            frame(5, END_HEADERS, 1, &[0, 0, 0, 2]),
            Outcome::GoAway(1),
        ),
        (
            "more than the window",
            after(frame(DATA, 0, 1, &[b'x'; 16_384]).repeat(80)),
            Outcome::GoAway(3),
        ),
    ];
    // An origin that takes nothing: what is sent stays in the windows.
    let origin = Origin::new(|stream| {
        let _ = stream.peek(&mut [0]);
        std::thread::sleep(Duration::from_secs(1));
    });
    let plane = Plane::start(vec![proxy(&origin)]);
    for (name, bytes, expected) in cases {
        let mut raw = Raw::open(plane.address());
        raw.send(&bytes);
        let outcome = raw.outcome(0);
        // The reset of a socket with unread bytes may overtake the reason.
        if name == "more than the window" && outcome == Outcome::Closed {
            continue;
        }
        assert_eq!(outcome, expected, "{name}");
    }
    drop(plane);
}
