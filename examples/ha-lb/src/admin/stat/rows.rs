//! Rows of `show stat` from the counters, column by column as HAProxy 2.6 fills them.

use std::{borrow::Cow, sync::Arc, time::Instant};

use lb_core::{
    backend::Backend,
    config::{self, ProxyConfig},
    dataplane::Balancer,
    server::{AdminState, Server, ServerStatus},
    stats::{FrontendCounters, StatusClass, Traffic},
};

use super::{
    columns::{
        Column::{self, *},
        Kind, Row,
    },
    walk::{Filter, Walk},
};

/// Who asks, as far as it changes what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detail {
    /// Addresses, cookies and algorithms are shown (level `operator`, `stats show-legends`).
    pub legends: bool,
}

/// All rows in the order of the file: of each proxy its frontend, its listeners, its servers, its backend.
pub fn rows(balancer: &Arc<Balancer>, detail: Detail) -> Vec<Row> {
    Walk::new(balancer, Filter::default(), detail).collect()
}

/// The row of a proxy's frontend, if it has one.
pub(super) fn of_frontend(balancer: &Balancer, proxy: usize, now: Instant) -> Option<Row> {
    let section = balancer.config.proxies.get(proxy)?;
    let (place, frontend) = balancer.frontend_of(proxy)?;
    let counters = balancer.frontend_counters.get(place)?;
    Some(frontend_row(section, counters, frontend.maxconn(), now))
}

/// The row of a proxy's backend, if it has one.
pub(super) fn of_backend(
    balancer: &Balancer,
    proxy: usize,
    detail: Detail,
    now: Instant,
) -> Option<Row> {
    let section = balancer.config.proxies.get(proxy)?;
    let (_, backend) = balancer.backend_of(proxy)?;
    let mut row = backend_row(section, backend, detail, now);
    row.set(Slim, balancer.fullconn(backend));
    Some(row)
}

fn frontend_row(proxy: &ProxyConfig, counters: &FrontendCounters, limit: u32, now: Instant) -> Row {
    let mut row = Row::new(Kind::Frontend, &proxy.name, "FRONTEND", (proxy.id, 0));
    let traffic = &counters.traffic;
    let open = counters.connections.value();
    row.set(Scur, open);
    row.set(Smax, counters.connections.max());
    row.set(Slim, limit);
    row.set(Stot, traffic.total(|c| &c.sessions));
    volume(&mut row, traffic);
    row.set(Dreq, traffic.total(|c| &c.denied_requests));
    row.set(Dresp, traffic.total(|c| &c.denied_responses));
    row.set(Ereq, traffic.total(|c| &c.request_errors));
    row.set(
        Status,
        if proxy.disabled {
            "STOP"
        } else if limit > 0 && open >= limit {
            "FULL"
        } else {
            "OPEN"
        },
    );
    row.set(Rate, counters.session_rate.per_second(now));
    let rate_limit = proxy.frontend.as_ref().and_then(|f| f.rate_limit);
    row.set(RateLim, rate_limit.unwrap_or(0));
    row.set(RateMax, counters.session_rate.max());
    row.set(ReqRate, counters.request_rate.per_second(now));
    row.set(ReqRateMax, counters.request_rate.max());
    row.set(ReqTot, traffic.total(|c| &c.requests));
    row.set_all(&[CompIn, CompOut, CompByp, CompRsp], 0u32);
    row.set(ConnRate, counters.connection_rate.per_second(now));
    row.set(ConnRateMax, counters.connection_rate.max());
    row.set(ConnTot, counters.connections_total.value());
    row.set(Dcon, counters.denied_connections.value());
    row.set(Dses, counters.denied_sessions.value());
    row.set(Wrew, traffic.total(|c| &c.failed_rewrites));
    row.set(Eint, traffic.total(|c| &c.internal_errors));
    if proxy.mode == config::Mode::Http {
        responses(&mut row, traffic);
        row.set(Intercepted, traffic.total(|c| &c.intercepted));
        caches(&mut row, traffic);
    }
    common(&mut row, proxy);
    row
}

