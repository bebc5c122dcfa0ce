//! Lines that are refused or doubted, and lines made of anything.

use proptest::prelude::*;

use super::*;

/// (line, index of the word, message).
const WRONG: &[(&str, usize, &str)] = &[
    ("http-request", 0, "missing an action"),
    (
        "http-request set-haeder a b",
        0,
        "unknown action 'set-haeder' in 'http-request'",
    ),
    ("http-request set-header a", 2, "missing a value"),
    (
        "http-request do-resolve(txn.ip) req.hdr(host)",
        0,
        "'do-resolve(txn.ip)' misses its variable and its resolvers",
    ),
    (
        "http-request do-resolve(txn.ip,dns,ipv5) req.hdr(host)",
        0,
        "'ipv5' is no kind of address",
    ),
    (
        "http-request do-resolve(ip,dns) req.hdr(host)",
        0,
        "invalid variable name 'ip'",
    ),
    (
        "http-response do-resolve(txn.ip,dns) req.hdr(host)",
        0,
        "'do-resolve' cannot stand in 'http-response'",
    ),
    (
        "http-request set-header a:b c",
        1,
        "'a:b' is no header name",
    ),
    (
        "http-request set-header a %[scr]",
        2,
        "unknown fetch method 'scr'",
    ),
    ("http-request set-header a b c", 3, "unexpected 'c'"),
    (
        "http-request deny status 99",
        2,
        "this status cannot be sent",
    ),
    ("http-request deny frob", 1, "unexpected 'frob'"),
    (
        "http-request redirect code 302",
        3,
        "missing destination of the redirection",
    ),
    (
        "http-request redirect location / code 304",
        4,
        "this status does not redirect",
    ),
    (
        "http-request replace-path ( x",
        1,
        "regular expression '(': unclosed group",
    ),
    (
        "http-request set-var(x) src",
        0,
        "invalid variable name 'x'",
    ),
    (
        "http-request set-var src",
        0,
        "'set-var' misses its variable",
    ),
    ("http-request deny if nope", 2, "no such ACL: 'nope'"),
    (
        "http-request deny if { src x }",
        4,
        "'x' is no address or network",
    ),
    (
        "http-request set-status 200",
        0,
        "'set-status' cannot stand in 'http-request'",
    ),
    (
        "http-request lua.f",
        0,
        "action 'lua.f' is not supported: there is no Lua",
    ),
    (
        "http-request return file /none",
        2,
        "cannot read '/none': entity not found",
    ),
    (
        "http-response reject",
        0,
        "'reject' cannot stand in 'http-response'",
    ),
    (
        "tcp-request content frob",
        1,
        "unknown action 'frob' in 'tcp-request content'",
    ),
    (
        "tcp-request frob",
        0,
        "unexpected 'frob' after 'tcp-request'",
    ),
    ("tcp-request inspect-delay 5x", 1, "'5x' is no duration"),
    ("use_backend", 0, "missing the name of a backend"),
    ("use_backend b iff x", 1, "unexpected 'iff'"),
    ("capture request header X", 3, "missing 'len'"),
    (
        "http-request capture path",
        2,
        "missing 'len' or 'id' of the capture",
    ),
    (
        "http-request set-log-level loud",
        1,
        "unknown log level 'loud'",
    ),
    ("http-request set-tos 256", 1, "'256' is no type of service"),
];

#[test]
fn errors_name_the_word_and_what_was_expected() {
    for (line, word, message) in WRONG {
        let mut builder = RulesBuilder::new(ProxySide::Listen, &load);
        let error = feed(&mut builder, line).unwrap_err();
        assert_eq!(
            (error.word, error.message.as_str()),
            (*word, *message),
            "{line}"
        );
    }
    let mut builder = RulesBuilder::new(ProxySide::Backend, &load);
    assert!(feed(&mut builder, "use_backend b").is_err());
    assert!(feed(&mut builder, "tcp-request connection reject").is_err());
    let mut builder = RulesBuilder::new(ProxySide::Frontend, &load);
    assert!(feed(&mut builder, "use-server s if TRUE").is_err());
}

#[test]
fn doubtful_rules_are_warned_about_at_their_word() {
    for (line, word, message) in [
        (
            "http-request set-header a %[status]",
            2,
            "'status' is not available in 'http-request'",
        ),
        (
            "http-request deny if { status 500 }",
            2,
            "acl 'anonymous' will never match here",
        ),
        (
            "tcp-request connection reject if { path / }",
            3,
            "acl 'anonymous' will never match here",
        ),
        (
            "tcp-response content reject if { req.len gt 1 }",
            3,
            "acl 'anonymous' will never match here",
        ),
    ] {
        let mut builder = RulesBuilder::new(ProxySide::Listen, &load);
        let warnings = feed(&mut builder, line).unwrap();
        assert!(
            warnings
                .iter()
                .any(|w| w.word == word && w.message.starts_with(message)),
            "{line}: {warnings:?}"
        );
    }
}

#[test]
fn every_action_stands_once_and_has_a_sentence() {
    let mut names: Vec<&str> = ACTIONS.iter().map(|a| a.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(
        ACTIONS
            .iter()
            .all(|a| a.doc.ends_with('.') && a.usage.starts_with(a.name))
    );
}

proptest! {
    #[test]
    fn any_words_are_a_rule_or_an_error(
        keyword in prop::sample::select(vec![
            "acl", "tcp-request", "http-request", "http-response", "http-after-response", "use_backend",
            "redirect", "block", "capture",
        ]),
        first in prop::sample::select(ACTIONS.iter().map(|a| a.name).collect::<Vec<_>>()),
        rest in prop::collection::vec(
            prop_oneof![
                Just("if".to_string()), Just("{".into()), Just("}".into()), Just("TRUE".into()),
                Just("-m".into()), Just("%[path]".into()), Just("path".into()), Just("content".into()),
                "\\PC{0,8}",
            ],
            0..8,
        ),
        target in "[ -~]{0,20}",
    ) {
        let mut builder = RulesBuilder::new(ProxySide::Listen, &load);
        let mut line = vec![keyword, first];
        line.extend(rest.iter().map(String::as_str));
        if feed(&mut builder, &line.join(" ")).is_ok() {
            let rules = builder.build().unwrap();
            let mut world = World::new();
            let now = world.connection.accepted_at;
            let mut head = request("GET", &target, &["Host: h"]);
            let mut message = HeadMut::new(&mut head, b"");
            rules.on_connection(now, &world.connection, &mut world.state);
            rules.on_session(now, &world.connection, &mut world.state);
            rules.on_request(now, &world.connection, &mut message, &mut world.state);
            let shown = shown(&head);
            prop_assert!(!shown.contains(['\r', '\n', '\0']), "{:?}", shown);
        }
    }
}
