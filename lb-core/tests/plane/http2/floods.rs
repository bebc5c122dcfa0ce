//! What would cost more than it says: floods of frames, heads without an end, streams without number.

use std::time::Duration;

use super::{
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, PING, PRIORITY, RESET, Raw,
        SETTINGS, WHOLE, fields, frame, request,
    },
    proxy,
};
use crate::common::{Origin, Plane, SHORT, read_all, rules};

#[test]
fn floods_are_cut_off_counted_and_logged() {
    let get = request("GET", "/", &[]);
    let reset = |number: u32| {
        let stream = number * 2 + 1;
        [
            frame(HEADERS, WHOLE, stream, &get),
            frame(RESET, 0, stream, &[0, 0, 0, 8]),
        ]
        .concat()
    };
    let head = frame(HEADERS, END_STREAM, 1, &get);
    let more = frame(
        CONTINUATION,
        0,
        1,
        &fields(&[("x", &"y".repeat(100))]).repeat(50),
    );
    let content = frame(HEADERS, END_HEADERS, 1, &request("POST", "/", &[]));
    let floods: [(&str, Vec<u8>, &str); 6] = [
        (
            "pings",
            frame(PING, 0, 0, &[0; 8]).repeat(3000),
            "too many small frames",
        ),
        (
            "settings",
            frame(SETTINGS, 0, 0, &[]).repeat(3000),
            "too many small frames",
        ),
        (
            "priorities",
            frame(PRIORITY, 0, 3, &[0, 0, 0, 1, 5]).repeat(3000),
            "too many small frames",
        ),
        (
            "empty content",
            [content, frame(DATA, 0, 1, &[]).repeat(3000)].concat(),
            "too many",
        ),
        (
            "resets",
            (0..2000).flat_map(reset).collect(),
            "too many cancelled requests",
        ),
        (
            "head without end",
            [head, more.repeat(200)].concat(),
            "a head without end",
        ),
    ];
    // Answers nobody: requests wait until they are cancelled.
    let origin = Origin::new(|mut stream| {
        let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
    });
    let mut proxy = proxy(&origin);
    proxy.timeouts.server = Some(Duration::from_secs(1));
    let plane = Plane::start(vec![proxy]);
    for (at, (name, bytes, words)) in (1..).zip(floods) {
        let mut raw = Raw::open(plane.address());
        let mut sending = raw.stream.try_clone().unwrap();
        let sender = std::thread::spawn(move || {
            // Breaks off when the other end closes.
            let _ = std::io::Write::write_all(&mut sending, &bytes);
        });
        let outcome = raw.outcome(0);
        // The reset of a socket with unread bytes may overtake the reason.
        assert!(
            matches!(outcome, Outcome::GoAway(11) | Outcome::Closed),
            "{name}: {outcome:?}"
        );
        drop(raw);
        let _ = sender.join();
        let line = loop {
            let line = plane.line();
            if line.starts_with("HTTP/2 connection from 127.0.0.1:") {
                break line;
            }
        };
        assert!(line.contains(words), "{name}: {line}");
        let counters = &plane.plane.balancer().frontend_counters;
        assert_eq!(counters[0].http2.floods.value(), at, "{name}");
    }
    plane.stop();
}

#[test]
fn a_head_that_is_too_long_is_answered_and_too_many_streams_are_refused() {
    let origin = Origin::new(|mut stream| {
        let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
    });
    let mut proxy = proxy(&origin);
    proxy.timeouts.server = SHORT;
    let plane = Plane::start_with(vec![proxy], |config, _| {
        config.global.http2.max_concurrent_streams = 2;
    });
    let mut raw = Raw::open(plane.address());
    let long = request(
        "GET",
        "/",
        &[("x", &"y".repeat(15_000)), ("z", &"y".repeat(400))],
    );
    raw.send(&frame(HEADERS, WHOLE, 1, &long));
    assert_eq!(raw.outcome(1), Outcome::Status(431));
    // The client knows the limit by now, and does not keep to it.
    raw.send(&frame(SETTINGS, 1, 0, &[]));
    // At once, so that none ends before the last has come.
    let requests = [3, 5, 7].map(|at| frame(HEADERS, WHOLE, at, &request("GET", "/", &[])));
    raw.send(&requests.concat());
    assert_eq!(raw.outcome(7), Outcome::Reset(7));
    drop(raw);
    plane.stop();
}

#[test]
fn a_request_that_is_dropped_in_silence_takes_its_connection_along() {
    let origin = Origin::echo();
    let mut proxy = proxy(&origin);
    proxy.rules = rules(|b| drop(b.http_request(&["silent-drop"]).unwrap()));
    let plane = Plane::start(vec![proxy]);
    let mut client = Raw::open(plane.address());
    client.send(&frame(HEADERS, WHOLE, 1, &request("GET", "/", &[])));
    let heard = read_all(&client.stream);
    assert!(heard.ends_with("<reset>"), "{heard:?}");
    plane.stop();
}
