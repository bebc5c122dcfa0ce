//! What files of the world have in them that a manual's reader would not expect.

use std::sync::Arc;

use lb_core::{
    config::CheckKind,
    health::script::{Act, MysqlLogin, Script},
};

use lb_core::config::{LogHeader, Mode};

use super::*;

/// A configuration that is accepted, and what was said about it.
fn accepted(text: &str) -> (Config, String) {
    let (config, diagnostics) = load_text(text);
    let config = config.unwrap_or_else(|| panic!("{diagnostics}\n{text}"));
    (config, diagnostics.to_string())
}

/// The rules of the pair's frontend.
fn rules_of(line: &str) -> String {
    let (config, _) = accepted(&pair(line, ""));
    format!("{:?}", config.proxies[0].rules)
}

#[test]
fn letters_behind_a_unit_are_left_out_with_a_warning() {
    let (config, said) = accepted(&pair("timeout client 15min", "timeout server 10sec"));
    assert_eq!(
        said.trim_end(),
        "h.cfg:9:17: warning: unexpected character 'i' behind the time '15m'; 'timeout client' is 15m\n\
         h.cfg:11:17: warning: unexpected character 'e' behind the time '10s'; 'timeout server' is 10s"
    );
    let timeouts = |index: usize| config.proxies[index].timeouts;
    assert_eq!(timeouts(0).client.unwrap().as_secs(), 900);
    assert_eq!(timeouts(1).server.unwrap().as_secs(), 10);
    for text in ["1.5s", "3x", "min"] {
        let said = findings(&pair(&format!("timeout client {text}"), ""));
        assert!(said[0].contains("is not a time"), "{said:?}");
    }
}

#[test]
fn a_refused_timeout_is_not_missing_as_well() {
    let said = findings("frontend f\n mode http\n bind :80\n timeout client soon\n");
    assert_eq!(said.len(), 1, "{said:#?}");
}

#[test]
fn a_refused_listener_is_not_missing_as_well() {
    let said = findings(&pair("", "").replace("bind :80", "bind :http"));
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("invalid port 'http'"), "{said:#?}");
}

#[test]
fn variables_in_addresses_are_expanded_outside_quotes() {
    let (config, said) = accepted(
        "global\n setenv HOST 10.0.0.9\n log ${HOST}:1514 local0\ndefaults\n mode tcp\n timeout client 5s\n \
         timeout server 5s\n timeout connect 1s\nlisten l\n bind 127.0.0.1:$PORT\n server s ${HOST}:${PORT}\n",
    );
    assert_eq!(said, "");
    let proxy = &config.proxies[0];
    let bind = &proxy.frontend.as_ref().unwrap().binds[0];
    assert_eq!(
        bind.address,
        lb_core::config::BindAddress::Tcp("127.0.0.1:8080".parse().unwrap())
    );
    let server = &proxy.backend.as_ref().unwrap().servers[0];
    assert_eq!(server.address.unwrap().to_string(), "10.0.0.9:8080");
    assert_eq!(
        config.global.logs[0].address,
        lb_core::config::SyslogAddress::Udp("10.0.0.9:1514".parse().unwrap())
    );
}

#[test]
fn an_unset_variable_in_an_address_is_named() {
    let said = findings(&pair("bind *:$WEB_PORT", ""));
    assert_eq!(
        said,
        [
            "h.cfg:9:7: warning: environment variable 'WEB_PORT' is not set; nothing stands in its place",
            "h.cfg:9:7: error: missing port specification in '*:': found `*:`, expected [address]:port[-end] or a \
             path"
        ]
    );
    let said = findings(&pair("", "server s \"$BACKEND\" check"));
    assert_eq!(
        said,
        [
            "h.cfg:11:11: error: the server's address is empty: found ``, expected address:port; is a variable not set?"
        ]
    );
}

#[test]
fn a_placeholder_is_no_host_name() {
    for host in ["<node-1>", "{{", "[ip]x"] {
        let said = findings(&pair("", &format!("server s {host}:80")));
        assert_eq!(said.len(), 1, "{said:#?}");
        assert!(said[0].contains("looks like a placeholder"), "{said:#?}");
    }
    let (_, said) = accepted(&pair("", "server s my_host-1.example.:80"));
    assert!(said.contains("starts in maintenance"), "{said}");
}

