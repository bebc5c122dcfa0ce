//! Requests that pass two proxies: those that go over to another protocol, in HTTP/2 and past it, whatever it is; what
//! WebSockets are spoken in (`ws`); and those that name no authority.

use std::{
    io::{Read, Write},
    time::Duration,
};

use lb_core::config::{Mode, Protocol};

use super::frames::{HEADERS, Outcome, Raw, WHOLE, fields, frame};
use crate::common::{Origin, PATIENCE, Plane, ask, listen, nobody, ok, read_message};

/// What proves that the key of the tests was read.
const PROOF: &str = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

/// Answers requests for another protocol with consent, and sends back what comes then; others with `ok`.
fn origin() -> Origin {
    Origin::new(|mut stream| {
        while let Some(request) = read_message(&mut stream) {
            let protocol = request
                .lines()
                .find_map(|line| line.strip_prefix("upgrade: "));
            let Some(protocol) = protocol else {
                stream.write_all(&ok("plain")).unwrap();
                continue;
            };
            // That of the tests' key, or of the one which stands in for it where it has come through HTTP/2.
            let proof = match protocol {
                "websocket" if request.contains("dGhlIHNhbXBsZSBub25jZQ==") => PROOF,
                "websocket" => "Sec-WebSocket-Accept: xtdcMSKzM2MuovuUVH2Y3wF6ZEI=\r\n",
                _ => "",
            };
            let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n";
            let answer = format!("{head}Upgrade: {protocol}\r\n{proof}\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
            let mut room = [0; 100];
            while let Ok(count @ 1..) = stream.read(&mut room) {
                stream.write_all(&room[..count]).unwrap();
            }
            return;
        }
    })
}

/// A proxy before another one, which is spoken to in `protocol`, and about WebSockets in `websockets`.
fn chain(origin: &Origin, protocol: Protocol, websockets: Protocol) -> Plane {
    let outer = listen("outer", Mode::Http, &[nobody()]);
    let inner = listen("inner", Mode::Http, &[origin.address]);
    Plane::start_with(vec![outer, inner], |config, options| {
        let fd = options.listeners[1].fd.try_clone().unwrap();
        let address = std::net::TcpListener::from(fd).local_addr().unwrap();
        let server = &mut config.proxies[0].backend.as_mut().unwrap().servers[0];
        server.address = Some(address);
        server.protocol = protocol;
        server.websockets = websockets;
        // The inner one is done when nothing is kept for later any more.
        server.pool_purge_delay = Some(Duration::from_millis(100));
    })
}

/// Asks for `protocol`, and has a word sent back in it.
fn go_over(plane: &Plane, protocol: &str) -> String {
    let mut client = plane.connect();
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    let request = format!(
        "GET /{protocol} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n{key}\r\n"
    );
    let answer = ask(&mut client, &request);
    client.write_all(b"word").unwrap();
    let mut word = [0; 4];
    client.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"word");
    answer
}

/// The request as the inner proxy logs it.
fn inner_request(plane: &Plane) -> String {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let entry = plane.entry();
        if entry.server == "inner/s1" {
            return entry.request;
        }
        assert!(std::time::Instant::now() < deadline, "no line of it");
    }
}

#[test]
fn any_protocol_that_http_2_has_a_name_for_is_gone_over_to() {
    let origin = origin();
    let plane = chain(&origin, Protocol::Http2, Protocol::Negotiated);
    let answer = go_over(&plane, "my-own.protocol");
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("upgrade: my-own.protocol\r\n"), "{answer}");
    assert!(!answer.contains("sec-websocket-accept"), "{answer}");
    // What it went over to is none of a request's form: the inner one saw an extended CONNECT.
    let request = inner_request(&plane);
    assert!(
        request.ends_with("/my-own.protocol HTTP/2.0\""),
        "{request}"
    );
    plane.stop();
}

#[test]
fn two_protocols_to_choose_from_are_none_that_http_2_can_ask_for() {
    let origin = Origin::echo();
    let plane = chain(&origin, Protocol::Http2, Protocol::Negotiated);
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: one, two\r\n\r\n";
    let answer = ask(&mut plane.connect(), request);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(!answer.contains("upgrade"), "{answer}");
    plane.stop();
}

#[test]
fn websockets_are_spoken_in_what_ws_says_and_other_requests_as_before() {
    use Protocol::{Http1, Http2, Negotiated};
    for (protocol, websockets, others, theirs) in [
        (Negotiated, Negotiated, "HTTP/1.1", "HTTP/1.1"),
        (Negotiated, Http2, "HTTP/1.1", "HTTP/2.0"),
        (Http2, Negotiated, "HTTP/2.0", "HTTP/2.0"),
        (Http2, Http1, "HTTP/2.0", "HTTP/1.1"),
    ] {
        let origin = origin();
        let plane = chain(&origin, protocol, websockets);
        let versions: Vec<String> = ["plain", "websocket", "plain", "websocket"]
            .into_iter()
            .map(|what| {
                if what == "websocket" {
                    let answer = go_over(&plane, what);
                    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
                    assert!(answer.contains(PROOF), "{answer}");
                } else {
                    let answer = ask(&mut plane.connect(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                    assert!(answer.ends_with("plain"), "{answer}");
                }
                let request = inner_request(&plane);
                request
                    .rsplit(' ')
                    .next()
                    .unwrap()
                    .trim_matches('"')
                    .to_owned()
            })
            .collect();
        let expected = [others, theirs, others, theirs];
        assert_eq!(versions, expected, "{protocol:?} {websockets:?}");
        plane.stop();
    }
}

#[test]
fn a_request_without_an_authority_names_an_empty_host_and_the_next_proxy_takes_it() {
    let origin = Origin::http(|request| match request.contains("\r\nhost: \r\n") {
        true => ok(""),
        false => b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_vec(),
    });
    for protocol in [Protocol::Negotiated, Protocol::Http2] {
        let plane = chain(&origin, protocol, Protocol::Negotiated);
        let mut client = Raw::open(plane.address());
        let pseudo = [(":method", "GET"), (":scheme", "http"), (":path", "/")];
        client.send(&frame(HEADERS, WHOLE, 1, &fields(&pseudo)));
        assert_eq!(client.outcome(1), Outcome::Status(200), "{protocol:?}");
        drop(client);
        plane.stop();
    }
}
