//! What lines mean: sections, halves, addresses, servers, checks.

use std::time::Duration;

use lb_core::config::{
    BackendConfig, BindAddress, CookieConfig, LogFormatKind, ServerConfig, StoreKind, SyslogAddress,
};

use super::*;

const TIMEOUTS: &str = " timeout client 5s\n timeout server 5s\n timeout connect 1s\n";

fn backend(config: &Config, index: usize) -> &BackendConfig {
    config.proxies[index].backend.as_ref().unwrap()
}

/// The servers of a backend with these lines, which may be warned about.
fn servers(lines: &str) -> Vec<ServerConfig> {
    let (config, diagnostics) = load_text(&pair("", lines));
    let config = config.unwrap_or_else(|| panic!("{diagnostics}"));
    backend(&config, 1).servers.clone()
}

fn binds(line: &str) -> Vec<String> {
    let config = quiet(&pair(line, ""));
    frontend(&config, 0).binds[1..]
        .iter()
        .map(|bind| match &bind.address {
            BindAddress::Tcp(address) => address.to_string(),
            BindAddress::Unix(path) => path.display().to_string(),
            BindAddress::Abstract(name) => format!("abns@{name}"),
            BindAddress::Inherited(fd) => format!("fd@{fd}"),
        })
        .collect()
}

#[test]
fn addresses_of_bind_lines() {
    assert_eq!(binds("bind *:81"), ["0.0.0.0:81"]);
    assert_eq!(binds("bind [::]:81 v4v6"), ["[::]:81"]);
    assert_eq!(binds("bind ipv6@:81"), ["[::]:81"]);
    assert_eq!(binds("bind ipv4@127.0.0.1:81"), ["127.0.0.1:81"]);
    assert_eq!(binds("bind localhost:81"), ["127.0.0.1:81"]);
    assert_eq!(
        binds("bind 10.0.0.1:81,10.0.0.2:82"),
        ["10.0.0.1:81", "10.0.0.2:82"]
    );
    assert_eq!(
        binds("bind :8000-8002"),
        ["0.0.0.0:8000", "0.0.0.0:8001", "0.0.0.0:8002"]
    );
    assert_eq!(binds("bind unix@/run/a.sock mode 600"), ["/run/a.sock"]);
    assert_eq!(binds("bind /run/a.sock"), ["/run/a.sock"]);
    assert_eq!(binds("bind \":${PORT}\""), ["0.0.0.0:8080"]);
}

#[test]
fn a_listen_is_both_halves_and_its_own_backend() {
    let config = quiet(&format!(
        "defaults\n{TIMEOUTS}listen a\n bind :80\n server s 10.0.0.1:80\n"
    ));
    assert_eq!(frontend(&config, 0).default_backend.as_deref(), Some("a"));
    assert_eq!(backend(&config, 0).servers.len(), 1);
    assert_eq!(config.proxies[0].id, 2);
}

#[test]
fn defaults_carry_over_until_the_next_ones_and_named_ones_are_called() {
    let text = format!(
        "defaults web\n mode http\n log 127.0.0.1 local0\n option httplog\n{TIMEOUTS}\
         frontend a\n bind :80\n\
         defaults raw\n mode tcp\n{TIMEOUTS}\
         frontend b\n bind :81\n\
         frontend c from web\n bind :82\n\
         defaults more from web\n option dontlog-normal\n\
         frontend d\n bind :83\n option httplog clf\n"
    );
    let config = quiet(&text);
    let found: Vec<_> = config
        .proxies
        .iter()
        .map(|p| (p.mode, p.log_format.clone(), p.dontlog_normal))
        .collect();
    assert_eq!(
        found,
        [
            (Mode::Http, LogFormatKind::Http, false),
            (Mode::Tcp, LogFormatKind::Connect, false),
            (Mode::Http, LogFormatKind::Http, false),
            (Mode::Http, LogFormatKind::Clf, true),
        ]
    );
    let said = findings(&format!("defaults web\n{TIMEOUTS}backend b from wbe\n"));
    assert_eq!(
        said,
        [
            "h.cfg:5:16: error: defaults section 'wbe' not found for proxy 'b': expected the name of a defaults \
          section above; did you mean `web`?"
        ]
    );
    let twice = "defaults web\ndefaults web\n";
    quiet(&format!("{twice}{TIMEOUTS}backend b\n"));
    assert_eq!(
        findings(&format!("{twice}{TIMEOUTS}backend b from web\n")),
        [
            "h.cfg:6:16: error: ambiguous defaults section name 'web' referenced by proxy 'b' exists at least at \
          h.cfg:1 and h.cfg:2"
        ]
    );
}

