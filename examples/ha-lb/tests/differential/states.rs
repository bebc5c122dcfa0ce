//! `server-state-file`: servers begin as another process left them, beside HAProxy.

use crate::{compare::Pair, peer::haproxy_is_installed};

const CONFIG: &str = "{global}    server-state-base DIR
    server-state-file all
{http}    timeout connect 10s
    timeout client 5s
    timeout server 5s
    load-server-state-from-file global
frontend front
    bind {front}
    default_backend servers
backend servers
    server out {a} weight 5
    server drained {a} weight 5
    server heavy {a} weight 5
    server edited {a} weight 5
    server dead {dead} weight 5 check inter 100ms
    server unknown {a} weight 5
    server moved {a} weight 5
backend own
    load-server-state-from-file local
    server-state-file-name of-own
    server out {a}
backend named
    load-server-state-from-file local
    server out {a}
backend without
    load-server-state-from-file none
    server out {a}
";

/// A line of a state file: backend, server, address, operation, administration, weights, health, state of checks.
fn line(backend: &str, server: &str, state: &str) -> String {
    let words: Vec<&str> = state.split(' ').collect();
    let words: [&str; 7] = words.try_into().unwrap();
    let [address, operation, admin, weight, initial, health, checks] = words;
    format!(
        "9 {backend} 1 {server} {address} {operation} {admin} {weight} {initial} 77 1 0 {health} {checks} 0 0 0 - 80 - \
         0 0 - - 0\n"
    )
}

#[test]
fn states_of_files_are_taken_over_alike() {
    if !haproxy_is_installed("states_of_files_are_taken_over_alike") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let header = "1\n# be_id be_name srv_id srv_name\n";
    let mut all = header.to_owned();
    for (server, state) in [
        ("out", "127.0.0.1 0 1 5 5 2 0"),
        ("drained", "127.0.0.1 2 8 5 5 2 0"),
        ("heavy", "127.0.0.1 2 0 7 5 2 0"),
        ("edited", "127.0.0.1 2 0 7 9 2 0"),
        ("dead", "127.0.0.1 0 0 5 5 0 6"),
        ("gone", "127.0.0.1 0 1 5 5 2 0"),
        ("moved", "192.0.2.1 2 0 5 5 2 0"),
    ] {
        all += &line("servers", server, state);
    }
    all += &line("without", "out", "127.0.0.1 0 1 1 1 2 0");
    let own = |backend| header.to_owned() + &line(backend, "out", "127.0.0.1 0 1 1 1 2 0");
    for (name, text) in [
        ("all", &all),
        ("of-own", &own("own")),
        ("named", &own("named")),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let pair = Pair::start(&CONFIG.replace("DIR", folder.path().to_str().unwrap()));
    // Names, operation, administration, both weights; the addresses of the peers' origins differ.
    let [theirs, ours] = [&pair.haproxy, &pair.ha_lb].map(|peer| {
        let answer = peer.ask("show servers state");
        let lines = answer
            .lines()
            .filter(|line| line.contains(' ') && !line.starts_with('#'));
        let lines = lines.map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            [1, 3, 5, 6, 7, 8].map(|at| fields[at]).join(" ")
        });
        lines.collect::<Vec<String>>()
    });
    assert_eq!(ours, theirs, "left: ha-lb, right: haproxy");
    for expected in [
        "servers out 0 1 5 5",
        "servers drained 2 8 5 5",
        "servers heavy 2 0 7 5",
        "servers edited 2 0 5 5",
        "own out 0 1 1 1",
        "named out 0 1 1 1",
        "without out 2 0 1 1",
    ] {
        assert!(
            ours.iter().any(|line| line == expected),
            "{expected}: {ours:?}"
        );
    }
}
