//! What the proxy says itself: before a response, and in place of one.

use std::io::{Read as _, Write as _};

use lb_core::config::Mode;
use lb_core::http1::Names;

use crate::common::{Origin, Plane, ask, listen, ok, read_all, read_message, rules, words};

#[test]
fn early_hints_come_before_the_response_to_those_who_know_interim_ones() {
    let origin = Origin::http(|_| ok("whole"));
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.rules = rules(|b| {
        for path in ["/a.css", "/b.js"] {
            let link = format!("<{path}>; rel=preload");
            b.http_request(&["early-hint", "Link", &link]).unwrap();
        }
    });
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    for _ in 0..2 {
        let hints = ask(&mut client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(
            hints,
            "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nlink: </b.js>; rel=preload\r\n\r\n"
        );
        let answer = read_message(&mut client).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(!answer.contains("link"), "{answer}");
    }
    let answer = ask(&mut plane.connect(), "GET / HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    drop(client);
    plane.stop();
}

#[test]
fn names_of_fields_go_in_lower_case_or_as_they_came() {
    let origin = Origin::http(|head| {
        let told = head.replace("\r\n", "|");
        format!("HTTP/1.1 200 OK\r\nX-Told: {told}\r\nETag: \"a\"\r\nContent-Length: 0\r\n\r\n")
            .into_bytes()
    });
    let request = "GET / HTTP/1.1\r\nHost: x\r\nX-OddName: 1\r\nConnection: X-Hop\r\nX-Hop: 2\r\nTE: trailers\r\n\r\n";
    for (names, answer) in [
        (
            Names::Lower,
            "x-told: GET / HTTP/1.1|host: x|x-oddname: 1|te: trailers|x-added: 3||\r\netag: \"a\"\r\n",
        ),
        (
            Names::Kept,
            "X-Told: GET / HTTP/1.1|Host: x|X-OddName: 1|te: trailers|x-added: 3||\r\nETag: \"a\"\r\n",
        ),
    ] {
        let mut proxy = listen("web", Mode::Http, &[origin.address]);
        proxy.names = names;
        proxy.rules = rules(|b| {
            b.http_request(&["set-header", "X-Added", "3"]).unwrap();
        });
        let plane = Plane::start(vec![proxy]);
        let mut client = plane.connect();
        let head = format!("HTTP/1.1 200 OK\r\n{answer}content-length: 0\r\n\r\n");
        assert_eq!(ask(&mut client, request), head);
        drop(client);
        plane.stop();
    }
}

#[test]
fn a_rewrite_that_fails_is_answered_with_500_and_counted() {
    let origin = Origin::echo();
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.rules = rules(|b| {
        let lenient = ["strict-mode", "off", "if", "{", "path", "/lenient", "}"];
        b.http_request(&lenient).unwrap();
        b.http_request(&["set-method", "A B"]).unwrap();
    });
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    let answer = ask(&mut client, "GET /strict HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert_eq!(plane.entry().end(), ("web/<NOSRV>", "500", "PR--"));
    let answer = ask(&mut client, "GET /lenient HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.contains("GET /lenient HTTP/1.1"), "{answer}");
    assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
    drop(client);
    plane.settle();
    let balancer = plane.plane.balancer();
    let traffic = &balancer.frontend_counters[0].traffic;
    let counted = [
        traffic.total(|c| &c.failed_rewrites),
        traffic.total(|c| &c.internal_errors),
        traffic.total(|c| &c.denied_requests),
    ];
    assert_eq!(counted, [2, 1, 0]);
    plane.stop();
}

#[test]
fn a_client_without_a_server_keeps_its_connection_if_its_body_has_come() {
    let plane = Plane::start(vec![listen("web", Mode::Http, &[])]);
    let mut client = plane.connect();
    for body in [
        "Content-Length: 2\r\n\r\nab",
        "Transfer-Encoding: chunked\r\n\r\n2;a\r\nab\r\n0\r\n\r\n",
    ] {
        let answer = ask(
            &mut client,
            &format!("POST / HTTP/1.1\r\nHost: x\r\n{body}"),
        );
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    let answer = ask(
        &mut client,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab",
    );
    assert!(answer.contains("connection: close"), "{answer}");
    drop(client);
    plane.stop();
}

/// Otherwise the client would wait for a content that does not come, or take one for its next answer.
#[test]
fn a_status_that_rules_change_has_the_content_that_belongs_to_it() {
    let origin = Origin::http(|request| match request.contains("/none") {
        true => "HTTP/1.1 204 No Content\r\n\r\n".into(),
        false if request.contains("/chunks") => {
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n".into()
        }
        false => ok("whole"),
    });
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.rules = rules(|b| {
        let when = ["if", "{", "status", "204", "}"];
        b.http_request(&["set-var(txn.p)", "path"]).unwrap();
        b.http_request(&[
            "return", "status", "304", "string", "x", "if", "{", "path", "/own", "}",
        ])
        .unwrap();
        b.http_response(&[
            "set-header",
            "connection",
            "close",
            "if",
            "{",
            "var(txn.p)",
            "-m",
            "str",
            "/last",
            "}",
        ])
        .unwrap();
        b.http_response(&[&["set-status", "299"][..], &when].concat())
            .unwrap();
        b.http_response(&["set-status", "204", "unless", "{", "status", "299", "}"])
            .unwrap();
    });
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    for (path, answer) in [
        ("/none", "HTTP/1.1 299 Success\r\ncontent-length: 0\r\n\r\n"),
        ("/length", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("/chunks", "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            "/own",
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 1\r\ncontent-type: text/plain\r\n\r\n",
        ),
        (
            "/last",
            "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n",
        ),
    ] {
        client
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
            .unwrap();
        let mut got = vec![0; answer.len()];
        client.read_exact(&mut got).unwrap();
        assert_eq!(String::from_utf8_lossy(&got), answer, "{path}");
    }
    assert_eq!(client.read(&mut [0; 9]).unwrap(), 0, "the rule ended it");
    plane.stop();
}

/// Though this server leaves it open: another closes it when it likes, and the next request with it.
#[test]
fn no_request_follows_on_a_connection_that_a_rule_said_is_over() {
    let origin = Origin::echo();
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.rules = rules(|b| {
        let last = words("set-header connection close if { path /last }");
        b.http_request(&last).unwrap();
    });
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    for (path, connections) in [("/", 1), ("/last", 1), ("/last", 2), ("/", 3), ("/", 3)] {
        let answer = ask(
            &mut client,
            &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"),
        );
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("connection"), "{answer}");
        assert_eq!(
            body.contains("connection: close\r\n"),
            path == "/last",
            "{answer}"
        );
        assert_eq!(origin.connections(), connections, "{path}");
    }
    drop(client);
    plane.stop();
}

/// What a server says of its own connection is not for the client; what a rule says is, whatever the server said.
#[test]
fn rules_end_the_clients_connection_and_servers_do_not() {
    for server in [
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n",
        "HTTP/1.1 200 OK\r\nX-Hop: 1\r\nConnection: x-hop, Close\r\n",
    ] {
        let whole = format!("{server}Content-Length: 2\r\n\r\nok");
        let origin = Origin::http(move |_| whole.clone().into_bytes());
        let mut proxy = listen("web", Mode::Http, &[origin.address]);
        proxy.rules = rules(|b| {
            let seen = words("set-header x-seen yes if { res.hdr(connection) -i close }");
            b.http_response(&seen).unwrap();
            let last = words("set-header connection close if { capture.req.uri /last }");
            b.http_response(&last).unwrap();
        });
        let plane = Plane::start(vec![proxy]);
        let mut client = plane.connect();
        for _ in 0..2 {
            let answer = ask(&mut client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            assert_eq!(
                answer, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
                "{server}"
            );
        }
        client
            .write_all(b"GET /last HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let answer = read_all(&client);
        assert!(
            answer.ends_with("\r\nconnection: close\r\n\r\nok"),
            "{server}{answer}"
        );
        plane.stop();
    }
}