#[test]
fn checks_that_speak_a_protocol_are_scripts() {
    let check = |lines: &str| {
        let config = quiet(&pair("", lines));
        config.proxies[1].backend.as_ref().unwrap().check.clone()
    };
    for (line, script) in [
        (
            "mysql-check user haproxy pre-41",
            Script::mysql(Some(("haproxy", MysqlLogin::Pre41))),
        ),
        ("pgsql-check user u", Script::pgsql("u").unwrap()),
        ("smtpchk EHLO x", Script::smtp("EHLO x").unwrap()),
        ("smtpchk", Script::smtp("HELO localhost").unwrap()),
        ("ssl-hello-chk", Script::ssl_hello().unwrap()),
        ("redis-check", Script::redis()),
        ("ldap-check", Script::ldap().unwrap()),
    ] {
        let backend = format!("option httpchk\n option {line}\n server s 10.0.0.1:80 check");
        let script = CheckKind::Script(Arc::new(script));
        assert_eq!(check(&backend), script, "{line}: the last kind holds");
    }
    // These decide which server is the master.
    let CheckKind::Script(script) = check(
        "option tcp-check\n tcp-check connect port 9050 comment x\n tcp-check comment ask\n \
         tcp-check send-binary 50494e470d0A\n tcp-check expect ! rstring ^role:slave",
    ) else {
        panic!("no script");
    };
    let steps: Vec<_> = script
        .steps
        .iter()
        .map(|step| (step.number, step.comment.as_deref()))
        .collect();
    assert_eq!(steps, [(1, Some("x")), (3, Some("ask")), (4, None)]);
    assert_eq!(script.steps[1].act, Act::Send(b"PING\r\n".to_vec()));
    for (line, message) in [
        (
            "tcp-check connect ssl\n server s 10.0.0.1:80 check",
            "verified by nobody",
        ),
        ("tcp-check connect via-socks4", "is not supported"),
        ("tcp-check set-var(txn.x) int(1)", "no variable of a check"),
        ("tcp-check send-binary 5", "not pairs"),
        ("tcp-check expect rstring (", "not a regular expression"),
        ("tcp-check expect ok-status L7RSP string x", "not a status"),
        (
            "tcp-check send a\n tcp-check connect",
            "must be a 'connect'",
        ),
    ] {
        let said = findings(&pair("", &format!("option tcp-check\n {line}")));
        assert!(said[0].contains(message), "{said:?}");
    }
}

#[test]
fn check_rules_without_the_option_are_said_to_be_idle() {
    let (_, said) = accepted(&pair("", "http-check expect status 200"));
    assert_eq!(
        said.trim_end(),
        "h.cfg:11:2: warning: 'http-check' without 'option httpchk' is ignored; servers are checked by a TCP \
         connection"
    );
}

#[test]
fn steps_of_a_tcp_check_without_the_option_are_said_to_be_idle() {
    let said_of = |backend: &str| accepted(&pair("", backend)).1;
    assert_eq!(
        said_of("tcp-check send PING\n tcp-check expect string PONG").trim_end(),
        "h.cfg:11:2: warning: 'tcp-check' without 'option tcp-check' is ignored; servers are checked without these \
         steps"
    );
    assert_eq!(said_of("tcp-check send PING\n option tcp-check"), "");
    assert_eq!(
        said_of("tcp-check send PING\n option redis-check")
            .lines()
            .count(),
        1
    );
}

#[test]
fn a_refused_acl_is_not_unknown_as_well() {
    let frontend = "acl here nonsense(x)\n http-request deny if !here\n use_backend b if here";
    let said = findings(&pair(frontend, ""));
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(
        said[0].starts_with("h.cfg:9:11: error: unknown fetch"),
        "{said:#?}"
    );
    let said = findings(&pair("use_backend b if there", ""));
    assert!(said[0].contains("no such ACL: 'there'"), "{said:#?}");
}

#[test]
fn a_colon_behind_a_header_name_is_left_out() {
    let (_, said) = accepted(&pair(
        "http-request set-header X-Proto: https if { ssl_fc }",
        "",
    ));
    assert_eq!(
        said.trim_end(),
        "h.cfg:9:26: warning: the header's name 'X-Proto:' ends with a colon; it is read as 'X-Proto'"
    );
    assert_eq!(
        rules_of("http-request set-header X-Proto: https if { ssl_fc }"),
        rules_of("http-request set-header X-Proto https if { ssl_fc }")
    );
}

