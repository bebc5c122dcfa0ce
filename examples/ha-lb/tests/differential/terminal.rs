//! `persist rdp-cookie`: terminal servers to which clients come back.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use crate::{
    compare::Pair,
    peer::{Peer, haproxy_is_installed},
};

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that says its name to whoever asks.
fn server(name: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that has gone hears nothing.
            let _ = stream.and_then(|stream| answer(stream, name));
        }
    });
    address
}

/// Reads a request, says the name, and stays until the client has gone: whoever closes with something unread resets, and
/// the name may be lost.
fn answer(mut stream: TcpStream, name: u8) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    stream.read_exact(&mut vec![0; length.saturating_sub(head.len())])?;
    stream.write_all(&[name])?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// What a terminal server calls itself in its cookie.
fn token(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else {
        return String::new();
    };
    let ip = u32::from_le_bytes(address.ip().octets());
    format!("{ip}.{}.0000", address.port().swap_bytes())
}

/// A connection request with a cookie: TPKT, X.224, text.
fn request(cookie: &str) -> Vec<u8> {
    let text = format!("Cookie: {cookie}\r\n\x01\0\x08\0\x03\0\0\0");
    let length = u8::try_from(11 + text.len()).unwrap();
    let mut request = vec![3, 0, 0, length, length - 5, 0xe0, 0, 0, 0, 0, 0];
    request.extend_from_slice(text.as_bytes());
    request
}

/// The server that a client with this request is led to.
fn led_to(peer: &Peer, front: usize, request: &[u8]) -> String {
    let mut client = TcpStream::connect(peer.fronts[front]).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(request).unwrap();
    let mut name = String::new();
    let mut byte = [0];
    if client.read_exact(&mut byte).is_ok() {
        name.push(char::from(byte[0]));
    }
    name
}

#[test]
fn terminal_servers_get_their_clients_back() {
    if !haproxy_is_installed("terminal_servers_get_their_clients_back") {
        return;
    }
    let [a, b, c] = [b'a', b'b', b'c'].map(server);
    let common = format!(
        "tcp-request inspect-delay 10s\n tcp-request content accept if RDP_COOKIE\n balance first\n \
         server a {a}\n server b {b}\n server c {c} disabled\n"
    );
    let pair = Pair::start(&format!(
        "{{global}}defaults\n mode tcp\n timeout connect 10s\n timeout client 20s\n timeout server 20s\n\
         listen usual\n bind {{front}}\n persist rdp-cookie\n {common}\
         listen named\n bind {{front2}}\n persist rdp-cookie(other)\n use-server a if {{ req.rdp_cookie(other) -m end .9999 }}\n use-server c if {{ req.rdp_cookie(other) -m end .8888 }}\n {common}\
         listen insists\n bind {{front3}}\n persist rdp-cookie\n option persist\n option redispatch\n {common}"
    ));
    let nobody: SocketAddr = "127.0.0.9:9".parse().unwrap();
    let [of_a, of_b, of_c, of_nobody] = [a, b, c, nobody].map(token);
    for (front, cookie, expected) in [
        (0, format!("msts={of_b}"), "b"),
        (0, format!("msts={of_a}"), "a"),
        (0, format!("msts={of_c}"), "a"),
        (0, format!("msts={of_nobody}"), "a"),
        (0, format!("mstshash={of_b}"), "a"),
        (0, "msts=user".to_owned(), "a"),
        (1, format!("other={of_b}"), "b"),
        (1, format!("msts={of_b}"), "a"),
        (1, format!("other={}", of_b.replace(".0000", ".9999")), "a"),
        (1, format!("other={}", of_b.replace(".0000", ".8888")), "b"),
        (2, format!("msts={of_b}"), "b"),
        (2, format!("msts={of_c}"), "c"),
    ] {
        let request = request(&cookie);
        let [theirs, ours] = [&pair.haproxy, &pair.ha_lb].map(|peer| led_to(peer, front, &request));
        assert_eq!(theirs, expected, "haproxy: {front} {cookie}");
        assert_eq!(ours, expected, "ha-lb: {front} {cookie}");
    }
}
