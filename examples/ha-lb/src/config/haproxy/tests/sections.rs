//! Sections that proxies and servers refer to, and servers that refer to each other.

use lb_core::{config::StatsAccess, expr::Value};

use super::*;

fn backend(lines: &str) -> String {
    format!(
        "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 1s\nbackend b\n {lines}\n"
    )
}

#[test]
fn of_error_pages_for_one_status_the_later_line_holds() {
    let section = "http-errors site\n errorfile 503 /etc/errors/503.http\n errorfile 404 /etc/errors/503.http\n";
    let pages = |lines: &str| {
        // The section may stand below.
        let config = quiet(&(backend(lines) + section));
        let pages = &config.proxies[0].error_files;
        pages.keys().copied().collect::<Vec<u16>>()
    };
    assert_eq!(pages("errorfiles site"), [404, 503]);
    assert_eq!(pages("errorfiles site 503"), [503]);
    let is_own = |lines: &str| {
        let config = quiet(&(backend(lines) + section));
        let page = &config.proxies[0].error_files[&503];
        String::from_utf8_lossy(page.message()).contains("/sorry")
    };
    assert!(is_own("errorfiles site\n errorloc 503 /sorry"));
    assert!(!is_own("errorloc 503 /sorry\n errorfiles site"));
    assert!(is_own("errorloc 503 /sorry\n errorfiles site 404"));
    assert_eq!(
        findings(&(backend("errorfiles sites") + section)),
        [
            "h.cfg:7:13: error: unable to find the http-errors section 'sites': expected the name of an http-errors \
             section; did you mean `site`?"
        ]
    );
    let said = findings(&(backend("errorfiles site 500") + section));
    assert!(said[0].contains("has no page for 500"), "{said:?}");
}

#[test]
fn tracking_ends_at_a_server_that_is_checked() {
    let ok = quiet(&backend(
        "server a 10.0.0.1:80 check\n server b 10.0.0.2:80 track a\n server c 10.0.0.3:80 track b/b",
    ));
    let servers = &ok.proxies[0].backend.as_ref().unwrap().servers;
    let track = servers[1].track.clone().unwrap();
    assert_eq!((&*track.0, &*track.1), ("b", "a"));
    for (line, what) in [
        ("server b 10.0.0.2:80 track nope/a", "required proxy 'nope'"),
        ("server b 10.0.0.2:80 track nope", "required server 'nope'"),
        (
            "server a 10.0.0.1:80\n server b 10.0.0.2:80 track a",
            "does not have any check",
        ),
        ("server b 10.0.0.2:80 track b", "comes back"),
        (
            "server a 10.0.0.1:80 check\n server b 10.0.0.2:80 check track a",
            "do not go together",
        ),
        ("server b 10.0.0.2:80 agent-check", "`agent-port <port>`"),
        (
            "mode tcp\n server b 10.0.0.2:80 check observe layer7",
            "http proxies",
        ),
    ] {
        let said = findings(&backend(line));
        assert!(
            said.iter().any(|finding| finding.contains(what)),
            "{line}: {said:?}"
        );
    }
}

