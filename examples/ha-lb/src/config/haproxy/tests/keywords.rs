//! Every supported keyword of every table has a sample line here, is accepted, and changes the configuration
//! (or is on the short list of words that by their meaning change nothing).

use std::collections::BTreeSet;

use super::{
    super::keywords::{
        BIND, Entry, GLOBAL, OPTIONS, PROXY, SERVER, STATS, STATS_SOCKET, Status, TIMEOUTS,
    },
    *,
};

#[derive(Clone, Copy, PartialEq)]
enum In {
    Global,
    Frontend,
    Backend,
}
use In::{Backend, Frontend, Global};

const GLOBALS: &[&str] = &[
    "chroot /var/lib/haproxy",
    "daemon",
    "description my balancer",
    "group haproxy",
    "gid 7",
    "hard-stop-after 30s",
    "tune.h2.header-table-size 8192",
    "tune.h2.initial-window-size 131072",
    "tune.h2.max-concurrent-streams 20",
    "tune.h2.max-frame-size 32768",
    "log 127.0.0.1:514 local0",
    "log-send-hostname lb1",
    "log-tag lb",
    "maxconn 4000",
    "nbthread 2",
    "node lb1",
    "pidfile /run/x.pid",
    "set-var proc.one int(1)",
    "set-var-fmt proc.two two",
    "spread-checks 5",
    "stats socket /run/x.sock mode 660 level admin",
    "uid 7",
    "user haproxy",
    "setenv A b",
    "presetenv A b",
    "resetenv A",
    "unsetenv A",
    "ssl-default-bind-options ssl-min-ver TLSv1.3",
    "crt-base /etc/ssl",
    "ssl-default-server-options ssl-min-ver TLSv1.3",
    "ssl-server-verify none",
    "ca-base /etc/ssl",
    "ssl-default-bind-ciphers ECDHE-RSA-AES128-GCM-SHA256",
    "ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256",
    "ssl-default-bind-curves P-256",
    "ssl-default-server-ciphers ECDHE-RSA-AES128-GCM-SHA256",
    "ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256",
    "ssl-default-server-curves P-256",
    "ssl-load-extra-files bundle key ocsp",
    "ssl-load-extra-del-ext",
    "maxsslconn 100",
    "maxsslrate 100",
    "zero-warning",
];

const PROXIES: &[(In, &str)] = &[
    (Frontend, "acl x path_beg -i /a"),
    (
        Frontend,
        "acl x hdr_dom(host) -i rancher.monitor.viettq.com",
    ),
    (Frontend, "acl x src -f /etc/haproxy/hosts.lst"),
    (Frontend, "backlog 100"),
    (Backend, "balance leastconn"),
    (Backend, "balance random(3)"),
    (Backend, "balance uri depth 2"),
    (Backend, "balance hdr(X-Key)"),
    (Frontend, "bind :81"),
    (Frontend, "capture request header Host len 32"),
    (Frontend, "compression algo gzip"),
    (Backend, "cookie SRV insert indirect nocache"),
    (Backend, "default-server inter 5s"),
    (Frontend, "default_backend other"),
    (Frontend, "description a text"),
    (Frontend, "disabled"),
    (Frontend, "enabled"),
    (Frontend, "errorfile 503 /etc/errors/503.http"),
    (
        Backend,
        "http-error status 503 content-type a/b hdr x-a b string text",
    ),
    (Frontend, "errorloc 503 /sorry"),
    (Frontend, "errorloc302 503 /sorry"),
    (Backend, "errorloc303 503 /sorry"),
    (Backend, "fullconn 100"),
    (Frontend, "http-request set-header X-A b if TRUE"),
    (Frontend, "http-response set-header X-A b"),
    (Frontend, "http-after-response set-header X-A b"),
    (Backend, "http-check expect status 200\n option httpchk"),
    (Backend, "http-reuse always"),
    (Frontend, "id 77"),
    (Frontend, "log 10.0.0.1 local1 notice err"),
    (Frontend, "log-format %ci:%cp\\ %ST"),
    (Frontend, "log-tag web"),
    (Frontend, "maxconn 3000"),
    (Frontend, "mode http"),
    (Frontend, "monitor-uri /alive"),
    (Frontend, "monitor fail if TRUE"),
    (Frontend, "option dontlognull"),
    (Frontend, "rate-limit sessions 100"),
    (Frontend, "redirect scheme https if !{ ssl_fc }"),
    (Backend, "retries 5"),
    (Backend, "server t 10.0.0.2:80"),
    (Backend, "server-template w 3 web.example:80"),
    (Backend, "source 10.0.0.9"),
    (Backend, "stats enable"),
    (Backend, "stick on src"),
    (
        Backend,
        "stick-table type ip size 1m expire 30m store gpc0,conn_rate(3s)",
    ),
    (Backend, "tcp-check connect\n option tcp-check"),
    (
        Frontend,
        "tcp-request connection reject if { src 10.0.0.0/8 }",
    ),
    (Frontend, "timeout client 9s"),
    (Backend, "use-server s if TRUE"),
    (Frontend, "use_backend other if METH_GET"),
    (Backend, "hash-type consistent"),
    (Backend, "hash-balance-factor 150"),
    (Backend, "retry-on conn-failure"),
    (Frontend, "declare capture request len 9"),
    (Frontend, "unique-id-format %ci"),
    (Frontend, "unique-id-header X-Id"),
];