#[test]
fn metrics_are_the_only_service() {
    let line = "http-request use-service prometheus-exporter if { path /metrics }";
    assert_eq!(accepted(&pair(line, "")).1, "");
    let said = findings(&pair("http-request use-service lua.hello if no", ""));
    assert!(
        said[0].starts_with("h.cfg:9:27: error: there is no service 'lua.hello'"),
        "{said:#?}"
    );
}

#[test]
fn rewrites_of_the_request_line_become_rewrites_of_the_target() {
    for (old, new) in [
        (
            r"reqrep ^([^\ :]*)\ /app/(.*) \1\ /\2",
            "http-request replace-uri ^()/app/(.*) /\\\\2",
        ),
        (
            r"reqrep ^([^\ ]*\ /)app[/]?(.*) \1\2",
            "http-request replace-uri ^(/)app[/]?(.*) \\\\1\\\\2",
        ),
        (
            r"reqirep ^Host: Host:\ a.example if { path /x }",
            "http-request replace-header Host (?i)^ a.example if { path /x }",
        ),
        (
            r"reqirep ^Host:\ old(.*) Host:\ new\1",
            "http-request replace-header Host (?i)^old(.*) new\\\\1",
        ),
        (
            r"rspirep ^(Location:)\ http://(.*) \1\ https://\2",
            "http-response replace-header Location (?i)^()http://(.*) https://\\\\2",
        ),
        (
            r"rsprep ^Server:\ .* Server:\ 100%",
            "http-response replace-header Server ^.* 100%%",
        ),
    ] {
        assert_eq!(rules_of(old), rules_of(new), "{old}");
        let said = findings(&pair(old, ""));
        assert!(
            said.len() == 1 && said[0].contains("is obsolete"),
            "{said:#?}"
        );
    }
    for odd in [
        r"reqrep ^GET\ /a GET\ /b",
        r"reqrep ^([^\ ]*)\ /a\ HTTP/1.0 \1\ /b\ HTTP/1.1",
        r"reqrep ^([^\ ]*)\ /a POST\ /b",
        r"rsprep ^([^\ ]*)\ 404 \1\ 200",
        r"reqrep ^Host:\ a X-Other:\ b",
    ] {
        let said = findings(&pair(odd, ""));
        assert!(said[1].contains("no plain meaning"), "{odd}: {said:#?}");
    }
}

#[test]
fn log_lines_have_the_head_that_is_asked_for() {
    for (format, header) in [
        ("", LogHeader::Syslog),
        ("format raw", LogHeader::None),
        ("format short", LogHeader::Level),
        ("format priority", LogHeader::Priority),
        ("format local", LogHeader::Local),
        ("format rfc3164", LogHeader::Rfc3164),
        ("format rfc5424", LogHeader::Rfc5424),
        ("format timed", LogHeader::Timed),
        ("format iso", LogHeader::Iso),
    ] {
        let config = quiet(&format!("global\n log stdout {format} local0\n"));
        assert_eq!(config.global.logs[0].header, header, "{format}");
    }
}

#[test]
fn a_tcp_frontend_may_have_an_http_backend() {
    let text = pair("", "").replace("frontend f\n", "frontend f\n mode tcp\n");
    assert_eq!(findings(&text), [""; 0]);
    let (config, _) = accepted(&text);
    assert_eq!(config.proxies[0].mode, Mode::Tcp);
    assert_eq!(config.proxies[1].mode, Mode::Http);
}

#[test]
fn numbers_are_counted_past_those_that_are_given() {
    let server = |name: &str, id: &str| format!(" server {name} 10.0.0.1:80 {id}\n");
    let servers = [
        ("a", "id 7"),
        ("b", ""),
        ("c", "id 3"),
        ("d", ""),
        ("e", ""),
    ];
    let lines: String = servers.iter().map(|(name, id)| server(name, id)).collect();
    let config = quiet(&format!(
        "backend x\n id 9\nbackend y\nbackend z\n id 4\nbackend v\n timeout connect 1s\n timeout server 1s\n{lines}"
    ));
    let proxies: Vec<u32> = config.proxies.iter().map(|proxy| proxy.id).collect();
    assert_eq!(proxies, [9, 3, 4, 5]);
    let servers = &config.proxies[3].backend.as_ref().unwrap().servers;
    let servers: Vec<u32> = servers.iter().map(|server| server.id).collect();
    assert_eq!(servers, [7, 2, 3, 4, 5]);
}

