//! TCP mode, and what comes before either mode: limits, PROXY headers, TLS.

mod ends;

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};

use lb_core::{
    config::{Global, Mode, ProxyConfig},
    dataplane::{ListenerFd, SessionsAt},
};

use crate::common::{Origin, Plane, SHORT, listen, nobody, read_all, rules};

/// Reverses what it got when the client has said everything.
fn reversing() -> Origin {
    Origin::new(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        all.reverse();
        stream.write_all(&all).unwrap();
    })
}

/// Sends back what comes.
fn echoing() -> Origin {
    Origin::new(|mut stream| {
        let mut room = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut room) {
            if stream.write_all(&room[..count]).is_err() {
                return;
            }
        }
    })
}

fn start(origin: &Origin, adjust: impl FnOnce(&mut ProxyConfig)) -> Plane {
    let mut proxy = listen("t", Mode::Tcp, &[origin.address]);
    adjust(&mut proxy);
    Plane::start(vec![proxy])
}

/// Server, bytes and termination state of the next line of `option tcplog`.
fn entry(plane: &Plane) -> (String, String, String) {
    let line = plane.line();
    let words: Vec<&str> = line.split(' ').collect();
    let word = |at: usize| words.get(at).copied().unwrap_or_default().to_owned();
    (word(3), word(5), word(6))
}

fn expect(plane: &Plane, server: &str, flags: &str) {
    let (of, _, ended) = entry(plane);
    assert_eq!((&*of, &*ended), (server, flags));
}

#[test]
fn bytes_go_both_ways_and_each_direction_ends_on_its_own() {
    let origin = reversing();
    let plane = start(&origin, |_| {});
    let mut client = plane.connect();
    client.write_all(b"abc").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&client), "cba");
    let (server, bytes, flags) = entry(&plane);
    assert_eq!((&*server, &*bytes, &*flags), ("t/s1", "3", "--"));
    drop(client);
    plane.stop();
}

#[test]
fn what_outlives_the_time_to_finish_is_cut_and_the_log_says_so() {
    let origin = echoing();
    let plane = start(&origin, |_| {});
    let mut client = plane.connect();
    let mut echo = |what: &[u8]| {
        client.write_all(what).unwrap();
        let mut back = vec![0; what.len()];
        client.read_exact(&mut back).unwrap();
    };
    echo(b"before");
    plane.plane.stop_accepting();
    assert!(plane.line().contains("Proxy t stopped"));
    echo(b"it goes on");
    plane.plane.cut();
    let line = plane.line();
    let told = "Proxy t hard-stopped (1 remaining conns will be closed).";
    assert!(line.contains(told), "{line}");
    expect(&plane, "t/s1", "K-");
    plane.stop();
}

#[test]
fn what_lies_behind_something_urgent_passes_in_bulk_too() {
    const BULK: usize = 3_000_000;
    let origin = echoing();
    let plane = start(&origin, |_| {});
    let mut client = plane.connect();
    let mut back = vec![0; BULK];
    let mut writer = client.try_clone().unwrap();
    let sends = std::thread::spawn(move || {
        writer.write_all(&[b'a'; BULK]).unwrap();
        writer
    });
    client.read_exact(&mut back).unwrap();
    let mut writer = sends.join().unwrap();
    socket2::SockRef::from(&writer)
        .send_out_of_band(b"!")
        .unwrap();
    writer.write_all(b"behind").unwrap();
    let mut behind = [0; 6];
    client.read_exact(&mut behind).unwrap();
    assert_eq!(&behind, b"behind");
    drop((client, writer));
    plane.stop();
}

#[test]
fn what_lies_between_something_urgent_and_the_end_passes_in_bulk_too() {
    const BULK: usize = 3_000_000;
    let origin = reversing();
    let plane = start(&origin, |_| {});
    let mut client = plane.connect();
    client.write_all(&[b'a'; BULK]).unwrap();
    socket2::SockRef::from(&client)
        .send_out_of_band(b"!")
        .unwrap();
    client.write_all(b"behind").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let all = read_all(&client);
    assert_eq!(all.len(), BULK + 6);
    assert!(all.starts_with("dniheb"));
    drop(client);
    plane.stop();
}

#[test]
fn who_comes_beyond_the_rate_of_the_process_is_served_in_the_next_second() {
    type Limit = fn(&mut Global);
    let limits: [Limit; 2] = [
        |global| global.maxconnrate = Some(1),
        |global| global.maxsessrate = Some(1),
    ];
    for limit in limits {
        let origin = echoing();
        let proxy = listen("t", Mode::Tcp, &[origin.address]);
        let plane = Plane::start_with(vec![proxy], |config, _| limit(&mut config.global));
        let began = Instant::now();
        for mut client in [plane.connect(), plane.connect()] {
            client.write_all(b"x").unwrap();
            client.read_exact(&mut [0]).unwrap();
        }
        assert!(began.elapsed() >= Duration::from_secs(1));
        plane.stop();
    }
}