#[test]
fn name_servers_are_read_with_their_times() {
    let section = "resolvers dns\n nameserver a 10.0.0.53:53\n nameserver b udp@10.0.1.53:5353\n resolve_retries 5\n \
                   timeout resolve 2s\n timeout retry 500\n hold nx 5s\n hold obsolete 1m\n hold valid 10s\n \
                   accepted_payload_size 4096\n";
    let line = "server s web.example:80 resolvers dns resolve-prefer ipv4";
    let (config, _) = load_text(&(backend(line) + section));
    let config = config.unwrap();
    let dns = &config.resolvers[0];
    assert_eq!(dns.nameservers.len(), 2);
    assert_eq!(dns.nameservers[1].1.to_string(), "10.0.1.53:5353");
    assert_eq!(
        (
            dns.retries,
            dns.interval.as_millis(),
            dns.patience.as_millis()
        ),
        (5, 2000, 500)
    );
    assert_eq!(
        (dns.hold.nx.as_secs(), dns.hold.obsolete.as_secs()),
        (5, 60)
    );
    assert_eq!(dns.payload, 4096);
    let server = &config.proxies[0].backend.as_ref().unwrap().servers[0];
    assert!(server.resolution.as_ref().unwrap().prefer_v4);
    for (lines, what) in [
        ("nameserver a 10.0.0.53", "one port"),
        ("nameserver a tcp@10.0.0.53:53", "over UDP"),
        ("hold sometimes 5s", "unknown status"),
        ("timeout forever 5s", "unknown timeout"),
        ("accepted_payload_size 70000", "not such a number"),
        (
            "nonsense",
            "unknown keyword 'nonsense' in 'resolvers' section",
        ),
    ] {
        let said = findings(&format!("resolvers dns\n {lines}\n"));
        assert!(said[0].contains(what), "{lines}: {said:?}");
    }
    let said = findings(&backend("server s web.example:80 resolvers nope"));
    assert!(
        said.iter().any(|f| f.contains("required resolvers 'nope'")),
        "{said:?}"
    );
    let rule = "http-request do-resolve(txn.ip,dns,ipv4) req.hdr(host),host_only";
    let (_, said) = load_text(&(backend(rule) + section));
    assert!(!said.has_errors());
    let said = findings(&(backend(&rule.replace("dns", "nope")) + section));
    let what = "can't find resolvers section 'nope' for do-resolve action";
    assert!(
        said.iter()
            .any(|f| f.starts_with("h.cfg:7:15: error: ") && f.contains(what)),
        "{said:?}"
    );
    let service = "server s _http._tcp.web.example resolvers dns resolve-opts ignore-weight check";
    let config = quiet(&(backend(service) + section));
    let server = &config.proxies[0].backend.as_ref().unwrap().servers[0];
    let resolution = server.resolution.as_ref().unwrap();
    assert!(resolution.of_service && resolution.ignores_weights);
    assert_eq!(
        (server.address, server.port, server.map_port),
        (None, 0, None)
    );
}

#[test]
fn rules_of_defaults_say_whose_server_and_whose_table_they_mean() {
    for (rule, expected) in [
        (
            "set-header x %[srv_conn(s)]",
            "'srv_conn' in a defaults section: server 's' of which backend",
        ),
        ("set-header x %[srv_conn(b/s)]", ""),
        ("set-header x %[be_conn]", ""),
        (
            "track-sc0 src",
            "a rule in a defaults section names no table",
        ),
        ("track-sc0 src table b", ""),
        (
            "deny if { src_http_req_rate gt 5 }",
            "'src_http_req_rate' in a defaults section names no table",
        ),
        ("deny if { src_http_req_rate(b) gt 5 }", ""),
        ("deny if { sc_http_req_rate(0) gt 5 }", ""),
    ] {
        let said = findings(&format!(
            "defaults d\n mode http\n http-request {rule}\nbackend b from d\n server s 10.0.0.1:80\n \
             stick-table type ip size 1k store http_req_rate(1s)\n"
        ));
        let wrong: Vec<&String> = said
            .iter()
            .filter(|f| f.contains("defaults section"))
            .collect();
        match expected {
            "" => assert!(wrong.is_empty(), "{rule}: {wrong:?}"),
            _ => assert!(wrong[0].contains(expected), "{rule}: {said:?}"),
        }
    }
}

