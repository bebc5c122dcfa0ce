//! What one reader of HTTP/1 takes for one message and another for two, and what is none: each class of attack through
//! the data plane, with the right answer, and byte for byte what an origin gets to see of it.

use std::{
    io::{Read, Write},
    net::Shutdown,
    sync::{Arc, Mutex},
};

use lb_core::config::Mode;

use crate::common::{Origin, Plane, listen, read_all};

/// An origin that notes all it receives, and answers once the head and what its framing promises are there.
fn witness() -> (Origin, Arc<Mutex<Vec<u8>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let origin = Origin::new(move |mut stream| {
        let mut room = [0; 4096];
        let mut held = Vec::new();
        while let Ok(count @ 1..) = stream.read(&mut room) {
            noted.lock().unwrap().extend_from_slice(&room[..count]);
            held.extend_from_slice(&room[..count]);
            while let Some(end) = end_of_message(&held) {
                let message: Vec<u8> = held.drain(..end).collect();
                if stream.write_all(answer_to(&message)).is_err() {
                    return;
                }
            }
        }
    });
    (origin, seen)
}

/// As an origin reads that knows no more than RFC 9112 §6.3: chunks if they are named, else a length, else nothing.
fn end_of_message(held: &[u8]) -> Option<usize> {
    let head = memchr::memmem::find(held, b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&held[..head]).to_lowercase();
    if text.contains("transfer-encoding: chunked") {
        let body = &held[head..];
        let last = match body.starts_with(b"0\r\n") {
            true => 0,
            false => memchr::memmem::find(body, b"\r\n0\r\n")? + 2,
        };
        return Some(head + last + memchr::memmem::find(&body[last..], b"\r\n\r\n")? + 4);
    }
    let length = text.split_once("content-length: ");
    let length = length.map_or(0, |(_, rest)| {
        rest.split('\r').next().unwrap().parse().unwrap()
    });
    (held.len() >= head + length).then_some(head + length)
}

/// No tunnel is opened here, whoever asks.
fn answer_to(message: &[u8]) -> &'static [u8] {
    match message.starts_with(b"CONNECT") {
        true => b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n",
        false => b"HTTP/1.1 204 No Content\r\n\r\n",
    }
}

/// A class of attack: what is sent, the statuses that come back, and what the origin sees.
type Case = (
    &'static str,
    &'static [u8],
    &'static [&'static str],
    &'static [u8],
);

