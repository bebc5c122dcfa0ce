//! Ends and breaks on either side, and in which phase they come.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Arc, mpsc},
    time::Duration,
};

use super::{echoing, entry, expect, start};
use crate::{
    common::{Origin, PATIENCE, Plane, listen, nobody, read_all, rules, wait_until_taken},
    tls,
};
use lb_core::config::{Mode, ServerTls};

#[test]
fn what_a_server_said_before_it_broke_off_reaches_a_client_that_is_slow() {
    const SIZE: usize = 400_000;
    let (broken, breaks) = mpsc::channel();
    let broken = std::sync::Mutex::new(broken);
    // Closes with bytes of the client unread: the kernel makes a reset of it.
    let origin = Origin::new(move |mut stream| {
        stream.peek(&mut [0; 8]).unwrap();
        stream.write_all(&[b'z'; SIZE]).unwrap();
        wait_until_taken(&stream);
        drop(stream);
        broken.lock().unwrap().send(()).unwrap();
    });
    let plane = start(&origin, |_| {});
    let mut client = plane.connect();
    client.write_all(b"unread").unwrap();
    breaks.recv_timeout(PATIENCE).unwrap();
    expect(&plane, "t/s1", "SD");
    let mut all = Vec::new();
    let end = client.read_to_end(&mut all).unwrap_err();
    assert_eq!((all.len(), end.kind()), (SIZE, ErrorKind::ConnectionReset));
    drop(client);
    plane.stop();
}

#[test]
fn who_only_listens_may_end_before_the_server_is_reached() {
    const CLIENTS: usize = 20;
    let origin = Origin::new(|mut stream| {
        let _ = stream.write_all(b"banner");
    });
    let secured = Plane::start(vec![tls::secured(&origin, Mode::Tcp, |_| {})]);
    for (server, tls) in [
        (origin.address, None),
        (secured.address(), Some(Arc::<ServerTls>::default())),
    ] {
        let in_tls = tls.is_some();
        let mut proxy = listen("t", Mode::Tcp, &[server]);
        proxy.backend.as_mut().unwrap().servers[0].tls = tls;
        proxy.frontend.as_mut().unwrap().binds[0].maxconn = Some(1);
        let plane = Plane::start(vec![proxy]);
        let mut first = plane.connect();
        first.read_exact(&mut [0; 6]).unwrap();
        // Each of them has ended before it is accepted.
        let clients = [(); CLIENTS].map(|()| {
            let client = plane.connect();
            client.shutdown(Shutdown::Write).unwrap();
            client
        });
        drop(first);
        let heard = |client: &&TcpStream| read_all(client) == "banner";
        let served = clients.iter().filter(heard).count();
        // A connection that takes its time is given up for a client that has ended and said nothing.
        assert!(served > CLIENTS / 2, "{served}, in TLS: {in_tls}");
        drop(clients);
        plane.stop();
    }
    secured.stop();
}

/// A plane with one place on its server, taken by the client that is returned.
fn taken(origin: &Origin, aborts: bool) -> (Plane, TcpStream) {
    let plane = start(origin, |p| {
        p.timeouts.queue = Some(PATIENCE);
        if let Some(backend) = &mut p.backend {
            backend.abort_on_close = aborts;
            backend.servers[0].maxconn = Some(1);
        }
    });
    let mut first = plane.connect();
    first.write_all(b"x").unwrap();
    first.read_exact(&mut [0]).unwrap();
    (plane, first)
}

#[test]
fn abortonclose_takes_a_client_out_of_the_queue_whatever_it_said() {
    let origin = echoing();
    let (plane, first) = taken(&origin, true);
    let mut second = plane.connect();
    second.write_all(b"said").unwrap();
    second.shutdown(Shutdown::Write).unwrap();
    assert!(matches!(&*read_all(&second), "" | "<reset>"));
    expect(&plane, "t/<NOSRV>", "CQ");
    drop(first);
    plane.stop();
}