#[test]
fn rules_of_defaults_are_taken_over_by_one_kind_of_proxy() {
    let times = " mode http\n timeout client 5s\n timeout server 5s\n timeout connect 1s\n";
    let front = "frontend f from d\n bind :80\n";
    let back = "backend b from d\n server s 10.0.0.1:80\n";
    let said = |rules: &str, heirs: &str| {
        let findings = findings(&format!("defaults d\n{times} {rules}\n{heirs}"));
        let wrong = findings
            .into_iter()
            .find(|finding| finding.contains("inherit"));
        wrong.unwrap_or_default()
    };
    let deny = "http-request deny if { path /x }";
    for (rules, heirs, expected) in [
        (deny, front.to_owned(), ""),
        (deny, back.to_owned(), ""),
        ("acl x path /x", format!("{front}{back}"), ""),
        (
            deny,
            format!("{front}{back}"),
            "frontends and backends cannot inherit from the same defaults section",
        ),
        (
            deny,
            "listen l from d\n bind :80\n".to_owned(),
            "a listen section cannot inherit from a defaults section defining TCP/HTTP rules",
        ),
        (
            deny,
            "defaults e from d\n mode http\n".to_owned(),
            "a defaults section cannot inherit from a defaults section defining TCP/HTTP rules (defaults section at h.cfg:1)",
        ),
        (
            "tcp-request connection accept",
            back.to_owned(),
            "a backend section cannot inherit from a defaults section defining 'tcp-request connection'",
        ),
        ("tcp-request connection accept", front.to_owned(), ""),
        (
            "tcp-response content accept",
            front.to_owned(),
            "a frontend section cannot inherit from a defaults section defining 'tcp-response content'",
        ),
    ] {
        let told = said(rules, &heirs);
        match expected {
            "" => assert_eq!(told, "", "{rules} {heirs}"),
            _ => assert!(told.contains(expected), "{rules} {heirs}: {told}"),
        }
    }
    // They come before those of the proxy itself.
    let text = format!(
        "defaults d\n{times} http-request set-path /one\n{front} http-request set-path /two\n"
    );
    let rules = format!("{:?}", quiet(&text).proxies[0].rules);
    let place = |path: &str| rules.find(&format!("{:?}", path.as_bytes())).unwrap();
    assert!(place("/one") < place("/two"), "{rules}");
}

#[test]
fn hosts_that_share_tables_are_read_with_their_addresses() {
    let global = "global\n localpeer lb1\n";
    let section = "peers pair\n default-server ssl verify none\n bind 10.0.0.1:1024\n server lb1\n \
                   peer lb2 10.0.0.2:1024\n table own type ip size 1k expire 1m store gpc(3),gpc_rate(3,10s)\n";
    let table = "stick-table type string size 1k peers pair srvkey addr\n stick on hdr(x-user)\n \
                 http-request track-sc0 src table pair/own\n server s 10.0.0.9:80";
    let text = format!("{global}{section}{}", backend(table));
    let (config, said) = load_text(&text);
    let config = config.unwrap_or_else(|| panic!("{said}"));
    let shared = config.proxies[0].stick_table.as_ref().unwrap();
    assert_eq!(shared.peers.as_deref(), Some("pair"));
    let proxy = config.proxies.last().unwrap();
    assert_eq!(proxy.frontend.as_ref().unwrap().binds.len(), 1);
    let pair = proxy.peers.as_ref().unwrap();
    assert_eq!(pair.local.as_deref(), Some("lb1"));
    assert_eq!(&*pair.peers[0].name, "lb2");
    assert!(pair.peers[0].tls.is_some());
    assert_eq!(pair.tables[0].1.store.len(), 2);

    // Without a line for this host, or switched off, tables are this host's alone.
    for lines in ["peer other 10.0.0.3:1024", "peer lb1 :1024\n disabled"] {
        let text = format!(
            "{global}peers pair\n {lines}\n{}",
            backend("stick-table type ip size 1 peers pair\n server s 10.0.0.9:80")
        );
        let (config, _) = load_text(&text);
        let config = config.unwrap();
        assert_eq!(config.proxies[0].stick_table.as_ref().unwrap().peers, None);
        assert!(config.proxies[1].frontend.is_none());
    }
    for (lines, what) in [
        ("peer lb2", "lacks an argument"),
        ("peer lb2 10.0.0.2", "it is not called"),
        ("peer a :1\n peer a :2", "another peer is called 'a'"),
        (
            "table t type ip size 1 store gpc0,gpc(2)",
            "cannot be stored together",
        ),
        ("table t type ip size 1 store gpc(101)", "gpc"),
        ("table t type ip size 1 srvkey id", "srvkey"),
        ("server lb1", "has no address"),
        ("nonsense", "unknown keyword 'nonsense' in 'peers' section"),
    ] {
        let said = findings(&format!("{global}peers pair\n {lines}\n"));
        assert!(
            said.iter().any(|finding| finding.contains(what)),
            "{lines}: {said:?}"
        );
    }
    let said = findings(&backend(
        "stick-table type ip size 1 peers nope\n server s 10.0.0.9:80",
    ));
    assert!(
        said.iter()
            .any(|f| f.contains("unable to find sync peers 'nope'")),
        "{said:?}"
    );
}

