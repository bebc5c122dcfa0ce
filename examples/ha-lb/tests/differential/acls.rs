//! Patterns of ACLs and variables of the process: the same commands give the same answers, and what they change holds.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::{compare::Pair, peer::haproxy_is_installed};

const CONFIG: &str = "global
    tune.pattern.cache-size 0
    stats socket {dir}/stats level admin
    set-var proc.n int(5)
    set-var proc.s str(abc)
    set-var proc.b bool(true)
    set-var proc.a ipv4(192.0.2.1)
defaults
    mode http
    timeout connect 10s
    timeout client 5s
    timeout server 5s
frontend f
    bind {front}
    acl named path_beg /a /a/b
    acl listed req.hdr(x) -i -f DIR/words extra
    acl near src -f DIR/networks
    acl many req.hdr_cnt(x) -f DIR/numbers
    acl asked req.hdr(y) -u 77 yes
    acl more req.hdr_cnt(y) gt 1
    acl keyed req.hdr(y) -M -f DIR/pairs
    acl parts req.hdr(x) -m dom -f DIR/words
    http-request set-header a %[req.hdr(host),map_end(DIR/pairs,none)]
    http-request return status 200 content-type text/plain string named if named
    http-request return status 200 content-type text/plain string listed if listed
    http-request return status 200 content-type text/plain string far if !near
    http-request return status 200 content-type text/plain string keyed if keyed || asked || many || more || parts
    http-request return status 200 content-type text/plain string none
";

/// Commands that nothing has gone before.
const COMMANDS: &[&str] = &[
    "show acl",
    "show map",
    "show acl #77",
    "get acl #77 yes",
    "get acl #77 no",
    "get acl DIR/words One",
    "get acl DIR/networks 127.0.0.1",
    "get acl DIR/networks 10.1.2.3",
    "get acl DIR/networks nonsense",
    "get acl DIR/numbers 4",
    "get acl DIR/numbers 5",
    "get acl #0 /a/b/c",
    "get acl nope x",
    "get acl DIR/words",
    "get map DIR/pairs nope",
    "get map nope x",
    "add acl DIR/words four",
    "add acl DIR/pairs four",
    "add acl DIR/words",
    "show acl DIR/words",
    "del acl DIR/words one",
    "del acl DIR/words one",
    "del acl DIR/words",
];

/// Numbers of entries and places of configurations differ.
fn comparable(answer: &str) -> Vec<String> {
    let lines = answer.lines().filter(|line| !line.contains("httpclient"));
    let lines = lines.map(|line| match line.split_once(' ') {
        Some((number, entry)) if number.starts_with("0x") => entry.to_owned(),
        _ => {
            let mut rest = line;
            let mut text = String::new();
            while let Some((before, after)) = rest.split_once(" file '") {
                let Some((path, after)) = after.split_once('\'') else {
                    break;
                };
                let config = after.starts_with(" line ");
                let path = if config { "CONFIG" } else { path };
                text.push_str(&format!("{before} file '{path}'"));
                rest = after;
            }
            let text = text + rest;
            // HAProxy counts an entry once for each ACL that has read it.
            match text.split_once(" entry_cnt=") {
                Some((before, _)) if before.contains(", by ") => before.to_owned(),
                _ => text,
            }
        }
    });
    lines.collect()
}

#[test]
fn patterns_of_acls_change_alike() {
    if !haproxy_is_installed("patterns_of_acls_change_alike") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("words", "# words\none\n  two words\n\nsite.example\n"),
        ("networks", "127.0.0.0/8\n127.0.0.1\n10.0.0.0/8\n"),
        ("numbers", "3:4\n9\n"),
        ("pairs", "key value\n.example any\n"),
    ];
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let here = folder.path().to_str().unwrap();
    let pair = Pair::start(&CONFIG.replace("DIR", here));
    let peers = [&pair.haproxy, &pair.ha_lb];
    let asked = |command: &str| {
        let command = command.replace("DIR", here);
        let [theirs, ours] = peers.map(|peer| comparable(&peer.ask(&command)));
        assert_eq!(ours, theirs, "{command}, left: ha-lb, right: haproxy");
    };
    let requested = |target: &str, headers: &str| {
        let [theirs, ours] = peers.map(|peer| {
            let mut stream = TcpStream::connect(peer.fronts[0]).unwrap();
            let request = format!("GET {target} HTTP/1.0\r\n{headers}\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            let body = answer.split("\r\n\r\n").nth(1);
            body.unwrap_or_default().to_owned()
        });
        assert_eq!(ours, theirs, "{target} {headers}");
        ours
    };
    let all = || {
        let x = |value: &str| requested("/", &format!("x: {value}\r\n"));
        [
            requested("/a/x", ""),
            x("ONE"),
            x("four"),
            x("extra"),
            x("a.site.example"),
            requested("/", "y: yes\r\n"),
            requested("/", "y: key\r\n"),
        ]
    };
    let before = all();
    assert_eq!(
        before,
        [
            "named", "listed", "none", "listed", "keyed", "keyed", "keyed"
        ]
    );
    for command in COMMANDS {
        asked(command);
    }
    let changed = all();
    assert_eq!(changed[1..3], ["none", "listed"]);
    for command in [
        "prepare acl DIR/networks",
        "add acl @1 DIR/networks 192.0.2.0/24",
        "add acl @7 DIR/networks 192.0.2.0/24",
        "show acl @1 DIR/networks",
        "commit acl @9 DIR/networks",
        "commit acl DIR/networks",
    ] {
        asked(command);
    }
    assert_eq!(all(), changed, "what is prepared is not in force");
    asked("commit acl @1 DIR/networks");
    asked("show acl DIR/networks");
    assert_eq!(all()[2], "listed");
    assert_eq!(all()[1], "far");
    for command in [
        "clear acl DIR/words",
        "clear acl nope",
        "clear acl",
        "show acl nope",
    ] {
        asked(command);
    }
    assert_eq!(all()[2], "far");
}

#[test]
fn variables_of_the_process_are_read_and_set_alike() {
    if !haproxy_is_installed("variables_of_the_process_are_read_and_set_alike") {
        return;
    }
    let pair = Pair::start(
        &CONFIG
            .lines()
            .filter(|line| !line.contains("DIR"))
            .filter(|line| !line.contains("if listed") && !line.contains("near"))
            .filter(|line| !line.contains("keyed"))
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    );
    let peers = [&pair.haproxy, &pair.ha_lb];
    for command in [
        "get var proc.n",
        "get var proc.s",
        "get var proc.b",
        "get var proc.a",
        "get var proc.nope",
        "get var txn.x",
        "get var",
        "experimental-mode on; set var proc.n int(3); get var proc.n",
        "experimental-mode on; set var proc.q expr str(a\\ b); get var proc.q",
        "experimental-mode on; set var proc.r fmt x%[var(proc.n)]; get var proc.r",
        "experimental-mode on; set var txn.x int(1); set var proc.r; set var",
        "experimental-mode on; set var proc.x nonsense(3); get var proc.x",
    ] {
        let [theirs, ours] = peers.map(|peer| {
            let answer = peer.ask(command);
            let lines = answer.lines().filter(|line| !line.is_empty());
            lines.map(str::to_owned).collect::<Vec<String>>()
        });
        assert_eq!(ours, theirs, "{command}, left: ha-lb, right: haproxy");
    }
}