const OPTION_LINES: &[(In, &str)] = &[
    (Backend, "abortonclose"),
    (Backend, "allbackups"),
    (Frontend, "clitcpka"),
    (Frontend, "disable-h2-upgrade"),
    (Frontend, "dontlog-normal"),
    (Frontend, "dontlognull"),
    (
        Frontend,
        "forwardfor except 127.0.0.0/8 header X-Client if-none",
    ),
    (Frontend, "http-ignore-probes"),
    (Frontend, "http-keep-alive"),
    (Frontend, "http-server-close"),
    (Backend, "http-restrict-req-hdr-names delete"),
    (Frontend, "originalto except 127.0.0.0/8 header X-To"),
    (Backend, "httpchk GET /health HTTP/1.1\\r\\nHost:\\ a"),
    (Frontend, "httpclose"),
    (Frontend, "httplog"),
    (Frontend, "httplog clf"),
    (Backend, "log-health-checks"),
    (Frontend, "log-separate-errors"),
    (Backend, "persist"),
    (Backend, "redispatch"),
    (Backend, "redispatch 1"),
    (Backend, "srvtcpka"),
    (Backend, "tcp-check"),
    (Backend, "redis-check"),
    (Backend, "smtpchk EHLO mail.example"),
    (Backend, "mysql-check user u post-41"),
    (Backend, "pgsql-check user u"),
    (Backend, "ldap-check"),
    (Backend, "ssl-hello-chk"),
    (Backend, "spop-check"),
    (Frontend, "socket-stats"),
    (Frontend, "http-buffer-request"),
    (Frontend, "tcpka"),
    (Frontend, "tcplog"),
];

const TIMEOUT_LINES: &[(In, &str)] = &[
    (Backend, "check 9s"),
    (Frontend, "client 9s"),
    (Frontend, "client-fin 9s"),
    (Backend, "connect 9s"),
    (Frontend, "http-keep-alive 9s"),
    (Frontend, "http-request 9s"),
    (Backend, "queue 9s"),
    (Backend, "server 9s"),
    (Backend, "server-fin 9s"),
    (Frontend, "tarpit 9s"),
    (Backend, "tunnel 1h"),
];

const STATS_LINES: &[&str] = &[
    "admin if TRUE",
    "auth admin:secret",
    "enable",
    "hide-version",
    "realm My\\ Realm",
    "refresh 30s",
    "scope .",
    "show-desc text",
    "show-legends",
    "show-node lb1",
    "uri /stats",
];

