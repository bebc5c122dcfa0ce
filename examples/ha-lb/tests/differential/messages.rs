//! What rules change and tell besides a message, how long a message is, and what WebSockets are spoken in.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::{
    case::{Act, Case, Step, sends},
    compare::assert_alike,
    peer::{Peer, Program, haproxy_is_installed},
    pki::Pki,
};

const RULES: &str = "{global}    h1-case-adjust x-served-by X-Served-By
    h1-case-adjust content-length Content-Length
    h1-case-adjust set-cookie Set-Cookie
{http}    timeout connect 10s
    timeout client 5s
    timeout server 5s
frontend front
    bind {front}
    acl known path -f DIR/known
    http-request add-acl(DIR/known) %[path] if { method PUT }
    http-request del-acl(DIR/known) %[path] if { method DELETE }
    http-request early-hint Link \"</a.css>; rel=preload\" if { path_beg /hint }
    http-request early-hint Link \"</%[req.hdr(x-name)].js>; rel=preload\" if { path /hints }
    http-request set-nice 5
    http-request wait-for-body time 1s if { method POST }
    http-request set-header x-known yes if known
    http-request set-header x-len \"%[req.len] %[internal.strm.is_htx]\"
    default_backend first
backend first
    http-response wait-for-body time 1s
    http-response set-header x-len %[res.len]
    server one {a}
frontend relaxed
    bind {front2}
    option accept-invalid-http-request
    default_backend odd
backend odd
    option accept-invalid-http-response
    server one {a}
frontend persistent
    bind {front3}
    option h1-case-adjust-bogus-client
    use_backend checked if { path_beg /checked }
    default_backend held
backend held
    cookie S insert indirect
    ignore-persist if { path /ignored }
    force-persist if { path /forced }
    option h1-case-adjust-bogus-server
    http-send-name-header X-Served-By
    server one {a} cookie c1
    server two {b} cookie c2 disabled
backend checked
    option checkcache
    server one {a}
";

const fn get(name: &'static str, steps: &'static [Step]) -> Case {
    sends(name, steps)
}

