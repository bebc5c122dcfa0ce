//! Connections that end: which requests go out again to servers, where the next ones go, and what a slow client still
//! gets.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use lb_core::config::{HttpReuse, Mode, Protocol, ProxyConfig, RetryEvent, RetryOn};

use super::frames::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RESET, Raw, SETTINGS, WHOLE,
    WINDOW_UPDATE, frame, request,
};
use crate::common::{Origin, Plane, SHORT, ask, connect, full, listen, ok, read_message};

/// `:status: 200`.
const OK: &[u8] = &[0x88];
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

/// A server whose frames are made by hand; it is given each connection behind its preface, and its number.
fn server(serve: impl Fn(&mut Raw, usize) + Send + Sync + 'static) -> Origin {
    let numbers = AtomicUsize::new(0);
    Origin::new(move |mut stream: TcpStream| {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
        let number = numbers.fetch_add(1, Ordering::SeqCst);
        serve(&mut Raw { stream }, number);
    })
}

fn proxy(address: SocketAddr) -> ProxyConfig {
    let mut proxy = listen("web", Mode::Http, &[address]);
    if let Some(backend) = &mut proxy.backend {
        backend.servers[0].protocol = Protocol::Http2;
        backend.http_reuse = HttpReuse::Always;
    }
    proxy
}

/// Answers every request once it is whole.
fn answer_all(raw: &mut Raw) {
    while let Some((kind, flags, stream, _)) = raw.next() {
        if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
            raw.send(&frame(HEADERS, WHOLE, stream, OK));
        }
    }
}

/// Reads until a frame of this kind comes.
fn wait_for(raw: &mut Raw, wanted: u8, flag: u8) {
    while let Some((kind, flags, ..)) = raw.next() {
        if kind == wanted && flags & flag == flag {
            return;
        }
    }
}

#[test]
fn a_connection_that_its_server_leaves_ends_its_streams_and_takes_no_other() {
    let (told, heard) = mpsc::channel();
    let (finish, finished) = mpsc::channel::<()>();
    let (told, finished) = (Mutex::new(told), Mutex::new(finished));
    let server = server(move |raw, number| {
        if number > 0 {
            return answer_all(raw);
        }
        wait_for(raw, HEADERS, END_HEADERS);
        raw.send(&frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]));
        raw.send(&frame(PING, 0, 0, &[7; 8]));
        wait_for(raw, PING, 1);
        told.lock().unwrap().send(()).unwrap();
        let _ = finished.lock().unwrap().recv();
        raw.send(&frame(HEADERS, WHOLE, 1, OK));
        wait_for(raw, GOAWAY, 0);
    });
    let plane = Plane::start(vec![proxy(server.address)]);
    let address = plane.address();
    let slow = thread::spawn(move || {
        ask(
            &mut connect(address),
            "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n",
        )
    });
    heard.recv().unwrap();
    // It is nobody's turn to be repeated: each goes where it is taken.
    for _ in 0..3 {
        let got = ask(&mut plane.connect(), POST);
        assert!(got.starts_with("HTTP/1.1 200"), "{got}");
    }
    assert_eq!(server.connections(), 2);
    finish.send(()).unwrap();
    let got = slow.join().unwrap();
    assert!(got.starts_with("HTTP/1.1 200"), "{got}");
    plane.stop();
}

