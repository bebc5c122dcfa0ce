//! What rules make of addresses, and what PROXY headers say of a client.

use std::{
    io::Write,
    sync::{Mutex, mpsc},
    time::Instant,
};

use lb_core::config::{HttpReuse, Mode, ProxyConfig, ProxyOptions};

use crate::common::{Origin, Plane, ask, connect, listen, ok, read_message, rules};

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// Tells in its answer what it knows of the client's addresses.
fn teller() -> ProxyConfig {
    let mut proxy = listen("teller", Mode::Http, &[]);
    proxy.frontend.as_mut().unwrap().binds[0].accept_proxy = true;
    proxy.rules = rules(|b| {
        let told = "%[fc_rcvd_proxy]|%[src]:%[src_port]|%[dst]:%[dst_port]|%[fc_src]|%[fc_pp_authority]|%[fc_pp_unique_id]|%[http_first_req]";
        b.http_request(&["return", "status", "200", "hdr", "told", told])
            .unwrap();
    });
    proxy
}

fn told(answer: &str) -> &str {
    let (_, rest) = answer.split_once("told: ").unwrap_or(("", answer));
    rest.lines().next().unwrap_or_default()
}

#[test]
fn addresses_that_rules_change_are_those_of_the_log_the_server_and_later_rules() {
    let teller = Plane::start(vec![teller()]);
    for version in [1, 2] {
        let mut proxy = listen("web", Mode::Http, &[teller.address()]);
        let server = &mut proxy.backend.as_mut().unwrap().servers[0];
        server.send_proxy = Some(version);
        server.proxy_options = ProxyOptions {
            unique_id: true,
            crc32c: true,
            ..ProxyOptions::default()
        };
        proxy.rules = rules(|b| {
            b.unique_id_format(&["id-%[req.hdr(n)]"]).unwrap();
            b.tcp_request(&words("connection set-src ipv4(192.0.2.1)"))
                .unwrap();
            b.tcp_request(&words("session set-dst ipv4(192.0.2.2)"))
                .unwrap();
            b.tcp_request(&words("session set-dst-port int(81)"))
                .unwrap();
            b.http_request(&words(
                "set-src hdr(x-real-ip) if { hdr(x-real-ip) -m found }",
            ))
            .unwrap();
            b.http_request(&words("set-src-port int(4000)")).unwrap();
        });
        let plane = Plane::start(vec![proxy]);
        let mut client = plane.connect();
        let get = "GET / HTTP/1.1\r\nHost: x\r\nn: 7\r\n";
        let answer = ask(
            &mut client,
            &format!("{get}X-Real-IP: 198.51.100.9\r\n\r\n"),
        );
        let id = if version == 2 { "id-7" } else { "" };
        let expected = format!("1|198.51.100.9:4000|192.0.2.2:81|127.0.0.1||{id}|1");
        assert_eq!(told(&answer), expected);
        let line = plane.line();
        assert!(line.starts_with("198.51.100.9:4000 "), "{line}");
        // What a request made of its addresses does not outlive it.
        let answer = ask(&mut client, &format!("{get}\r\n"));
        let expected = format!("1|192.0.2.1:4000|192.0.2.2:81|127.0.0.1||{id}|1");
        assert_eq!(told(&answer), expected);
        drop(client);
        plane.stop();
    }
    teller.stop();
}

#[test]
fn server_connections_that_tell_of_a_client_serve_requests_of_the_same_addresses_only() {
    let teller = Plane::start(vec![teller()]);
    let mut proxy = listen("web", Mode::Http, &[teller.address()]);
    let backend = proxy.backend.as_mut().unwrap();
    backend.http_reuse = HttpReuse::Always;
    backend.servers[0].send_proxy = Some(1);
    proxy.rules = rules(|b| {
        b.http_request(&words("set-src hdr(from)")).unwrap();
        b.http_request(&words("set-src-port int(1)")).unwrap();
    });
    let plane = Plane::start(vec![proxy]);
    for (from, first) in [("192.0.2.1", "1"), ("192.0.2.2", "1"), ("192.0.2.1", "0")] {
        let mut client = plane.connect();
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\nFrom: {from}\r\n\r\n");
        let answer = ask(&mut client, &request);
        assert!(told(&answer).contains(from), "{answer}");
        assert!(told(&answer).ends_with(first), "{answer}");
        plane.entry();
    }
    plane.stop();
    teller.stop();
}

#[test]
fn a_tcp_proxy_goes_over_to_http_where_its_rules_say_so() {
    let origin = Origin::echo();
    let mut proxy = listen("web", Mode::Http, &[origin.address]);
    proxy.id = 3;
    let mut front = listen("front", Mode::Tcp, &[]);
    front.backend = None;
    front.frontend.as_mut().unwrap().default_backend = Some("web".into());
    front.rules = rules(|b| {
        b.tcp_request(&words("content switch-mode http")).unwrap();
        b.http_request(&words("set-header from %[fe_name]"))
            .unwrap();
    });
    let plane = Plane::start(vec![front, proxy]);
    let mut client = connect(plane.address());
    for path in ["/1", "/2"] {
        write!(client, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let answer = read_message(&mut client).unwrap();
        assert!(
            answer.contains(&format!(
                "GET {path} HTTP/1.1\r\nhost: x\r\nfrom: front\r\n"
            )),
            "{answer}"
        );
    }
    drop(client);
    plane.stop();
}

#[test]
fn a_connection_to_where_a_server_was_for_a_while_serves_no_further_request() {
    let home = Origin::http(|_| ok("home"));
    let (asked, is_asked) = mpsc::channel();
    let (answer, may_answer) = mpsc::channel::<()>();
    let ends = Mutex::new((asked, may_answer));
    let away = Origin::new(move |mut stream| {
        while read_message(&mut stream).is_some() {
            let (asked, may_answer) = &*ends.lock().unwrap();
            asked.send(()).unwrap();
            let _ = may_answer.recv();
            stream.write_all(&ok("away")).unwrap();
        }
    });
    let mut proxy = listen("web", Mode::Http, &[home.address]);
    proxy.backend.as_mut().unwrap().http_reuse = HttpReuse::Always;
    let plane = Plane::start(vec![proxy]);
    let move_to = |address| {
        let balancer = plane.plane.balancer();
        let server = balancer.backends[0].servers()[0].index();
        balancer.backends[0].set_address(Instant::now(), server, address);
    };
    let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    move_to(away.address);
    let mut client = plane.connect();
    client.write_all(get.as_bytes()).unwrap();
    is_asked.recv().unwrap();
    move_to(home.address);
    answer.send(()).unwrap();
    assert!(read_message(&mut client).unwrap().ends_with("away"));
    plane.entry();
    drop(answer);
    assert!(ask(&mut client, get).ends_with("home"));
    drop(client);
    plane.stop();
}
