//! Rules that count in stick tables, and what they see of servers.

use std::{collections::BTreeMap, time::Instant};

use super::*;
use crate::{
    backend::{AdminAction, Backend},
    config::Timeouts,
    config::{
        BackendConfig, Mode, ProxyConfig, ServerConfig, StickTableConfig, StoreKind, TableKey,
    },
    expr::Expr,
    id::ServerIndex,
    request::{ProcessVariables, World as Lookup},
    stats::FrontendCounters,
    stick_table::{Column, StickTable},
};

#[derive(Debug)]
struct Proxies {
    tables: BTreeMap<&'static str, Arc<StickTable>>,
    backend: Arc<Backend>,
    counters: FrontendCounters,
    section: ProxyConfig,
    variables: ProcessVariables,
}

impl Lookup for Proxies {
    fn table(&self, proxy: &str) -> Option<&Arc<StickTable>> {
        self.tables.get(proxy)
    }

    fn backend(&self, name: &str) -> Option<&Arc<Backend>> {
        (name == "be").then_some(&self.backend)
    }

    fn frontend(&self, name: &str) -> Option<&FrontendCounters> {
        (name == "fe").then_some(&self.counters)
    }

    fn section(&self, name: &str) -> Option<&ProxyConfig> {
        (name == "fe").then_some(&self.section)
    }

    fn host_name(&self) -> Option<String> {
        Some("lb1".to_owned())
    }

    fn timeouts(&self, _: &str) -> Option<&Timeouts> {
        None
    }

    fn number(&self, proxy: &str) -> Option<u32> {
        (proxy == "be").then_some(3)
    }

    fn capture_length(&self, _: &str, _: Side, _: usize) -> Option<usize> {
        None
    }

    fn variables(&self) -> &ProcessVariables {
        &self.variables
    }
}

/// Frontend `fe` with a table of addresses, `keys` with one of strings, `be` with two servers.
fn proxies(now: Instant) -> Arc<Proxies> {
    let table = |key| {
        let period = Duration::from_secs(10);
        let config = StickTableConfig {
            store: vec![
                StoreKind::ServerId,
                StoreKind::Gpc0,
                StoreKind::Gpt0,
                StoreKind::ConnCnt,
                StoreKind::ConnCur,
                StoreKind::SessCnt,
                StoreKind::HttpReqRate(period),
            ],
            ..StickTableConfig::new(key, 100)
        };
        Arc::new(StickTable::new(&config, now))
    };
    let mut proxy = ProxyConfig::new("be", 3, Mode::Http);
    let address = Some("127.0.0.1:1".parse().unwrap());
    proxy.backend = Some(BackendConfig {
        servers: vec![
            ServerConfig::new("a", 1, address),
            ServerConfig::new("b", 2, address),
        ],
        ..BackendConfig::default()
    });
    Arc::new(Proxies {
        tables: [
            ("fe", table(TableKey::Ip)),
            ("keys", table(TableKey::String(20))),
        ]
        .into(),
        section: ProxyConfig::new("fe", 2, Mode::Http),
        variables: ProcessVariables::default(),
        backend: Backend::new(&proxy, now),
        counters: FrontendCounters::new(now),
    })
}

/// A connection to `fe`, and what it can ask.
fn connected() -> (World, Arc<Proxies>) {
    let mut world = World::new();
    let proxies = proxies(world.connection.accepted_at);
    world.state.world = Some(proxies.clone());
    (world, proxies)
}

fn on_request(world: &mut World, rules: &ProxyRules, target: &str) -> RequestVerdict {
    let mut head = request("GET", target, &[]);
    rules.on_request(
        world.connection.accepted_at,
        &world.connection,
        &mut HeadMut::new(&mut head, b""),
        &mut world.state,
    )
}

#[test]
fn a_connection_counts_until_its_end_and_a_request_until_its_own() {
    let (mut world, proxies) = connected();
    let now = world.connection.accepted_at;
    let rules = build(&[
        "tcp-request connection track-sc0 src",
        "http-request track-sc1 path table keys",
        "http-request deny if { sc1_http_req_rate gt 2 }",
        "http-request sc-inc-gpc0(0) if { path /inc }",
        "http-request sc-set-gpt0(1) 7",
    ]);
    rules.on_connection(now, &world.connection, &mut world.state);
    rules.on_session(now, &world.connection, &mut world.state);
    let source = proxies.tables["fe"].key_of_bytes(b"192.0.2.7").unwrap();
    let of_source = |column| proxies.tables["fe"].value(now, &source, column);
    assert_eq!(of_source(Column::ConnCur), Some(1));
    assert_eq!(of_source(Column::SessCnt), Some(1));
    for _ in 0..2 {
        assert_eq!(
            on_request(&mut world, &rules, "/inc"),
            RequestVerdict::Continue
        );
        world.state.begin_transaction();
    }
    assert!(matches!(
        on_request(&mut world, &rules, "/inc"),
        RequestVerdict::Deny { status: 403, .. }
    ));
    assert_eq!(of_source(Column::Gpc0), Some(2));
    let keys = &proxies.tables["keys"];
    let path = keys.key_of_bytes(b"/inc").unwrap();
    let of_path = |column| keys.value(now, &path, column);
    assert_eq!(of_path(Column::ConnCnt), Some(3));
    assert_eq!(of_path(Column::ConnCur), Some(1));
    assert_eq!(of_path(Column::Gpt0), Some(7));
    world.state.begin_transaction();
    assert_eq!(of_path(Column::ConnCur), Some(0));
    drop(world);
    assert_eq!(of_source(Column::ConnCur), Some(0));
}

