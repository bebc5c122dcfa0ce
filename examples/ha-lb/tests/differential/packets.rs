//! `set-tos`: how packets to clients are marked, as a look at the loopback device shows.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Shutdown, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::{
    case::Act,
    compare::Pair,
    peer::{Peer, haproxy_is_installed},
};

const CONFIG: &str = "{global}defaults
    mode http
    timeout connect 10s
    timeout client 5s
    timeout server 5s
cache small
    total-max-size 4
    max-age 60
listen http
    bind {front}
    http-request set-var(txn.path) path
    http-request set-tos 0x28 if { path /request }
    http-response set-tos 184 if { var(txn.path) -m str /response }
    http-request set-tos 010 if { path /octal }
    tcp-response content set-tos 0x48 if { var(txn.path) -m str /answer }
    http-request cache-use small if { path /kept }
    http-response set-header cache-control max-age=60 if { var(txn.path) -m str /kept }
    http-response cache-store small if { var(txn.path) -m str /kept }
    http-response set-tos 0x38 if { res.cache_hit }
    server one {a}
listen content
    bind {front2}
    mode tcp
    tcp-request session set-tos 0x20
    tcp-request inspect-delay 5s
    tcp-request content set-tos 0x30 if { req.payload(5,1) -m str c }
    server one {a}
listen connection
    bind {front3}
    tcp-request connection set-tos 0x50
    http-request set-tos 0x58 if { path /other }
    server one {a}
";

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

/// Sees all packets of IPv4.
fn sniffer() -> std::io::Result<Socket> {
    const IPV4: u16 = 0x0800;
    let protocol = Protocol::from(i32::from(IPV4.to_be()));
    Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))
}

/// Sees the packets of TCP that come from there, of all that go by.
fn sniffer_of(from: SocketAddr) -> Socket {
    let socket = sniffer().unwrap();
    socket.attach_filter(&filter(from)).unwrap();
    socket.set_recv_buffer_size(8 << 20).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    socket
}

/// Classic BPF, over packets without the head of their link.
fn filter(from: SocketAddr) -> Vec<SockFilter> {
    const LOAD_WORD: u16 = 0x20;
    const LOAD_BYTE: u16 = 0x30;
    /// The length of the IP header at that place.
    const INDEX_BY_HEADER: u16 = 0xb1;
    const LOAD_HALF_BEHIND_INDEX: u16 = 0x48;
    const EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const TCP: u32 = 6;
    let IpAddr::V4(address) = from.ip() else {
        unreachable!("all fronts are of IPv4");
    };
    let op = SockFilter::new;
    vec![
        op(LOAD_BYTE, 0, 0, 9),
        op(EQUAL, 0, 6, TCP),
        op(LOAD_WORD, 0, 0, 12),
        op(EQUAL, 0, 4, address.to_bits()),
        op(INDEX_BY_HEADER, 0, 0, 0),
        op(LOAD_HALF_BEHIND_INDEX, 0, 0, 0),
        op(EQUAL, 0, 1, u32::from(from.port())),
        op(RETURN, 0, 0, u32::MAX),
        op(RETURN, 0, 0, 0),
    ]
}

/// Whether packets may be looked at, for which it takes `CAP_NET_RAW`; else the test says so, and fails where `CI` is set.
fn packets_are_seen(test: &str) -> bool {
    let seen = sniffer();
    if let Err(error) = &seen {
        assert!(
            std::env::var_os("CI").is_none(),
            "{test}: no look at packets: {error}"
        );
        println!("{test}: skipped: no look at packets: {error}");
    }
    seen.is_ok()
}

/// The type of service of a packet that carries bytes of this connection.
fn tos(packet: &[u8], from: SocketAddr, to: SocketAddr) -> Option<u8> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let segment = packet.get(header..)?;
    let port = |at: usize| {
        Some(u16::from_be_bytes([
            *segment.get(at)?,
            *segment.get(at + 1)?,
        ]))
    };
    let data = usize::from(segment.get(12)? >> 4) * 4;
    let is_it = packet.get(9) == Some(&6)
        && port(0)? == from.port()
        && port(2)? == to.port()
        && segment.len() > data;
    is_it.then(|| packet[1])
}

/// How the answer to a request is marked.
fn marked(peer: &Peer, front: usize, path: &str) -> u8 {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let seen = sniffer_of(peer.fronts[front]);
        peer.origins[0].play(&[Act::Await(b"\r\n\r\n"), Act::Send(OK), Act::Close]);
        let mut client = TcpStream::connect(peer.fronts[front]).unwrap();
        let (from, to) = (peer.fronts[front], client.local_addr().unwrap());
        write!(
            client,
            "GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(b"ok"), "{}", answer.escape_ascii());
        let _ = client.shutdown(Shutdown::Both);
        let mut room = [0; 65536];
        while Instant::now() < deadline
            && let Ok(length) = (&seen).read(&mut room)
        {
            if let Some(tos) = tos(&room[..length], from, to) {
                return tos;
            }
        }
        assert!(Instant::now() < deadline, "no packet of {path} is seen");
    }
}

#[test]
fn packets_to_clients_are_marked_alike() {
    const NAME: &str = "packets_to_clients_are_marked_alike";
    if !haproxy_is_installed(NAME) || !packets_are_seen(NAME) {
        return;
    }
    let pair = Pair::start(CONFIG);
    for peer in [&pair.haproxy, &pair.ha_lb] {
        marked(peer, 0, "/kept");
    }
    for (front, path, expected) in [
        (0, "/", 0),
        (0, "/request", 0x28),
        (0, "/response", 184),
        (0, "/octal", 8),
        (0, "/answer", 0x48),
        (1, "/session", 0x20),
        (1, "/content", 0x30),
        (2, "/", 0x50),
        (2, "/other", 0x58),
        // No server is asked again.
        (0, "/kept", 0x38),
    ] {
        let [theirs, ours] = [&pair.haproxy, &pair.ha_lb].map(|peer| marked(peer, front, path));
        assert_eq!(theirs, expected, "haproxy: {front} {path}");
        assert_eq!(ours, expected, "ha-lb: {front} {path}");
    }
}
