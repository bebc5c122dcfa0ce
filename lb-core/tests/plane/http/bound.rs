//! Server connections that belong to one client: because the server knows who is on them, or by `http-reuse never`.

use std::{io::Write, net::TcpStream};

use lb_core::config::{HttpReuse, Mode, ProxyConfig};

use crate::common::{Origin, Plane, ask, listen, ok, read_message};

/// Lets in whoever names itself on a connection, and takes all that comes over it afterwards for that one's.
fn knows_by_connection(scheme: &'static str, status: &'static str) -> Origin {
    let challenge = match status {
        "401" => "WWW-Authenticate",
        _ => "Proxy-Authenticate",
    };
    Origin::new(move |mut stream| {
        let mut who = None;
        while let Some(request) = read_message(&mut stream) {
            let named = request
                .lines()
                .find_map(|line| line.strip_prefix("authorization: "));
            who = named.map(str::to_owned).or(who);
            let answer = match &who {
                Some(who) => ok(who),
                None => format!(
                    "HTTP/1.1 {status} No\r\n{challenge}: {scheme}\r\nContent-Length: 0\r\n\r\n"
                )
                .into_bytes(),
            };
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
    })
}

fn proxy(origins: &[&Origin], reuse: HttpReuse) -> ProxyConfig {
    let servers: Vec<_> = origins.iter().map(|origin| origin.address).collect();
    let mut proxy = listen("web", Mode::Http, &servers);
    proxy.backend.as_mut().unwrap().http_reuse = reuse;
    proxy
}

/// What the server takes a client for; empty if it does not know.
fn asks(plane: &Plane, client: &mut TcpStream, field: &str) -> String {
    let answer = ask(client, &format!("GET / HTTP/1.1\r\nHost: x\r\n{field}\r\n"));
    plane.entry();
    let (_, who) = answer.split_once("\r\n\r\n").unwrap();
    who.to_owned()
}

#[test]
fn a_connection_on_which_a_server_knows_a_client_is_nobody_elses() {
    for (scheme, status) in [
        ("NTLM", "401"),
        ("negotiate", "401"),
        ("Basic realm=\"x, y\", Negotiate", "401"),
        ("NTLM", "407"),
    ] {
        let origin = knows_by_connection(scheme, status);
        let plane = Plane::start(vec![proxy(&[&origin], HttpReuse::Always)]);
        let [mut alice, mut bob] = [plane.connect(), plane.connect()];
        assert_eq!(asks(&plane, &mut alice, ""), "");
        let named = asks(&plane, &mut alice, "authorization: alice\r\n");
        assert_eq!(named, "alice");
        assert_eq!(asks(&plane, &mut bob, ""), "", "{scheme} {status}");
        assert_eq!(asks(&plane, &mut bob, "authorization: bob\r\n"), "bob");
        assert_eq!(asks(&plane, &mut alice, ""), "alice");
        drop((alice, bob));
        let mut carol = plane.connect();
        assert_eq!(asks(&plane, &mut carol, ""), "");
        assert_eq!(origin.connections(), 3);
        drop(carol);
        plane.stop();
    }
}

#[test]
fn a_connection_on_which_each_request_names_its_client_is_shared() {
    let origin = knows_by_connection("Basic realm=\"NTLM\"", "401");
    let plane = Plane::start(vec![proxy(&[&origin], HttpReuse::Always)]);
    let [mut alice, mut bob] = [plane.connect(), plane.connect()];
    assert_eq!(asks(&plane, &mut alice, ""), "");
    assert_eq!(asks(&plane, &mut bob, ""), "");
    assert_eq!(origin.connections(), 1);
    drop((alice, bob));
    plane.stop();
}

#[test]
fn a_client_that_a_server_knows_stays_with_it() {
    let origins = [(); 3].map(|()| knows_by_connection("NTLM", "401"));
    let plane = Plane::start(vec![proxy(&origins.each_ref(), HttpReuse::Safe)]);
    let mut alice = plane.connect();
    assert_eq!(asks(&plane, &mut alice, ""), "");
    let named = asks(&plane, &mut alice, "authorization: alice\r\n");
    assert_eq!(named, "alice");
    for _ in 0..4 {
        assert_eq!(asks(&plane, &mut alice, ""), "alice");
    }
    let connections: usize = origins.iter().map(Origin::connections).sum();
    assert_eq!(connections, 1);
    drop(alice);
    plane.stop();
}

#[test]
fn a_client_prefers_the_server_of_its_own_connection_where_the_file_says_so() {
    // Connections that all servers see of a client that asks six times.
    for (prefers, expected) in [(true, 1), (false, 6)] {
        let origins = [Origin::echo(), Origin::echo()];
        let mut proxy = proxy(&origins.each_ref(), HttpReuse::Never);
        proxy.backend.as_mut().unwrap().prefer_last_server = prefers;
        let plane = Plane::start(vec![proxy]);
        let mut client = plane.connect();
        for _ in 0..6 {
            asks(&plane, &mut client, "");
        }
        let connections: usize = origins.iter().map(Origin::connections).sum();
        assert_eq!(connections, expected);
        drop(client);
        plane.stop();
    }
}