#[test]
fn of_a_setting_that_two_global_sections_have_the_first_holds() {
    let text =
        "global\n maxconn 5\n user a\nglobal\n maxconn 6\n uid 7\n nbthread 1\n nbthread 2\n";
    let (config, diagnostics) = load_text(text);
    let global = config.unwrap().global;
    assert_eq!(
        (global.maxconn, global.user.as_deref(), global.nbthread),
        (Some(5), Some("a"), Some(2))
    );
    let said: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "h.cfg:5:2: warning: 'maxconn' already specified. Continuing.; the first one holds",
            "h.cfg:6:2: warning: user/uid already specified. Continuing.; the first one holds",
        ]
    );
}

#[test]
fn zero_warning_refuses_what_would_be_a_warning() {
    quiet(&format!("global\n zero-warning\ndefaults\n{TIMEOUTS}"));
    let said = findings("global\n zero-warning\n ulimit-n 5\n");
    assert_eq!(
        said.first().map(String::as_str),
        Some("h.cfg:2:2: error: Some warnings were found and 'zero-warning' is set. Aborting.")
    );
}

#[test]
fn rules_may_stand_only_in_named_defaults() {
    let said = findings(&format!("defaults\n{TIMEOUTS} http-request deny\n"));
    assert_eq!(
        said,
        ["h.cfg:5:2: error: 'http-request' not allowed in anonymous 'defaults' section"]
    );
    quiet(&format!(
        "defaults x\n mode http\n{TIMEOUTS} http-request deny if FALSE\nfrontend f\n bind :80\n"
    ));
}

#[test]
fn options_are_switched_off_again() {
    let text = format!(
        "defaults\n mode http\n option dontlognull\n option redispatch\n option http-server-close\n log 10.0.0.1 local0\n{TIMEOUTS}\
         listen a\n bind :80\n no option dontlognull\n no option redispatch\n no option http-server-close\n no log\n"
    );
    let config = quiet(&text);
    let proxy = &config.proxies[0];
    assert!(!proxy.dontlognull && proxy.logs.is_empty());
    assert_eq!(backend(&config, 0).redispatch, None);
    assert_eq!(proxy.http_mode, lb_core::config::HttpMode::KeepAlive);
}

#[test]
fn several_files_are_one_configuration_and_a_directory_is_its_cfg_files() {
    let files = World(
        world()
            .0
            .with_file(
                "conf.d/10-global.cfg",
                format!(
                    "global\n maxconn 7\n log 10.0.0.1 local0\ndefaults\n log global\n{TIMEOUTS}"
                ),
            )
            .with_file(
                "conf.d/20-web.cfg",
                "frontend f\n bind :80\n default_backend late\n",
            )
            .with_file("last.cfg", "backend late\n server s 10.0.0.1:80\n"),
    );
    let mut diagnostics = Diagnostics::new();
    let config = load(
        &["conf.d".into(), "last.cfg".into()],
        &files,
        &mut diagnostics,
    );
    assert!(diagnostics.is_empty(), "{diagnostics}");
    let config = config.unwrap();
    assert_eq!(config.global.maxconn, Some(7));
    let names: Vec<_> = config
        .proxies
        .iter()
        .map(|p| (&*p.name, p.logs.len()))
        .collect();
    assert_eq!(names, [("f", 1), ("late", 1)]);
}

#[test]
fn numbers_in_statistics_follow_the_file_and_respect_those_given() {
    let config = quiet(&format!(
        "defaults\n{TIMEOUTS}backend a\nbackend b\n id 3\n server x 10.0.0.1:1\n server y 10.0.0.1:2 id 1\n server z 10.0.0.1:3\nbackend c\n"
    ));
    assert_eq!(
        config.proxies.iter().map(|p| p.id).collect::<Vec<_>>(),
        [2, 3, 4]
    );
    let ids: Vec<_> = backend(&config, 1)
        .servers
        .iter()
        .map(|s| (&*s.name, s.id))
        .collect();
    assert_eq!(ids, [("x", 2), ("y", 1), ("z", 4)]);
}

#[test]
fn servers_take_default_server_and_their_own_words() {
    let found = servers(
        "server a 10.0.0.1:80\n default-server inter 5s fall 7 weight 3 check\n server b 10.0.0.2:80 weight 9 no-check\n server c 10.0.0.3:80 rise 1",
    );
    assert_eq!((found[0].weight, &found[0].check), (1, &None));
    assert_eq!((found[1].weight, &found[1].check), (9, &None));
    let check = found[2].check.as_ref().unwrap();
    assert_eq!(
        (found[2].weight, check.inter, check.fall, check.rise),
        (3, Duration::from_secs(5), 7, 1)
    );
}