#[test]
fn fetches_and_converters_read_counters() {
    let (mut world, _proxies) = connected();
    let rules = build(&["tcp-request session track-sc0 src"]);
    let now = world.connection.accepted_at;
    let shown = |world: &World, text: &str| {
        let expr = Expr::parse(text, &crate::expr::Definitions::default()).unwrap();
        let value = expr.value(&world.view());
        value.map(|v| text_of(&v.into_text()))
    };
    assert_eq!(shown(&world, "sc0_conn_cnt"), None);
    assert_eq!(shown(&world, "src_conn_cnt"), Some("0".into()));
    assert_eq!(shown(&world, "src,in_table(fe)"), Some("0".into()));
    rules.on_connection(now, &world.connection, &mut world.state);
    rules.on_session(now, &world.connection, &mut world.state);
    for (text, expected) in [
        ("sc0_conn_cnt", "1"),
        ("sc_conn_cur(0)", "1"),
        ("sc0_conn_cnt(keys)", "0"),
        ("sc0_tracked", "1"),
        ("sc_tracked(2)", "0"),
        ("sc_trackers(0)", "1"),
        ("src_conn_cnt(fe)", "1"),
        ("src_inc_gpc0(fe)", "1"),
        ("sc0_inc_gpc0", "2"),
        ("src_clr_gpc0(fe)", "2"),
        ("sc0_get_gpc0", "0"),
        ("src,table_conn_cnt(fe)", "1"),
        ("src,in_table(fe)", "1"),
        ("str(x),table_conn_cnt(keys)", "0"),
        ("table_cnt(keys)", "0"),
        ("table_avl(fe)", "99"),
    ] {
        assert_eq!(shown(&world, text).as_deref(), Some(expected), "{text}");
    }
    // This table has no such column.
    assert_eq!(shown(&world, "sc0_http_err_cnt"), None);
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn rules_see_how_servers_are() {
    let (mut world, proxies) = connected();
    let now = world.connection.accepted_at;
    let rules = build(&[
        "monitor fail if { nbsrv(be) lt 2 }",
        "http-request deny if !{ srv_is_up(be/a) }",
    ]);
    assert!(!rules.monitor_fails(&world.view()));
    assert_eq!(
        on_request(&mut world, &rules, "/"),
        RequestVerdict::Continue
    );
    let a = ServerIndex::new(0);
    proxies.backend.set_state(now, a, AdminAction::Maintenance);
    assert!(rules.monitor_fails(&world.view()));
    assert_ne!(
        on_request(&mut world, &rules, "/"),
        RequestVerdict::Continue
    );
}

#[test]
fn tables_remember_servers_by_any_key() {
    let (world, proxies) = connected();
    let now = world.connection.accepted_at;
    let world = world.request("GET", "/u", &["x-user: joe"]);
    let rules = build(&[
        "stick match src table fe",
        "stick on hdr(x-user) table keys if { path /u }",
    ]);
    let (server, stores) = rules.stick(&world.view());
    assert_eq!(server, None);
    let server = proxies.backend.servers().last().unwrap();
    stores.remember(now, server);
    let remembered = rules.stick(&world.view()).0.unwrap();
    assert_eq!(remembered.number, Some(server.number()));
    assert_eq!(
        proxies.backend.number_of(&remembered),
        Some(server.number())
    );
    let world = world.request("GET", "/elsewhere", &["x-user: joe"]);
    assert_eq!(rules.stick(&world.view()).0, None);
}

#[test]
fn a_source_is_counted_for_each_place_it_asks_for() {
    let (mut world, proxies) = connected();
    let rules = build(&["http-request track-sc0 base32+src table keys"]);
    for target in ["/a?x", "/a?y", "/b"] {
        on_request(&mut world, &rules, target);
        world.state.begin_transaction();
    }
    assert_eq!(proxies.tables["keys"].len(world.connection.accepted_at), 2);
    let text = |expr: &str| {
        let expr = Expr::parse(expr, &crate::expr::Definitions::default()).unwrap();
        let world = World::new().request("GET", "/a?x", &["host: h"]);
        let value = expr.value(&world.view()).unwrap();
        text_of(&value.into_text())
    };
    assert!(text("base32+src,hex").ends_with("C0000207"));
    assert_ne!(text("base32"), text("url32"));
}

#[test]
fn a_rule_that_waits_for_bytes_does_not_repeat_what_was_before_it() {
    let (mut world, proxies) = connected();
    let now = world.connection.accepted_at;
    let rules = build(&[
        "tcp-request connection track-sc0 src",
        "tcp-request inspect-delay 5s",
        "tcp-request content sc-inc-gpc0(0)",
        "tcp-request content track-sc1 req.payload(0,3) table keys",
    ]);
    rules.on_connection(now, &world.connection, &mut world.state);
    rules.on_session(now, &world.connection, &mut world.state);
    let wait = ContentVerdict::NeedMore {
        within: Duration::from_secs(5),
    };
    for (bytes, expected) in [
        (&b"a"[..], wait.clone()),
        (b"ab", wait),
        (b"abc", ContentVerdict::Accept),
    ] {
        let connection = &world.connection;
        let verdict = rules.on_content(now, connection, None, bytes, false, &mut world.state);
        assert_eq!(verdict, expected);
    }
    let source = proxies.tables["fe"].key_of_bytes(b"192.0.2.7").unwrap();
    assert_eq!(
        proxies.tables["fe"].value(now, &source, Column::Gpc0),
        Some(1)
    );
    assert_eq!(proxies.tables["keys"].len(now), 1);
}