#[test]
fn a_state_file_that_cannot_be_used_is_told_of_once() {
    let line =
        |server| format!("9 b 1 {server} 10.0.0.1 0 1 5 5 77 1 0 2 0 0 0 0 - 80 - 0 0 - - 0\n");
    let load = |path: &str| {
        let backend = |name| format!("backend {name}\n server s 10.0.0.1:80\n");
        let text = format!(
            "global\n server-state-file {path}\ndefaults\n mode http\n timeout client 5s\n timeout server 5s\n \
             timeout connect 1s\n load-server-state-from-file global\n{}{}frontend f\n bind :80\n default_backend b\n",
            backend("b"),
            backend("c")
        );
        let files = world().0.with_file("h.cfg", text);
        let files = files.with_file("/state/old", line("s"));
        let files = files.with_file(
            "/state/torn",
            format!("1\n# be_id\n\n{}9 b 1 s 10.0.0.1 0", line("s")),
        );
        let mut diagnostics = Diagnostics::new();
        let config = load(&["h.cfg".into()], &World(files), &mut diagnostics).unwrap();
        let said: Vec<_> = diagnostics.iter().map(ToString::to_string).collect();
        (config.saved_servers.len(), said)
    };
    assert_eq!(load("/state/none"), (0, Vec::new()), "a first start");
    let (saved, said) = load("/state/old");
    let [said] = &said[..] else {
        panic!("{said:?}")
    };
    assert_eq!(saved, 0);
    assert!(
        said.contains("h.cfg:8:30") && said.contains("/state/old is not '1'"),
        "{said}"
    );
    let (saved, said) = load("/state/torn");
    let [said] = &said[..] else {
        panic!("{said:?}")
    };
    assert_eq!(saved, 1);
    assert!(
        said.contains("line 5 of the state file /state/torn"),
        "{said}"
    );
}