#[test]
fn bulk_passes_unchanged() {
    const SIZE: usize = 5_000_000;
    let origin = reversing();
    let plane = start(&origin, |_| {});
    let mut client = plane.connect();
    let sent: Vec<u8> = (0..SIZE).map(|i| (i % 241) as u8).collect();
    client.write_all(&sent).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    received.reverse();
    assert!(received == sent);
    plane.stop();
}

#[test]
fn the_end_of_the_server_reaches_the_client_while_it_still_sends() {
    let origin = Origin::new(|mut stream| {
        stream.write_all(b"bye").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "still here");
    });
    let plane = start(&origin, |_| {});
    let mut client = plane.connect();
    assert_eq!(read_all(&client), "bye");
    client.write_all(b"still here").unwrap();
    drop(client);
    expect(&plane, "t/s1", "--");
    plane.stop();
}

#[test]
fn inactivity_is_ended_by_the_side_whose_time_is_over() {
    let origin = echoing();
    for (client, server, flags) in [
        (SHORT, None, "cD"),
        (None, SHORT, "sD"),
        (SHORT, SHORT, "cD"),
    ] {
        let plane = start(&origin, |p| {
            p.timeouts.client = client;
            p.timeouts.server = server;
        });
        assert_eq!(read_all(&plane.connect()), "");
        expect(&plane, "t/s1", flags);
        plane.stop();
    }
}

#[test]
fn a_half_closed_connection_has_its_own_timeout() {
    // Takes everything and never answers.
    let (over, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::new(move |mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
        let _ = wait.lock().unwrap().recv();
    });
    let plane = start(&origin, |p| p.timeouts.server_fin = SHORT);
    let client = plane.connect();
    client.shutdown(Shutdown::Write).unwrap();
    assert!(matches!(&*read_all(&client), "" | "<reset>"));
    let (_, _, flags) = entry(&plane);
    assert!(["sD", "CC"].contains(&&*flags), "{flags}");
    drop(over);
    plane.stop();
}

#[test]
fn a_reset_is_passed_on_as_one() {
    let origin = Origin::new(|mut stream| {
        let _ = stream.read(&mut [0; 3]);
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    });
    let plane = start(&origin, |_| {});
    let mut client = plane.connect();
    client.write_all(b"abc").unwrap();
    assert_eq!(read_all(&client), "<reset>");
    expect(&plane, "t/s1", "SD");
    plane.stop();
}

#[test]
fn nobody_listening_ends_the_client() {
    let mut proxy = listen("t", Mode::Tcp, &[nobody()]);
    proxy.timeouts.connect = Some(Duration::from_millis(10));
    let plane = Plane::start(vec![proxy]);
    assert!(matches!(&*read_all(&plane.connect()), "" | "<reset>"));
    expect(&plane, "t/s1", "SC");
    plane.stop();
}

#[test]
fn maxconn_leaves_further_connections_in_the_queue_until_there_is_room() {
    let origin = echoing();
    let plane = start(&origin, |p| {
        if let Some(frontend) = &mut p.frontend {
            frontend.maxconn = Some(2);
        }
    });
    let echo = |client: &mut TcpStream| {
        client.write_all(b"x").unwrap();
        let mut byte = [0];
        client.read_exact(&mut byte).is_ok()
    };
    let (mut a, mut b, mut c) = (plane.connect(), plane.connect(), plane.connect());
    assert!(echo(&mut a) && echo(&mut b));
    c.set_read_timeout(SHORT).unwrap();
    assert!(!echo(&mut c), "the third is served while two are inside");
    drop(a);
    c.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
    let mut byte = [0];
    c.read_exact(&mut byte).unwrap();
    assert_eq!(plane.plane.balancer().process.connections.max(), 2);
    drop((b, c));
    plane.stop();
}

#[test]
fn payload_is_looked_at_before_a_server_is_chosen() {
    let origin = echoing();
    let plane = start(&origin, |p| {
        p.rules = rules(|b| {
            b.tcp_request(&["inspect-delay", "5s"]).unwrap();
            b.tcp_request(&[
                "content",
                "reject",
                "if",
                "{",
                "req.payload(0,3)",
                "-m",
                "bin",
                "626164",
                "}",
            ])
            .unwrap();
        });
    });
    let mut good = plane.connect();
    good.write_all(b"good").unwrap();
    let mut back = [0; 4];
    good.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"good");
    let mut bad = plane.connect();
    bad.write_all(b"bad!").unwrap();
    assert_eq!(
        read_all(&bad),
        "",
        "HAProxy ends such a connection without a reset"
    );
    expect(&plane, "t/<NOSRV>", "PR");
    drop(good);
    plane.stop();
}