#[test]
fn server_ports_may_follow_the_client() {
    let found =
        servers("server a 10.0.0.1\n server b 10.0.0.1:+1000 check port 80\n server c 10.0.0.1:81");
    let ports: Vec<_> = found
        .iter()
        .map(|s| (s.address.unwrap().port(), s.map_port))
        .collect();
    assert_eq!(ports, [(0, Some(0)), (0, Some(1000)), (81, None)]);
    let said = findings(&pair("", "server a 10.0.0.1 check"));
    assert!(
        said[0].contains("has neither service port nor check port"),
        "{said:#?}"
    );
}

#[test]
fn host_names_are_resolved_at_load_and_unknown_ones_wait_in_maintenance() {
    let found = servers(
        "server a web.example:80\n server b ipv6@web.example:80\n server c gone.example:80 init-addr last,none\n server d gone.example:80 init-addr libc,10.9.9.9,none\n server e web.example:80 init-addr none,libc,10.9.9.9\n server f web.example:80 init-addr 10.9.9.8,libc",
    );
    let text = |s: &ServerConfig| s.address.map(|a| a.to_string());
    assert_eq!(text(&found[0]).as_deref(), Some("10.0.0.7:80"));
    assert_eq!(text(&found[1]).as_deref(), Some("[2001:db8::1]:80"));
    assert_eq!(text(&found[2]), None);
    assert_eq!(text(&found[3]).as_deref(), Some("10.9.9.9:80"));
    // Behind `none` or an address there is nothing to try.
    assert_eq!((text(&found[4]), found[4].port), (None, 80));
    assert_eq!(text(&found[5]).as_deref(), Some("10.9.9.8:80"));
    assert_eq!(found[0].fqdn.as_deref(), Some("web.example"));
    assert_eq!(
        findings(&pair("", "server c gone.example:80")),
        [
            "h.cfg:11:11: warning: server 'c': host 'gone.example' has no address; the server starts in maintenance"
        ]
    );
    let said = findings(&pair(
        "",
        "server c gone.example:80 init-addr libc,10.9.9.9",
    ));
    assert!(
        said[0].ends_with("; the address of `init-addr` is taken"),
        "{said:#?}"
    );
    let none = findings(&pair("", "server c gone.example:80 init-addr none"));
    assert!(none.is_empty(), "{none:#?}");
}

#[test]
fn a_template_spreads_the_addresses_of_its_host() {
    let found = servers("server-template w 4-7 web.example:80 check");
    let list: Vec<_> = found
        .iter()
        .map(|s| (s.name.to_string(), s.id, s.address.map(|a| a.to_string())))
        .collect();
    let row =
        |name: &str, id, address: Option<&str>| (name.to_owned(), id, address.map(str::to_owned));
    assert_eq!(
        list,
        [
            row("w4", 1, Some("10.0.0.7:80")),
            row("w5", 2, Some("10.0.0.8:80")),
            row("w6", 3, Some("[2001:db8::1]:80")),
            row("w7", 4, None),
        ]
    );
}

#[test]
fn cookies() {
    let cookie = |line: &str| backend(&quiet(&pair("", line)), 1).cookie.clone().unwrap();
    assert_eq!(
        cookie(
            "cookie SRV insert indirect nocache httponly secure domain .a.example attr a=b maxidle 30m maxlife 90d dynamic"
        ),
        CookieConfig {
            name: "SRV".to_owned(),
            insert: true,
            indirect: true,
            nocache: true,
            httponly: true,
            secure: true,
            domains: vec![".a.example".to_owned()],
            attributes: vec!["a=b".to_owned()],
            max_idle: Some(Duration::from_secs(1800)),
            max_life: Some(Duration::from_secs(90 * 86_400)),
            dynamic: true,
            ..CookieConfig::default()
        }
    );
    let said = findings(&pair("", "cookie SRV insert prefix"));
    assert!(
        said[0].contains("one of insert, rewrite and prefix"),
        "{said:#?}"
    );
}

#[test]
fn log_targets() {
    let config = quiet(&pair(
        "log 127.0.0.1:1514 len 4096 format rfc3164 local7 notice err\n log /dev/log daemon\n log stdout local0",
        "",
    ));
    let logs = &config.proxies[0].logs;
    assert_eq!(
        logs[0].address,
        SyslogAddress::Udp("127.0.0.1:1514".parse().unwrap())
    );
    assert_eq!(
        (
            logs[0].max_len,
            logs[0].facility,
            logs[0].level,
            logs[0].min_level
        ),
        (4096, 23, 5, 3)
    );
    assert_eq!(
        (&logs[1].address, logs[1].facility),
        (&SyslogAddress::Unix("/dev/log".into()), 3)
    );
    assert_eq!(logs[2].address, SyslogAddress::Fd(1));
}

