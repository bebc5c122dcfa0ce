//! Servers that come and go on the command line, beside HAProxy.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    admin::agree,
    case::{Case, PATIENT, Step},
    client,
    compare::Pair,
    normal,
    peer::{Peer, haproxy_is_installed},
};

const CONFIG: &str = "{global}{http}    timeout connect 10s
    timeout client 5s
    timeout server 5s
frontend front
    bind {front}
    acl busy srv_sess_rate(switched/asked) gt 50
    default_backend servers
backend switched
    server asked {dead} disabled
    server plain {dead} disabled no-ssl
    default-server ssl verify none
    server later {dead} disabled no-ssl
backend servers
    balance roundrobin
    use-server kept if { path /kept }
    server kept {dead} check inter 100ms fall 1 agent-check agent-port 9 agent-inter 1s
    server other {dead} disabled
backend fixed
    balance static-rr
backend hashed
    balance source
backend consistent
    balance source
    hash-type consistent
backend plain
    mode tcp
    balance leastconn
";

/// Commands whose answers are HAProxy's; `{a}` is where an origin listens.
const COMMANDS: &[&str] = &[
    "add server",
    "add server servers",
    "add server servers/",
    "add server nope/s1 {a}",
    "add server servers/s1",
    "add server fixed/s1 {a}",
    "add server hashed/s1 {a}",
    "add server consistent/s1 {a}",
    "add server plain/s1 {a} proto h2",
    "add server servers/s1 {a} cookie c",
    "add server servers/s+1 {a}",
    "add server servers/s1 {a} track nope",
    "add server servers/s1 {a} track other",
    "add server servers/s1 {a} weight 3 maxconn 20 check inter 100ms",
    "add server servers/s1 {a}",
    "add server servers/s2 {a} track s1",
    "add server servers/s2 {a} track kept",
    "set server servers/s2 health down",
    "add server servers/s3 nowhere.invalid:80",
    "set server servers/other check-port 99",
    "set server servers/other agent-addr 127.0.0.1",
    "set server servers/kept check-port",
    "set server servers/kept check-port x",
    "set server servers/kept check-port 70000",
    "set server servers/kept check-addr",
    "set server servers/kept check-addr nowhere",
    "set server servers/kept agent-port",
    "set server servers/kept check-port 99",
    "set server servers/kept check-addr 127.0.0.2 port 98",
    "set server servers/kept agent-addr 127.0.0.3",
    "set server servers/kept agent-port 97",
    "set server servers/kept agent-send hello",
    "set server servers/kept fqdn",
    "set server servers/kept fqdn web.example",
    "set server servers/kept ssl on",
    "show servers conn nope",
    "del server",
    "del server nope/s1",
    "del server servers/nope",
    "del server servers/kept",
    "disable server servers/kept; del server servers/kept",
    "del server servers/s3",
    "del server servers/other",
    "enable server servers/other",
];

fn answer(peer: &Peer, command: &str) -> String {
    let origin = peer.origins[0].address.to_string();
    let answer = peer.ask(&command.replace("{a}", &origin));
    // Some of HAProxy's refusals lack the end of their line.
    format!("{command}\n{}\n", peer.named(answer.trim_end()))
}

/// The status of a request.
fn status(peer: &Peer) -> String {
    const GET: &[Step] = &[Step::Send(
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    )];
    let case = Case::new("get", GET).silence(PATIENT);
    let received = client::play(&case, peer.fronts[0], &peer.origins[0], 1);
    // A server with connections cannot be removed.
    peer.wait_for_clients(0, 0);
    let text = normal::text(&received.bytes);
    text.lines().next().unwrap_or_default().to_owned() + "\n"
}

/// Names, checks and agents of the servers.
fn servers(peer: &Peer) -> String {
    let text = peer.ask("show servers state servers");
    let rows = text.lines().skip(2).map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let of = |at: usize| words.get(at).copied().unwrap_or_default();
        [2, 3, 7, 8, 17, 20, 21, 22, 23, 24]
            .map(of)
            .join(" ")
            .trim()
            .to_owned()
            + "\n"
    });
    rows.collect()
}

/// What is done with servers that rules ask about, or that are not to speak TLS.
const OF_TLS: &[&str] = &[
    "del server switched/asked",
    "set server switched/plain ssl on",
    "set server switched/later ssl on",
    "set server switched/later ssl off",
];

#[test]
fn tls_to_a_server_is_switched() {
    if !haproxy_is_installed("tls_to_a_server_is_switched") {
        return;
    }
    let pair = Pair::start(CONFIG);
    let state = |peer: &Peer| {
        let text = peer.ask("show servers state switched");
        let rows = text.lines().skip(2).map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            [3, 20]
                .map(|at| words.get(at).copied().unwrap_or_default())
                .join(" ")
                + "\n"
        });
        rows.collect()
    };
    agree(&pair, "at first", state);
    for command in OF_TLS {
        let [theirs, ours] = [&pair.haproxy, &pair.ha_lb].map(|peer| answer(peer, command));
        assert_eq!(theirs, ours);
        agree(&pair, command, state);
    }
}

#[test]
fn servers_come_and_go() {
    if !haproxy_is_installed("servers_come_and_go") {
        return;
    }
    let pair = Pair::start(CONFIG);
    agree(&pair, "nobody serves", status);
    assert!(status(&pair.ha_lb).contains(" 503 "));
    for command in COMMANDS {
        let (theirs, ours) = (answer(&pair.haproxy, command), answer(&pair.ha_lb, command));
        assert_eq!(theirs, ours);
    }
    agree(&pair, "servers", servers);
    // A server that was added waits to be enabled.
    agree(&pair, "still nobody serves", status);
    for command in [
        "enable server servers/s1",
        "enable health servers/s1",
        "del server servers/s1",
    ] {
        assert_eq!(answer(&pair.haproxy, command), answer(&pair.ha_lb, command));
    }
    agree(&pair, "the new server serves", status);
    assert!(status(&pair.ha_lb).contains(" 200 "));
    let checked = |peer: &Peer| {
        let text = peer.ask("show stat servers 4 -1");
        let row = text.lines().find(|row| row.starts_with("servers,s1,"));
        row.is_some_and(|row| row.contains(",L4OK,")).to_string() + "\n"
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while [&pair.haproxy, &pair.ha_lb].map(checked) != ["true\n", "true\n"] {
        assert!(Instant::now() < deadline, "nobody checks it");
        thread::sleep(Duration::from_millis(20));
    }
    for command in [
        "disable server servers/s1; del server servers/s1",
        "disable server servers/s1",
    ] {
        assert_eq!(answer(&pair.haproxy, command), answer(&pair.ha_lb, command));
    }
    agree(&pair, "it is gone", status);
    agree(&pair, "the rest", servers);
}