#[test]
fn without_it_what_was_said_waits_for_its_turn() {
    let origin = echoing();
    let (plane, first) = taken(&origin, false);
    let mut second = plane.connect();
    second.write_all(b"said").unwrap();
    second.shutdown(Shutdown::Write).unwrap();
    plane.until("the second waits", |b| b.backends[0].waiting() == 1);
    drop(first);
    assert_eq!(read_all(&second), "said");
    plane.stop();
}

#[test]
fn servers_hear_nothing_of_who_broke_off_before_it_was_accepted() {
    let origin = echoing();
    let plane = start(&origin, |p| {
        if let Some(frontend) = &mut p.frontend {
            frontend.binds[0].maxconn = Some(1);
        }
    });
    let mut first = plane.connect();
    first.write_all(b"x").unwrap();
    first.read_exact(&mut [0]).unwrap();
    let second = plane.connect();
    socket2::SockRef::from(&second)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(second);
    drop(first);
    let ends: Vec<_> = (0..2).map(|_| entry(&plane)).collect();
    assert!(
        ends.iter()
            .any(|(of, _, ended)| (&**of, &**ended) == ("t/<NOSRV>", "CR")),
        "{ends:?}"
    );
    assert_eq!(origin.connections(), 1);
    plane.stop();
}

#[test]
fn an_address_has_its_own_limit() {
    let origin = echoing();
    let plane = start(&origin, |p| {
        if let Some(frontend) = &mut p.frontend {
            frontend.binds[0].maxconn = Some(1);
        }
    });
    let mut byte = [0];
    let (mut first, mut second) = (plane.connect(), plane.connect());
    for client in [&mut first, &mut second] {
        client.write_all(b"x").unwrap();
    }
    first.read_exact(&mut byte).unwrap();
    assert_eq!(plane.plane.balancer().process.connections.value(), 1);
    drop(first);
    second.read_exact(&mut byte).unwrap();
    assert_eq!(plane.plane.balancer().process.connections.max(), 1);
    drop(second);
    plane.stop();
}

#[test]
fn who_found_no_server_is_an_error_of_the_backend() {
    let mut proxy = listen("t", Mode::Tcp, &[nobody()]);
    if let Some(backend) = &mut proxy.backend {
        backend.servers.clear();
    }
    let plane = Plane::start(vec![proxy]);
    read_all(&plane.connect());
    expect(&plane, "t/<NOSRV>", "SC");
    let counters = plane.plane.balancer();
    let errors = counters.backends[0]
        .counters()
        .traffic
        .total(|c| &c.connect_errors);
    assert_eq!(errors, 1);
    plane.stop();
}

#[test]
fn who_is_turned_away_is_no_session() {
    let origin = echoing();
    for rule in ["connection", "session"] {
        let plane = start(&origin, |p| {
            p.rules = rules(|b| {
                b.tcp_request(&[rule, "reject"]).unwrap();
            });
        });
        read_all(&plane.connect());
        plane.settle();
        let counters = &plane.plane.balancer().frontend_counters[0];
        assert_eq!(counters.connections_total.value(), 1, "{rule}");
        assert_eq!(counters.traffic.total(|c| &c.sessions), 0, "{rule}");
        plane.stop();
    }
}

#[test]
fn a_rule_says_of_whom_a_proxy_header_is_expected() {
    let origin = echoing();
    let plane = start(&origin, |p| {
        p.rules = rules(|b| {
            let rule = "connection expect-proxy layer4 if { src 127.0.0.2 }";
            b.tcp_request(&rule.split(' ').collect::<Vec<_>>()).unwrap();
        });
    });
    let mut plain = plane.connect();
    plain.write_all(b"x").unwrap();
    plain.read_exact(&mut [0]).unwrap();
    drop(plain);
    assert!(plane.line().starts_with("127.0.0.1:"));
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let from: SocketAddr = "127.0.0.2:0".parse().unwrap();
    socket.bind(&from.into()).unwrap();
    socket.connect(&plane.address().into()).unwrap();
    let mut told = TcpStream::from(socket);
    told.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 443\r\nx")
        .unwrap();
    told.read_exact(&mut [0]).unwrap();
    drop(told);
    assert!(plane.line().starts_with("192.0.2.7:1234 "));
    plane.stop();
}