/// The row of a server.
pub(super) fn server_row(
    (proxy, backend): (&ProxyConfig, &Backend),
    server: &Server,
    detail: Detail,
    now: Instant,
) -> Row {
    let settings = server.config();
    let mut row = Row::new(
        Kind::Server,
        &proxy.name,
        server.name().to_owned(),
        (proxy.id, settings.id),
    );
    let counters = server.counters();
    let traffic = &counters.traffic;
    let status = server.status();
    row.set(Qcur, counters.queue.value());
    row.set(Qmax, counters.queue.max());
    row.set(Scur, counters.sessions.value());
    row.set(Smax, counters.sessions.max());
    if server.maxconn() > 0 {
        row.set(Slim, server.maxconn());
    }
    row.set(Stot, traffic.total(|c| &c.sessions));
    volume(&mut row, traffic);
    row.set(Dresp, traffic.total(|c| &c.denied_responses));
    failures(&mut row, traffic);
    row.set(Status, in_words(server, status));
    // A server that does not serve, or only when others are gone, shows what it would weigh.
    let starting = server.throttle().map(|_| server.effective_weight());
    let weight = starting.filter(|weight| *weight > 0);
    row.set(Weight, weight.unwrap_or(server.weight()));
    row.set(Act, u8::from(!settings.backup));
    row.set(Bck, u8::from(settings.backup));
    row.set(Lastchg, server.seconds_since_change(now));
    row.set(Qlimit, settings.maxqueue);
    row.set(Throttle, server.throttle());
    row.set(Lbtot, traffic.total(|c| &c.chosen));
    row.set(Rate, counters.session_rate.per_second(now));
    row.set(RateMax, counters.session_rate.max());
    check(&mut row, server, now);
    watched(&mut row, server);
    row.set(CliAbrt, traffic.total(|c| &c.client_aborts));
    row.set(SrvAbrt, traffic.total(|c| &c.server_aborts));
    last_session(&mut row, counters.last_session.seconds_ago(now));
    times(&mut row, traffic);
    connections(&mut row, traffic);
    row.set(SrvIcur, counters.idle.value());
    row.set(SrcIlim, settings.pool_max_conn);
    row.set(IdleConnCur, counters.idle.value());
    row.set(SafeConnCur, 0u32);
    row.set(UsedConnCur, counters.sessions.value());
    row.set(NeedConnEst, counters.sessions.max());
    row.set(Uweight, server.weight());
    if proxy.mode == config::Mode::Http {
        responses(&mut row, traffic);
        row.set(ReqTot, traffic.total(|c| &c.requests));
    }
    if detail.legends {
        let unix = settings.unix.is_some().then(|| "unix".to_owned());
        row.set(
            Addr,
            server.address().map(|address| address.to_string()).or(unix),
        );
        row.set(Cookie, backend.cookie_of(server).map(Cow::into_owned));
    }
    common(&mut row, proxy);
    row
}

/// The status, with the server that it comes from.
fn in_words(server: &Server, status: ServerStatus) -> String {
    let agent = server.agent_report().filter(|_| server.has_agent());
    match (status, agent.map(|agent| agent.is_up())) {
        (ServerStatus::Drain, Some(_)) => return "DRAIN (agent)".to_owned(),
        (ServerStatus::Down(_), Some(false)) => return "DOWN (agent)".to_owned(),
        _ => {}
    }
    let inherited = server.admin().contains(AdminState::INHERITED_MAINT);
    match (&server.config().track, status) {
        (Some((backend, name)), ServerStatus::Maintenance { resolution: false }) if inherited => {
            format!("MAINT (via {backend}/{name})")
        }
        _ => status.to_string(),
    }
}

/// Columns of what decides beside checks: traffic, an agent, another server.
fn watched(row: &mut Row, server: &Server) {
    let config = server.config();
    // What is tracked has checks, or tracks what has.
    let follows_checks = config.track.is_some() && server.check_report().is_some();
    if config.observe.is_some() || follows_checks {
        row.set(Hanafail, server.counters().alarms.value());
    }
    row.set(
        Tracked,
        config.track.as_ref().map(|(b, s)| format!("{b}/{s}")),
    );
    let Some(report) = server.agent_report().filter(|_| server.has_agent()) else {
        return;
    };
    let result = &report.result;
    row.set(AgentStatus, result.status.word());
    let is_done = result.status != lb_core::health::CheckStatus::Initializing;
    row.set(AgentDuration, is_done.then_some(result.duration));
    row.set(AgentCode, result.code);
    row.set(LastAgt, result.detail.to_string());
    row.set(AgentDesc, result.status.description());
    row.set(AgentRise, report.rise);
    row.set(AgentFall, report.fall);
    row.set(AgentHealth, report.health);
}

/// Columns of servers with `check`.
fn check(row: &mut Row, server: &Server, now: Instant) {
    let own = server.config().check.is_some() && server.is_checked();
    let Some(report) = server.check_report().filter(|_| own) else {
        return;
    };
    let counters = server.counters();
    row.set(Chkfail, counters.failed_checks.value());
    row.set(Chkdown, counters.down_transitions.value());
    row.set(Downtime, server.downtime(now).as_secs());
    if matches!(server.status(), ServerStatus::Maintenance { .. }) {
        // Nobody asks it, and what it said before is not told, as with HAProxy.
        return;
    }
    let result = &report.result;
    row.set(CheckStatus, result.status.word());
    row.set(CheckCode, result.code);
    let is_done = result.status.passed().is_some();
    row.set(CheckDuration, is_done.then_some(result.duration));
    row.set(LastChk, result.detail.to_string());
    row.set(CheckDesc, result.status.description());
    row.set(CheckRise, report.rise);
    row.set(CheckFall, report.fall);
    row.set(CheckHealth, report.health);
}

