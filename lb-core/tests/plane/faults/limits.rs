//! Servers that take no more than so many at a time.

use std::{io::Write, thread, time::Duration};

use lb_core::config::{HttpMode, Mode};

use super::{GET, SLOW, slow, start};
use crate::common::{Origin, PATIENCE, Plane, SHORT, ask, listen, ok, read_message};

/// So many clients at once, each with three requests one after the other.
fn three_requests_each(plane: &Plane, clients: usize) {
    let clients: Vec<_> = (0..clients)
        .map(|_| {
            let mut client = plane.connect();
            thread::spawn(move || {
                for _ in 0..3 {
                    assert!(ask(&mut client, GET).starts_with("HTTP/1.1 200 "));
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
}

#[test]
fn a_full_server_makes_requests_wait_and_the_queue_has_its_timeout() {
    let (origin, answer_now) = slow();
    let plane = start(&origin, |p| {
        p.http_mode = HttpMode::ServerClose;
        p.timeouts.queue = SHORT;
        if let Some(backend) = &mut p.backend {
            backend.servers[0].maxconn = Some(1);
        }
    });
    let mut first = plane.connect();
    first.write_all(SLOW.as_bytes()).unwrap();
    plane.until("the first is served", |b| {
        b.backends[0].servers()[0].served() == 1
    });
    let answer = ask(&mut plane.connect(), GET);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(plane.entry().end(), ("web/<NOSRV>", "503", "sQ--"));
    drop(answer_now);
    assert!(read_message(&mut first).unwrap().ends_with("done"));
    assert_eq!(plane.entry().end(), ("web/s1", "200", "----"));
    drop(first);
    plane.stop();
}

#[test]
fn those_who_wait_are_served_one_after_the_other() {
    let origin = Origin::http(|_| {
        thread::sleep(Duration::from_millis(10));
        ok("x")
    });
    let plane = start(&origin, |p| {
        if let Some(backend) = &mut p.backend {
            backend.servers[0].maxconn = Some(1);
        }
    });
    three_requests_each(&plane, 8);
    assert_eq!(
        plane.plane.balancer().backends[0].servers()[0]
            .counters()
            .sessions
            .max(),
        1
    );
    plane.stop();
}

#[test]
fn two_workers_keep_to_one_limit() {
    let origin = Origin::http(|_| {
        thread::sleep(Duration::from_millis(5));
        ok("x")
    });
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.http_mode = HttpMode::ServerClose;
    if let Some(backend) = &mut proxy.backend {
        backend.servers[0].maxconn = Some(1);
    }
    let plane = Plane::with_two_workers(proxy);
    three_requests_each(&plane, 16);
    let balancer = plane.plane.balancer();
    let server = &balancer.backends[0].servers()[0];
    assert_eq!(server.counters().sessions.max(), 1);
    assert_eq!(server.counters().traffic.total(|c| &c.sessions), 48);
    let beaten = async { tokio::time::timeout(PATIENCE, plane.plane.heartbeat()).await };
    let runtime = tokio::runtime::Builder::new_current_thread();
    let answered = { runtime }.enable_time().build().unwrap().block_on(beaten);
    assert!(answered.is_ok(), "a worker does not answer");
    plane.stop();
}