#[test]
fn a_connection_whose_server_is_gone_without_a_word_is_used_no_more() {
    let server = server(|raw, number| {
        if number > 0 {
            return answer_all(raw);
        }
        wait_for(raw, HEADERS, END_STREAM);
        raw.send(&frame(HEADERS, WHOLE, 1, OK));
        // As if its power was cut: nothing more comes, and nothing is said of the end.
        while raw.next().is_some() {}
    });
    let mut proxy = proxy(server.address);
    proxy.timeouts.server = Some(Duration::from_secs(2));
    let plane = Plane::start(vec![proxy]);
    let status =
        || ask(&mut plane.connect(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")[9..12].to_owned();
    assert_eq!([status(), status(), status()], ["200", "504", "200"]);
    assert_eq!(server.connections(), 2);
    plane.stop();
}

#[test]
fn a_request_is_not_repeated_when_its_server_breaks_the_protocol() {
    let server = server(|raw, number| {
        if number > 0 {
            return answer_all(raw);
        }
        wait_for(raw, DATA, END_STREAM);
        // It may have been obeyed.
        raw.send(&frame(DATA, 0, 0, b"of no stream"));
        wait_for(raw, GOAWAY, 0);
    });
    let plane = Plane::start(vec![proxy(server.address)]);
    let got = ask(&mut plane.connect(), POST);
    assert!(got.starts_with("HTTP/1.1 502"), "{got}");
    assert_eq!(plane.entry().end(), ("web/s1", "502", "SH--"));
    assert_eq!(server.connections(), 1);
    plane.stop();
}

#[test]
fn a_request_that_the_leaving_server_did_not_see_goes_out_again_whatever_it_is() {
    let server = server(|raw, number| {
        if number > 0 {
            return answer_all(raw);
        }
        wait_for(raw, DATA, END_STREAM);
        raw.send(&frame(GOAWAY, 0, 0, &[0; 8]));
    });
    let plane = Plane::start(vec![proxy(server.address)]);
    let got = ask(&mut plane.connect(), POST);
    assert!(got.starts_with("HTTP/1.1 200"), "{got}");
    assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
    assert_eq!(server.connections(), 2);
    plane.stop();
}

#[test]
fn refusals_take_nothing_of_the_retries() {
    let requests = AtomicUsize::new(0);
    let server = server(move |raw, _| {
        while let Some((kind, flags, stream, _)) = raw.next() {
            if kind != DATA || flags & END_STREAM == 0 {
                continue;
            }
            match requests.fetch_add(1, Ordering::SeqCst) {
                0 | 1 => raw.send(&frame(RESET, 0, stream, &[0, 0, 0, 7])),
                // Not even that: this one counts.
                2 => return,
                _ => raw.send(&frame(HEADERS, WHOLE, stream, OK)),
            }
        }
    });
    let mut proxy = proxy(server.address);
    if let Some(backend) = &mut proxy.backend {
        backend.retries = 1;
        backend.retry_on = RetryOn::NONE.with(RetryEvent::Empty);
    }
    let plane = Plane::start(vec![proxy]);
    let got = ask(&mut plane.connect(), POST);
    assert!(got.starts_with("HTTP/1.1 200"), "{got}");
    let entry = plane.entry();
    assert_eq!(entry.end(), ("web/s1", "200", "----"));
    // The log tells of all.
    assert_eq!(entry.counts.rsplit('/').next(), Some("3"));
    plane.stop();
}

#[test]
fn a_slow_client_gets_its_answers_however_soon_quiet_connections_are_closed() {
    let passed = Arc::new(AtomicUsize::new(0));
    let passing = Arc::clone(&passed);
    let origin = Origin::new(move |mut stream| {
        while let Some(request) = read_message(&mut stream) {
            if request.starts_with("GET /small") {
                stream.write_all(&ok("small")).unwrap();
                continue;
            }
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            while stream.write_all(&[b'x'; 65536]).is_ok() {
                passing.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let mut proxy = super::proxy(&origin);
    proxy.timeouts.http_keep_alive = SHORT;
    let plane = Plane::start(vec![proxy]);
    let mut raw = Raw::open(plane.address());
    // Windows with room for all of it: what holds it up is the socket.
    let much = 0x7000_0000_u32.to_be_bytes();
    raw.send(&frame(SETTINGS, 0, 0, &[&[0, 4], &much[..]].concat()));
    raw.send(&frame(WINDOW_UPDATE, 0, 0, &much));
    raw.send(&frame(HEADERS, WHOLE, 1, &request("GET", "/large", &[])));
    let mut before = 0;
    loop {
        thread::sleep(Duration::from_millis(200));
        let now = passed.load(Ordering::SeqCst);
        if now > 0 && now == before {
            break;
        }
        before = now;
    }
    raw.send(&frame(HEADERS, WHOLE, 3, &request("GET", "/small", &[])));
    assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
    raw.send(&frame(RESET, 0, 1, &[0, 0, 0, 8]));
    assert_eq!(plane.entry().server, "web/s1");
    // It wants nothing more, and has not got yet what there is.
    raw.send(&frame(GOAWAY, 0, 0, &[0; 8]));
    thread::sleep(Duration::from_millis(1300));
    let mut got = Vec::new();
    while let Some((kind, flags, stream, payload)) = raw.next() {
        if (kind, stream) == (DATA, 3) {
            got.extend(payload);
            if flags & END_STREAM != 0 {
                break;
            }
        }
    }
    assert_eq!(got, b"small");
    plane.stop();
}

#[test]
fn a_request_that_is_cancelled_while_it_waits_for_a_server_leaves_the_queue() {
    let (finish, finished) = mpsc::channel::<()>();
    let finished = Mutex::new(finished);
    let origin = Origin::new(move |mut stream| {
        while read_message(&mut stream).is_some() {
            let _ = finished.lock().unwrap().recv();
            stream.write_all(&ok("")).unwrap();
        }
    });
    let mut proxy = super::proxy(&origin);
    proxy.backend.as_mut().unwrap().servers[0].maxconn = Some(1);
    let plane = Plane::start(vec![proxy]);
    let mut raw = Raw::open(plane.address());
    for stream in [1, 3, 5] {
        raw.send(&frame(HEADERS, WHOLE, stream, &request("GET", "/", &[])));
    }
    // Any code: it is the client's business.
    for (stream, code) in [(3, 8), (5, 7)] {
        raw.send(&frame(RESET, 0, stream, &[0, 0, 0, code]));
        assert_eq!(plane.entry().end(), ("web/<NOSRV>", "-1", "CQ--"));
    }
    finish.send(()).unwrap();
    assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
    drop(raw);
    plane.settle();
    assert_eq!(origin.connections(), 1);
    plane.stop();
}

#[test]
fn a_request_that_is_cancelled_while_its_server_is_connected_to_lets_go_of_it() {
    let (socket, _waiting) = full();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut proxy = super::proxy(&Origin::echo());
    proxy.backend.as_mut().unwrap().servers[0].address = address.into();
    let plane = Plane::start(vec![proxy]);
    let mut raw = Raw::open(plane.address());
    raw.send(&frame(HEADERS, WHOLE, 1, &request("GET", "/", &[])));
    plane.until("it is being connected to", |balancer| {
        balancer.backends[0].servers()[0].served() == 1
    });
    raw.send(&frame(RESET, 0, 1, &[0, 0, 0, 8]));
    assert_eq!(plane.entry().end(), ("web/s1", "-1", "CC--"));
    drop(raw);
    plane.stop();
}
