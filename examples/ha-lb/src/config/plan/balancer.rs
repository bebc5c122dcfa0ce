//! The balancer's half of a plan.

use lb_core::config::{
    BackendConfig, Bind, Config, FrontendConfig, Global, ProxyConfig, ServerConfig,
};

use super::{Kind, Names, Plan, Settings};
use crate::supervisor::listeners::describe;

/// What differs between two balancers.
pub(super) fn compare(plan: &mut Plan, old: Option<&Config>, new: Option<&Config>) {
    if let (Some(old), Some(new)) = (old, new) {
        global(plan, &old.global, &new.global);
    }
    // The first proxy begins a balancer, the last one ends it.
    let none = Config::default();
    let (old, new) = (old.unwrap_or(&none), new.unwrap_or(&none));
    if old.resolvers != new.resolvers {
        plan.change("resolvers".to_owned(), vec!["sections".to_owned()]);
    }
    let titles = |config: &Config| config.proxies.iter().map(title).collect::<Vec<_>>();
    let (before, after) = (titles(old), titles(new));
    let strings = |titles: &'_ [String]| titles.iter().map(|t| t.to_owned()).collect::<Vec<_>>();
    let (before, after) = (strings(&before), strings(&after));
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let after: Vec<&str> = after.iter().map(String::as_str).collect();
    let names = Names::new(&before, &after);
    for title in &names.removed {
        plan.add(Kind::Removed, *title);
    }
    for title in &names.added {
        plan.add(Kind::Added, *title);
    }
    for title in &names.moved {
        plan.add(Kind::Moved, *title);
    }
    for (at_old, at_new) in names.kept {
        if let (Some(old), Some(new)) = (old.proxies.get(at_old), new.proxies.get(at_new)) {
            proxy(plan, old, new);
        }
    }
}

/// `frontend web`.
fn title(proxy: &ProxyConfig) -> String {
    if let Some(section) = &proxy.peers {
        return format!("peers {}", section.name);
    }
    let word = match (&proxy.frontend, &proxy.backend) {
        (Some(_), Some(_)) => "listen",
        (Some(_), None) => "frontend",
        (None, _) => "backend",
    };
    format!("{word} {}", proxy.name)
}

/// The text of a thing that has no comparison of its own.
fn differs<T: std::fmt::Debug>(old: &T, new: &T) -> bool {
    format!("{old:?}") != format!("{new:?}")
}

fn global(plan: &mut Plan, old: &Global, new: &Global) {
    let mut settings = Settings::default();
    // Rights that were given up cannot be had back: another process serves on the same sockets.
    let clothes = [
        ("user", old.user != new.user),
        ("group", old.group != new.group),
        ("chroot", old.chroot != new.chroot),
    ];
    for (name, _) in clothes.iter().filter(|(_, differs)| *differs) {
        plan.replaces_balancer = true;
        settings.named(
            &format!(
                "{name} (another process on the same sockets; counters and stick tables begin anew)"
            ),
            true,
        );
    }
    settings.named("pidfile", old.pidfile != new.pidfile);
    let number = |n: Option<u32>| n.map_or_else(|| "default".to_owned(), |n| n.to_string());
    settings.shown("nbthread", number(old.nbthread), number(new.nbthread));
    settings.shown("maxconn", number(old.maxconn), number(new.maxconn));
    settings.named(
        "hard-stop-after",
        old.hard_stop_after != new.hard_stop_after,
    );
    settings.named(
        "stats socket",
        differs(&old.stats_sockets, &new.stats_sockets),
    );
    settings.named("spread-checks", old.spread_checks != new.spread_checks);
    settings.named("max-spread-checks", old.max_spread != new.max_spread);
    settings.named("tune.h2", old.http2 != new.http2);
    let buffers = |global: &Global| (global.client_buffers, global.server_buffers);
    settings.named("tune.rcvbuf, tune.sndbuf", buffers(old) != buffers(new));
    settings.named("tune.idle-pool.shared", old.idle_apart != new.idle_apart);
    settings.named("log", old.logs != new.logs);
    settings.named("log-tag", old.log_tag != new.log_tag);
    settings.named(
        "log-send-hostname",
        old.log_send_hostname != new.log_send_hostname,
    );
    settings.named("node", old.node != new.node);
    settings.named("description", old.description != new.description);
    plan.change("global", settings.0);
}

