//! Maps: the same files and the same questions give the same values.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::{
    compare::Pair,
    peer::{Peer, haproxy_is_installed},
};

const HOSTS: &str = "# names\nwww.site.example web\n.example any # not a comment\nsite two  words \nwww.site.example late\n";
const PATHS: &str = "/a short\n/a/b long\n/img/ pictures\nstatic files\n";
const PATTERNS: &str = "^/v[0-9]+/ api\n\\.php$ old\n";
const NETWORKS: &str = "127.0.0.0/8 loop\n127.0.0.1 me\n10.0.0.0/8 ten\n";
const NUMBERS: &str = "1:3 few\n7 seven\n5: many\n";

const EXPRESSIONS: &[&str] = &[
    "req.hdr(host),map(DIR/hosts,none)",
    "req.hdr(host),map_str(DIR/hosts)",
    "req.hdr(host),map_end(DIR/hosts,none)",
    "req.hdr(host),map_sub(DIR/hosts,none)",
    "req.hdr(host),map_dom(DIR/hosts,none)",
    "req.hdr(host),lower,map_beg(DIR/hosts,none)",
    "path,map_beg(DIR/paths,none)",
    "path,map_dir(DIR/paths,none)",
    "path,map_sub(DIR/paths)",
    "path,map_reg(DIR/patterns,none)",
    "src,map_ip(DIR/networks,none)",
    "path,length,map_int(DIR/numbers,none)",
];

const TARGETS: &[(&str, &str)] = &[
    ("/", "www.site.example"),
    ("/a/b/c", "WWW.site.example"),
    ("/ab", "x.site"),
    ("/img/x.png", "a.site.b"),
    ("/v2/thing", "x.example"),
    ("/x/static/y", "site"),
    ("/index.php", "mysite"),
    ("/a", "site.example.org"),
    ("/static", "none"),
];

/// The content of the answer to a request.
fn content(peer: &Peer, method: &str, target: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(peer.fronts[0]).unwrap();
    let request = format!("{method} {target} HTTP/1.0\r\nhost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let content = answer.split("\r\n\r\n").nth(1);
    content.unwrap_or_default().to_owned()
}

#[test]
fn maps_answer_alike() {
    if !haproxy_is_installed("maps_answer_alike") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("hosts", HOSTS),
        ("paths", PATHS),
        ("patterns", PATTERNS),
        ("networks", NETWORKS),
        ("numbers", NUMBERS),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let values: Vec<String> = EXPRESSIONS.iter().map(|e| format!("[%[{e}]]")).collect();
    let config = format!(
        "global\n tune.pattern.cache-size 0\n stats socket {{dir}}/stats level admin\ndefaults\n mode http\n timeout connect 10s\n \
         timeout client 5s\n timeout server 5s\nfrontend f\n bind {{front}}\n http-request return status 200 \
         content-type text/plain lf-string \"{}\"\n",
        values.join(" ")
    );
    let pair = Pair::start(&config.replace("DIR", folder.path().to_str().unwrap()));
    for (target, host) in TARGETS {
        let [theirs, ours] =
            [&pair.haproxy, &pair.ha_lb].map(|peer| content(peer, "GET", target, host));
        assert_eq!(ours, theirs, "{target} {host}, left: ha-lb, right: haproxy");
    }
}

const CHANGED: &str = "{global}{http}    timeout connect 10s
    timeout client 5s
    timeout server 5s
frontend f
    bind {front}
    http-request set-map(DIR/hosts) %[path] %[req.hdr(host)] if { method PUT }
    http-request del-map(DIR/hosts) %[path] if { method DELETE }
    http-request return status 200 content-type text/plain lf-string \"%[path,map(DIR/hosts,none)] %[path,map_beg(DIR/hosts,none)]\"
";

/// The entries of an answer without the numbers in front of them.
fn unnumbered(answer: &str) -> Vec<String> {
    let lines = answer.lines().map(|line| match line.split_once(' ') {
        Some((number, entry)) if number.starts_with("0x") => entry.to_owned(),
        _ => line.to_owned(),
    });
    lines.collect()
}

#[test]
fn maps_change_alike() {
    if !haproxy_is_installed("maps_change_alike") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hosts"), "/a one\n/b two\n/a/b deep\n").unwrap();
    let map = folder.path().join("hosts").display().to_string();
    let pair = Pair::start(&CHANGED.replace("DIR", folder.path().to_str().unwrap()));
    let peers = [&pair.haproxy, &pair.ha_lb];
    let asked = |command: &str| {
        let command = command.replace("MAP", &map);
        let [theirs, ours] = peers.map(|peer| unnumbered(&peer.ask(&command)));
        assert_eq!(ours, theirs, "{command}, left: ha-lb, right: haproxy");
    };
    let requested = |method: &str, target: &str| {
        let [theirs, ours] = peers.map(|peer| content(peer, method, target, "new"));
        assert_eq!(
            ours, theirs,
            "{method} {target}, left: ha-lb, right: haproxy"
        );
    };
    let all = || {
        asked("show map MAP");
        for target in ["/a", "/b/c", "/c", "/a/b"] {
            requested("GET", target);
        }
    };
    all();
    for command in [
        "add map MAP /c three",
        "set map MAP /a first",
        "set map MAP /nope x",
        "del map MAP /b",
        "del map MAP /b",
        "add map MAP /d",
        "show map nope",
        "set map nope a b",
        "prepare map MAP",
        "add map @1 MAP /z last",
        "show map @1 MAP",
        "add map @7 MAP /z last",
        "commit map @1 MAP",
        "clear map MAP",
    ] {
        asked(command);
        all();
    }
    for (method, target) in [
        ("PUT", "/c"),
        ("PUT", "/c"),
        ("PUT", "/e"),
        ("DELETE", "/c"),
    ] {
        requested(method, target);
        all();
    }
}
