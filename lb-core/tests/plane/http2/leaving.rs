//! Connections in HTTP/2 that are told to end: nobody loses a request that could not be sent again.

use std::{
    io::{Read, Write},
    net::Shutdown,
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};

use socket2::SockRef;

use super::{
    frames::{
        DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Outcome, PING, RESET, Raw, SETTINGS, WHOLE,
        frame, request,
    },
    proxy,
};
use crate::common::{Origin, PATIENCE, Plane, STEADY, ok, read_head};

/// An origin that answers when it is told to, one request a connection.
struct Patient {
    origin: Origin,
    heard: mpsc::Receiver<()>,
    finish: mpsc::Sender<()>,
}

impl Patient {
    fn new() -> Self {
        let (tell, heard) = mpsc::channel();
        let (finish, finished) = mpsc::channel::<()>();
        let finished = Mutex::new(finished);
        let origin = Origin::new(move |mut stream| {
            let Some(head) = read_head(&mut stream) else {
                return;
            };
            let _ = tell.send(());
            if head.starts_with("POST") {
                // What is left of it never comes.
                while matches!(stream.read(&mut [0; 100]), Ok(1..)) {}
                return;
            }
            let _ = finished.lock().unwrap().recv_timeout(PATIENCE);
            let _ = stream.write_all(&ok("late"));
        });
        Self {
            origin,
            heard,
            finish,
        }
    }

    /// Waits until so many more requests are there.
    fn hears(&self, requests: usize) {
        for _ in 0..requests {
            self.heard.recv_timeout(PATIENCE).unwrap();
        }
    }
}

/// The last stream that counts, from the next GOAWAY.
fn last_stream(raw: &mut Raw) -> u32 {
    loop {
        let (kind, flags, _, payload) = raw.next().expect("a word of farewell");
        match kind {
            GOAWAY => return u32::from_be_bytes(payload[..4].try_into().unwrap()),
            PING if flags == 0 => raw.send(&frame(PING, 1, 0, &payload)),
            _ => {}
        }
    }
}

/// Reads to the end; the last streams that count, as the words of farewell have them. Only the first is answered.
fn farewells(raw: &mut Raw) -> Vec<u32> {
    let mut said = Vec::new();
    while let Some((kind, flags, stream, payload)) = raw.next() {
        match kind {
            PING if flags == 0 => raw.send(&frame(PING, 1, 0, &payload)),
            GOAWAY => said.push(u32::from_be_bytes(payload[..4].try_into().unwrap())),
            DATA if flags & END_STREAM != 0 => assert_eq!(stream, 1),
            _ => {}
        }
    }
    said
}

/// Waits until the client's first words have been read.
fn greet(raw: &mut Raw) {
    while !matches!(raw.next(), Some((SETTINGS, 1, _, _))) {}
}

#[test]
fn a_request_on_its_way_is_served_although_it_is_the_first_of_a_connection_that_is_told_to_end() {
    let origin = Origin::echo();
    let plane = Plane::start(vec![proxy(&origin)]);
    let mut raw = Raw::open(plane.address());
    greet(&mut raw);
    plane.plane.stop_accepting();
    // It was sent before its client could know.
    assert_eq!(last_stream(&mut raw), (1 << 31) - 1);
    raw.send(&frame(HEADERS, WHOLE, 1, &request("GET", "/", &[])));
    assert_eq!(farewells(&mut raw), [1]);
    assert!(plane.line().contains("Proxy web stopped"));
    assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
    plane.stop();
}

#[test]
fn a_client_that_was_let_in_before_accepting_stopped_may_begin_and_is_told_to_end() {
    // A machine that stands still for longer than anybody is waited for gets another try.
    loop {
        let origin = Origin::echo();
        let plane = Plane::start(vec![proxy(&origin)]);
        let begun = Instant::now();
        let stream = plane.connect();
        plane.until("it is let in", |b| b.process.connections.value() == 1);
        plane.plane.stop_accepting();
        assert!(plane.line().contains("Proxy web stopped"));
        let mut raw = Raw::begin(stream);
        raw.send(&frame(HEADERS, WHOLE, 1, &request("GET", "/", &[])));
        if begun.elapsed() > Duration::from_millis(900) {
            drop(raw);
            plane.stop();
            continue;
        }
        assert_eq!(farewells(&mut raw), [(1 << 31) - 1, 1]);
        assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
        return plane.stop();
    }
}

#[test]
fn the_log_says_of_streams_that_are_cut_who_cut_them() {
    let server = Patient::new();
    let plane = Plane::start(vec![proxy(&server.origin)]);
    let mut raw = Raw::open(plane.address());
    raw.send(&frame(HEADERS, WHOLE, 1, &request("GET", "/", &[])));
    server.hears(1);
    plane.plane.cut();
    assert_eq!(last_stream(&mut raw), 1);
    assert!(plane.line().contains("hard-stopped"));
    assert_eq!(plane.entry().end().2, "KH--");
    plane.stop();
}

