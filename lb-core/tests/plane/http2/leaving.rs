//! Connections in HTTP/2 that are told to end: nobody loses a request that could not be sent again.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use super::{
    frames::{
        DATA, END_STREAM, GOAWAY, HEADERS, Outcome, PING, Raw, SETTINGS, WHOLE, frame, request,
    },
    proxy,
};
use crate::common::{Origin, PATIENCE, Plane, ok};

/// An origin that answers when it is told to.
fn patient() -> (Origin, mpsc::Sender<()>) {
    let (finish, finished) = mpsc::channel::<()>();
    let finished = Arc::new(Mutex::new(finished));
    let origin = Origin::http(move |_| {
        let _ = finished.lock().unwrap().recv_timeout(PATIENCE);
        ok("late")
    });
    (origin, finish)
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
    let mut first = true;
    let mut said = Vec::new();
    while let Some((kind, flags, stream, payload)) = raw.next() {
        if std::mem::take(&mut first) {
            raw.send(&frame(HEADERS, WHOLE, 1, &request("GET", "/", &[])));
        }
        match kind {
            PING if flags == 0 => raw.send(&frame(PING, 1, 0, &payload)),
            GOAWAY => said.push(u32::from_be_bytes(payload[..4].try_into().unwrap())),
            DATA if flags & END_STREAM != 0 => assert_eq!(stream, 1),
            _ => {}
        }
    }
    assert_eq!(said, [(1 << 31) - 1, 1]);
    assert!(plane.line().contains("Proxy web stopped"));
    assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
    plane.stop();
}

#[test]
fn the_log_says_of_streams_that_are_cut_who_cut_them() {
    let (origin, _finish) = patient();
    let plane = Plane::start(vec![proxy(&origin)]);
    let mut raw = Raw::open(plane.address());
    raw.send(&frame(HEADERS, WHOLE, 1, &request("GET", "/", &[])));
    plane.until("the request runs", |b| {
        b.backends[0].servers()[0].served() == 1
    });
    plane.plane.cut();
    assert_eq!(last_stream(&mut raw), 1);
    assert_eq!(plane.entry().end().2, "KH--");
    plane.stop();
}

#[test]
fn requests_of_a_connection_that_goes_while_they_wait_do_not_go_to_the_server() {
    let (origin, finish) = patient();
    let mut web = proxy(&origin);
    web.backend.as_mut().unwrap().servers[0].maxconn = Some(1);
    let plane = Plane::start(vec![web]);
    let mut raw = Raw::open(plane.address());
    for stream in [1, 3, 5, 7] {
        raw.send(&frame(HEADERS, WHOLE, stream, &request("GET", "/", &[])));
    }
    plane.until("three wait", |b| b.backends[0].waiting() == 3);
    drop(raw);
    let mut ends: Vec<_> = (0..4).map(|_| plane.entry()).collect();
    ends.sort_by(|a, b| a.flags.cmp(&b.flags));
    let flags: Vec<_> = ends.iter().map(|entry| entry.flags.as_str()).collect();
    assert_eq!(flags, ["CH--", "CQ--", "CQ--", "CQ--"]);
    drop(finish);
    assert_eq!(origin.connections(), 1);
    plane.stop();
}

#[test]
fn a_quiet_connection_has_the_time_of_a_request_where_none_is_said_for_pauses() {
    let origin = Origin::echo();
    let mut web = proxy(&origin);
    web.timeouts.http_request = Some(Duration::from_secs(1));
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