#[test]
fn stick_lines_need_a_table_which_then_stores_servers() {
    let config = quiet(&pair(
        "",
        "stick on hdr(x-user) if TRUE\n stick-table type string size 1m",
    ));
    assert!(config.proxies[1].rules.sticks());
    let table = config.proxies[1].stick_table.as_ref().unwrap();
    assert_eq!(table.store, [StoreKind::ServerId, StoreKind::ServerKey]);
    for (lines, what) in [
        ("stick-table type ip size 0", "stick-table: missing size"),
        (
            "stick-table type ip size 1k\n stick-table type ip size 2k",
            "stick-table name 'b' conflicts with table declared in backend 'b' at ",
        ),
    ] {
        let said = findings(&pair("", lines));
        assert!(said[0].contains(what), "{said:#?}");
    }
    let said = findings(&pair("", "stick on src"));
    assert!(said[0].contains("unable to find table 'b'"), "{said:#?}");
    let said = findings(&pair(
        "",
        "stick-table type integer size 1k\n stick match path,length table nope",
    ));
    assert!(said[0].contains("unable to find table 'nope'"), "{said:#?}");
}

#[test]
fn what_rules_name_must_exist() {
    let said = |line: &str| {
        findings(&pair(
            line,
            "stick-table type ip size 1k\n server s 10.0.0.1:80",
        ))
    };
    for line in [
        "tcp-request connection track-sc0 src table b",
        "http-request deny if { sc0_http_req_rate(b) gt 10 } || { src_conn_cur(b) gt 5 }",
        "http-request deny if { nbsrv(b) lt 1 } || !{ srv_is_up(b/s) }",
        "http-request deny if { src,in_table(b) }",
        "monitor fail if { nbsrv(b) eq 0 }",
    ] {
        assert_eq!(said(line), Vec::<String>::new(), "{line}");
    }
    for (line, what) in [
        (
            "tcp-request connection track-sc0 src",
            "unable to find table 'f'",
        ),
        (
            "http-request deny if { src_conn_cur gt 5 }",
            "unable to find table 'f'",
        ),
        (
            "http-request deny if { nbsrv(x) lt 1 }",
            "unable to find backend 'x'",
        ),
        (
            "http-request deny if { srv_is_up(b/x) }",
            "unable to find server 'b/x'",
        ),
        (
            "http-request deny if { fe_conn(b) gt 1 }",
            "unable to find frontend 'b'",
        ),
        (
            "http-request sc-inc-gpc0(3)",
            "misses the number of its counter",
        ),
        ("monitor never if TRUE", "unknown word behind 'monitor'"),
    ] {
        let said = said(line);
        assert!(said[0].contains(what), "{line}: {said:#?}");
    }
}

#[test]
fn missing_timeouts_and_binds_are_warned_about() {
    assert_eq!(
        findings("frontend f\n mode http\nbackend b\n server s 10.0.0.1:80\n"),
        [
            "h.cfg:1:1: warning: frontend 'f' has no 'bind' directive. Please declare it as a backend if this was \
             intended",
            "h.cfg:1:1: warning: missing timeouts for frontend 'f': 'client'; there is no limit; connections whose \
             peer has vanished may stay for ever",
            "h.cfg:3:1: warning: missing timeouts for backend 'b': 'connect', 'server'; there is no limit; \
             connections whose peer has vanished may stay for ever",
        ]
    );
}

#[test]
fn a_password_hash_that_is_not_read_is_not_repeated() {
    let said = findings(
        "userlist u\n group admins users a,b\n user a insecure-password x groups staff\n user b password $2y$05$k6y3o.eP\n",
    );
    assert_eq!(
        said,
        [
            "h.cfg:4:9: warning: passwords of this kind of hash are not supported; no rule asks for this list; nobody \
             can log in as this user"
        ]
    );
}

#[test]
fn a_page_that_a_section_says_anything_of_is_not_that_of_its_defaults() {
    let text = "defaults\n mode http\n timeout client 1s\n stats uri /d\n stats auth a:b\n stats admin if TRUE\n\
                frontend own\n bind :80\n stats refresh 5s\n stats hide-version\n\
                frontend inherited\n bind :81\n";
    let (config, diagnostics) = load_text(text);
    let (config, said) = (config.unwrap(), diagnostics.to_string());
    let page = |number: usize| config.proxies[number].stats.as_ref().unwrap();
    let usual = page(0);
    assert_eq!(usual.uri, "/haproxy?stats");
    assert!(usual.auth.is_empty() && usual.admin.is_none() && usual.hide_version);
    assert_eq!(page(1).uri, "/d");
    assert!(!page(1).auth.is_empty() && page(1).admin.is_some());
    let told = said
        .lines()
        .filter(|line| line.contains("passwords included"));
    assert_eq!(told.count(), 1, "{said}");
}