#[test]
fn requests_of_a_connection_that_goes_while_they_wait_do_not_go_to_the_server() {
    let server = Patient::new();
    let mut web = proxy(&server.origin);
    web.backend.as_mut().unwrap().servers[0].maxconn = Some(1);
    let plane = Plane::start(vec![web]);
    let mut raw = Raw::open(plane.address());
    for stream in [1, 3, 5, 7] {
        raw.send(&frame(HEADERS, WHOLE, stream, &request("GET", "/", &[])));
    }
    server.hears(1);
    plane.until("three wait", |b| b.backends[0].waiting() == 3);
    drop(raw);
    let mut ends: Vec<_> = (0..4).map(|_| plane.entry()).collect();
    ends.sort_by(|a, b| a.flags.cmp(&b.flags));
    let flags: Vec<_> = ends.iter().map(|entry| entry.flags.as_str()).collect();
    assert_eq!(flags, ["CH--", "CQ--", "CQ--", "CQ--"]);
    drop(server.finish);
    assert_eq!(server.origin.connections(), 1);
    plane.stop();
}

#[test]
fn whoever_ends_its_direction_is_answered_what_it_has_asked_for() {
    let server = Patient::new();
    let plane = Plane::start(vec![proxy(&server.origin)]);
    let mut raw = Raw::open(plane.address());
    // It has not confirmed a word of what it was told, and confirms none.
    for stream in [1, 3] {
        raw.send(&frame(HEADERS, WHOLE, stream, &request("GET", "/", &[])));
    }
    let upload = request("POST", "/", &[("content-length", "10")]);
    raw.send(&frame(HEADERS, END_HEADERS, 5, &upload));
    raw.send(&frame(DATA, 0, 5, b"half"));
    server.hears(3);
    raw.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(plane.entry().end(), ("web/s1", "400", "CH--"));
    server.finish.send(()).unwrap();
    server.finish.send(()).unwrap();
    let mut statuses = std::collections::BTreeMap::new();
    while let Some((kind, flags, stream, payload)) = raw.next() {
        match kind {
            HEADERS => drop(statuses.insert(stream, (payload[0], false))),
            DATA if flags & END_STREAM != 0 => statuses.get_mut(&stream).unwrap().1 = true,
            RESET => panic!("{stream} is cancelled"),
            _ => {}
        }
    }
    // 200 and 400, by their index.
    let whole = [(1, (0x88, true)), (3, (0x88, true)), (5, (0x8c, true))];
    assert_eq!(statuses, whole.into());
    for _ in 0..2 {
        assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
    }
    plane.stop();
}

#[test]
fn whoever_breaks_off_after_the_end_of_its_direction_waits_for_nothing() {
    let server = Patient::new();
    let plane = Plane::start(vec![proxy(&server.origin)]);
    let mut raw = Raw::open(plane.address());
    raw.send(&frame(HEADERS, WHOLE, 1, &request("GET", "/", &[])));
    let upload = request("POST", "/", &[("content-length", "10")]);
    raw.send(&frame(HEADERS, END_HEADERS, 3, &upload));
    server.hears(2);
    raw.stream.shutdown(Shutdown::Write).unwrap();
    // The end has been seen.
    assert_eq!(plane.entry().flags, "CH--");
    SockRef::from(&raw.stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(raw);
    assert_eq!(plane.entry().end(), ("web/s1", "400", "CH--"));
    plane.stop();
}

#[test]
fn whoever_ends_its_direction_and_leaves_too_little_room_has_what_fits() {
    let origin = Origin::http(|_| ok(&"x".repeat(300_000)));
    let plane = Plane::start(vec![proxy(&origin)]);
    let mut raw = Raw::open(plane.address());
    raw.send(&frame(HEADERS, WHOLE, 1, &request("GET", "/", &[])));
    raw.stream.shutdown(Shutdown::Write).unwrap();
    let mut got = 0;
    while let Some((kind, _, _, payload)) = raw.next() {
        got += if kind == DATA { payload.len() } else { 0 };
    }
    assert_eq!(got, 65_535);
    assert_eq!(plane.entry().end(), ("web/s1", "200", "CD--"));
    plane.stop();
}

#[test]
fn whoever_ends_its_direction_has_given_up_where_that_is_what_it_means() {
    let server = Patient::new();
    let mut web = proxy(&server.origin);
    web.backend.as_mut().unwrap().abort_on_close = true;
    let plane = Plane::start(vec![web]);
    let mut raw = Raw::open(plane.address());
    raw.send(&frame(HEADERS, WHOLE, 1, &request("GET", "/", &[])));
    server.hears(1);
    raw.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(raw.outcome(1), Outcome::Status(400));
    assert_eq!(plane.entry().end(), ("web/s1", "400", "CH--"));
    plane.stop();
}

#[test]
fn a_quiet_connection_has_the_time_of_a_request_where_none_is_said_for_pauses() {
    let origin = Origin::echo();
    let mut web = proxy(&origin);
    web.timeouts.http_request = STEADY;
    let plane = Plane::start(vec![web]);
    let mut raw = Raw::open(plane.address());
    raw.stream
        .set_read_timeout(Some(PATIENCE - Duration::from_secs(2)))
        .unwrap();
    raw.send(&frame(HEADERS, WHOLE, 1, &request("GET", "/", &[])));
    assert_eq!(raw.outcome(1), Outcome::Status(200));
    // The patience with clients is longer than that of this one.
    assert_eq!(last_stream(&mut raw), 1);
    plane.stop();
}