const BIND_WORDS: &[&str] = &[
    "accept-proxy",
    "backlog 10",
    "id 7",
    "interface eth0",
    "mode 600",
    "name web",
    "proto h2",
    "transparent",
    "v4v6",
    "v6only",
];

const TLS_WORDS: &[&str] = &[
    "alpn h2,http/1.1",
    "crt /etc/ssl/all",
    "crt /etc/ssl/all/b.pem",
    "force-tlsv12",
    "force-tlsv13",
    "no-sslv3",
    "no-tlsv10",
    "no-tlsv11",
    "no-tlsv12",
    "no-tlsv13",
    "ssl",
    "ssl-max-ver TLSv1.2",
    "ssl-min-ver TLSv1.3",
    "ssl-min-ver TLSv1.0",
    "strict-sni",
    "verify none",
    "verify optional ca-file /etc/ssl/all/b.pem",
    "ca-file /etc/ssl/all/b.pem verify required",
    "ca-verify-file /etc/ssl/all/b.pem verify required",
    "crl-file /etc/ssl/crl.pem",
    "crt-ignore-err all",
    "ca-ignore-err 10,18",
    "ciphers ECDHE-RSA-AES128-GCM-SHA256",
    "ciphersuites TLS_AES_128_GCM_SHA256",
    "curves X25519:P-256",
    "ecdhe secp384r1",
    "no-alpn",
    "no-ca-names",
    "no-tls-tickets",
    "tls-tickets",
    "prefer-client-ciphers",
    "tls-ticket-keys /etc/ssl/tickets",
];

const SERVER_WORDS: &[&str] = &[
    "addr 10.0.0.3",
    "backup",
    "no-backup",
    "check",
    "no-check",
    "cookie p1",
    "disabled",
    "enabled",
    "downinter 1s",
    "fall 5",
    "fastinter 1s",
    "id 9",
    "init-addr last,libc,none",
    "inter 2000",
    "maxconn 30",
    "maxqueue 5",
    "minconn 3",
    "on-marked-down shutdown-sessions",
    "on-marked-up shutdown-backup-sessions",
    "observe layer7",
    "observe layer4 error-limit 3",
    "observe layer4 on-error mark-down",
    "error-limit 3",
    "on-error fastinter",
    "agent-check agent-port 90",
    "no-agent-check",
    "agent-port 90",
    "agent-port 90 agent-check agent-addr 10.0.0.9",
    "agent-addr 10.0.0.9",
    "agent-inter 5s",
    "agent-send hello",
    "resolve-prefer ipv4",
    "resolve-net 10.0.0.0/8",
    "resolve-opts allow-dup-ip",
    "port 81",
    "rise 5",
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2-ssl-cn",
    "no-send-proxy-v2-ssl",
    "no-send-proxy-v2-ssl-cn",
    "proxy-v2-options crc32c,unique-id,cert-cn",
    "pool-max-conn 4",
    "pool-purge-delay 1s",
    "max-reuse 9",
    "no-send-proxy",
    "no-send-proxy-v2",
    "slowstart 30s",
    "source 10.0.0.9",
    "weight 10",
    "proto h2",
];

