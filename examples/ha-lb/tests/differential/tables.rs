//! Stick tables: what is counted when, what rules see of it, and the commands on tables. Nothing expires meanwhile, and no
//! rate begins to fall.

use std::{thread, time::Duration, time::Instant};

use crate::{
    case::{Act, Case, PATIENT, Step, sends},
    client,
    compare::Pair,
    normal,
    peer::{Peer, haproxy_is_installed},
};

const TABLES: &str = "{global}{http}    timeout connect 10s
    timeout client 5s
    timeout server 5s
frontend front
    bind {front}
    stick-table type ip size 1k expire 10m store gpc0,gpt0,conn_cnt,conn_cur,conn_rate(1h),sess_cnt,sess_rate(1h),http_req_cnt,http_req_rate(1h),http_err_cnt,http_err_rate(1h)
    tcp-request connection track-sc0 src
    http-request track-sc1 path,url_dec table keys
    http-request track-sc2 path,url_dec table bytes if { path_beg /odd }
    http-request deny if { path /deny }
    http-request auth if { path /auth }
    http-request sc-inc-gpc0(0) if { path /inc }
    http-request sc-set-gpt0(0) 9 if { path /inc }
    http-request return status 404 if { path /return }
    http-request return status 200 content-type text/plain lf-string \"%[sc0_conn_cnt] %[sc0_http_req_cnt] %[src_conn_cnt(keys_ip)] %[sc1_http_req_cnt] %[sc0_tracked] %[sc2_tracked] %[sc2_conn_cnt] %[src,table_conn_cnt(front)] %[src,in_table(front)] %[sc_trackers(0)] %[sc0_get_gpc0] %[sc0_get_gpt0] %[src_inc_gpc0(keys_ip)] %[src_clr_gpc0(keys_ip)] %[table_cnt(keys)] %[table_avl(keys)] %[nbsrv(servers)] %[be_conn(servers)] %[fe_conn] %[queue(servers)] %[avg_queue(servers)] %[srv_is_up(servers/one)] %[connslots(servers)] %[srv_conn(servers/one)]\\n\" if { path /show }
    monitor-uri /alive
    monitor fail if { nbsrv(servers) lt 2 }
    use_backend stuck if { path_beg /stuck }
    default_backend servers
backend keys
    stick-table type string len 20 size 100 expire 10m store gpc0,conn_cnt,conn_cur,http_req_cnt,http_req_rate(1h)
backend keys_ip
    stick-table type ip size 100 expire 10m store gpc0,conn_cnt
backend bytes
    stick-table type binary len 4 size 100 expire 10m store gpc0
backend few
    stick-table type string len 8 size 1 expire 10m nopurge store gpc0
backend servers
    server one {a}
    server two {b}
backend stuck
    stick-table type string len 10 size 100 expire 10m
    stick on hdr(x-user) if { path /stuck }
    server one {a}
    server two {b}
";

const MISSING: &[Act] = &[
    Act::Head,
    Act::Send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
];

const CASES: &[Case] = &[
    sends("plain", &[Step::Send(b"GET / HTTP/1.0\r\n\r\n")]),
    sends("deny", &[Step::Send(b"GET /deny HTTP/1.0\r\n\r\n")]),
    sends("auth", &[Step::Send(b"GET /auth HTTP/1.0\r\n\r\n")]),
    sends("return", &[Step::Send(b"GET /return HTTP/1.0\r\n\r\n")]),
    sends("inc", &[Step::Send(b"GET /inc HTTP/1.0\r\n\r\n")]),
    sends("missing", &[Step::Send(b"GET /missing HTTP/1.0\r\n\r\n")]).origin(MISSING),
    sends(
        "odd",
        &[Step::Send(
            b"GET /odd=%20a%5C%09%0A%0D%1B%07%7F%C3%A9 HTTP/1.0\r\n\r\n",
        )],
    ),
    sends("bad", &[Step::Send(b"BAD\r\n\r\n")]),
    sends("alive", &[Step::Send(b"GET /alive HTTP/1.0\r\n\r\n")]),
    sends(
        "stuck",
        &[Step::Send(b"GET /stuck HTTP/1.0\r\nX-User: joe\r\n\r\n")],
    ),
    sends(
        "unstuck",
        &[Step::Send(b"GET /stuck/no HTTP/1.0\r\nX-User: ann\r\n\r\n")],
    ),
    sends(
        "show",
        &[
            Step::Send(b"GET /show HTTP/1.1\r\nHost: h\r\n\r\n"),
            Step::Until(b"\n\r\n"),
            Step::Send(b"GET /show HTTP/1.0\r\n\r\n"),
        ],
    ),
];