fn proxy(plan: &mut Plan, old: &ProxyConfig, new: &ProxyConfig) {
    let title = title(new);
    let mut settings = Settings::default();
    settings.named("mode", old.mode != new.mode);
    settings.named("disabled", old.disabled != new.disabled);
    settings.named("timeouts", old.timeouts != new.timeouts);
    settings.named("rules", differs(&old.rules, &new.rules));
    settings.named("log", old.logs != new.logs || old.log_tag != new.log_tag);
    settings.named(
        "log format",
        (&old.log_format, &old.error_log_format) != (&new.log_format, &new.error_log_format),
    );
    settings.named("HTTP connection mode", old.http_mode != new.http_mode);
    settings.named("option forwardfor", old.forward_for != new.forward_for);
    settings.named("option originalto", old.original_to != new.original_to);
    settings.named(
        "option http-restrict-req-hdr-names",
        old.header_names != new.header_names,
    );
    settings.named("option h1-case-adjust", old.adjust_case != new.adjust_case);
    settings.named("option http-keep-header-case", old.names != new.names);
    let invalid = |p: &ProxyConfig| (p.invalid_requests, p.invalid_responses);
    settings.named("option accept-invalid-http", invalid(old) != invalid(new));
    settings.named(
        "option disable-h2-upgrade",
        old.no_h2_upgrade != new.no_h2_upgrade,
    );
    settings.named("option socket-stats", old.socket_stats != new.socket_stats);
    settings.named("TCP keep-alive", old.tcp_keepalive != new.tcp_keepalive);
    settings.named("stats", differs(&old.stats, &new.stats));
    settings.named("description", old.description != new.description);
    settings.named("stick-table", old.stick_table != new.stick_table);
    settings.named("peers", old.peers != new.peers);
    settings.named("errorfile", old.error_files != new.error_files);
    settings.named("monitor-uri", old.monitor_uri != new.monitor_uri);
    let log_options = |p: &ProxyConfig| {
        (
            p.dontlognull,
            p.logasap,
            p.dontlog_normal,
            p.log_separate_errors,
            p.ignore_probes,
        )
    };
    settings.named("log options", log_options(old) != log_options(new));
    if let (Some(old), Some(new)) = (&old.frontend, &new.frontend) {
        frontend(&mut settings, old, new);
    }
    if let (Some(old), Some(new)) = (&old.backend, &new.backend) {
        backend(&mut settings, old, new);
    }
    plan.change(title.clone(), settings.0);
    if let (Some(old), Some(new)) = (&old.frontend, &new.frontend) {
        binds(plan, &title, &old.binds, &new.binds);
    }
    if let (Some(old), Some(new)) = (&old.backend, &new.backend) {
        servers(plan, &title, &old.servers, &new.servers);
    }
}

fn frontend(settings: &mut Settings, old: &FrontendConfig, new: &FrontendConfig) {
    settings.named("maxconn", old.maxconn != new.maxconn);
    settings.named(
        "default_backend",
        old.default_backend != new.default_backend,
    );
    settings.named("backlog", old.backlog != new.backlog);
    settings.named("rate-limit sessions", old.rate_limit != new.rate_limit);
}

fn backend(settings: &mut Settings, old: &BackendConfig, new: &BackendConfig) {
    settings.shown("balance", old.balance.name(), new.balance.name());
    settings.named("hash-type", old.hash != new.hash);
    settings.shown("retries", old.retries, new.retries);
    settings.named("option redispatch", old.redispatch != new.redispatch);
    settings.named("retry-on", old.retry_on != new.retry_on);
    settings.named("fullconn", old.fullconn != new.fullconn);
    settings.named("cookie", old.cookie != new.cookie);
    settings.named(
        "dynamic-cookie-key",
        old.dynamic_cookie_key != new.dynamic_cookie_key,
    );
    settings.named("check", old.check != new.check);
    settings.named("option persist", old.persist != new.persist);
    settings.named(
        "option abortonclose",
        old.abort_on_close != new.abort_on_close,
    );
    settings.named("option allbackups", old.all_backups != new.all_backups);
    settings.named(
        "option log-health-checks",
        old.log_health_checks != new.log_health_checks,
    );
    settings.named("http-reuse", old.http_reuse != new.http_reuse);
    settings.named(
        "option prefer-last-server",
        old.prefer_last_server != new.prefer_last_server,
    );
    settings.named(
        "persistence_timeout",
        old.stick_on_source != new.stick_on_source,
    );
}

