//! Requests in HTTP/2 that could be read in more than one way and go on: what reaches the origin, byte for byte. Those that
//! do not go on are in `attacks`.

use std::{
    io::{Read, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use super::{
    frames::{DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, Raw, WHOLE, fields, frame, request},
    proxy,
};
use crate::common::{Origin, PATIENCE, Plane, ok};

/// Name, fields, content (`None`: the head ends the stream), trailers, and the text at the origin.
type Case = (
    &'static str,
    Vec<u8>,
    Option<&'static str>,
    &'static [(&'static str, &'static str)],
    &'static str,
);

fn head(list: &[(&str, &str)]) -> Vec<u8> {
    let mut all = vec![(":method", "GET"), (":scheme", "http"), (":path", "/")];
    all.extend(list);
    fields(&all)
}

/// Whom a request is for.
fn hosts() -> Vec<Case> {
    let to = |authority, host| head(&[(":authority", authority), ("host", host)]);
    vec![
        (
            "another host than the authority",
            to("web.test", "evil.test"),
            None,
            &[],
            "GET / HTTP/1.1\r\nhost: web.test\r\n\r\n",
        ),
        (
            "two hosts beside the authority",
            head(&[
                (":authority", "web.test"),
                ("host", "a.test"),
                ("host", "b.test"),
            ]),
            None,
            &[],
            "GET / HTTP/1.1\r\nhost: web.test\r\n\r\n",
        ),
        (
            "a host alone",
            head(&[("host", "web.test")]),
            None,
            &[],
            "GET / HTTP/1.1\r\nhost: web.test\r\n\r\n",
        ),
        (
            "the usual port",
            to("web.test:80", "web.test"),
            None,
            &[],
            "GET / HTTP/1.1\r\nhost: web.test\r\n\r\n",
        ),
        (
            "nobody",
            head(&[]),
            None,
            &[],
            "GET / HTTP/1.1\r\nhost: \r\n\r\n",
        ),
    ]
}

/// How long its content is.
fn lengths() -> Vec<Case> {
    let post = |list: &[(&str, &str)]| request("POST", "/", list);
    vec![
        (
            "the same length twice",
            post(&[("content-length", "3"), ("content-length", "3")]),
            Some("abc"),
            &[],
            "POST / HTTP/1.1\r\nhost: web.test\r\ncontent-length: 3\r\n\r\nabc",
        ),
        (
            "content of GET without a length",
            request("GET", "/", &[]),
            Some("GET /admin HTTP/1.1\r\n\r\n"),
            &[],
            "GET / HTTP/1.1\r\nhost: web.test\r\ntransfer-encoding: chunked\r\n\r\n\
             17\r\nGET /admin HTTP/1.1\r\n\r\n\r\n0\r\n\r\n",
        ),
        (
            "content that looks like the end of chunks",
            post(&[]),
            Some("0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n"),
            &[],
            "POST / HTTP/1.1\r\nhost: web.test\r\ntransfer-encoding: chunked\r\n\r\n\
             1c\r\n0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n\r\n0\r\n\r\n",
        ),
        (
            "no content of no length",
            post(&[("content-length", "0")]),
            None,
            &[],
            "POST / HTTP/1.1\r\nhost: web.test\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            "no content without a length",
            post(&[]),
            None,
            &[],
            "POST / HTTP/1.1\r\nhost: web.test\r\n\r\n",
        ),
        (
            "trailers with the names of fields",
            post(&[]),
            Some("abc"),
            &[("x-forwarded-for", "10.0.0.1"), ("x-sum", "1")],
            "POST / HTTP/1.1\r\nhost: web.test\r\ntransfer-encoding: chunked\r\n\r\n\
             3\r\nabc\r\n0\r\nx-forwarded-for: 10.0.0.1\r\nx-sum: 1\r\n\r\n",
        ),
    ]
}

/// Lines that others have taken apart in another way.
fn lines() -> Vec<Case> {
    let with = |list: &[(&str, &str)]| request("GET", "/", list);
    vec![
        (
            "crumbs",
            with(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]),
            None,
            &[],
            "GET / HTTP/1.1\r\nhost: web.test\r\ncookie: a=1; b=2\r\nx: y\r\n\r\n",
        ),
        (
            "blanks around a value",
            with(&[("x", " \ty\t ")]),
            None,
            &[],
            "GET / HTTP/1.1\r\nhost: web.test\r\nx: y\r\n\r\n",
        ),
        (
            "a value that looks like a field",
            with(&[("x", "transfer-encoding: chunked")]),
            None,
            &[],
            "GET / HTTP/1.1\r\nhost: web.test\r\nx: transfer-encoding: chunked\r\n\r\n",
        ),
        (
            "an empty value",
            with(&[("x", ""), ("y", "1")]),
            None,
            &[],
            "GET / HTTP/1.1\r\nhost: web.test\r\nx: \r\ny: 1\r\n\r\n",
        ),
        (
            "names that are almost others",
            with(&[("content_length", "5"), ("transfer_encoding", "chunked")]),
            None,
            &[],
            "GET / HTTP/1.1\r\nhost: web.test\r\ncontent_length: 5\r\ntransfer_encoding: chunked\r\n\r\n",
        ),
        (
            "leave to answer with trailers",
            with(&[("te", "trailers")]),
            None,
            &[],
            "GET / HTTP/1.1\r\nhost: web.test\r\nte: trailers\r\n\r\n",
        ),
        (
            "a path that others shorten",
            request("GET", "//a/../%2e%2e/./b%2fc;d?e=/../", &[]),
            None,
            &[],
            "GET //a/../%2e%2e/./b%2fc;d?e=/../ HTTP/1.1\r\nhost: web.test\r\n\r\n",
        ),
        (
            "another method",
            request("get", "/", &[]),
            None,
            &[],
            "get / HTTP/1.1\r\nhost: web.test\r\n\r\n",
        ),
        (
            "the settings of another protocol",
            with(&[("http2-settings", "AAMAAABkAAQAAP__")]),
            None,
            &[],
            "GET / HTTP/1.1\r\nhost: web.test\r\n\r\n",
        ),
    ]
}

#[test]
fn what_goes_on_can_be_read_in_one_way_only() {
    let (told, heard) = mpsc::channel();
    let told = Mutex::new(told);
    let wanted = Arc::new(AtomicUsize::new(0));
    let length = Arc::clone(&wanted);
    let origin = Origin::new(move |mut stream| {
        // Where a request ends is what this is about: its length is known.
        let mut text = vec![0; length.load(Ordering::SeqCst)];
        stream.read_exact(&mut text).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        told.lock().unwrap().send(text).unwrap();
        stream.write_all(&ok("ok")).unwrap();
    });
    let plane = Plane::start(vec![proxy(&origin)]);
    for (name, block, content, trailers, expected) in [hosts(), lengths(), lines()].concat() {
        wanted.store(expected.len(), Ordering::SeqCst);
        let mut raw = Raw::open(plane.address());
        match content {
            None => raw.send(&frame(HEADERS, WHOLE, 1, &block)),
            Some(content) => {
                raw.send(&frame(HEADERS, END_HEADERS, 1, &block));
                let last = if trailers.is_empty() { END_STREAM } else { 0 };
                raw.send(&frame(DATA, last, 1, content.as_bytes()));
            }
        }
        if !trailers.is_empty() {
            raw.send(&frame(HEADERS, WHOLE, 1, &fields(trailers)));
        }
        assert_eq!(raw.outcome(1), Outcome::Status(200), "{name}");
        assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), expected, "{name}");
    }
    plane.stop();
}
