//! What is said about a file that is refused, word for word.

use super::*;

fn only(text: &str) -> String {
    let found = findings(text);
    assert_eq!(found.len(), 1, "{found:#?}\n{text}");
    found.into_iter().next().unwrap()
}

#[test]
fn an_unknown_keyword_is_named_with_its_place_and_its_neighbour() {
    assert_eq!(
        only("global\n  maxcon 100\n"),
        "h.cfg:2:3: error: unknown keyword 'maxcon' in 'global' section: found `maxcon`, expected a word of HAProxy \
         2.6 that may stand here; did you mean `maxconn`?"
    );
    assert_eq!(
        only(&pair("", "blance roundrobin")),
        "h.cfg:11:2: error: unknown keyword 'blance' in 'backend' section: found `blance`, expected a word of \
         HAProxy 2.6 that may stand here; did you mean `balance`?"
    );
    assert_eq!(
        only(&pair("nbthread 2", "")),
        "h.cfg:9:2: error: unknown keyword 'nbthread' in 'frontend' section: found `nbthread`, expected it under \
         `global` only"
    );
    assert_eq!(
        only("timeout client 3s\n"),
        "h.cfg:1:1: error: unknown keyword 'timeout' out of section: expected a section such as global, defaults, \
         frontend, backend or listen"
    );
}

#[test]
fn sub_languages_name_their_words() {
    assert_eq!(
        only(&pair("", "server s 10.0.0.1:80 chekc")),
        "h.cfg:11:23: error: unknown word 'chekc' behind 'server': found `chekc`, expected a word of HAProxy 2.6 \
         that may stand here; did you mean `check`?"
    );
    assert_eq!(
        only(&pair("option httplogs", "")),
        "h.cfg:9:9: error: unknown option 'httplogs': found `httplogs`, expected a word of HAProxy 2.6 that may \
         stand here; did you mean `httplog`?"
    );
    assert_eq!(
        only(&pair("timeout cleint 5s", "")),
        "h.cfg:9:10: error: unknown timeout 'cleint': found `cleint`, expected check, client, client-fin, connect, \
         http-keep-alive, http-request, queue, server, server-fin, tarpit, tunnel; did you mean `client`?"
    );
    assert_eq!(
        only(&pair("bind :81 sll crt x", "")),
        "h.cfg:9:11: error: unknown word 'sll' behind 'bind': found `sll`, expected a word of HAProxy 2.6 that may \
         stand here; did you mean `ssl`?"
    );
}

#[test]
fn what_is_known_but_not_built_is_refused_by_name() {
    assert_eq!(
        only(&pair("", "server s 10.0.0.1:80 socks4 10.0.0.9:1")),
        "h.cfg:11:23: error: 'socks4' is not supported; servers are connected to directly"
    );
    assert_eq!(
        only("global\n lua-load x.lua\n"),
        "h.cfg:2:2: error: 'lua-load' is not supported; there is no Lua"
    );
    assert_eq!(
        only(&pair(
            "bind :443 ssl crt /etc/haproxy/ssl/server.pem generate-certificates",
            ""
        )),
        "h.cfg:9:48: error: 'generate-certificates' is not supported; certificates are not generated"
    );
}

#[test]
fn missing_and_superfluous_arguments() {
    assert_eq!(
        only("global\n maxconn\n"),
        "h.cfg:2:9: error: 'maxconn' lacks an argument: expected maxconn <number>"
    );
    assert_eq!(
        only("global\n maxconn 5 6\n"),
        "h.cfg:2:12: error: 'maxconn' takes no further argument: found `6`, expected the end of the line"
    );
    assert_eq!(
        only(&pair("maxconn lots", "")),
        "h.cfg:9:10: error: 'maxconn' is not such a number: found `lots`, expected a number from 0 to 2147483647"
    );
    assert_eq!(
        only(&pair("timeout client 3x", "")),
        "h.cfg:9:17: error: 'timeout client' is not a time: found `3x`, expected a time such as 500, 30s, 5m or 1h"
    );
}

#[test]
fn targets_must_exist_and_fit() {
    assert_eq!(
        only(&pair("use_backend bb if TRUE", "")),
        "h.cfg:9:14: error: frontend 'f': unable to find required use_backend: found `bb`, expected the name of a \
         backend or listen section; did you mean `b`?"
    );
    assert_eq!(
        only(&pair("", "mode tcp")),
        "h.cfg:8:18: error: http frontend 'f' tries to use incompatible tcp backend 'b': expected a backend with \
         `mode http`"
    );
    assert_eq!(
        only(&pair(
            "",
            "server web1 192.0.2.1:80\n use-server web2 if TRUE"
        )),
        "h.cfg:12:13: error: backend 'b': unable to find server 'web2' referenced in a 'use-server' rule: found \
         `web2`, expected the name of a server of this section; did you mean `web1`?"
    );
    // The name is known only with the request.
    quiet(&pair("use_backend %[req.hdr(host),lower]", ""));
}

#[test]
fn two_proxies_of_one_kind_may_not_share_a_name() {
    let timeouts = "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n";
    assert_eq!(
        only(&format!(
            "{timeouts}frontend a\n bind :80\nfrontend a\n bind :81\n"
        )),
        "h.cfg:7:10: error: frontend 'a' has the same name as frontend 'a' declared at h.cfg:5: expected a name of its own"
    );
    // A frontend and a backend may.
    quiet(&format!(
        "{timeouts}frontend a\n bind :80\n default_backend a\nbackend a\n"
    ));
}