fn binds(plan: &mut Plan, title: &str, old: &[Bind], new: &[Bind]) {
    let addresses = |binds: &[Bind]| {
        binds
            .iter()
            .map(|b| describe(&b.address))
            .collect::<Vec<_>>()
    };
    let (before, after) = (addresses(old), addresses(new));
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let after: Vec<&str> = after.iter().map(String::as_str).collect();
    let names = Names::new(&before, &after);
    for address in &names.removed {
        plan.add(Kind::Removed, format!("{title}, bind {address}"));
    }
    for address in &names.added {
        plan.add(Kind::Added, format!("{title}, bind {address}"));
    }
    for (at_old, at_new) in &names.kept {
        if let (Some(old), Some(new)) = (old.get(*at_old), new.get(*at_new)) {
            let placeless = |bind: &Bind| Bind {
                origin: None,
                ..bind.clone()
            };
            let mut settings = Settings::default();
            settings.named("settings", differs(&placeless(old), &placeless(new)));
            plan.change(
                format!("{title}, bind {}", describe(&new.address)),
                settings.0,
            );
        }
    }
}

fn servers(plan: &mut Plan, title: &str, old: &[ServerConfig], new: &[ServerConfig]) {
    let name = |server: &'_ ServerConfig| server.name.to_string();
    let (before, after): (Vec<_>, Vec<_>) = (
        old.iter().map(name).collect(),
        new.iter().map(name).collect(),
    );
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let after: Vec<&str> = after.iter().map(String::as_str).collect();
    let names = Names::new(&before, &after);
    for (kind, names) in [
        (Kind::Removed, &names.removed),
        (Kind::Added, &names.added),
        (Kind::Moved, &names.moved),
    ] {
        for name in names {
            plan.add(kind, format!("{title}, server {name}"));
        }
    }
    for (at_old, at_new) in &names.kept {
        if let (Some(old), Some(new)) = (old.get(*at_old), new.get(*at_new)) {
            plan.change(format!("{title}, server {}", new.name), server(old, new));
        }
    }
}

fn server(old: &ServerConfig, new: &ServerConfig) -> Vec<String> {
    let address = |s: &ServerConfig| {
        let unix = s.unix.as_ref().map(ToString::to_string);
        let ip = s.address.map(|address| address.to_string());
        unix.or(ip).unwrap_or_else(|| "none".to_owned())
    };
    let limit = |n: Option<u32>| n.map_or_else(|| "none".to_owned(), |n| n.to_string());
    let mut settings = Settings::default();
    settings.shown("address", address(old), address(new));
    settings.shown("weight", old.weight, new.weight);
    settings.shown("maxconn", limit(old.maxconn), limit(new.maxconn));
    settings.named("minconn", old.minconn != new.minconn);
    settings.named("maxqueue", old.maxqueue != new.maxqueue);
    settings.named("backup", old.backup != new.backup);
    settings.named("non-stick", old.non_stick != new.non_stick);
    settings.named("disabled", old.disabled != new.disabled);
    settings.named("cookie", old.cookie != new.cookie);
    settings.named("slowstart", old.slowstart != new.slowstart);
    settings.named("check", old.check != new.check);
    settings.named("observe", old.observe != new.observe);
    settings.named("agent-check", old.agent != new.agent);
    settings.named("track", old.track != new.track);
    settings.named("resolvers", old.resolution != new.resolution);
    settings.named(
        "on-marked-up",
        old.cut_backups_on_up != new.cut_backups_on_up,
    );
    settings.named("ssl", old.tls != new.tls);
    settings.named("proto", old.protocol != new.protocol);
    settings.named("pool-low-conn", old.pool_low_conn != new.pool_low_conn);
    settings.named("pool-max-conn", old.pool_max_conn != new.pool_max_conn);
    settings.named(
        "pool-purge-delay",
        old.pool_purge_delay != new.pool_purge_delay,
    );
    settings.named("max-reuse", old.max_reuse != new.max_reuse);
    settings.named("send-proxy", old.send_proxy != new.send_proxy);
    settings.named("source", old.source != new.source);
    settings.named("redir", old.redir != new.redir);
    settings.named(
        "on-marked-down",
        old.shutdown_sessions_on_down != new.shutdown_sessions_on_down,
    );
    settings.named("port", old.map_port != new.map_port);
    settings.0
}
