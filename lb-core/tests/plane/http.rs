//! HTTP mode: what a client and an origin see of each other when nothing goes wrong.

mod attacks;
mod bound;
mod content;
mod ends;
mod own;
mod retries;

use std::{
    io::{Read, Write},
    net::Shutdown,
    sync::mpsc,
    time::{Duration, SystemTime},
};

use lb_core::config::{CookieConfig, ForwardFor, HttpMode, HttpReuse, LogFormatKind, Mode};

use crate::common::{Origin, Plane, ask, listen, ok, read_all, read_message, rules};

#[test]
fn requests_share_client_and_server_connections() {
    let origin = Origin::echo();
    let plane = Plane::start(vec![listen("web", Mode::Http, &[origin.address])]);
    let mut client = plane.connect();
    for n in 0..5 {
        let answer = ask(
            &mut client,
            &format!("GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n"),
        );
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\ncontent-length: "),
            "{answer}"
        );
        assert!(
            answer.ends_with(&format!("GET /{n} HTTP/1.1\r\nhost: x\r\n\r\n")),
            "{answer}"
        );
        let entry = plane.entry();
        assert_eq!(entry.end(), ("web/s1", "200", "----"));
        assert_eq!((&*entry.counts, &*entry.queues), ("1/1/0/0/0", "0/0"));
        assert_eq!(entry.request, format!("\"GET /{n} HTTP/1.1\""));
    }
    drop(client);
    assert_eq!(origin.connections(), 1);
    plane.stop();
}

#[test]
fn the_next_request_on_a_connection_counts_as_accepted_when_the_one_before_was_done() {
    const PAUSE: Duration = Duration::from_millis(20);
    let epoch = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let (tell, answered) = mpsc::channel();
    let origin = Origin::http(move |_| {
        std::thread::sleep(PAUSE);
        tell.send(SystemTime::now()).unwrap();
        ok("")
    });
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.log_format = LogFormatKind::Custom("%Ts %ms".into());
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    let mut dates = (0..2).map(|_| {
        ask(&mut client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let line = plane.line();
        let (seconds, millis) = line.split_once(' ').unwrap();
        Duration::from_secs(seconds.parse().unwrap())
            + Duration::from_millis(millis.parse().unwrap())
    });
    let (first, second) = (dates.next().unwrap(), dates.next().unwrap());
    let done = epoch(answered.recv().unwrap());
    assert!(first + PAUSE / 2 < done, "{first:?} {done:?}");
    assert!(second + PAUSE / 2 > done, "{second:?} {done:?}");
    drop(client);
    plane.stop();
}

#[test]
fn clients_share_server_connections_as_far_as_http_reuse_lets_them() {
    // One client asks once, another three times, a third twice: connections that the origin sees after each.
    for (reuse, expected) in [
        (HttpReuse::Never, [1, 2, 3]),
        (HttpReuse::Safe, [1, 2, 3]),
        (HttpReuse::Aggressive, [1, 2, 2]),
        (HttpReuse::Always, [1, 1, 1]),
    ] {
        let origin = Origin::echo();
        let mut proxy = listen("web", Mode::Http, &[origin.address]);
        proxy.backend.as_mut().unwrap().http_reuse = reuse;
        let plane = Plane::start(vec![proxy]);
        for (requests, expected) in [1, 3, 2].into_iter().zip(expected) {
            let mut client = plane.connect();
            for _ in 0..requests {
                ask(&mut client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
                assert_eq!(plane.entry().status, "200");
            }
            assert_eq!(origin.connections(), expected, "{reuse:?}");
        }
        plane.stop();
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::http(|request| {
        let path = request.split(' ').nth(1).unwrap().to_owned();
        ok(&path)
    });
    let plane = Plane::start(vec![listen("web", Mode::Http, &[origin.address])]);
    let mut client = plane.connect();
    let burst: String = (0..20)
        .map(|n| format!("GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n"))
        .collect();
    client.write_all(burst.as_bytes()).unwrap();
    for n in 0..20 {
        let answer = read_message(&mut client).unwrap();
        assert!(answer.ends_with(&format!("\r\n\r\n/{n}")), "{answer}");
    }
    drop(client);
    plane.stop();
}

#[test]
fn an_upgrade_becomes_a_tunnel_and_loses_no_byte() {
    let origin = Origin::new(|mut stream| {
        let request = read_message(&mut stream).unwrap();
        assert!(request.contains("upgrade: websocket\r\n"), "{request}");
        assert!(request.contains("connection: upgrade\r\n"), "{request}");
        stream
            .write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nfirst",
            )
            .unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        stream.write_all(&rest).unwrap();
    });
    let plane = Plane::start(vec![listen("web", Mode::Http, &[origin.address])]);
    let mut client = plane.connect();
    let answer = ask(
        &mut client,
        "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\nearly",
    );
    assert!(
        answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
        "{answer}"
    );
    assert!(answer.contains("upgrade: websocket\r\n"), "{answer}");
    client.write_all(b"+late").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&client), "firstearly+late");
    assert_eq!(plane.entry().end(), ("web/s1", "101", "----"));
    plane.stop();
}