#[test]
fn a_missing_certificate_or_file_is_an_error_at_its_word() {
    let said = only(&pair("bind :443 ssl crt /nowhere.pem", ""));
    assert!(
        said.starts_with("h.cfg:9:20: error: unable to read the certificate /nowhere.pem: "),
        "{said}"
    );
    let said = only(&pair("errorfile 503 /nowhere.http", ""));
    assert!(
        said.starts_with("h.cfg:9:16: error: unable to read the error file /nowhere.http: "),
        "{said}"
    );
    let (config, diagnostics) = {
        let mut diagnostics = Diagnostics::new();
        let config = load(&["missing.cfg".into()], &world(), &mut diagnostics);
        (config, diagnostics)
    };
    assert!(config.is_none());
    assert!(
        diagnostics
            .to_string()
            .starts_with("missing.cfg: error: cannot open the configuration file: "),
        "{diagnostics}"
    );
}

#[test]
fn errors_of_rules_point_at_their_word() {
    let said = only(&pair("http-request no-such-action if TRUE", ""));
    assert!(said.starts_with("h.cfg:9:15: error: "), "{said}");
    let said = only(&pair("acl x no_such_fetch y", ""));
    assert!(said.starts_with("h.cfg:9:8: error: "), "{said}");
    let said = only(&pair("use_backend b if nosuchacl", ""));
    assert!(said.starts_with("h.cfg:9:19: error: "), "{said}");
}

#[test]
fn settings_of_http_2_have_the_bounds_that_haproxy_gives_them() {
    let signed = i64::from(i32::MAX);
    for (name, low, high) in [
        ("header-table-size", 4096, 65_536),
        ("initial-window-size", 0, signed),
        ("max-concurrent-streams", 0, signed),
        ("max-frame-size", 16_384, 16_777_215),
    ] {
        for (value, taken) in [
            (low - 1, false),
            (low, true),
            (high, true),
            (high + 1, false),
        ] {
            let found = findings(&format!("global\n tune.h2.{name} {value}\n"));
            let refused = found.iter().any(|finding| finding.contains("error: "));
            assert_eq!(refused, !taken, "{name} {value}: {found:?}");
        }
    }
    assert_eq!(
        only("global\n tune.h2.max-concurrent-streams 0\n"),
        "h.cfg:2:33: warning: no stream at once is none at all; every request in HTTP/2 is refused"
    );
}

#[test]
fn rules_that_only_another_place_takes_say_which_and_where() {
    assert_eq!(
        only(&pair("", "http-response redirect prefix http://x.example")),
        "h.cfg:11:25: error: a response is only redirected to a 'location': found `prefix`, expected location"
    );
    assert_eq!(
        only(&pair("http-response capture res.hdr(x) id 0", "")),
        "h.cfg:9:16: error: there is no response capture with the id 0: found `capture`, expected a 'declare capture \
         response' or 'capture response' line for it"
    );
    assert_eq!(
        only(&pair("http-response capture res.hdr(x) len 8", "")),
        "h.cfg:9:35: error: 'http-response capture' takes no 'len' here: found `len`, expected id N, a slot that the \
         frontend declares"
    );
    assert_eq!(
        only(&pair("", "http-request capture path len 8")),
        "h.cfg:11:28: error: 'http-request capture' takes no 'len' here: found `len`, expected id N, a slot that the \
         frontend declares"
    );
    assert_eq!(
        only("global\n node \"x y\"\n"),
        "h.cfg:2:7: error: not a node name: found `x y`, expected letters, digits, '.', '-' and '_'"
    );
    assert_eq!(
        only(&pair(
            "",
            "option httpchk\n http-check connect ssl\n server s 192.0.2.1:443"
        )),
        "h.cfg:13:9: error: a step of the check asks for TLS, and server 's' has no 'ca-file': its certificate would \
         be verified by nobody: expected ca-file <file>, or `verify none` to trust any server"
    );
}

#[test]
fn what_cannot_have_come_yet_and_what_is_tracked_too_late_is_said() {
    let by_chance = "without 'tcp-request inspect-delay' nothing waits for that";
    for (line, said) in [
        (
            "tcp-request content capture req.hdr(a),lower len 9",
            by_chance,
        ),
        ("tcp-request content capture src len 9", ""),
        ("tcp-request content capture var(txn.a) len 9", ""),
        ("tcp-request content track-sc0 path table t", by_chance),
        (
            "tcp-request content track-sc0 src table t if { method GET }",
            "",
        ),
        (
            "tcp-request content track-sc0 src table t",
            "should be tracked by a 'tcp-request session' rule",
        ),
    ] {
        let table = "backend t\n stick-table type string size 10\n";
        let file = |more: &str| format!("{}{table}", pair(&format!("{line}\n {more}"), ""));
        let found = findings(&file(""));
        match said {
            "" => assert!(found.is_empty(), "{line}: {found:?}"),
            said => assert!(
                matches!(found.as_slice(), [one] if one.starts_with("h.cfg:9:14: warning: ") && one.contains(said)),
                "{line}: {found:?}"
            ),
        }
        // It waits, wherever that is said; and connections of a TCP proxy have no better place.
        let waits = findings(&file("tcp-request inspect-delay 5s"));
        assert_eq!(
            waits.is_empty(),
            said.is_empty() || said == by_chance,
            "{line}: {waits:?}"
        );
    }
    quiet(&format!(
        "{}backend t\n stick-table type ip size 10\n",
        pair(
            "mode tcp\n tcp-request content track-sc0 src table t",
            "mode tcp"
        )
    ));
}
