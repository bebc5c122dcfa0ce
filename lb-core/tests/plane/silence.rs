//! Clients that are to learn nothing, and clients that do not listen.

use std::{
    io::{ErrorKind, Write},
    net::TcpStream,
    sync::mpsc,
    time::Duration,
};

use lb_core::{
    config::{Mode, ProxyConfig},
    rules::RulesBuilder,
};

use crate::common::{Origin, PATIENCE, Plane, SHORT, listen, read_all, read_message, rules};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

type Rule = fn(&mut RulesBuilder<'_>);

fn silenced(mode: Mode, origin: &Origin, rule: Rule) -> ProxyConfig {
    let mut proxy = listen("web", mode, &[origin.address]);
    proxy.rules = rules(rule);
    proxy
}

/// On this host the reset arrives, whose packet no router would pass on; the end of a stream, an answer or a farewell
/// of TLS would be a word too many.
#[test]
fn whom_a_rule_drops_in_silence_gets_a_reset_and_no_word() {
    let origin = Origin::echo();
    let rules: [(Mode, Rule, Option<&str>); 8] = [
        (
            Mode::Http,
            |b| drop(b.tcp_request(&["connection", "silent-drop"]).unwrap()),
            None,
        ),
        (
            Mode::Http,
            |b| drop(b.tcp_request(&["session", "silent-drop"]).unwrap()),
            None,
        ),
        (
            Mode::Tcp,
            |b| drop(b.tcp_request(&["content", "silent-drop"]).unwrap()),
            None,
        ),
        (
            Mode::Http,
            |b| drop(b.tcp_request(&["content", "silent-drop"]).unwrap()),
            Some("PR--"),
        ),
        (
            Mode::Http,
            |b| drop(b.http_request(&["silent-drop", "rst-ttl", "3"]).unwrap()),
            Some("PR--"),
        ),
        (
            Mode::Http,
            |b| drop(b.http_response(&["silent-drop"]).unwrap()),
            Some("PH--"),
        ),
        (
            Mode::Http,
            |b| drop(b.tcp_response(&["content", "silent-drop"]).unwrap()),
            Some("PD--"),
        ),
        (
            Mode::Tcp,
            |b| drop(b.tcp_response(&["content", "silent-drop"]).unwrap()),
            None,
        ),
    ];
    for (at, (mode, rule, flags)) in rules.into_iter().enumerate() {
        let plane = Plane::start(vec![silenced(mode, &origin, rule)]);
        let mut client = plane.connect();
        // It may be gone by then: the reset is told once, to whoever asks first.
        let end = match client.write_all(GET.as_bytes()) {
            Err(e) if e.kind() == ErrorKind::ConnectionReset => "<reset>".to_owned(),
            _ => read_all(&client),
        };
        assert_eq!(end, "<reset>", "rule {at}");
        if let Some(flags) = flags {
            assert_eq!(plane.entry().flags, flags, "rule {at}");
        }
        plane.stop();
    }
}

/// An origin that says again and again that it is at work, until that cannot be sent within `patience`, and tells how
/// many bytes could.
fn chatterer(patience: Option<Duration>) -> (Origin, mpsc::Receiver<usize>) {
    let (tell, told) = mpsc::channel();
    let origin = Origin::new(move |mut stream: TcpStream| {
        read_message(&mut stream);
        stream.set_write_timeout(patience).unwrap();
        // Long ones, or a busy machine goes through what the kernel holds for longer than the test waits.
        let pad = "y".repeat(8000);
        let words = format!("HTTP/1.1 102 Processing\r\nX: {pad}\r\n\r\n").repeat(4);
        let words = words.as_bytes();
        let mut sent = 0;
        while sent < MOST && stream.write_all(words).is_ok() {
            sent += words.len();
        }
        tell.send(sent).unwrap();
    });
    (origin, told)
}

/// More than the kernel's buffers between an origin and its client hold.
const MOST: usize = 64 << 20;

#[test]
fn interim_responses_that_no_client_reads_are_not_gathered() {
    let (origin, told) = chatterer(SHORT);
    let plane = Plane::start(vec![listen("web", Mode::Http, &[origin.address])]);
    let mut client = plane.connect();
    client.write_all(GET.as_bytes()).unwrap();
    let sent = told.recv_timeout(PATIENCE).unwrap();
    assert!(sent < MOST, "all of {sent} bytes were taken");
    drop(client);
    plane.stop();
}

#[test]
fn a_client_that_reads_no_interim_response_has_its_timeout() {
    // The origin ends only when it is left.
    let (origin, told) = chatterer(None);
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.timeouts.client = Some(Duration::from_millis(300));
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    client.write_all(GET.as_bytes()).unwrap();
    assert!(told.recv_timeout(PATIENCE).unwrap() < MOST);
    assert_eq!(plane.entry().flags, "cD--");
    plane.stop();
}

#[test]
fn the_head_of_a_response_has_one_time_however_often_a_piece_of_it_comes() {
    let origin = Origin::new(|mut stream| {
        let _ = read_message(&mut stream);
        let head = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(1000));
        for byte in head.as_bytes() {
            // Slower than that it would be silent for the whole of the time.
            std::thread::sleep(Duration::from_millis(20));
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
        }
    });
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.timeouts.server = Some(Duration::from_millis(300));
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    client.write_all(GET.as_bytes()).unwrap();
    let answer = read_message(&mut client).unwrap();
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert_eq!(plane.entry().end(), ("web/s1", "504", "sH--"));
    drop(client);
    plane.stop();
}
