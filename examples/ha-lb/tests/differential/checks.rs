//! Health checks that talk: the same servers, good and bad, as both see them.

mod scripts;

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use crate::{
    compare::Pair,
    peer::{Peer, haproxy_is_installed},
};
use scripts::{CASES, HTTP_CASES, Says, server};

const HEAD: &str = "global
    maxconn 200
    nbthread 1
    stats socket {dir}/stats level admin
defaults
    mode tcp
    timeout connect 1s
    timeout client 5s
    timeout server 5s
    timeout check 400ms
listen front
    bind {front}
";

/// What the statistics say of each server that is not being checked right now.
fn results(peer: &Peer) -> BTreeMap<String, String> {
    const COLUMNS: [&str; 5] = [
        "status",
        "check_status",
        "check_code",
        "check_desc",
        "last_chk",
    ];
    let text = peer.ask("show stat");
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let rows = lines.map(|line| line.split(',').collect::<Vec<_>>());
    // HAProxy forgets the words of a result while the next check runs.
    let at_rest =
        |row: &Vec<&str>| row.get(1) == Some(&"s") && !row.iter().any(|c| c.starts_with("* "));
    rows.filter(at_rest)
        .map(|row| {
            let of = |name: &str| {
                let at = names.iter().position(|n| *n == name).unwrap();
                row[at]
                    .trim_start_matches("* ")
                    .trim_matches('"')
                    .to_owned()
            };
            (row[0].to_owned(), COLUMNS.map(of).join(" | "))
        })
        .collect()
}

/// The same, but that HAProxy says only in its log what a server told of itself when it passed.
fn alike(theirs: &str, ours: &str, lines: &str) -> bool {
    let said = theirs.starts_with("UP | L7OK |") && theirs.ends_with("| ");
    theirs == ours
        || said && ours.starts_with(theirs)
        || theirs.contains("| L7TOUT |") && refused_at_once(ours, lines)
}

/// HAProxy waits for a better reply until the check's time is over.
fn refused_at_once(ours: &str, lines: &str) -> bool {
    lines.starts_with("option smtpchk") && ours.starts_with("DOWN | L7STS | 5")
}

/// Both run every case; in the end their statistics say the same.
fn compare(cases: &[(String, &'static [Says])]) {
    let mut config = HEAD.to_owned();
    for (number, (lines, script)) in cases.iter().enumerate() {
        let address = server(script);
        config += &format!(
            "backend c{number}\n {lines}\n server s {address} check inter 1s rise 1 fall 1\n"
        );
    }
    let pair = Pair::start(&config);
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut open: Vec<usize> = (0..cases.len()).collect();
    while !open.is_empty() {
        let (theirs, ours) = (results(&pair.haproxy), results(&pair.ha_lb));
        open.retain(|number| {
            let name = format!("c{number}");
            match (theirs.get(&name), ours.get(&name)) {
                (Some(theirs), Some(ours)) => {
                    !alike(theirs, ours, &cases[*number].0) || theirs.contains("| INI |")
                }
                (None, Some(ours)) => !refused_at_once(ours, &cases[*number].0),
                _ => true,
            }
        });
        let unlike = open.iter().map(|number| {
            let ((lines, script), name) = (&cases[*number], format!("c{number}"));
            let (theirs, ours) = (theirs.get(&name), ours.get(&name));
            format!("{lines}\n  {script:?}\n  haproxy: {theirs:?}\n  ha-lb:   {ours:?}\n")
        });
        assert!(Instant::now() < deadline, "{}", unlike.collect::<String>());
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn checks_that_talk() {
    if haproxy_is_installed("checks_that_talk") {
        let cases = CASES
            .iter()
            .map(|(lines, script)| ((*lines).to_owned(), *script));
        compare(&cases.collect::<Vec<_>>());
    }
}

#[test]
fn checks_that_talk_http() {
    if haproxy_is_installed("checks_that_talk_http") {
        let cases = HTTP_CASES
            .iter()
            .map(|(lines, script)| (format!("mode http\n option httpchk\n {lines}"), *script));
        compare(&cases.collect::<Vec<_>>());
    }
}
