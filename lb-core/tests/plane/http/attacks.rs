//! What one reader of HTTP/1 takes for one message and another for two, and what is none: each class of attack through
//! the data plane, with the right answer, and byte for byte what an origin gets to see of it.

mod heads;
mod lengths;

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

#[test]
fn what_an_origin_sees_of_each_class_of_attack() {
    for (name, sent, statuses, passed) in lengths::CASES.iter().chain(heads::CASES) {
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