#[test]
fn hashed_passwords_are_those_of_crypt() {
    // mkpasswd -m md5, sha-256 and sha-512
    let list = "userlist u\n user a password $1$abcdefgh$G//4keteveJp0qb8z2DxG/\n \
        user b password $5$abcdefgh$ZLdkj8mkc2XVSrPVjskDAgZPGjtj1VGVaa1aUkrMTU/ groups staff\n \
        user c password $6$rounds=1000$abcdefgh$x\n";
    quiet(&format!(
        "{list}{}",
        pair("http-request auth unless { http_auth(u) }", "")
    ));
}

#[test]
fn other_hashes_matter_where_they_are_asked_for() {
    let list = "userlist u\n user a password $y$j9T$x$y\n user b insecure-password c\n";
    let (config, said) = accepted(&format!("{list}{}", pair("", "")));
    assert_eq!(
        said.trim_end(),
        "h.cfg:2:9: warning: passwords of this kind of hash are not supported; no rule asks for this list; nobody can \
         log in as this user"
    );
    assert_eq!(config.proxies.len(), 2);
    let asking = pair("http-request auth unless { http_auth(u) }", "");
    let said = findings(&format!("{list}{asking}"));
    assert_eq!(
        said,
        [
            "h.cfg:2:9: error: passwords of this kind of hash are not supported: expected $5$... or $6$... (SHA-crypt, \
             as `mkpasswd -m sha-512` writes it), $1$... (MD5), or insecure-password <text>"
        ]
    );
}

#[test]
fn balance_alone_is_roundrobin() {
    let config = quiet(&pair("", "balance leastconn\n balance"));
    let backend = config.proxies[1].backend.as_ref().unwrap();
    assert_eq!(backend.balance, lb_core::balance::Algorithm::RoundRobin);
}

#[test]
fn words_behind_a_stats_line_are_left_out_with_a_warning() {
    let (config, said) = accepted(&pair(
        "stats realm welcome login\\ Haproxy\n stats uri /s /t",
        "",
    ));
    assert_eq!(
        said.trim_end(),
        "h.cfg:9:22: warning: 'stats realm' takes no further argument: 'login Haproxy'; it is ignored to the end of \
         the line, as by HAProxy\n\
         h.cfg:10:15: warning: 'stats uri' takes no further argument: '/t'; it is ignored to the end of the line, as \
         by HAProxy"
    );
    let stats = config.proxies[0].stats.as_ref().unwrap();
    assert_eq!(
        (stats.realm.as_str(), stats.uri.as_str()),
        ("welcome", "/s")
    );
}

#[test]
fn a_log_format_without_a_log_address_is_told_of() {
    let of = |frontend: &str, backend: &str| findings(&pair(frontend, backend));
    let message = "warning: log format ignored for frontend 'f' since it has no log address";
    assert_eq!(of("option httplog", ""), [format!("h.cfg:9:9: {message}")]);
    assert_eq!(
        of("log global\n log-format %ci", ""),
        [format!("h.cfg:10:13: {message}")]
    );
    assert_eq!(of("log 127.0.0.1 local0\n option httplog", ""), [""; 0]);
    assert_eq!(of("", ""), [""; 0]);
}

#[test]
fn tls_sessions_are_learned_from_both_hellos() {
    // The example of HAProxy's manual, and of many an OpenShift.
    let config = quiet(&pair(
        "mode tcp",
        "mode tcp\n stick-table type binary len 32 size 30k expire 30m\n acl clienthello req_ssl_hello_type 1\n \
         acl serverhello rep_ssl_hello_type 2\n tcp-request inspect-delay 5s\n \
         tcp-request content accept if clienthello\n tcp-response content accept if serverhello\n \
         stick on payload_lv(43,1) if clienthello\n stick store-response payload_lv(43,1) if serverhello",
    ));
    assert!(config.proxies[1].backend.is_some());
}