const CASES: &[Case] = &[
    (
        "length and chunks",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
        &["204"],
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunks and length",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2\r\nab\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
        &["204"],
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    ),
    (
        "chunks of HTTP/1.0",
        b"POST / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
        &["204"],
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    ),
    (
        "a coding that is none",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "chunks within identity",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "chunks twice",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "chunks behind a vertical tab",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "chunks before a blank and a colon",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "chunks before a tab and a colon",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding\t: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "chunks on a folded line",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "chunks within gzip",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        &["501"],
        b"",
    ),
    (
        "equal lengths",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab",
        &["204"],
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nab",
    ),
    (
        "a list of equal lengths",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2, 2\r\n\r\nab",
        &["204"],
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nab",
    ),
    (
        "different lengths",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        &["400"],
        b"",
    ),
    (
        "an empty length",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a length with a sign",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\nab",
        &["400"],
        b"",
    ),
    (
        "a hexadecimal length",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x2\r\n\r\nab",
        &["400"],
        b"",
    ),
    (
        "a length beyond 64 bits",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551618\r\n\r\nab",
        &["400"],
        b"",
    ),
    (
        "content of a GET",
        b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
        &["204"],
        b"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
    ),
    (
        "content of a GET that is old",
        b"GET / HTTP/1.0\r\nContent-Length: 35\r\nConnection: keep-alive\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
        &["413"],
        b"",
    ),
    (
        "chunks of a DELETE that is old",
        b"DELETE / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        &["413"],
        b"",
    ),
    (
        "an expectation in disguise",
        b"POST / HTTP/1.1\r\nHost: h\r\nExpect: y 100-continue\r\nContent-Length: 2\r\n\r\nab",
        &["417"],
        b"",
    ),
    (
        "a folded line",
        b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c: d\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a line end without CR",
        b"GET / HTTP/1.1\r\nHost: h\r\nA: b\nc: d\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "NUL in a value",
        b"GET / HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "CR in a value",
        b"GET / HTTP/1.1\r\nHost: h\r\nA: b\rc: d\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a field without colon",
        b"GET / HTTP/1.1\r\nHost: h\r\nA b\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a field without name",
        b"GET / HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a blank in a name",
        b"GET / HTTP/1.1\r\nHost: h\r\nA b: c\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a blank before the first field",
        b"GET / HTTP/1.1\r\n Host: h\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a chunk of more than 64 bits",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nab\r\n0\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a chunk that no signed number holds with its line end",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nab\r\n0\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a chunk size in C",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a negative chunk",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nab\r\n0\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a chunk size without CR",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a line end in an extension",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2;x\nab\r\n0\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a chunk longer than its size",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "an extension",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2;x=\"y\"\r\nab\r\n0\r\n\r\n",
        &["204"],
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    ),
    (
        "a trailer",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n",
        &["204"],
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n",
    ),
    (
        "a trailer that frames",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nContent-Length: 9\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "no host",
        b"GET / HTTP/1.1\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "two hosts",
        b"GET / HTTP/1.1\r\nHost: h\r\nHost: g\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a host with a blank",
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a host with a path",
        b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a target of another host",
        b"GET http://g/x HTTP/1.1\r\nHost: h\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a target of this host",
        b"GET http://h/x HTTP/1.1\r\nHost: h\r\n\r\n",
        &["204"],
        b"GET http://h/x HTTP/1.1\r\nhost: h\r\n\r\n",
    ),
    (
        "a query instead of a path",
        b"GET http://h?/admin HTTP/1.1\r\nHost: h\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a fragment",
        b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a control in the target",
        b"GET /a\x01 HTTP/1.1\r\nHost: h\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a blank in the target",
        b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a target beyond ASCII",
        b"GET /\xe4 HTTP/1.1\r\nHost: h\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a target without slash",
        b"GET a HTTP/1.1\r\nHost: h\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "dots and slashes",
        b"GET //a/../%2e%2e/%2fb HTTP/1.1\r\nHost: h\r\n\r\n",
        &["204"],
        b"GET //a/../%2e%2e/%2fb HTTP/1.1\r\nhost: h\r\n\r\n",
    ),
    (
        "a version of two digits",
        b"GET / HTTP/1.10\r\nHost: h\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a version of its own",
        b"GET / HTTP/2.0\r\nHost: h\r\n\r\n",
        &["505"],
        b"",
    ),
    (
        "no version",
        b"GET /\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a tab in the request line",
        b"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "a method that is none",
        b"GE(T / HTTP/1.1\r\nHost: h\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "the method of HTTP/2's preface",
        b"PRI / HTTP/1.1\r\nHost: h\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "half of HTTP/2's preface",
        b"PRI * HTTP/2.0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
        &["400"],
        b"",
    ),
    (
        "fields that the connection names",
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close, X-Auth, Content-Length, Host\r\nX-Auth: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip\r\n\r\n",
        &["204"],
        b"GET / HTTP/1.1\r\nhost: h\r\n\r\n",
    ),
    (
        "HTTP/2 by an upgrade",
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
        &["204", "204"],
        b"GET / HTTP/1.1\r\nhost: h\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n",
    ),
    (
        "a tunnel that nobody opens",
        b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
        &["405", "204"],
        b"CONNECT h:443 HTTP/1.1\r\nhost: h:443\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n",
    ),
    (
        "an upgrade that nobody makes",
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
        &["204", "204"],
        b"GET / HTTP/1.1\r\nhost: h\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n",
    ),
];

#[test]
fn what_an_origin_sees_of_each_class_of_attack() {
    for (name, sent, statuses, passed) in CASES {
        let (origin, seen) = witness();
        let plane = Plane::start(vec![listen("web", Mode::Http, &[origin.address])]);
        let mut client = plane.connect();
        client.write_all(sent).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let answers = read_all(&client);
        let found: Vec<&str> = answers
            .split("HTTP/1.1 ")
            .skip(1)
            .map(|answer| answer.split(' ').next().unwrap())
            .collect();
        plane.settle();
        let seen = seen.lock().unwrap();
        let shown = (found, seen.escape_ascii().to_string());
        assert_eq!(
            shown,
            (statuses.to_vec(), passed.escape_ascii().to_string()),
            "{name}"
        );
        plane.stop();
    }
}

#[test]
fn heads_that_never_end_reach_nobody() {
    for (name, fields) in [
        ("too many fields", "a: b\r\n".repeat(110)),
        ("one field too many", "a: b\r\n".repeat(100)),
        ("too many bytes", format!("a: {}\r\n", "b".repeat(20_000))),
    ] {
        let (origin, seen) = witness();
        let plane = Plane::start(vec![listen("web", Mode::Http, &[origin.address])]);
        let mut client = plane.connect();
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        client.write_all(head.as_bytes()).unwrap();
        let answer = read_all(&client);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{name}: {answer}");
        assert!(seen.lock().unwrap().is_empty(), "{name}");
        plane.stop();
    }
}