fn backend_row(proxy: &ProxyConfig, backend: &Backend, detail: Detail, now: Instant) -> Row {
    let mut row = Row::new(Kind::Backend, &proxy.name, "BACKEND", (proxy.id, 0));
    let counters = backend.counters();
    let traffic = &counters.traffic;
    let (active, backup) = backend.usable_servers();
    row.set(Qcur, backend.waiting());
    row.set(Qmax, counters.queue.max());
    row.set(Scur, counters.sessions.value());
    row.set(Smax, counters.sessions.max());
    row.set(Stot, traffic.total(|c| &c.sessions));
    volume(&mut row, traffic);
    row.set(Dreq, traffic.total(|c| &c.denied_requests));
    row.set(Dresp, traffic.total(|c| &c.denied_responses));
    failures(&mut row, traffic);
    row.set(Status, if backend.is_up() { "UP" } else { "DOWN" });
    row.set(Weight, backend.total_weight());
    row.set(Act, active);
    row.set(Bck, backup);
    row.set(Chkdown, backend.down_transitions());
    row.set(Lastchg, backend.seconds_since_change(now));
    if !backend.servers().is_empty() {
        row.set(Downtime, backend.downtime(now).as_secs());
    }
    row.set(Lbtot, traffic.total(|c| &c.chosen));
    row.set(Rate, counters.session_rate.per_second(now));
    row.set(RateMax, counters.session_rate.max());
    row.set(CliAbrt, traffic.total(|c| &c.client_aborts));
    row.set(SrvAbrt, traffic.total(|c| &c.server_aborts));
    row.set_all(&[CompIn, CompOut, CompByp, CompRsp], 0u32);
    last_session(&mut row, counters.last_session.seconds_ago(now));
    times(&mut row, traffic);
    connections(&mut row, traffic);
    row.set(Uweight, backend.total_weight());
    row.set_all(
        &[AggServerStatus, AggServerCheckStatus, AggCheckStatus],
        0u32,
    );
    if proxy.mode == config::Mode::Http {
        responses(&mut row, traffic);
        row.set(ReqTot, traffic.total(|c| &c.requests));
        caches(&mut row, traffic);
    }
    if detail.legends {
        row.set(Algo, backend.config().balance.name());
        let cookie = backend.config().cookie.as_ref();
        row.set(Cookie, cookie.map(|cookie| cookie.name.to_string()));
    }
    common(&mut row, proxy);
    row
}

pub(super) fn volume(row: &mut Row, traffic: &Traffic) {
    row.set(Bin, traffic.total(|c| &c.bytes_in));
    row.set(Bout, traffic.total(|c| &c.bytes_out));
}

fn failures(row: &mut Row, traffic: &Traffic) {
    row.set(Econ, traffic.total(|c| &c.connect_errors));
    row.set(Eresp, traffic.total(|c| &c.response_errors));
    row.set(Wretr, traffic.total(|c| &c.retries));
    row.set(Wredis, traffic.total(|c| &c.redispatches));
}

fn caches(row: &mut Row, traffic: &Traffic) {
    row.set(CacheLookups, traffic.total(|c| &c.cache_lookups));
    row.set(CacheHits, traffic.total(|c| &c.cache_hits));
}

fn responses(row: &mut Row, traffic: &Traffic) {
    let classes: [(Column, StatusClass); 6] = [
        (Hrsp1xx, StatusClass::Informational),
        (Hrsp2xx, StatusClass::Success),
        (Hrsp3xx, StatusClass::Redirection),
        (Hrsp4xx, StatusClass::ClientError),
        (Hrsp5xx, StatusClass::ServerError),
        (HrspOther, StatusClass::Other),
    ];
    for (column, class) in classes {
        row.set(column, traffic.responses(class));
    }
}

fn last_session(row: &mut Row, seconds: Option<u64>) {
    match seconds {
        Some(seconds) => row.set(Lastsess, seconds),
        None => row.set(Lastsess, -1i32),
    }
}

fn times(row: &mut Row, traffic: &Traffic) {
    let (average, longest) = (traffic.average_times(), traffic.longest_times());
    row.set(Qtime, average.queue_ms);
    row.set(Ctime, average.connect_ms);
    row.set(Rtime, average.response_ms);
    row.set(Ttime, average.total_ms);
    row.set(QtimeMax, longest.queue_ms);
    row.set(CtimeMax, longest.connect_ms);
    row.set(RtimeMax, longest.response_ms);
    row.set(TtimeMax, longest.total_ms);
}

fn connections(row: &mut Row, traffic: &Traffic) {
    row.set(Wrew, traffic.total(|c| &c.failed_rewrites));
    row.set(Connect, traffic.total(|c| &c.connects));
    row.set(Reuse, traffic.total(|c| &c.reuses));
    row.set(Eint, traffic.total(|c| &c.internal_errors));
}

pub(super) fn common(row: &mut Row, proxy: &ProxyConfig) {
    row.set(
        Mode,
        match proxy.mode {
            config::Mode::Http => "http",
            config::Mode::Tcp => "tcp",
        },
    );
    row.set_all(&[SslSess, SslReusedSess, SslFailedHandshake], 0u32);
}
