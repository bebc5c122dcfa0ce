//! `do-resolve`: names out of requests become addresses while their clients wait.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    thread,
};

use crate::{
    case::{Case, Step, sends},
    compare::assert_alike,
    resolution::{Says, answer},
};

const ASKED: &str = "{global}{http}    timeout connect 1s
    timeout client 20s
    timeout server 5s
resolvers dns
    nameserver ns1 {dns}
    resolve_retries 1
    timeout resolve 1s
    timeout retry 500ms
    hold valid 1ms
frontend front
    bind {front}
    http-request set-var(txn.six) src if { path /kept }
    http-request do-resolve(txn.ip,dns,ipv4) req.hdr(host),host_only
    http-request do-resolve(txn.six,dns,ipv6) path,field(2,/) if { path_end .example /kept }
    http-request do-resolve(txn.any,dns) req.hdr(x-name)
    http-request capture var(txn.ip) len 40
    http-request return status 200 content-type text/plain lf-string \"4 %[var(txn.ip)] 6 %[var(txn.six)] any %[var(txn.any)]\" if { path_beg /show } or { path_end .example /kept }
    http-request deny deny_status 503 unless { var(txn.ip) -m found }
    default_backend anywhere
backend anywhere
    http-request deny if { var(txn.ip) -m ip 192.0.2.0/24 }
    http-request set-dst var(txn.ip)
    http-request set-dst-port str({a}),field(2,:)
    server clear 0.0.0.0:0
listen raw
    bind {front2}
    mode tcp
    tcp-request inspect-delay 10s
    tcp-request content set-dst-port str({a}),field(2,:)
    tcp-request content do-resolve(sess.ip,dns,ipv4) req.ssl_sni,lower if FALSE
    tcp-request content do-resolve(sess.ip,dns,ipv4) str(web.example)
    tcp-request content reject unless { var(sess.ip) -m ip 127.0.0.1 }
    tcp-request content set-dst var(sess.ip)
    server clear 0.0.0.0:0
";

const WEB: Says = Says::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));
const SIX: Says = Says::Address(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7)));
const FAR: Says = Says::Address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 5)));

/// What is known of a name.
fn zone(name: &str) -> Says {
    match name {
        "web.example" => WEB,
        "six.example" => SIX,
        "far.example" => FAR,
        "silent.example" => Says::Nothing,
        "refused.example" => Says::Status(5),
        _ => Says::Status(3),
    }
}

fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut room = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut room) {
            let query = &room[..length];
            if let Some(answer) = answer(query, zone(&name(query))) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    address
}

/// The name that is asked for.
fn name(query: &[u8]) -> String {
    let mut labels = Vec::new();
    let mut rest = &query[12..];
    while let Some((length, more)) = rest.split_first()
        && *length > 0
    {
        let (label, behind) = more.split_at(usize::from(*length));
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        rest = behind;
    }
    labels.join(".")
}

const CASES: &[Case] = &[
    sends("to where a name is", &[Step::Send(b"GET / HTTP/1.1\r\nHost: web.example:81\r\n\r\n")]),
    sends("again and again", &[
        Step::Send(b"GET /1 HTTP/1.1\r\nHost: web.example\r\n\r\n"),
        Step::Until(b"ok"),
        Step::Send(b"GET /2 HTTP/1.1\r\nHost: WEB.Example\r\n\r\n"),
    ]).logs(2),
    sends("a body on its way", &[
        Step::Send(b"POST / HTTP/1.1\r\nHost: web.example\r\nContent-Length: 10\r\n\r\n01234"),
        Step::Send(b"56789"),
    ]),
    sends("requests behind it", &[
        Step::Send(b"GET /1 HTTP/1.1\r\nHost: web.example\r\n\r\nGET /show HTTP/1.1\r\nHost: far.example\r\n\r\n"),
    ]).logs(2),
    sends("the other family", &[Step::Send(b"GET /six.example HTTP/1.1\r\nHost: six.example\r\n\r\n")]),
    sends("families that are not preferred", &[
        Step::Send(b"GET /web.example HTTP/1.1\r\nHost: web.example\r\nX-Name: web.example\r\n\r\n"),
    ]),
    sends("what was there stays", &[Step::Send(b"GET /kept HTTP/1.1\r\nHost: web.example\r\n\r\n")]),
    sends("no such name", &[Step::Send(b"GET / HTTP/1.1\r\nHost: none.example\r\n\r\n")]),
    sends("no name", &[Step::Send(b"GET / HTTP/1.0\r\n\r\n")]),
    sends("no name that can be", &[Step::Send(b"GET /show HTTP/1.1\r\nHost: a..b\r\n\r\n")]),
    sends("refused", &[Step::Send(b"GET / HTTP/1.1\r\nHost: refused.example\r\n\r\n")]),
    sends("nobody answers", &[
        Step::Send(b"GET /show HTTP/1.1\r\nHost: silent.example\r\n\r\n"),
        Step::Until(b"any "),
    ]),
    sends("where nobody may go", &[Step::Send(b"GET / HTTP/1.1\r\nHost: far.example\r\n\r\n")]),
    sends("a connection", &[Step::Send(b"GET /tcp HTTP/1.0\r\n\r\n")]).front(1),
];

#[test]
fn names_become_addresses_while_clients_wait() {
    let config = ASKED.replace("{dns}", &name_server().to_string());
    assert_alike("names_become_addresses_while_clients_wait", &config, CASES);
}