#[test]
fn http_server_close_closes_the_server_side_only() {
    let origin = Origin::echo();
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.http_mode = HttpMode::ServerClose;
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    for _ in 0..3 {
        let answer = ask(&mut client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("connection"), "{answer}");
        assert!(body.contains("connection: close\r\n"), "{answer}");
    }
    drop(client);
    assert_eq!(origin.connections(), 3);
    plane.stop();
}

#[test]
fn httpclose_closes_both_sides() {
    let origin = Origin::echo();
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.http_mode = HttpMode::Close;
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let answer = read_all(&client);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.ends_with("connection: close"), "{answer}");
    assert!(body.contains("connection: close\r\n"), "{answer}");
    plane.stop();
}

#[test]
fn forwardfor_adds_a_line_after_those_of_the_rules() {
    let origin = Origin::echo();
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.http_mode = HttpMode::Close;
    proxy.rules = rules(|b| {
        b.http_request(&["add-header", "X-Forwarded-Proto", "https"])
            .unwrap();
    });
    proxy.forward_for = Some(ForwardFor {
        header: String::from("X-Forwarded-For"),
        except: Vec::new(),
        if_none: false,
    });
    let mut spared = proxy.clone();
    if let Some(option) = &mut spared.forward_for {
        option.except = vec!["127.0.0.0/8".parse().unwrap()];
    }
    spared.name = "spared".into();
    let plane = Plane::start(vec![proxy, spared]);
    let get =
        "GET /apple HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";
    let body = |index: usize| {
        let mut client = crate::common::connect(plane.addresses[index].unwrap());
        let answer = ask(&mut client, get);
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    // Order and case as in the reference transcript.
    let common = "GET /apple HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: curl/7.88.1\r\naccept: */*\r\n\
        x-forwarded-proto: https\r\n";
    assert_eq!(
        body(0),
        format!("{common}x-forwarded-for: 127.0.0.1\r\nconnection: close\r\n\r\n")
    );
    assert_eq!(body(1), format!("{common}connection: close\r\n\r\n"));
    plane.stop();
}

#[test]
fn a_persistence_cookie_is_inserted_and_followed() {
    let origins = [Origin::echo(), Origin::echo()];
    let mut proxy = listen("web", Mode::Http, &origins.each_ref().map(|o| o.address));
    if let Some(backend) = &mut proxy.backend {
        for server in &mut backend.servers {
            server.cookie = Some(format!("c{}", server.id));
        }
        backend.cookie = Some(CookieConfig {
            name: String::from("SRV"),
            insert: true,
            indirect: true,
            nocache: true,
            ..CookieConfig::default()
        });
    }
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    let answer = ask(&mut client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(
        answer.contains("\r\nset-cookie: SRV=c1; path=/\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("\r\ncache-control: private\r\n"),
        "{answer}"
    );
    assert_eq!(plane.entry().end(), ("web/s1", "200", "--NI"));
    for _ in 0..3 {
        let request = "GET / HTTP/1.1\r\nHost: x\r\nCookie: a=b; SRV=c2\r\n\r\n";
        let answer = ask(&mut client, request);
        assert!(answer.contains("\r\ncookie: a=b\r\n"), "{answer}");
        assert!(!answer.contains("SRV"), "{answer}");
        assert_eq!(plane.entry().end(), ("web/s2", "200", "--VN"));
    }
    drop(client);
    plane.stop();
}

#[test]
fn rules_deny_redirect_return_and_ask_for_passwords() {
    let origin = Origin::echo();
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.timeouts.tarpit = Some(Duration::from_millis(50));
    proxy.rules = rules(|b| {
        b.http_request(&["deny", "if", "{", "path", "/no", "}"])
            .unwrap();
        b.http_request(&[
            "redirect", "location", "/there", "if", "{", "path", "/here", "}",
        ])
        .unwrap();
        b.http_request(&["tarpit", "if", "{", "path", "/slow", "}"])
            .unwrap();
        b.http_response(&["set-header", "X-Seen", "yes"]).unwrap();
        b.http_after_response(&["set-header", "X-Left", "yes"])
            .unwrap();
    });
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    let mut get = |path: &str| {
        let answer = ask(
            &mut client,
            &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"),
        );
        (answer, plane.entry())
    };
    let (answer, entry) = get("/no");
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(answer.contains("\r\nx-left: yes\r\n"), "{answer}");
    assert!(!answer.contains("x-seen"), "{answer}");
    assert_eq!(entry.end(), ("web/<NOSRV>", "403", "PR--"));
    let (answer, entry) = get("/here");
    assert!(answer.starts_with("HTTP/1.1 302 Found\r\n"), "{answer}");
    assert!(answer.contains("location: /there\r\n"), "{answer}");
    assert_eq!(entry.end(), ("web/<NOSRV>", "302", "LR--"));
    let (answer, entry) = get("/slow");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert_eq!(entry.end(), ("web/<NOSRV>", "500", "PT--"));
    let (answer, _) = get("/yes");
    assert!(answer.contains("\r\nx-seen: yes\r\n"), "{answer}");
    assert!(answer.contains("\r\nx-left: yes\r\n"), "{answer}");
    drop(client);
    plane.stop();
}

#[test]
fn requests_that_are_none_are_refused_and_logged_as_such() {
    let origin = Origin::echo();
    let plane = Plane::start(vec![listen("web", Mode::Http, &[origin.address])]);
    for (bytes, status, state) in [
        ("GET / HTTP/1.1\r\n", "400", "CR--"),
        ("GET / HTTP/1.1\r\nbad header\r\n\r\n", "400", "PR--"),
        ("GET / HTTP/3.9\r\nHost: x\r\n\r\n", "505", "PR--"),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "400",
            "PR--",
        ),
    ] {
        let mut client = plane.connect();
        client.write_all(bytes.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let answer = read_all(&client);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        let entry = plane.entry();
        assert_eq!(entry.end(), ("web/<NOSRV>", status, state));
        assert_eq!((&*entry.bytes, &*entry.request), ("0", "\"<BADREQ>\""));
    }
    assert_eq!(origin.connections(), 0);
    plane.stop();
}

#[test]
fn whoever_was_let_in_before_accepting_stopped_is_served() {
    let origin = Origin::http(|_| ok("one"));
    let plane = Plane::start(vec![listen("t", Mode::Http, &[origin.address])]);
    let mut client = plane.connect();
    plane.until("it is let in", |balancer| {
        balancer.process.connections.value() == 1
    });
    plane.plane.stop_accepting();
    assert!(plane.line().contains("Proxy t stopped"));
    let answer = ask(&mut client, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(answer.ends_with("one"), "{answer}");
    assert!(
        answer.to_lowercase().contains("connection: close"),
        "{answer}"
    );
    plane.stop();
}