/// Words about TLS to servers, and what stands before them.
const SERVER_TLS_WORDS: &[(&str, &str)] = &[
    ("verify none", "ssl"),
    ("verify none ssl", "no-ssl"),
    ("verify none", "check-ssl"),
    ("verify none ssl", "no-check-ssl"),
    ("ssl ca-file /etc/ssl/all/b.pem", "verify none"),
    ("ssl ca-file /etc/ssl/all/b.pem", "verifyhost web.example"),
    (
        "ssl ca-file /etc/ssl/all/b.pem verifyhost web.example",
        "no-verifyhost",
    ),
    (
        "ssl verify required ca-file /etc/ssl/all/b.pem",
        "ca-file /etc/haproxy/ssl/server.pem",
    ),
    ("ssl verify none", "crt /etc/ssl/all/b.pem"),
    ("ssl verify none", "sni req.hdr(host)"),
    ("ssl verify none", "check-sni web.example"),
    ("ssl verify none", "alpn http/1.1"),
    ("ssl verify none", "ssl-max-ver TLSv1.2"),
    ("ssl verify none", "ssl-min-ver TLSv1.3"),
    ("ssl verify none", "force-tlsv12"),
    ("ssl verify none", "force-tlsv13"),
    ("ssl verify none", "no-sslv3"),
    ("ssl verify none", "no-tlsv10"),
    ("ssl verify none", "no-tlsv11"),
    ("ssl verify none", "no-tlsv12"),
    ("ssl verify none", "no-tlsv13"),
    ("ssl verify none", "ciphers ECDHE-RSA-AES128-GCM-SHA256"),
    ("ssl verify none", "ciphersuites TLS_AES_128_GCM_SHA256"),
    ("ssl verify none", "check-alpn http/1.1"),
    (
        "ssl ca-file /etc/ssl/all/b.pem",
        "crl-file /etc/ssl/crl.pem",
    ),
    ("ssl verify none", "no-ssl-reuse"),
    ("ssl verify none no-ssl-reuse", "ssl-reuse"),
];

/// Words that change nothing by their meaning, or by what the sample file already says.
const NO_EFFECT: &[&str] = &[
    // Words that count with another beside them.
    "error-limit",
    "on-error",
    "agent-port",
    "agent-addr",
    "agent-inter",
    "agent-send",
    "no-agent-check",
    "resolve-prefer",
    "resolve-net",
    "resolve-opts",
    "enabled",
    "description",
    "retry-on",
    "http-keep-alive",
    "tcp-check",
    "mode",
    "setenv",
    "presetenv",
    "resetenv",
    "unsetenv",
    "ca-base",
    "crt-base",
    "ssl-default-bind-options",
    "ssl-default-server-options",
    "ssl-server-verify",
    "ssl-default-bind-ciphers",
    "ssl-default-bind-ciphersuites",
    "ssl-default-bind-curves",
    "ssl-default-server-ciphers",
    "ssl-default-server-ciphersuites",
    "ssl-default-server-curves",
    "ssl-load-extra-files",
    "ssl-load-extra-del-ext",
    "no-alpn",
    "tls-tickets",
    "no-sslv3",
    "no-tlsv10",
    "no-tlsv11",
    "verify",
    "ssl-min-ver TLSv1.0",
    "no-backup",
    "no-check",
    "init-addr",
    "no-send-proxy-v2-ssl",
    "no-send-proxy-v2-ssl-cn",
    "no-send-proxy",
    "no-send-proxy-v2",
    "default-server",
    "http-check",
    "zero-warning",
    "ssl",
    "acl",
];

fn file(place: In, line: &str) -> String {
    let at = |p: In| if p == place { line } else { "" };
    format!(
        "global\n {}\ndefaults\n timeout client 5s\n timeout server 5s\n timeout connect 1s\n\
         frontend f\n mode http\n bind :80\n {}\n\
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
    // Their words are tested below; of `tcp-response` the rules say themselves what has an effect.
    let sub = ["option", "timeout", "stats", "tcp-response", "errorfiles"];
    covered(PROXY, PROXIES.iter().map(|(_, line)| *line).chain(sub));
}

#[test]
fn options_and_timeouts() {
    for (place, line) in OPTION_LINES {
        check(*place, &format!("option {line}"), first(line));
        if !line.contains(' ') {
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
        let same = matches!(first(words), "check" | "enabled") || *words == "inter 2000";
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
                Status::Supported | Status::Obsolete => continue,
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
