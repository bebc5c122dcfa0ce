//! `retry-on`: requests that go out again because their server did not answer them.

use std::{
    io::Write,
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
};

use lb_core::config::{Mode, ProxyConfig, RetryEvent, RetryOn};

use crate::common::{Origin, Plane, ask, listen, ok, read_head, read_message, rules, words};

/// An origin that does with its first connection what `first` says, and answers on others with what it receives.
fn origin(first: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Origin {
    let before = AtomicUsize::new(0);
    Origin::new(move |mut stream| {
        if before.fetch_add(1, Ordering::SeqCst) == 0 {
            return first(&mut stream);
        }
        while let Some(request) = read_message(&mut stream) {
            if stream.write_all(&ok(&request)).is_err() {
                return;
            }
        }
    })
}

fn proxy(origin: &Origin, events: &[RetryEvent]) -> ProxyConfig {
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    if let Some(backend) = &mut proxy.backend {
        backend.retry_on = events.iter().copied().fold(RetryOn::NONE, RetryOn::with);
    }
    proxy
}

/// Retries as the log has them: the last of the counts of connections.
fn retries(counts: &str) -> &str {
    counts.rsplit('/').next().unwrap()
}

#[test]
fn a_request_that_a_server_leaves_unanswered_goes_out_again_with_its_content() {
    let chunked = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let long = format!("Content-Length: 12000\r\n\r\n{}", "x".repeat(12_000));
    for rest in [chunked, "Content-Length: 5\r\n\r\nhello", &long] {
        let origin = origin(|stream| drop(read_message(stream)));
        let plane = Plane::start(vec![proxy(&origin, &[RetryEvent::Empty])]);
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\n{rest}");
        let answer = ask(&mut plane.connect(), &request);
        let content = rest.split_once("\r\n\r\n").unwrap().1;
        assert!(answer.ends_with(content), "{answer}");
        let entry = plane.entry();
        assert_eq!(entry.end(), ("web/s1", "200", "----"));
        assert_eq!(retries(&entry.counts), "1");
        assert_eq!(origin.connections(), 2);
        plane.stop();
    }
}

#[test]
fn content_that_comes_after_its_server_has_gone_goes_to_the_next_with_what_came_before() {
    let origin = origin(|stream| {
        let head = read_head(stream).unwrap();
        assert!(head.contains("content-length: 10"), "{head}");
        let mut begun = [0; 5];
        std::io::Read::read_exact(stream, &mut begun).unwrap();
    });
    let plane = Plane::start(vec![proxy(&origin, &[RetryEvent::Empty])]);
    let mut client = plane.connect();
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234";
    client.write_all(head.as_bytes()).unwrap();
    plane.until("another attempt", |_| origin.connections() == 2);
    client.write_all(b"56789").unwrap();
    let answer = read_message(&mut client).unwrap();
    assert!(answer.ends_with("\r\n\r\n0123456789"), "{answer}");
    drop(client);
    plane.stop();
}

#[test]
fn a_request_that_does_not_fit_a_buffer_is_not_repeated() {
    let origin = origin(|stream| drop(read_message(stream)));
    let plane = Plane::start(vec![proxy(&origin, &[RetryEvent::Empty])]);
    let content = "x".repeat(20_000);
    let request = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n{content}");
    let answer = ask(&mut plane.connect(), &request);
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(plane.entry().end(), ("web/s1", "502", "SH--"));
    assert_eq!(origin.connections(), 1);
    plane.stop();
}

#[test]
fn a_rule_keeps_a_request_from_going_out_again() {
    let origin = origin(|stream| drop(read_message(stream)));
    let mut proxy = proxy(&origin, &[RetryEvent::Empty]);
    proxy.rules = rules(|rules| {
        let rule = words("disable-l7-retry if METH_POST");
        rules.http_request(&rule).unwrap();
    });
    let plane = Plane::start(vec![proxy]);
    let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx";
    let answer = ask(&mut plane.connect(), request);
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(origin.connections(), 1);
    plane.stop();
}

#[test]
fn an_answer_that_is_worth_another_attempt_is_not_passed_on_and_others_are() {
    let says = |answer: &'static str| {
        origin(move |stream| {
            read_head(stream).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        })
    };
    let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
    let status = RetryEvent::Status(503);
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let busy_later =
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
    for (answer, event, wanted, attempts) in [
        (busy, status, "200", 2),
        (busy, RetryEvent::Status(500), "503", 1),
        ("SSH-2.0\r\n\r\n", RetryEvent::Junk, "200", 2),
        ("HTTP/1.1 200 O", RetryEvent::Junk, "200", 2),
        ("HTTP/1.1 200 O", RetryEvent::Empty, "200", 2),
        ("SSH-2.0\r\n\r\n", RetryEvent::Empty, "502", 1),
        // The client knows of this one.
        (hints, RetryEvent::Empty, "502", 1),
        (busy_later, status, "503", 1),
    ] {
        let origin = says(answer);
        let plane = Plane::start(vec![proxy(&origin, &[event])]);
        let mut client = plane.connect();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let entry = plane.entry();
        assert_eq!(entry.status, wanted, "{answer:?}");
        assert_eq!(origin.connections(), attempts, "{answer:?}");
        drop(client);
        plane.stop();
    }
}

#[test]
fn a_kept_connection_whose_server_has_begun_to_answer_did_not_die_meanwhile() {
    let origin = Origin::new(|mut stream| {
        let request = read_message(&mut stream).unwrap();
        stream.write_all(&ok(&request)).unwrap();
        // It takes the content, and dies of it.
        read_head(&mut stream).unwrap();
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        std::io::Read::read_exact(&mut stream, &mut [0; 5]).unwrap();
    });
    let plane = Plane::start(vec![proxy(&origin, &[RetryEvent::Empty])]);
    let mut client = plane.connect();
    ask(&mut client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    client.write_all(head.as_bytes()).unwrap();
    let head = read_head(&mut client).unwrap();
    assert!(head.starts_with("HTTP/1.1 100 "), "{head}");
    let answer = ask(&mut client, "hello");
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(origin.connections(), 1);
    drop(client);
    plane.stop();
}

#[test]
fn attempts_count_together_whatever_they_failed_by() {
    let refusing = crate::common::nobody();
    let silent = Origin::new(|mut stream| drop(read_head(&mut stream)));
    let mut proxy = listen("web", Mode::Http, &[refusing, silent.address]);
    if let Some(backend) = &mut proxy.backend {
        backend.retry_on = RetryOn::all();
        backend.retries = 4;
        backend.redispatch = Some(1);
    }
    let plane = Plane::start(vec![proxy]);
    let answer = ask(&mut plane.connect(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 50"), "{answer}");
    let entry = plane.entry();
    assert_eq!(retries(&entry.counts), "+4");
    assert_eq!(silent.connections(), 2);
    let servers = plane.plane.balancer().backends[0]
        .counters()
        .traffic
        .total(|c| &c.redispatches);
    assert_eq!(servers, 4);
    plane.stop();
}

#[test]
fn no_attempt_follows_where_none_is_wanted() {
    let mut proxy = listen("web", Mode::Http, &[crate::common::nobody()]);
    if let Some(backend) = &mut proxy.backend {
        backend.retry_on = RetryOn::NONE;
    }
    let plane = Plane::start(vec![proxy]);
    let answer = ask(&mut plane.connect(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(retries(&plane.entry().counts), "0");
    plane.stop();
}
