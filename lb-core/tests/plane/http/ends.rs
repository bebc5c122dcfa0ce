//! How responses and tunnels end that only the end of a connection ends.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{Mutex, mpsc},
    time::Duration,
};

use lb_core::config::{Mode, Timeouts};

use crate::common::{
    Origin, PATIENCE, Plane, SHORT, listen, read_all, read_head, wait_until_taken,
};

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n";
const UPGRADED: &str = "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n";

#[test]
fn a_response_without_a_length_reaches_a_slow_client_whose_server_broke_off_behind_it() {
    const SIZE: usize = 400_000;
    let (broken, breaks) = mpsc::channel();
    let broken = Mutex::new(broken);
    let origin = Origin::new(move |mut stream| {
        read_head(&mut stream).unwrap();
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&[b'z'; SIZE]).unwrap();
        wait_until_taken(&stream);
        let socket = socket2::SockRef::from(&stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
        broken.lock().unwrap().send(()).unwrap();
    });
    let plane = Plane::start(vec![listen("web", Mode::Http, &[origin.address])]);
    let mut client = plane.connect();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    breaks.recv_timeout(PATIENCE).unwrap();
    assert_eq!(plane.entry().end(), ("web/s1", "200", "SD--"));
    read_head(&mut client).unwrap();
    let mut all = Vec::new();
    let end = client.read_to_end(&mut all).unwrap_err();
    assert_eq!((all.len(), end.kind()), (SIZE, ErrorKind::ConnectionReset));
    drop(client);
    plane.stop();
}

/// A tunnel whose server listens to the end and stays.
fn tunnel(timeouts: impl FnOnce(&mut Timeouts)) -> (Plane, TcpStream, mpsc::Sender<()>) {
    let (over, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::new(move |mut stream| {
        read_head(&mut stream).unwrap();
        stream.write_all(UPGRADED.as_bytes()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
        let _ = wait.lock().unwrap().recv();
    });
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    // Those of the tunnel are not those of what leads to it.
    proxy.timeouts.http_request = Some(PATIENCE);
    timeouts(&mut proxy.timeouts);
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    client.write_all(UPGRADE.as_bytes()).unwrap();
    assert!(read_head(&mut client).unwrap().starts_with("HTTP/1.1 101"));
    (plane, client, over)
}

#[test]
fn a_tunnel_that_is_half_closed_has_the_timeouts_for_that() {
    let (plane, client, over) = tunnel(|t| {
        t.tunnel = Some(PATIENCE);
        t.server_fin = SHORT;
    });
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&client), "");
    assert_eq!(plane.entry().end(), ("web/s1", "101", "sD--"));
    drop(over);
    plane.stop();
}

#[test]
fn a_tunnel_ends_when_its_server_takes_nothing_more() {
    let origin = Origin::new(|mut stream| {
        read_head(&mut stream).unwrap();
        stream.write_all(UPGRADED.as_bytes()).unwrap();
    });
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.timeouts.tunnel = Some(PATIENCE * 100);
    let plane = Plane::start(vec![proxy]);
    let mut client = plane.connect();
    client.set_write_timeout(Some(PATIENCE)).unwrap();
    client.write_all(UPGRADE.as_bytes()).unwrap();
    assert!(read_head(&mut client).unwrap().starts_with("HTTP/1.1 101"));
    while client.write_all(&[b'm'; 1024]).is_ok() {}
    assert_eq!(plane.entry().end(), ("web/s1", "101", "SD--"));
    drop(client);
    plane.stop();
}

#[test]
fn a_client_that_is_silent_in_a_tunnel_has_its_own_timeout() {
    let (plane, client, over) = tunnel(|t| t.client = SHORT);
    assert_eq!(read_all(&client), "");
    assert_eq!(plane.entry().end(), ("web/s1", "101", "cD--"));
    drop(over);
    plane.stop();
}
