//! `peers`: HAProxy and ha-lb as two hosts that share their stick tables.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use crate::{
    case::{Case, PATIENT, Step, sends},
    client,
    peer::{Peer, Program, free_addresses, haproxy_is_installed},
};

/// The file of one host. All but `localpeer` is the same on both. Rates are of an hour: what they were when they were looked
/// at first they still are when a process that has to wait for its peers has learned them.
fn config(local: &str, [a, b]: [SocketAddr; 2]) -> String {
    format!(
        "{{global}}    localpeer {local}
{{http}}    timeout connect 10s
    timeout client 5s
    timeout server 5s
peers pair
    peer a {a}
    peer b {b}
    table own type string len 20 size 100 expire 10m store gpc0,http_req_cnt,http_req_rate(1h)
listen web
    bind {{front}}
    http-request track-sc0 hdr(x-own) table pair/own if {{ req.hdr(x-own) -m found }}
    http-request sc-inc-gpc0(0) if {{ req.hdr(x-own) -m found }}
    http-request track-sc1 hdr(x-array) table arrays if {{ req.hdr(x-array) -m found }}
    http-request sc-inc-gpc(1,1) if {{ req.hdr(x-array) -m found }}
    http-request sc-set-gpt(0,1) 7 if {{ req.hdr(x-array) -m found }}
    http-request track-sc2 hdr(x-ip) table addresses if {{ req.hdr(x-ip) -m found }}
    http-response set-header x-array %[sc_get_gpc(1,1)],%[sc_gpc_rate(1,1)],%[sc_get_gpt(0,1)],%[sc_get_gpc0(1)]
    stick-table type string len 32 size 100 expire 10m peers pair
    stick on hdr(x-user)
    server one {{a}} id 11
    server two {{b}} id 12
backend arrays
    stick-table type integer size 100 expire 10m peers pair store gpc(2),gpt(1),gpc_rate(2,1h)
backend addresses
    stick-table type ipv6 size 100 expire 10m peers pair store conn_cur,conn_cnt
"
    )
}

/// The entries of a table by key, without addresses and times.
fn entries(peer: &Peer, table: &str) -> Vec<String> {
    let answer = peer.ask(&format!("show table {table}"));
    let lines = answer.lines().filter_map(|line| {
        let (_, entry) = line.split_once(": key=")?;
        let words = entry.split(' ');
        let words = words.filter(|word| !word.starts_with("exp=") && !word.starts_with("use="));
        Some(words.collect::<Vec<_>>().join(" "))
    });
    lines.collect()
}

/// What each of them knows, for whoever has to find out why.
fn shown(peers: &[&Peer]) -> String {
    let of = |peer: &&Peer| {
        let tables = ["web", "pair/own", "arrays", "addresses"].map(|t| entries(peer, t));
        format!("{}\n{tables:#?}\n{}", peer.ask("show peers"), peer.output())
    };
    peers.iter().map(of).collect::<Vec<_>>().join("\n----\n")
}

fn until(what: &str, peers: &[&Peer], holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        let late = Instant::now() > deadline;
        assert!(!late, "not in time: {what}\n{}", shown(peers));
        thread::sleep(Duration::from_millis(20));
    }
}

const ANN: &Case = &sends(
    "ann",
    &[Step::Send(
        b"GET / HTTP/1.0\r\nX-User: ann\r\nX-Own: o\r\n\r\n",
    )],
);
const JOE: &Case = &sends(
    "joe",
    &[Step::Send(
        b"GET / HTTP/1.0\r\nX-User: joe\r\nX-Array: 5\r\nX-Ip: 2001:db8::7\r\n\r\n",
    )],
);
const EVE: &Case = &sends(
    "eve",
    &[Step::Send(b"GET / HTTP/1.0\r\nX-User: eve\r\n\r\n")],
);

/// The answer, once the connection is counted as gone.
fn ask(case: &Case, peer: &Peer) -> String {
    let case = case.silence(PATIENT);
    let received = client::play(&case, peer.fronts[0], &peer.origins[0], 1);
    peer.wait_for_clients(0, 0);
    String::from_utf8_lossy(&received.bytes).into_owned()
}

#[test]
fn two_hosts_know_what_each_of_them_learned() {
    if !haproxy_is_installed("two_hosts_know_what_each_of_them_learned") {
        return;
    }
    let addresses = free_addresses::<2>();
    let theirs = Peer::start(Program::HaProxy, &config("a", addresses));
    let ours = Peer::start(Program::HaLb, &config("b", addresses));
    ask(ANN, &theirs);
    let answer = ask(JOE, &ours);
    assert!(answer.contains("x-array: 1,1,7,0"), "{answer}");
    let both = [&theirs, &ours];
    until("each has both users", &both, || {
        both.iter().all(|peer| entries(peer, "web").len() == 2)
    });
    // Names and numbers of servers, and everything that counts, are the same on both.
    for table in ["web", "pair/own", "arrays", "addresses"] {
        until(table, &both, || {
            let [a, b] = both.map(|peer| entries(peer, table));
            a == b && !a.is_empty()
        });
    }
    assert!(
        entries(&theirs, "web")[1].starts_with("joe server_id=1"),
        "{:?}",
        entries(&theirs, "web")
    );
    assert_eq!(
        entries(&ours, "pair/own"),
        ["o gpc0=1 http_req_cnt=1 http_req_rate(3600000)=1"]
    );

    // Ours begins anew and asks for everything; theirs is told no second time.
    drop(ours);
    let ours = Peer::start(Program::HaLb, &config("b", addresses));
    until("everything is learned again", &[&theirs, &ours], || {
        entries(&ours, "web").len() == 2 && entries(&ours, "arrays").len() == 1
    });
    // Theirs begins anew, and learns from ours what ours has learned.
    drop(theirs);
    ask(EVE, &ours);
    let theirs = Peer::start(Program::HaProxy, &config("a", addresses));
    until("theirs is told everything", &[&theirs, &ours], || {
        entries(&theirs, "web").len() == 3 && entries(&theirs, "pair/own").len() == 1
    });
    let shown = ours.ask("show peers");
    assert!(
        shown.contains("id=a(remote,active)") && shown.contains("id=b(local,inactive)"),
        "{shown}"
    );
    assert!(ours.ask("show peers nope").contains("No such peers"));
    // Nobody sees the proxy that listens for them.
    assert!(!ours.ask("show stat").contains("pair"));
}

#[test]
fn a_process_that_goes_tells_the_one_that_has_taken_its_place() {
    if !haproxy_is_installed("a_process_that_goes_tells_the_one_that_has_taken_its_place") {
        return;
    }
    for (before, after) in [
        (Program::HaProxy, Program::HaLb),
        (Program::HaLb, Program::HaProxy),
    ] {
        // The other host is away: what is known comes from the process before.
        let file = config("a", free_addresses::<2>());
        let old = Peer::start_as_haproxy(before, &file, None);
        ask(ANN, &old);
        ask(JOE, &old);
        let tables = ["web", "pair/own", "arrays", "addresses"];
        let known = tables.map(|table| entries(&old, table));
        assert!(known.iter().all(|entries| !entries.is_empty()), "{known:?}");
        if before == Program::HaProxy {
            // It teaches nobody while it looks itself for somebody who knows more.
            until("its search is over", &[&old], || {
                let shown = old.ask("show peers");
                shown.contains("resync_timeout=<")
            });
        }
        let new = Peer::start_as_haproxy(after, &file, Some(&old));
        for (table, known) in tables.iter().zip(&known) {
            until(table, &[&new], || entries(&new, table) == *known);
        }
    }
}