const COMMANDS: &[&str] = &[
    "show table",
    "show table front",
    "show table keys",
    "show table stuck",
    "show table nope",
    "set table keys key /zz data.gpc0 5 data.http_req_rate 3",
    "show table keys key /zz",
    "show table keys data.gpc0 gt 3",
    "show table keys data.gpc0 gt x",
    "show table keys data.nope gt 3",
    "show table bytes",
    "set table keys key /zy data.gpc0 5 data.http_req_cnt 1",
    "show table keys data.gpc0 ge 5 data.http_req_cnt eq 1",
    "show table keys data.gpc0 ge 5 data.gpc0 le 9 data.http_req_cnt ge 0 data.http_req_cnt lt 1",
    "show table keys data.gpc0 ge 5 data.nope eq 1",
    "show table keys data.gpc0 ge 5 data.gpc0 zz 1",
    "show table keys data.gpc0 ge 5 data.gpc0 eq x",
    "show table keys data.gpc0 ge 5 data.gpt0 eq 1",
    "show table keys data.gpc0 eq 1 data.gpc0 eq 1 data.gpc0 eq 1 data.gpc0 eq 1 data.gpc0 eq 1",
    "clear table keys data.gpc0 ge 5 data.http_req_cnt eq 1",
    "show table keys data.gpc0 ge 5",
    "set table few key a data.gpc0 1",
    "set table few key b data.gpc0 1",
    "show table few",
    "clear table keys key /zz",
    "clear table keys key /nope",
    "show table keys key /zz",
    "clear table nope",
    "clear table keys data.http_req_cnt gt 1",
    "show table keys",
    "clear table keys",
    "show table keys",
    "set table keys key",
    "set table keys key a data.nope 3",
    "set table keys key a data.gpc0 x",
];

/// An answer without addresses of entries, times, and the name of the server, which is the peer's address.
fn stable(peer: &Peer, command: &str) -> String {
    let answer = peer.named(&peer.ask(command));
    let lines = answer.lines().map(|line| {
        let words = line.split(' ').filter(|word| !word.starts_with("0x"));
        let words = words.map(|word| match word.starts_with("exp=") {
            true => "exp",
            false => word,
        });
        words.collect::<Vec<_>>().join(" ") + "\n"
    });
    lines.collect::<String>().trim().to_owned()
}

/// The answer to a client whose connection ends with it, once it is counted as gone.
fn ended(peer: &Peer, case: &Case) -> String {
    let case = case.silence(PATIENT);
    let received = client::play(&case, peer.fronts[0], &peer.origins[0], 1);
    peer.wait_for_clients(0, 0);
    normal::text(&received.bytes)
}

#[test]
fn tables_count_and_answer_alike() {
    if !haproxy_is_installed("tables_count_and_answer_alike") {
        return;
    }
    let pair = Pair::start(TABLES);
    let peers = [&pair.haproxy, &pair.ha_lb];
    for case in CASES {
        let [theirs, ours] = peers.map(|peer| {
            peer.origins[0].play(case.origin);
            peer.origins[1].play(case.origin);
            ended(peer, case)
        });
        assert_eq!(ours, theirs, "{}", case.name);
        agree(peers, "show table front");
    }
    for command in COMMANDS {
        agree(peers, command);
    }
    for peer in peers {
        peer.ask("disable server servers/two");
    }
    let failed = &sends("failed", &[Step::Send(b"GET /alive HTTP/1.0\r\n\r\n")]);
    let [theirs, ours] = peers.map(|peer| ended(peer, failed));
    assert!(theirs.contains("503"), "{theirs}");
    assert_eq!(ours, theirs);
}

fn agree(peers: [&Peer; 2], command: &str) {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let [theirs, ours] = peers.map(|peer| stable(peer, command));
        if theirs == ours {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{command}\nhaproxy: {theirs}\nha-lb:   {ours}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}
