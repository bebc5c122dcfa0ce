//! `option external-check`: what programs are told, and what follows from how they end.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    thread,
    time::{Duration, Instant},
};

use super::results;
use crate::{
    compare::Pair,
    peer::{Peer, haproxy_is_installed},
};

/// Notes its arguments and its environment in the first directory of its `PATH`, and ends as its proxy's name says.
const PROGRAM: &str = r#"#!/bin/sh
note=${PATH%%:*}/$HAPROXY_PROXY_NAME.told
{ echo "$#" "$@"; env | grep -v -e ^PWD= -e ^_= | sort; grep NoNewPrivs /proc/self/status; } > "$note.new"
mv "$note.new" "$note"
case $HAPROXY_PROXY_NAME in
bad*) exit 3 ;;
slow) exec sleep 60 ;;
killed) kill -9 $$ ;;
esac
"#;

/// Proxies whose servers are checked by it. A check's time is its interval: on a busy machine programs take long.
const PROXIES: &[&str] = &[
    "backend good\n server s 127.0.0.1:9 check inter 4s maxconn 7 id 12",
    "backend bad\n mode http\n server s [::1]:9 check inter 4s addr 127.0.0.7 port 77",
    "backend bad2\n mode http\n id 99\n server s 127.0.0.1:9 check inter 4s proto h2 ssl verify none",
    "backend unix\n server s unix@{dir}/none check inter 4s",
    "listen listens\n bind {front}\n bind {front2}\n server s 127.0.0.1:9 check inter 4s",
    "listen first_is_unix\n bind unix@{dir}/first\n bind {front3}\n server s 127.0.0.1:9 check inter 4s",
    "backend slow\n timeout connect 300ms\n server s 127.0.0.1:9 check inter 5s",
    "backend killed\n server s 127.0.0.1:9 check inter 4s",
    "backend absent\n external-check command no-such-program\n server s 127.0.0.1:9 check inter 4s",
];

/// What every proxy's program was told, without what differs between the peers.
fn told(peer: &Peer) -> BTreeMap<String, String> {
    let names = PROXIES
        .iter()
        .filter_map(|lines| lines.split([' ', '\n']).nth(1));
    let fronts = (0..).zip(&peer.fronts);
    let parts = fronts.flat_map(|(number, front)| {
        [
            (front.ip().to_string(), format!("FRONT{number}")),
            (front.port().to_string(), format!("PORT{number}")),
        ]
    });
    let parts: Vec<(String, String)> = parts.collect();
    let note = |name: &str| {
        let text = fs::read_to_string(peer.path(&format!("{name}.told"))).ok()?;
        let text = peer.named(&text);
        let text = parts
            .iter()
            .fold(text, |text, (part, name)| text.replace(part, name));
        Some((name.to_owned(), text))
    };
    names.filter_map(note).collect()
}

/// What the statistics say of those that are not being checked right now; HAProxy has no words for programs that were killed
/// or could not be started, and does not say that a check is over whose program it has killed.
fn ends(peer: &Peer) -> BTreeMap<String, String> {
    let mut ends = results(peer);
    for name in ["killed", "absent"] {
        if let Some(end) = ends.get_mut(name) {
            *end = end.split(" | ").take(2).collect::<Vec<_>>().join(" | ");
        }
    }
    ends.remove("slow");
    let stat = peer.ask("show stat");
    let late = stat.lines().any(|line| {
        line.starts_with("slow,s,") && line.contains(",DOWN,") && line.contains("PROCTOUT,")
    });
    if late {
        ends.insert("slow".to_owned(), "late".to_owned());
    }
    ends
}

/// How each proxy's checks ended, and what its program was told.
type Seen = (BTreeMap<String, String>, BTreeMap<String, String>);

/// Adds what is to be seen now.
fn look(peer: &Peer, seen: &mut Seen) {
    seen.0.extend(ends(peer));
    seen.1.extend(told(peer));
}

#[test]
fn programs_check_servers_alike() {
    if !haproxy_is_installed("programs_check_servers_alike") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    fs::write(&program, PROGRAM).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut config = format!(
        "global\n external-check\n insecure-fork-wanted\n nbthread 1\n stats socket {{dir}}/stats level admin\n\
         defaults\n mode tcp\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n timeout check 5s\n\
         option external-check\n external-check command {}\n external-check path {{dir}}:/usr/bin:/bin\n\
         default-server rise 1 fall 1\n",
        program.display()
    );
    for lines in PROXIES {
        config += lines;
        config.push('\n');
    }
    let pair = Pair::start(&config);
    let deadline = Instant::now() + Duration::from_secs(60);
    // Not all servers are at rest at once: of each, what was last said stays.
    let (mut theirs, mut ours) = <(Seen, Seen)>::default();
    loop {
        look(&pair.haproxy, &mut theirs);
        look(&pair.ha_lb, &mut ours);
        let is_complete = theirs.0.len() == PROXIES.len()
            && theirs.1.len() == PROXIES.len() - 1
            && !theirs.0.values().any(|end| end.contains("| INI"));
        if is_complete && theirs == ours {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "haproxy: {theirs:#?}\nha-lb: {ours:#?}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}