#[test]
fn caches_are_read_and_shared_by_the_rules_that_name_them() {
    let proxy = "http-request cache-use c\n http-response cache-store c";
    let section = "cache c\n total-max-size 4\n max-object-size 10000\n max-age 240\n process-vary on\n \
                   max-secondary-entries 3\ncache small\n total-max-size 1\n";
    let config = quiet(&(backend(&format!("mode http\n {proxy}")) + section));
    let (c, small) = (&config.caches["c"], config.caches["small"].config());
    assert_eq!((c.config().total, c.config().object), (4 << 20, 10_000));
    assert_eq!(
        (c.config().max_age.as_secs(), c.config().variants),
        (240, 3)
    );
    assert!(c.config().process_vary && !small.process_vary);
    assert_eq!(
        (small.object, small.max_age.as_secs(), small.variants),
        (4096, 60, 10)
    );
    for (lines, section, what) in [
        (
            proxy,
            "",
            "unable to find the cache 'c' referenced by the filter 'cache'",
        ),
        (
            "filter cache c",
            "",
            "unable to find the cache 'c' referenced by the filter 'cache'",
        ),
        ("http-request cache-use", "", "the name of a cache"),
        (
            "http-request cache-store c",
            "cache c\n total-max-size 1\n",
            "'cache-store' cannot stand in 'http-request'",
        ),
        (
            "filter compression\n http-request cache-use c",
            "cache c\n total-max-size 1\n",
            "unable to enable the compression filter before the cache 'c'",
        ),
        (
            "filter cache c\n filter cache c",
            "cache c\n total-max-size 1\n",
            "multiple explicit declarations of the cache filter 'c'",
        ),
        (
            "",
            "cache c\n max-age 5\n",
            "Size not specified for cache 'c'",
        ),
        (
            "",
            "cache c\n total-max-size 4096\n",
            "a number from 1 to 4095",
        ),
        (
            "",
            "cache c\n total-max-size 1\n max-object-size 600000\n",
            "is limited to an half of \"total-max-size\" => 524288",
        ),
        (
            "",
            "cache c\n total-max-size 1\n process-vary yes\n",
            "enable or disable vary processing",
        ),
        (
            "",
            "cache c\n total-max-size 1\n max-secondary-entries 0\n",
            "a number from 1",
        ),
        (
            "",
            "cache c\n total-max-size 1\ncache c\n total-max-size 1\n",
            "Duplicate cache name 'c'",
        ),
        (
            "",
            "cache c\n size 1\n",
            "unknown keyword 'size' in 'cache' section",
        ),
    ] {
        let said = findings(&(backend(&format!("mode http\n {lines}")) + section));
        assert!(
            said.iter().any(|finding| finding.contains(what)),
            "{lines} {section}: {said:?}"
        );
    }
    let fine =
        "filter cache c\n filter compression\n compression algo gzip\n http-request cache-use c";
    quiet(&(backend(&format!("mode http\n {fine}")) + "cache c\n total-max-size 1\n"));
}

#[test]
fn the_first_stats_http_request_whose_condition_holds_decides_and_nothing_stands_beside_it() {
    let page = |lines: &str| pair("", &format!("stats enable\n {lines}"));
    let config = quiet(&page(
        "acl in src 10.0.0.0/8\n stats http-request allow if in\n stats http-request auth realm R unless in\n \
         stats http-request auth\n stats http-request deny",
    ));
    let stats = config.proxies[1].stats.as_ref().unwrap();
    let access: Vec<_> = stats.access.iter().map(|rule| &rule.access).collect();
    let auth = |realm: &str| StatsAccess::Auth(realm.to_owned());
    let (own, usual) = (auth("R"), auth("HAProxy Statistics"));
    assert_eq!(
        access,
        [&StatsAccess::Allow, &own, &usual, &StatsAccess::Deny]
    );
    for (lines, at, word) in [
        (
            "stats http-request redirect location /",
            "12:21",
            "allow, deny or auth",
        ),
        ("stats http-request auth realm", "12:26", "missing realm"),
        ("stats http-request allow if nobody", "12:30", "nobody"),
        (
            "stats http-request allow\n stats auth a:b",
            "12:8",
            "at the same time",
        ),
        (
            "stats http-request allow\n stats realm R",
            "12:8",
            "at the same time",
        ),
    ] {
        let said = findings(&page(lines));
        let said = said.join("\n");
        assert!(said.starts_with(&format!("h.cfg:{at}: error")), "{said}");
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn env_reads_what_setenv_has_set() {
    let config = quiet(
        "global\n setenv STAGE test\n set-var proc.stage env(STAGE),upper\n set-var-fmt proc.none <%[env(NONE)]>\n",
    );
    let value = |name| config.variables.value(name).map(Value::into_text);
    assert_eq!(value("proc.stage").as_deref(), Some(&b"TEST"[..]));
    assert_eq!(value("proc.none").as_deref(), Some(&b"<>"[..]));
}