const CASES: &[Case] = &[
    get("messages_known", &[Step::Send(b"GET /known HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("messages_added", &[
        Step::Send(b"GET /new HTTP/1.1\r\nHost: h\r\n\r\n"), Step::Until(b"ok"),
        Step::Send(b"PUT /new HTTP/1.1\r\nHost: h\r\n\r\n"), Step::Until(b"ok"),
        Step::Send(b"GET /new HTTP/1.1\r\nHost: h\r\n\r\n"), Step::Until(b"ok"),
        Step::Send(b"DELETE /new HTTP/1.1\r\nHost: h\r\n\r\n"), Step::Until(b"ok"),
        Step::Send(b"GET /new HTTP/1.1\r\nHost: h\r\n\r\n"),
    ]).logs(5),
    get("messages_hint", &[Step::Send(b"GET /hint HTTP/1.1\r\nHost: h\r\n\r\n")]),
    get("messages_hints", &[Step::Send(b"GET /hints HTTP/1.1\r\nHost: h\r\nX-Name: n\r\n\r\n")]),
    get("messages_no_host", &[Step::Send(b"GET /a HTTP/1.1\r\n\r\n")]).front(1),
    get("messages_fragment", &[Step::Send(b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n")]).front(1),
    get("messages_odd_name", &[Step::Send(b"GET /a HTTP/1.1\r\nHost: h\r\nX(y)[z]: 1\r\n\r\n")]).front(1),
    get("messages_bare_lf", &[Step::Send(b"GET /a HTTP/1.1\nHost: h\n\n")]).front(1),
    get("messages_blank_before_colon", &[Step::Send(b"GET /a HTTP/1.1\r\nHost: h\r\nContent-Length : 1\r\n\r\nx")]).front(1),
    get("messages_odd_response", &[Step::Send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")]).front(1)
        .origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\nX(y): 1\nContent-Length: 0\n\n")]),
    get("messages_persist_usual", &[Step::Send(b"GET /a HTTP/1.1\r\nHost: h\r\nCookie: S=c2\r\nX-Served-By: me\r\n\r\n")]).front(2),
    get("messages_persist_forced", &[Step::Send(b"GET /forced HTTP/1.1\r\nHost: h\r\nCookie: a=b; S=c2\r\n\r\n")]).front(2),
    get("messages_persist_ignored", &[Step::Send(b"GET /ignored HTTP/1.1\r\nHost: h\r\nCookie: S=c1\r\n\r\n")]).front(2),
    get("messages_persist_ignored_none", &[Step::Send(b"GET /ignored HTTP/1.1\r\nHost: h\r\n\r\n")]).front(2),
    get("messages_named_with_body", &[Step::Send(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")]).front(2),
    get("messages_checked_blocked", &[Step::Send(b"GET /checked HTTP/1.1\r\nHost: h\r\n\r\n")]).front(2).logs(2)
        .origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nETag: t\r\nContent-Length: 0\r\n\r\n")]),
    get("messages_checked_unknown", &[Step::Send(b"GET /checked HTTP/1.1\r\nHost: h\r\n\r\n")]).front(2)
        .origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n")]),
    get("messages_checked_private", &[Step::Send(b"GET /checked HTTP/1.1\r\nHost: h\r\n\r\n")]).front(2)
        .origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nCache-Control: private\r\nContent-Length: 0\r\n\r\n")]),
    get("messages_checked_post", &[Step::Send(b"POST /checked HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")]).front(2)
        .origin(&[Act::Head, Act::Send(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n")]),
    get("messages_length", &[Step::Send(b"POST /long?q=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\n12345")]),
];

#[test]
fn lists_hints_and_lengths_are_alike() {
    if !haproxy_is_installed("lists_hints_and_lengths_are_alike") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("known"), "/known\n").unwrap();
    let config = RULES.replace("DIR", &folder.path().to_string_lossy());
    assert_alike("lists_hints_and_lengths_are_alike", &config, CASES);
}

const WEBSOCKETS: &str = "{global}{http}    timeout connect 10s
    timeout client 30s
    timeout server 30s
    retries 0
frontend front
    bind {front}
    use_backend b%[req.hdr(x-case)]
frontend inner
    bind {front2} ssl crt {pki}/one.pem alpn h2,http/1.1
    bind {front3}
    http-request return status 200 hdr x-spoken \"%[req.ver] %[ssl_fc_alpn]\"
";

/// The words of the server, in the order of their backends.
const SERVERS: &[&str] = &[
    "{front3}",
    "{front3} ws h2",
    "{front3} ws h1",
    "{front3} proto h2",
    "{front3} proto h2 ws h1",
    "{front2} ssl verify none alpn h2,http/1.1",
    "{front2} ssl verify none alpn h2,http/1.1 ws h1",
    "{front2} ssl verify none alpn h2,http/1.1 ws h2",
    "{front2} ssl verify none alpn h2",
    "{front2} ssl verify none alpn http/1.1",
];

/// Status and `x-spoken` of a request of `case`, plain or for a WebSocket.
fn spoken(front: SocketAddr, case: usize, websocket: bool) -> String {
    let upgrade = match websocket {
        true => {
            "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        }
        false => "",
    };
    let mut client = TcpStream::connect(front).unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: h\r\nX-Case: {case}\r\n{upgrade}\r\n");
    client.write_all(request.as_bytes()).unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && client.read_exact(&mut byte).is_ok() {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let status = head.lines().next().and_then(|line| line.split(' ').nth(1));
    let spoken = head.lines().find(|line| line.starts_with("x-spoken"));
    // HTTP/2 has no blanks at the ends of values.
    let spoken = spoken.unwrap_or("-").trim_end();
    format!("{} {spoken}", status.unwrap_or("-"))
}

#[test]
fn websockets_are_spoken_in_what_haproxy_speaks_them_in() {
    if !haproxy_is_installed("websockets_are_spoken_in_what_haproxy_speaks_them_in") {
        return;
    }
    let pki = Pki::new();
    pki.server("one", "DNS:one.test");
    let folder = pki.path("");
    let mut config = WEBSOCKETS.replace("{pki}", folder.to_str().unwrap().trim_end_matches('/'));
    for (number, server) in SERVERS.iter().enumerate() {
        config += &format!("backend b{number}\n    server s {server}\n");
    }
    let start = |program| Peer::start(program, &config);
    let (haproxy, ha_lb) = (start(Program::HaProxy), start(Program::HaLb));
    for (case, server) in SERVERS.iter().enumerate() {
        for websocket in [false, true] {
            let expected = spoken(haproxy.fronts[0], case, websocket);
            let got = spoken(ha_lb.fronts[0], case, websocket);
            assert_eq!(got, expected, "{server}, for a WebSocket: {websocket}");
            assert!(!got.starts_with('-'), "{server}");
        }
    }
}
