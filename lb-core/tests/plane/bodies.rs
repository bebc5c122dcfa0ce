//! Bodies that rules wait for, and bodies that nobody is to get.

use std::{
    io::{Read, Write},
    sync::{Mutex, mpsc},
    time::Duration,
};

use lb_core::config::Mode;

use crate::common::{Origin, PATIENCE, Plane, ask, listen, ok, read_head, read_message, rules};

/// `wait-for-body`, and a header that says what the rules saw.
const WAITS: [&str; 2] = [
    "wait-for-body time 5s",
    "set-header seen %[req.body_len]:%[req.body]",
];

fn plane(origin: &Origin, buffers: bool, lines: &[&str], patience: Duration) -> Plane {
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.buffer_request = buffers;
    proxy.timeouts.http_request = Some(patience);
    proxy.rules = rules(|b| {
        for line in lines {
            b.http_request(&line.split(' ').collect::<Vec<_>>())
                .unwrap();
        }
    });
    Plane::start(vec![proxy])
}

#[test]
fn rules_see_a_body_that_was_waited_for_and_the_server_gets_all_of_it() {
    let origin = Origin::echo();
    for (buffers, lines) in [(true, &WAITS[1..]), (false, &WAITS[..])] {
        let plane = plane(&origin, buffers, lines, PATIENCE);
        let mut client = plane.connect();
        client.set_nodelay(true).unwrap();
        client
            .write_all(
                b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            )
            .unwrap();
        let answer = ask(&mut client, "2\r\nde\r\n0\r\n\r\n");
        assert!(answer.contains("seen: 5:abcde\r\n"), "{answer}");
        assert!(
            answer.ends_with("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
            "{answer}"
        );
        // A client that asks first is told to go on; the server is not asked.
        client
            .write_all(
                b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
            )
            .unwrap();
        let interim = read_message(&mut client).unwrap();
        assert!(
            interim.starts_with("HTTP/1.1 100 Continue\r\n"),
            "{interim}"
        );
        let answer = ask(&mut client, "ok");
        assert!(answer.contains("seen: 2:ok\r\n"), "{answer}");
        assert!(!answer.contains("expect:"), "{answer}");
        drop(client);
        plane.stop();
    }
}

#[test]
fn a_body_that_does_not_come_is_408_and_its_client_that_leaves_has_no_status() {
    let origin = Origin::echo();
    let plane = plane(&origin, true, &[], Duration::from_millis(300));
    let half = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab";
    let mut client = plane.connect();
    assert!(ask(&mut client, half).starts_with("HTTP/1.1 408 "));
    assert_eq!(plane.entry().end(), ("web/<NOSRV>", "408", "cR--"));
    drop(client);
    plane.stop();
    let plane = self::plane(&origin, true, &[], PATIENCE);
    let mut client = plane.connect();
    client.write_all(half.as_bytes()).unwrap();
    drop(client);
    assert_eq!(plane.entry().end(), ("web/<NOSRV>", "-1", "CR--"));
    assert_eq!(origin.connections(), 0);
    plane.stop();
}

#[test]
fn rules_see_the_body_of_a_response_and_one_that_does_not_come_is_504() {
    let origin = Origin::http(|request| match request.contains("/whole") {
        true => {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
                .to_vec()
        }
        false => b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab".to_vec(),
    });
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.rules = rules(|b| {
        b.http_response(&["wait-for-body", "time", "200ms"])
            .unwrap();
        b.http_response(&["set-header", "seen", "%[res.body]"])
            .unwrap();
    });
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    let answer = ask(&mut client, "GET /whole HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.contains("seen: abc\r\n"), "{answer}");
    let answer = ask(&mut client, "GET /half HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    plane.entry();
    assert_eq!(plane.entry().end(), ("web/s1", "504", "sH--"));
    drop(client);
    plane.stop();
}

#[test]
fn a_response_of_which_a_buffer_is_full_is_not_waited_for_any_longer() {
    const FIRST: usize = 20_000;
    let (go_on, told) = mpsc::channel();
    let told = Mutex::new(told);
    let origin = Origin::new(move |mut stream| {
        read_message(&mut stream);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", FIRST + 1);
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&[b'x'; FIRST]).unwrap();
        // What the server says next it says after the client has the head.
        let _ = told.lock().unwrap().recv();
        let _ = stream.write_all(b"y");
    });
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.rules = rules(|b| {
        b.http_response(&["wait-for-body", "time", "1s"]).unwrap();
    });
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    write!(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let head = read_head(&mut client).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    go_on.send(()).unwrap();
    let mut body = vec![0; FIRST + 1];
    client.read_exact(&mut body).unwrap();
    assert!(body.ends_with(b"xy"));
    drop(client);
    plane.stop();
}

#[test]
fn whoever_asked_for_a_head_gets_one_whatever_rules_make_of_the_method() {
    let origin = Origin::http(|request| match request.contains("/chunks") {
        true => {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n".to_vec()
        }
        false => ok("body"),
    });
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.rules = rules(|b| {
        b.http_request(&["set-method", "GET"]).unwrap();
    });
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    for path in ["/chunks", "/length"] {
        write!(client, "HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        plane.entry();
    }
    // What comes next is the answer to what is asked next, over the same connections.
    write!(client, "GET /last HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let ok = "HTTP/1.1 200 OK\r\n";
    let length = "content-length: 4\r\n\r\n";
    let expected = format!("{ok}transfer-encoding: chunked\r\n\r\n{ok}{length}{ok}{length}body");
    let mut all = vec![0; expected.len()];
    client.read_exact(&mut all).unwrap();
    assert_eq!(String::from_utf8_lossy(&all), expected);
    assert_eq!(origin.connections(), 1);
    drop(client);
    plane.stop();
}
