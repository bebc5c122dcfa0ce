//! Words that HAProxy has dropped: one warning each, and their meaning kept where it is plain.

use super::*;

/// A pair and what is said about it, which must be one warning.
fn warned(text: &str) -> (Config, String) {
    let (config, diagnostics) = load_text(text);
    assert_eq!(diagnostics.len(), 1, "{diagnostics}\n{text}");
    assert_eq!(diagnostics.count(Severity::Warning), 1, "{diagnostics}");
    (
        config.unwrap(),
        diagnostics.to_string().trim_end().to_owned(),
    )
}

/// Two files that must mean the same, up to the places of their lines.
fn same_as(old: &str, new: &str) {
    let (old, _) = warned(old);
    let new = quiet(new);
    assert_eq!(format!("{old:?}"), format!("{new:?}"));
}

#[test]
fn old_timeouts_are_the_new_ones() {
    same_as(
        &pair("clitimeout 7000", ""),
        &pair("timeout client 7000", ""),
    );
    same_as(
        &pair("", "srvtimeout 7000"),
        &pair("", "timeout server 7000"),
    );
    same_as(
        &pair("", "contimeout 7000"),
        &pair("", "timeout connect 7000"),
    );
    same_as(
        &pair("", "timeout contimeout 7000"),
        &pair("", "timeout connect 7000"),
    );
}

#[test]
fn old_switches_are_the_new_ones() {
    same_as(&pair("", "redispatch"), &pair("", "option redispatch"));
    same_as(
        &pair("option forceclose", ""),
        &pair("option httpclose", ""),
    );
    same_as(&pair("option http-tunnel", ""), &pair("", ""));
    same_as(&pair("bind-process all", ""), &pair("", ""));
    same_as(&pair("grace 3s", ""), &pair("", ""));
    same_as(
        &pair("", "dispatch 10.0.0.1:80"),
        &pair("", "server dispatch 10.0.0.1:80\n http-reuse never"),
    );
    same_as(
        &pair(
            "",
            "default-server ssl verify none check\n dispatch 10.0.0.1:80",
        ),
        &pair(
            "",
            "default-server weight 1\n server dispatch 10.0.0.1:80\n http-reuse never",
        ),
    );
}

#[test]
fn header_rules_are_the_new_ones() {
    for (old, new) in [
        (
            r"reqadd X-Forwarded-Proto:\ https",
            "http-request add-header X-Forwarded-Proto https",
        ),
        (
            r"reqadd X-P:\ 1%\ more if HTTP",
            r"http-request add-header X-P 1%%\ more if HTTP",
        ),
        (r"rspadd X-Via:\ me", "http-response add-header X-Via me"),
        (
            "reqidel ^X-Forwarded-For:",
            "http-request del-header X-Forwarded-For",
        ),
        ("rspdel ^Server:.*", "http-response del-header Server"),
        ("block if METH_GET", "http-request deny if METH_GET"),
        (
            "monitor-net 10.0.0.0/8",
            "http-request return status 200 if { src 10.0.0.0/8 }",
        ),
    ] {
        same_as(&pair(old, ""), &pair(new, ""));
    }
}

#[test]
fn a_header_may_be_named_again_instead_of_by_its_group() {
    same_as(
        &pair(r"reqrep ^(X-Amz-Date:)(.*)$ x-amz-date:\2", ""),
        &pair(r"http-request replace-header X-Amz-Date ^()(.*)$ \2", ""),
    );
    let said = findings(&pair(r"reqrep ^(X-Amz-Date:)(.*)$ x-other:\2", ""));
    assert!(said[1].contains("no plain meaning"), "{said:#?}");
}

#[test]
fn a_pattern_without_a_plain_meaning_is_refused() {
    let said = findings(&pair("reqidel ^X-(A|B):", ""));
    assert_eq!(said.len(), 2, "{said:#?}");
    assert_eq!(
        said[1],
        "h.cfg:9:10: error: this pattern has no plain meaning as a header's name: found `^X-(A|B):`, expected \
         ^Header:, or `http-request del-header` with a condition"
    );
    let said = findings(&pair(r"reqrep ^([A-Z]+)\ x GET\ /x", ""));
    assert_eq!(
        said,
        [
            "h.cfg:9:2: warning: 'reqrep' is obsolete; it is read as `http-request replace-uri` or `replace-header`",
            "h.cfg:9:9: error: this pattern has no plain meaning as a header or a path: found `^([A-Z]+) x`, expected \
             ^Header:\\ value, ^([^\\ ]*)\\ /path, or `http-request replace-path` and `replace-header`"
        ]
    );
}

#[test]
fn nbproc_is_one_process_with_threads() {
    let (_, said) = warned(&format!("global\n nbproc 4\n{}", pair("", "")));
    assert_eq!(
        said,
        "h.cfg:2:2: warning: 'nbproc' is obsolete; one balancer process with threads is run; use nbthread for \
         their number"
    );
}

#[test]
fn transparent_with_servers_is_refused() {
    let said = findings(&pair("", "transparent\n server s 10.0.0.1:80"));
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[1].contains("error: connections are not passed to their original destination"));
}

#[test]
fn renamed_servers_avoid_names_that_are_taken() {
    let servers = "server a 10.0.0.1:80\n server a-2 10.0.0.2:80\n server a 10.0.0.3:80\n";
    let (config, said) = warned(&pair("", servers));
    let names: Vec<_> = config.proxies[1]
        .backend
        .as_ref()
        .unwrap()
        .servers
        .iter()
        .map(|server| server.name.to_string())
        .collect();
    assert_eq!(names, ["a", "a-2", "a-3"]);
    assert!(said.ends_with("this one is named 'a-3'"), "{said}");
}

#[test]
fn an_address_in_the_first_line_is_a_bind() {
    let timeouts = "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n";
    let (config, said) = warned(&format!("{timeouts}listen a 127.0.0.1:80\n"));
    assert_eq!(
        said,
        "h.cfg:5:10: warning: the address of 'a' stands in its first line; it is read as a `bind` line"
    );
    assert_eq!(config.proxies[0].frontend.as_ref().unwrap().binds.len(), 1);
}

#[test]
fn tcp_mode_takes_http_words_away_in_haproxys_words() {
    let text = pair(
        "mode tcp\n option httplog\n option forwardfor\n monitor-uri /x",
        "mode tcp\n cookie A insert\n server s 10.0.0.1:80 cookie x",
    );
    assert_eq!(
        findings(&text),
        [
            "h.cfg:10:9: warning: 'option httplog' not usable with frontend 'f' (needs 'mode http'). Falling back \
             to 'option tcplog'",
            "h.cfg:10:9: warning: log format ignored for frontend 'f' since it has no log address",
            "h.cfg:11:9: warning: 'option forwardfor' ignored for frontend 'f' as it requires HTTP mode",
            "h.cfg:13:1: warning: cookie will be ignored for backend 'b' (needs 'mode http')",
            "h.cfg:13:1: warning: ignoring server cookies in backend 'b' as HTTP mode is disabled",
        ]
    );
}
