//! Every supported keyword of every table has a sample line here, is accepted, and changes the configuration
//! (or is on the short list of words that by their meaning change nothing).

mod samples;

use std::collections::BTreeSet;

use super::{
    super::keywords::{
        BIND, Entry, GLOBAL, OPTIONS, PROXY, SERVER, STATS, STATS_SOCKET, Status, TIMEOUTS,
    },
    *,
};
use samples::{
    BIND_WORDS, GLOBALS,
    In::{self, Backend, Frontend, Global},
    NO_EFFECT, OPTION_LINES, PROXIES, SERVER_TLS_WORDS, SERVER_WORDS, STATS_LINES, TIMEOUT_LINES,
    TLS_WORDS,
};

fn file(place: In, line: &str) -> String {
    let at = |p: In| if p == place { line } else { "" };
    format!(
        "global\n {}\ndefaults\n timeout client 5s\n timeout server 5s\n timeout connect 1s\n\
         frontend f\n mode http\n bind :80\n log 127.0.0.1 local0\n {}\n\
         backend b\n mode http\n stick-table type ip size 1k\n server s 10.0.0.1:80\n {}\nbackend other\n mode http\n",
        at(Global),
        at(Frontend),
        at(Backend)
    )
}

/// Accepted without a word, and of effect unless listed.
fn check(place: In, line: &str, keyword: &str) {
    let base = format!("{:?}", quiet(&file(place, "")));
    let changed = format!("{:?}", quiet(&file(place, line)));
    let idle = NO_EFFECT.contains(&keyword)
        || NO_EFFECT
            .iter()
            .any(|n| n.contains(' ') && line.ends_with(n));
    assert!(idle || base != changed, "no effect: {line}");
}

/// Every supported name of a table is the first word of a sample.
fn covered<'s>(table: &[Entry], samples: impl Iterator<Item = &'s str>) {
    let samples: BTreeSet<&str> = samples.filter_map(|s| s.split(' ').next()).collect();
    let supported = table
        .iter()
        .filter(|entry| entry.status == Status::Supported);
    for name in supported.flat_map(|entry| entry.names) {
        assert!(samples.contains(name), "no sample for {name}");
    }
}

fn first(line: &str) -> &str {
    line.split(' ').next().unwrap()
}

#[test]
fn global_keywords() {
    for line in GLOBALS {
        check(Global, line, first(line));
    }
    covered(GLOBAL, GLOBALS.iter().copied());
    covered(
        STATS_SOCKET,
        ["level", "mode", "user", "uid", "group", "gid"].into_iter(),
    );
}

#[test]
fn proxy_keywords() {
    for (place, line) in PROXIES {
        check(*place, line, first(line));
    }
    // Their words are tested below.
    let sub = ["option", "timeout", "stats", "errorfiles"];
    covered(PROXY, PROXIES.iter().map(|(_, line)| *line).chain(sub));
}

#[test]
fn options_and_timeouts() {
    for (place, line) in OPTION_LINES {
        check(*place, &format!("option {line}"), first(line));
        // Kinds of checks are never taken back.
        let is_check = line.ends_with("chk") || line.ends_with("-check");
        if !line.contains(' ') && !is_check {
            quiet(&file(*place, &format!("no option {line}")));
        }
    }
    covered(OPTIONS, OPTION_LINES.iter().map(|(_, line)| *line));
    for (place, line) in TIMEOUT_LINES {
        check(*place, &format!("timeout {line}"), first(line));
    }
    covered(TIMEOUTS, TIMEOUT_LINES.iter().map(|(_, line)| *line));
}

#[test]
fn statistics_words() {
    for line in STATS_LINES {
        check(Backend, &format!("stats {line}"), first(line));
    }
    covered(STATS, STATS_LINES.iter().copied());
}

#[test]
fn bind_words() {
    let differs = |base: &str, words: &str| {
        let plain = format!("{:?}", quiet(&file(Frontend, base)));
        let with = format!("{:?}", quiet(&file(Frontend, &format!("{base} {words}"))));
        let idle = NO_EFFECT.contains(&first(words)) || NO_EFFECT.contains(&words);
        assert!(idle || plain != with, "no effect: {words}");
    };
    for words in BIND_WORDS {
        differs("bind :81", words);
    }
    for words in TLS_WORDS {
        differs("bind :443 ssl crt /etc/haproxy/ssl/server.pem", words);
    }
    covered(
        BIND,
        BIND_WORDS
            .iter()
            .chain(TLS_WORDS)
            .copied()
            .chain(["crt-list"]),
    );
}

#[test]
fn server_words() {
    let base = format!("{:?}", quiet(&file(Backend, "server t 10.0.0.2:80 check")));
    for words in SERVER_WORDS {
        let line = format!("server t 10.0.0.2:80 check {words}");
        let with = format!("{:?}", quiet(&file(Backend, &line)));
        let same = matches!(first(words), "check" | "enabled" | "stick") || *words == "inter 2000";
        let idle = same || (NO_EFFECT.contains(&first(words)) && first(words) != "no-check");
        assert!(idle || base != with, "no effect: {words}");
        // The same words are settings for the servers that follow.
        quiet(&file(Backend, &format!("default-server {words}")));
    }
    let tls = SERVER_TLS_WORDS.iter().map(|(_, words)| *words);
    // These name other things, which are there in tests of their own.
    let named = ["track", "resolvers"];
    covered(SERVER, SERVER_WORDS.iter().copied().chain(tls).chain(named));
}

#[test]
fn words_of_tls_to_servers() {
    for (before, words) in SERVER_TLS_WORDS {
        let seen = |words: &str| {
            let line = format!("server t 10.0.0.2:443 check {before}{words}");
            format!("{:?}", quiet(&file(Backend, &line)))
        };
        let idle = matches!(*words, "no-sslv3" | "no-tlsv10" | "no-tlsv11");
        let changed = seen("") != seen(&format!(" {words}"));
        assert!(idle || changed, "no effect: {words}");
    }
    let of_all = |global: &str| {
        let text = file(Backend, "server t 10.0.0.2:443 ssl");
        findings(&text.replace("global\n", &format!("global\n {global}\n")))
    };
    assert_eq!(of_all("ssl-server-verify none"), [""; 0]);
    let said = of_all("ssl-server-verify required");
    assert!(said[0].contains("verified by nobody"), "{said:?}");
}

#[test]
fn words_without_effect_get_one_warning_and_words_not_built_one_error() {
    for (table, place, prefix) in [
        (GLOBAL, Global, ""),
        (PROXY, Frontend, ""),
        (OPTIONS, Frontend, "option "),
        (STATS, Frontend, "stats "),
        (BIND, Frontend, "bind :81 "),
        (SERVER, Backend, "server t 10.0.0.2:80 "),
    ] {
        for entry in table {
            let severity = match entry.status {
                Status::Ignored => Severity::Warning,
                Status::Refused => Severity::Error,
                Status::Supported | Status::Needless | Status::Obsolete => continue,
            };
            for name in entry.names {
                let arguments = " 1".repeat(usize::from(entry.arity.0));
                let (_, diagnostics) =
                    load_text(&file(place, &format!("{prefix}{name}{arguments}")));
                assert_eq!(diagnostics.len(), 1, "{name}: {diagnostics}");
                assert_eq!(diagnostics.count(severity), 1, "{name}: {diagnostics}");
                assert!(
                    diagnostics.to_string().contains(name),
                    "{name}: {diagnostics}"
                );
            }
        }
    }
}
