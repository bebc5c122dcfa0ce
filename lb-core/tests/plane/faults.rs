//! Timeouts, failing origins and impatient clients: the status, the termination state, and nothing leaked.

mod limits;

use std::{
    io::{Read, Write},
    net::Shutdown,
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use lb_core::config::{Mode, ProxyConfig};

use crate::common::{
    Origin, PATIENCE, Plane, SHORT, STEADY, ask, connect, full, listen, nobody, ok, read_all,
    read_head, read_message, wait_until_read,
};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

const SLOW: &str = "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";

/// An origin that answers [`SLOW`] once the sender is dropped.
fn slow() -> (Origin, mpsc::Sender<()>) {
    let (answer_now, told) = mpsc::channel();
    let told = Mutex::new(told);
    let origin = Origin::http(move |request| {
        if request.starts_with("GET /slow ") {
            let _ = told.lock().unwrap().recv();
        }
        ok("done")
    });
    (origin, answer_now)
}

/// An origin that reads a request and then only waits.
fn silent() -> Origin {
    silent_and_told().0
}

/// The same, which says when it has read one.
fn silent_and_told() -> (Origin, mpsc::Receiver<()>) {
    let (tell, told) = mpsc::channel();
    let origin = Origin::new(move |mut stream| {
        read_message(&mut stream);
        let _ = tell.send(());
        let _ = stream.read(&mut [0]);
    });
    (origin, told)
}

fn start(origin: &Origin, adjust: impl FnOnce(&mut ProxyConfig)) -> Plane {
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    adjust(&mut proxy);
    Plane::start(vec![proxy])
}

#[test]
fn half_a_request_gets_408_after_timeout_http_request() {
    let origin = Origin::echo();
    let plane = start(&origin, |p| p.timeouts.http_request = SHORT);
    let mut client = plane.connect();
    client.write_all(b"GET / HT").unwrap();
    assert!(read_all(&client).starts_with("HTTP/1.1 408 Request Time-out\r\n"));
    let entry = plane.entry();
    assert_eq!(entry.end(), ("web/<NOSRV>", "408", "cR--"));
    assert!(entry.timers.starts_with("-1/-1/-1/-1/"), "{entry:?}");
    plane.stop();
}

#[test]
fn a_request_that_could_become_http2_has_no_more_time_than_others() {
    const PAUSE: Duration = Duration::from_millis(200);
    let origin = Origin::echo();
    let plane = start(&origin, |p| p.timeouts.http_request = Some(PAUSE * 2));
    let clients = [b"P", b"G"].map(|first| {
        let mut client = plane.connect();
        client.write_all(first).unwrap();
        wait_until_read(&client);
        client
    });
    for client in &clients {
        assert!(read_all(client).starts_with("HTTP/1.1 408 Request Time-out\r\n"));
    }
    // Who began first is over first.
    for client in clients {
        let (line, from) = (plane.line(), client.local_addr().unwrap());
        assert!(line.starts_with(&format!("{from} ")), "{line}");
        assert!(
            line.contains(" web/<NOSRV> ") && line.contains(" 408 "),
            "{line}"
        );
        assert!(line.contains(" cR-- "), "{line}");
    }
    plane.stop();
    // The time of one that comes in pieces counts from the first of them.
    let plane = start(&origin, |p| p.timeouts.http_request = Some(PATIENCE));
    let mut client = plane.connect();
    client.write_all(b"P").unwrap();
    wait_until_read(&client);
    thread::sleep(PAUSE);
    let answer = ask(
        &mut client,
        "UT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let timers = plane.entry().timers;
    let request: u128 = timers.split('/').next().unwrap().parse().unwrap();
    assert!(request >= PAUSE.as_millis() / 2, "{timers}");
    drop(client);
    plane.stop();
}

#[test]
fn an_idle_client_is_closed_after_timeout_http_keep_alive_without_a_word() {
    let origin = Origin::echo();
    let plane = start(&origin, |p| {
        p.timeouts.http_keep_alive = SHORT;
        p.dontlognull = true;
    });
    let mut client = plane.connect();
    ask(&mut client, GET);
    assert_eq!(read_all(&client), "");
    assert_eq!(plane.entry().flags, "----");
    plane.stop();
}

#[test]
fn a_connection_without_a_byte_is_not_logged_with_dontlognull() {
    let origin = Origin::echo();
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.dontlognull = true;
    let patient = proxy.clone();
    proxy.timeouts.http_request = SHORT;
    let plane = Plane::start(vec![proxy, patient]);
    assert_eq!(read_all(&plane.connect()), "");
    drop(plane.connect());
    ask(&mut connect(plane.addresses[1].unwrap()), GET);
    assert_eq!(plane.entry().status, "200");
    plane.stop();
}

#[test]
fn a_silent_server_gives_504_after_timeout_server() {
    let origin = silent();
    let plane = start(&origin, |p| p.timeouts.server = SHORT);
    let answer = ask(&mut plane.connect(), GET);
    assert!(
        answer.starts_with("HTTP/1.1 504 Gateway Time-out\r\n"),
        "{answer}"
    );
    let entry = plane.entry();
    assert_eq!(entry.end(), ("web/s1", "504", "sH--"));
    assert_eq!(entry.timers.split('/').nth(3), Some("-1"));
    plane.stop();
}

#[test]
fn a_client_that_stops_in_its_body_gets_408() {
    let origin = silent();
    let plane = start(&origin, |p| {
        p.timeouts.http_request = Some(PATIENCE);
        p.timeouts.client = SHORT;
    });
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc";
    let answer = ask(&mut plane.connect(), head);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(plane.entry().end(), ("web/s1", "408", "cD--"));
    plane.stop();
}

#[test]
fn a_server_that_stops_in_its_body_is_cut() {
    let origin = Origin::new(|mut stream| {
        read_message(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            .unwrap();
        let _ = stream.read(&mut [0]);
    });
    // Its head is to come within that time, too.
    let plane = start(&origin, |p| p.timeouts.server = STEADY);
    let mut client = plane.connect();
    client.write_all(GET.as_bytes()).unwrap();
    let answer = read_all(&client);
    assert!(answer.contains("\r\n\r\nabc"), "{answer}");
    assert_eq!(plane.entry().end(), ("web/s1", "200", "sD--"));
    plane.stop();
}

#[test]
fn broken_responses_have_their_status_and_state() {
    for (sent, status, flags) in [
        (&b""[..], "502", "SH--"),
        (b"HTTP/1.1 200 OK\r\nContent-Len", "502", "SH--"),
        (b"SSH-2.0-OpenSSH\r\n", "502", "PH--"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            "200",
            "SD--",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "502",
            "PH--",
        ),
    ] {
        let origin = Origin::new(move |mut stream| {
            read_message(&mut stream);
            let _ = stream.write_all(sent);
        });
        let plane = start(&origin, |_| {});
        let mut client = plane.connect();
        client.write_all(GET.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let answer = read_all(&client);
        let what = String::from_utf8_lossy(sent);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{what}: {answer}"
        );
        assert_eq!(plane.entry().end(), ("web/s1", status, flags), "{what}");
        plane.stop();
    }
}

#[test]
fn a_reset_by_the_server_gives_502() {
    let origin = Origin::new(|mut stream| {
        read_message(&mut stream);
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    });
    let plane = start(&origin, |_| {});
    let answer = ask(&mut plane.connect(), GET);
    assert!(
        answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"),
        "{answer}"
    );
    assert_eq!(plane.entry().end(), ("web/s1", "502", "SH--"));
    plane.stop();
}

#[test]
fn an_early_answer_reaches_the_client_although_its_body_is_not_taken() {
    let origin = Origin::new(|mut stream| {
        read_head(&mut stream).unwrap();
        stream
            .write_all(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\n\r\nbig")
            .unwrap();
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read(&mut [0]);
    });
    let plane = start(&origin, |_| {});
    let mut client = plane.connect();
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n")
        .unwrap();
    let mut sending = client.try_clone().unwrap();
    let sender = thread::spawn(move || while sending.write_all(&[b'x'; 10000]).is_ok() {});
    let answer = read_message(&mut client).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.ends_with("big"), "{answer}");
    assert_eq!(plane.entry().status, "413");
    drop(client);
    sender.join().unwrap();
    plane.stop();
}

#[test]
fn nobody_listening_gives_503_after_the_retries() {
    let mut proxy = listen("web", Mode::Http, &[nobody()]);
    proxy.timeouts.connect = Some(Duration::from_millis(20));
    let plane = Plane::start(vec![proxy]);
    let answer = ask(&mut plane.connect(), GET);
    assert!(
        answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{answer}"
    );
    let entry = plane.entry();
    assert_eq!(entry.end(), ("web/s1", "503", "SC--"));
    assert_eq!(entry.counts, "1/1/0/0/3");
    plane.stop();
}

#[test]
fn a_server_that_does_not_take_connections_gives_503_after_timeout_connect() {
    // The kernel drops what does not fit into the queue of a listener that never accepts.
    let (socket, queued) = full();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut proxy = listen("web", Mode::Http, &[address]);
    proxy.timeouts.connect = SHORT;
    if let Some(backend) = &mut proxy.backend {
        backend.retries = 0;
    }
    let plane = Plane::start(vec![proxy]);
    let answer = ask(&mut plane.connect(), GET);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(plane.entry().end(), ("web/s1", "503", "sC--"));
    drop(queued);
    plane.stop();
}

#[test]
fn bytes_behind_a_response_do_not_become_an_answer() {
    let origin = Origin::http(|_| [ok("mine"), ok("stolen")].concat());
    let plane = start(&origin, |_| {});
    let mut client = plane.connect();
    for _ in 0..3 {
        assert!(ask(&mut client, GET).ends_with("mine"));
    }
    drop(client);
    assert_eq!(origin.connections(), 3);
    plane.stop();
}

#[test]
fn redispatch_finds_the_server_that_lives() {
    let origin = Origin::echo();
    let mut proxy = listen("web", Mode::Http, &[nobody(), origin.address]);
    if let Some(backend) = &mut proxy.backend {
        backend.redispatch = Some(-1);
        backend.retries = 1;
    }
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    for _ in 0..2 {
        assert!(ask(&mut client, GET).starts_with("HTTP/1.1 200 "));
        let entry = plane.entry();
        assert_eq!(entry.end(), ("web/s2", "200", "----"));
        assert!(
            ["1/1/0/0/0", "1/1/0/0/+1"].contains(&&*entry.counts),
            "{entry:?}"
        );
    }
    drop(client);
    plane.stop();
}

#[test]
fn no_server_at_all_gives_503_without_one() {
    let plane = Plane::start(vec![listen("web", Mode::Http, &[])]);
    let answer = ask(&mut plane.connect(), GET);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let entry = plane.entry();
    assert_eq!(entry.end(), ("web/<NOSRV>", "503", "SC--"));
    // As in the reference log.
    assert_eq!((&*entry.bytes, &*entry.counts), ("217", "1/1/0/0/0"));
    assert!(entry.timers.contains("/-1/-1/-1/"), "{entry:?}");
    plane.stop();
}

#[test]
fn what_a_client_left_of_a_response_costs_the_next_one_nothing() {
    // More than sockets hold: the client leaves within it.
    let origin = Origin::http(|_| ok(&"x".repeat(30_000_000)));
    let plane = start(&origin, |_| {});
    for _ in 0..3 {
        let mut client = plane.connect();
        client.write_all(GET.as_bytes()).unwrap();
        read_head(&mut client);
        drop(client);
        assert_eq!(plane.entry().flags, "CD--");
        // An answer that no server gives, with the same memory.
        let answer = ask(&mut plane.connect(), "NO REQUEST\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer:?}");
        assert_eq!(plane.entry().flags, "PR--");
    }
    plane.stop();
}

#[test]
fn a_kept_connection_that_died_costs_no_request() {
    // Each connection serves two requests and is then closed without a word.
    let origin = Origin::new(|mut stream| {
        for _ in 0..2 {
            if read_message(&mut stream).is_none() {
                return;
            }
            stream.write_all(&ok("x")).unwrap();
        }
        // The close may cross the next request.
        let mut rest = [0; 64];
        let _ = stream.set_read_timeout(Some(Duration::from_millis(5)));
        let _ = stream.read(&mut rest);
    });
    let plane = start(&origin, |_| {});
    let mut client = plane.connect();
    for n in 0..20 {
        assert!(
            ask(&mut client, GET).starts_with("HTTP/1.1 200 "),
            "request {n}"
        );
        assert_eq!(plane.entry().flags, "----");
    }
    drop(client);
    plane.stop();
}

#[test]
fn a_client_that_breaks_off_while_the_server_thinks_is_noticed() {
    let (origin, told) = silent_and_told();
    let plane = start(&origin, |_| {});
    let mut client = plane.connect();
    client.write_all(GET.as_bytes()).unwrap();
    told.recv_timeout(PATIENCE).unwrap();
    socket2::SockRef::from(&client)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    assert_eq!(plane.entry().end(), ("web/s1", "400", "CH--"));
    plane.stop();
}

#[test]
fn stopping_closes_idle_clients_and_lets_requests_finish() {
    let (origin, answer_now) = slow();
    let plane = start(&origin, |_| {});
    let mut idle = plane.connect();
    ask(&mut idle, GET);
    // The line is written when the place has been given back.
    plane.entry();
    let mut busy = plane.connect();
    busy.write_all(SLOW.as_bytes()).unwrap();
    plane.until("the request runs", |b| {
        b.backends[0].servers()[0].served() == 1
    });
    plane.plane.stop_accepting();
    assert_eq!(
        plane.line(),
        "Proxy web stopped (cumulated conns: FE: 2, BE: 2)."
    );
    assert_eq!(read_all(&idle), "");
    drop(answer_now);
    let answer = read_all(&busy);
    assert!(answer.ends_with("done"), "{answer}");
    let begun = Instant::now();
    plane.stop();
    assert!(begun.elapsed() < PATIENCE / 2);
}

#[test]
fn what_is_left_after_the_grace_is_cut() {
    let origin = silent();
    let plane = start(&origin, |_| {});
    let mut client = plane.connect();
    client.write_all(GET.as_bytes()).unwrap();
    plane.until("the request runs", |b| {
        b.backends[0].servers()[0].served() == 1
    });
    let balancer = plane.plane.balancer();
    plane.plane.join(Duration::from_millis(30));
    assert!(matches!(&*read_all(&client), "" | "<reset>"));
    assert_eq!(balancer.backends[0].servers()[0].served(), 0);
    assert_eq!(balancer.process.connections.value(), 0);
}