#[test]
fn proxy_headers_are_read_and_written() {
    let origin = reversing();
    for version in [1, 2] {
        let plane = start(&origin, |p| {
            if let Some(frontend) = &mut p.frontend {
                frontend.binds[0].accept_proxy = true;
            }
            if let Some(backend) = &mut p.backend {
                backend.servers[0].send_proxy = Some(version);
            }
        });
        let mut client = plane.connect();
        let header = "PROXY TCP4 192.0.2.7 192.0.2.8 1234 443\r\n";
        client.write_all(format!("{header}abc").as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut seen = Vec::new();
        client.read_to_end(&mut seen).unwrap();
        seen.reverse();
        let mut expected = Vec::new();
        let (from, to) = (
            "192.0.2.7:1234".parse().unwrap(),
            "192.0.2.8:443".parse().unwrap(),
        );
        if version == 1 {
            lb_core::proxy_protocol::encode_v1(from, to, &mut expected);
        } else {
            lb_core::proxy_protocol::encode_v2(from, to, &mut expected);
        }
        expected.extend_from_slice(b"abc");
        assert_eq!(seen, expected);
        assert!(plane.line().starts_with("192.0.2.7:1234 "));
        plane.stop();
    }
}

#[test]
fn unix_sockets_are_listened_on() {
    let origin = reversing();
    let path = std::env::temp_dir().join(format!("lb-core-plane-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let plane = Plane::start_with(
        vec![listen("t", Mode::Tcp, &[origin.address])],
        |_, options| options.listeners[0].fd = listener.into(),
    );
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"abc").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "cba");
    assert!(plane.line().starts_with("unix:1 "), "as HAProxy names them");
    plane.stop();
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn who_is_said_to_come_from_no_address_comes_from_no_unix_socket() {
    let origin = echoing();
    let plane = start(&origin, |p| {
        if let Some(frontend) = &mut p.frontend {
            frontend.binds[0].accept_proxy = true;
        }
    });
    for source in ["0.0.0.0", "::"] {
        let mut client = plane.connect();
        let family = if source == "::" { 6 } else { 4 };
        write!(client, "PROXY TCP{family} {source} {source} 5 6\r\nx").unwrap();
        client.read_exact(&mut [0]).unwrap();
        drop(client);
        let line = plane.line();
        assert!(line.starts_with(&format!("{source}:5 ")), "{line}");
    }
    plane.stop();
}

#[test]
fn whoever_sends_no_proxy_header_is_not_served() {
    let origin = echoing();
    let plane = start(&origin, |p| {
        if let Some(frontend) = &mut p.frontend {
            frontend.binds[0].accept_proxy = true;
        }
    });
    let mut client = plane.connect();
    client.write_all(b"hello").unwrap();
    assert!(matches!(&*read_all(&client), "" | "<reset>"));
    assert_eq!(origin.connections(), 0);
    plane.stop();
}

#[test]
fn a_server_without_an_address_of_its_own_is_where_the_client_arrived() {
    // A connection to 0.0.0.0 itself would arrive at 127.0.0.1, where nobody listens.
    let origin = TcpListener::bind("127.0.0.2:0").unwrap();
    let port = origin.local_addr().unwrap().port();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = origin.accept().unwrap();
        stream.write_all(b"here").unwrap();
    });
    let front = TcpListener::bind("127.0.0.2:0").unwrap();
    let address = front.local_addr().unwrap();
    let proxy = listen("t", Mode::Tcp, &[([0, 0, 0, 0], port).into()]);
    let _plane = Plane::start_with(vec![proxy], |_, options| {
        options.listeners = vec![ListenerFd {
            proxy: 0,
            bind: 0,
            worker: 0,
            fd: OwnedFd::from(front),
        }];
    });
    let client = TcpStream::connect(address).unwrap();
    assert_eq!(read_all(&client), "here");
    served.join().unwrap();
}

#[test]
fn sessions_are_told_of_piece_by_piece() {
    const CLIENTS: usize = 300;
    let origin = echoing();
    let plane = start(&origin, |_| {});
    let clients: Vec<TcpStream> = (0..CLIENTS).map(|_| plane.connect()).collect();
    plane.until("everybody is there", |balancer| {
        balancer.process.connections.value() as usize == CLIENTS
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (mut numbers, mut pieces) = (std::collections::BTreeSet::new(), 0);
    let mut next = Some(SessionsAt::default());
    while let Some(at) = next {
        let (sessions, rest) = runtime.block_on(plane.plane.sessions(at)).unwrap();
        assert!(sessions.len() <= 256, "{}", sessions.len());
        numbers.extend(sessions.iter().map(|session| session.id));
        pieces += usize::from(!sessions.is_empty());
        next = rest;
    }
    assert_eq!((numbers.len(), pieces), (CLIENTS, 2));
    drop(clients);
    plane.stop();
}