#[test]
fn what_only_lua_or_newer_versions_use_is_left_out_with_a_warning() {
    let text = format!(
        "global\n lua-prepend-path /tmp/haproxy/lua/?.lua\n ocsp-update.mindelay 300\n{}",
        pair("", "")
    );
    let (_, said) = accepted(&text);
    assert_eq!(
        said.trim_end(),
        "h.cfg:2:2: warning: 'lua-prepend-path' is ignored; there is no Lua\n\
         h.cfg:3:2: warning: 'ocsp-update.mindelay' is ignored; responses are taken from FILE.ocsp and `set ssl \
         ocsp-response`"
    );
}

#[test]
fn a_server_without_an_address_is_where_the_client_arrived() {
    let (config, said) = accepted(&pair("", "server s 0.0.0.0:9007"));
    assert_eq!(
        said.trim_end(),
        "h.cfg:11:11: warning: server 's' has no address of its own; connections go to the address at which the \
         client arrived, as with HAProxy"
    );
    let server = &config.proxies[1].backend.as_ref().unwrap().servers[0];
    assert_eq!(server.address.unwrap().to_string(), "0.0.0.0:9007");
    // Nor a port of its own: for listeners that take what is sent to others.
    let (config, _) = accepted(&pair("", "server s :"));
    let server = &config.proxies[1].backend.as_ref().unwrap().servers[0];
    assert_eq!(server.address.unwrap().to_string(), "0.0.0.0:0");
    assert_eq!(server.map_port, Some(0));
}

#[test]
fn rules_that_run_before_those_they_stand_behind_are_warned_about_in_haproxy_s_words() {
    let of = |lines: &str| -> Vec<String> {
        let text = format!(
            "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 1s\n\
             listen l\n bind :80\n server s 10.0.0.1:80\n{lines}\n"
        );
        let (config, said) = load_text(&text);
        assert!(config.is_some(), "{said}");
        said.iter().map(|said| said.message.clone()).collect()
    };
    let all = " use-server s if { path /a }\n redirect location /x if { path /b }\n http-request deny if { path /c }\n \
        monitor fail if { nbsrv lt 1 }\n tcp-request inspect-delay 1s\n tcp-request content accept\n \
        tcp-request session accept\n tcp-request connection accept";
    assert_eq!(
        of(all),
        [
            "a 'redirect' rule placed after a 'use-server' rule will still be processed before.",
            "a 'http-request' rule placed after a 'redirect' rule will still be processed before.",
            "a 'monitor fail' rule placed after an 'http-request' rule will still be processed before.",
            "a 'tcp-request' rule placed after a 'monitor fail' rule will still be processed before.",
            "a 'tcp-request' rule placed after a 'tcp-request content' rule will still be processed before.",
            "a 'tcp-request' rule placed after a 'tcp-request session' rule will still be processed before.",
        ]
    );
    let mut lines: Vec<&str> = all.split("\n ").collect();
    lines.reverse();
    assert_eq!(of(&lines.join("\n ")), [""; 0]);
}

#[test]
fn conditions_take_or_in_capitals_and_policies_of_other_systems_leave_the_own_ciphers() {
    let text = "global\n ssl-default-bind-ciphers PROFILE=SYSTEM\ndefaults\n mode http\n timeout client 5s\n \
        timeout server 5s\n timeout connect 1s\nfrontend f\n bind :80\n \
        http-request deny unless { path /a } OR { path /b } || { path /c }\n default_backend b\nbackend b\n \
        filter compression\n source 10.0.0.7 usesrc clientip\n option httplog\n server s 10.0.0.1:80 source 10.0.0.8 usesrc client\n";
    let (config, said) = load_text(text);
    assert!(config.is_some(), "{said}");
    let said: Vec<String> = said.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 4, "{said:#?}");
    for (said, words) in said.iter().zip([
        "nothing of these 'ciphers' is spoken: found `PROFILE=SYSTEM`",
        "'usesrc clientip' is ignored; servers see an address of this host",
        "backend 'b' : 'option httplog' directive is ignored in backends.",
        "'usesrc' is ignored; servers see an address of this host",
    ]) {
        assert!(said.contains(words), "{said}");
    }
}
