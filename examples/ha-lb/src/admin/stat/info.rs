//! `show info`: what HAProxy 2.6 tells of its process, in its order. What this program does not have is 0.

use std::{
    fmt::Write as _,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use lb_core::{
    dataplane::{Balancer, Pipes},
    stats::ProcessCounters,
};
use rustix::process::{Resource, getrlimit};

use super::{
    columns::Value,
    typed::{Tags, Type},
};

/// Name and version of the interface that tools look for, and of the program that speaks it.
pub const VERSION: &str = concat!("2.6.12-ha-lb-", env!("CARGO_PKG_VERSION"));

/// `Release_date`, and the date in `haproxy -v`.
pub const RELEASE_DATE: &str = "2026/11/21";

/// One line of the list, with what the typed forms say of it.
#[derive(Debug, Clone)]
pub struct Fact {
    /// HAProxy's number for it.
    pub position: usize,
    /// Name.
    pub name: &'static str,
    /// Origin, nature, scope.
    pub tags: Tags,
    /// Type of the value.
    pub kind: Type,
    /// The value.
    pub value: Value,
}

fn fact(
    position: usize,
    name: &'static str,
    tags: &'static str,
    kind: Type,
    value: impl Into<Value>,
) -> Fact {
    Fact {
        position,
        name,
        tags: Tags(tags),
        kind,
        value: value.into(),
    }
}

/// The facts in order.
pub fn facts(balancer: &Balancer, workers: usize, now: Instant) -> Vec<Fact> {
    let mut facts = identity(balancer, workers, now);
    facts.extend(traffic(balancer));
    facts.extend(rates(balancer, now));
    facts.extend(keys(&balancer.process, now));
    facts.extend(absent());
    facts.extend(rest(balancer, now));
    facts
}

/// Seconds since the balancer started.
pub fn uptime(balancer: &Balancer, now: Instant) -> u64 {
    now.saturating_duration_since(balancer.started).as_secs()
}

/// `maxconn` of the process.
pub fn maxconn(balancer: &Balancer) -> u64 {
    balancer
        .config
        .global
        .maxconn
        .map_or_else(|| files() / 2, u64::from)
}

/// Megabytes that an operator has allowed, or 0.
fn memory(balancer: &Balancer) -> u64 {
    balancer.config.global.memory.unwrap_or(0).into()
}

fn files() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

fn identity(balancer: &Balancer, workers: usize, now: Instant) -> Vec<Fact> {
    let up = uptime(balancer, now);
    let (days, hours) = (up / 86400, up / 3600 % 24);
    vec![
        fact(0, "Name", "POS", Type::str, "HAProxy"),
        fact(1, "Version", "POS", Type::str, VERSION),
        fact(2, "Release_date", "POS", Type::str, RELEASE_DATE),
        fact(
            3,
            "Nbthread",
            "CGS",
            Type::u32,
            u64::try_from(workers).unwrap_or(u64::MAX),
        ),
        fact(4, "Nbproc", "CGS", Type::u32, 1u32),
        fact(5, "Process_num", "KGP", Type::u32, 1u32),
        fact(6, "Pid", "SGP", Type::u32, lb_core::process::id()),
        fact(
            7,
            "Uptime",
            "MDP",
            Type::str,
            format!("{days}d {hours}h{:02}m{:02}s", up / 60 % 60, up % 60),
        ),
        fact(8, "Uptime_sec", "MDP", Type::u32, up),
        fact(9, "Memmax_MB", "CLP", Type::u32, memory(balancer)),
        fact(10, "PoolAlloc_MB", "MGP", Type::u32, 0u32),
        fact(11, "PoolUsed_MB", "MGP", Type::u32, 0u32),
        fact(12, "PoolFailed", "MCP", Type::u32, 0u32),
    ]
}

fn traffic(balancer: &Balancer) -> Vec<Fact> {
    let (process, global) = (&balancer.process, &balancer.config.global);
    let pipes = Pipes::now();
    let (files, maxconn) = (files(), maxconn(balancer));
    vec![
        fact(13, "Ulimit-n", "CLP", Type::u32, files),
        fact(14, "Maxsock", "CLP", Type::u32, files),
        fact(15, "Maxconn", "CLP", Type::u32, maxconn),
        fact(16, "Hard_maxconn", "CLP", Type::u32, maxconn),
        fact(
            17,
            "CurrConns",
            "MGP",
            Type::u32,
            process.connections.value(),
        ),
        fact(
            18,
            "CumConns",
            "MCP",
            Type::u32,
            process.connections_total.value(),
        ),
        fact(19, "CumReq", "MCP", Type::u32, process.requests.value()),
        fact(20, "MaxSslConns", "MMP", Type::u32, 0u32),
        fact(
            21,
            "CurrSslConns",
            "MGP",
            Type::u32,
            process.tls_connections.value(),
        ),
        fact(
            22,
            "CumSslConns",
            "MCP",
            Type::u32,
            process.tls_connections_total.value(),
        ),
        fact(
            23,
            "Maxpipes",
            "CLP",
            Type::u32,
            global.max_pipes.unwrap_or(0),
        ),
        fact(24, "PipesUsed", "MGP", Type::u32, pipes.used as u64),
        fact(25, "PipesFree", "MGP", Type::u32, pipes.free as u64),
    ]
}

/// How many come in a second, and how many may.
fn rates(balancer: &Balancer, now: Instant) -> Vec<Fact> {
    let (process, global) = (&balancer.process, &balancer.config.global);
    vec![
        fact(
            26,
            "ConnRate",
            "MRP",
            Type::u32,
            process.connection_rate.per_second(now),
        ),
        fact(
            27,
            "ConnRateLimit",
            "CLP",
            Type::u32,
            global.maxconnrate.unwrap_or(0),
        ),
        fact(
            28,
            "MaxConnRate",
            "MMP",
            Type::u32,
            process.connection_rate.max(),
        ),
        fact(
            29,
            "SessRate",
            "MRP",
            Type::u32,
            process.session_rate.per_second(now),
        ),
        fact(
            30,
            "SessRateLimit",
            "CLP",
            Type::u32,
            global.maxsessrate.unwrap_or(0),
        ),
        fact(
            31,
            "MaxSessRate",
            "MRP",
            Type::u32,
            process.session_rate.max(),
        ),
        fact(
            32,
            "SslRate",
            "MRP",
            Type::u32,
            process.tls_rate.per_second(now),
        ),
        fact(
            33,
            "SslRateLimit",
            "CLP",
            Type::u32,
            global.maxsslrate.unwrap_or(0),
        ),
        fact(34, "MaxSslRate", "MMP", Type::u32, process.tls_rate.max()),
    ]
}

/// How many sessions of TLS needed new keys.
fn keys(process: &ProcessCounters, now: Instant) -> Vec<Fact> {
    let (sessions, keys) = (
        process.tls_rate.per_second(now),
        process.tls_keys.per_second(now),
    );
    let resumed = sessions.saturating_sub(keys).saturating_mul(100);
    let (most, of_servers) = (process.tls_keys.max(), &process.tls_server_keys);
    let (to_servers, most_to_servers) = (of_servers.per_second(now), of_servers.max());
    vec![
        fact(35, "SslFrontendKeyRate", "MGP", Type::u32, keys),
        fact(36, "SslFrontendMaxKeyRate", "MMP", Type::u32, most),
        fact(
            37,
            "SslFrontendSessionReuse_pct",
            "MGP",
            Type::u32,
            resumed.checked_div(sessions).unwrap_or(0),
        ),
        fact(38, "SslBackendKeyRate", "MRP", Type::u32, to_servers),
        fact(
            39,
            "SslBackendMaxKeyRate",
            "MMP",
            Type::u32,
            most_to_servers,
        ),
    ]
}

/// What has no counterpart here.
fn absent() -> Vec<Fact> {
    vec![
        fact(40, "SslCacheLookups", "MCP", Type::u32, 0u32),
        fact(41, "SslCacheMisses", "MCP", Type::u32, 0u32),
        fact(42, "CompressBpsIn", "MRP", Type::u32, 0u32),
        fact(43, "CompressBpsOut", "MRP", Type::u32, 0u32),
        fact(44, "CompressBpsRateLim", "CLP", Type::u32, 0u32),
        fact(47, "Tasks", "MGP", Type::u32, 0u32),
        fact(48, "Run_queue", "MGP", Type::u32, 0u32),
    ]
}

fn rest(balancer: &Balancer, now: Instant) -> Vec<Fact> {
    let process = &balancer.process;
    let pipes = Pipes::now();
    let frontends = balancer
        .config
        .proxies
        .iter()
        .filter_map(|p| p.frontend.as_ref());
    let listeners: usize = frontends.map(|frontend| frontend.binds.len()).sum();
    let listeners = u64::try_from(listeners).unwrap_or(u64::MAX);
    let epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let started = epoch.map_or(0, |since| {
        since.as_secs().saturating_sub(uptime(balancer, now))
    });
    let description = balancer.config.global.description.clone();
    let mut facts = vec![
        fact(49, "Idle_pct", "MaP", Type::u32, 100u32),
        fact(50, "node", "COS", Type::str, balancer.node()),
        fact(51, "description", "COS", Type::str, description),
        fact(52, "Stopping", "MGP", Type::u32, 0u32),
        fact(53, "Jobs", "MGP", Type::u32, listeners + 1),
        fact(54, "Unstoppable Jobs", "MGP", Type::u32, 0u32),
        fact(55, "Listeners", "MGP", Type::u32, listeners),
        fact(56, "ActivePeers", "MGP", Type::u32, 0u32),
        fact(57, "ConnectedPeers", "MGP", Type::u32, 0u32),
        fact(
            58,
            "DroppedLogs",
            "MGP",
            Type::u32,
            process.dropped_logs.value(),
        ),
        fact(59, "BusyPolling", "MGP", Type::u32, 0u32),
        fact(60, "FailedResolutions", "MGP", Type::u32, 0u32),
        fact(
            61,
            "TotalBytesOut",
            "MGP",
            Type::u64,
            process.bytes_out.value(),
        ),
        fact(62, "TotalSplicdedBytesOut", "MGP", Type::u64, pipes.bytes),
        fact(63, "BytesOutRate", "MRP", Type::u64, 0u32),
        fact(64, "DebugCommandsIssued", "MGP", Type::u32, 0u32),
        fact(65, "CumRecvLogs", "MCP", Type::u32, 0u32),
        fact(66, "Build info", "POS", Type::str, VERSION),
        fact(67, "Memmax_bytes", "CLP", Type::u32, memory(balancer) << 20),
        fact(68, "PoolAlloc_bytes", "MGP", Type::u64, 0u32),
        fact(69, "PoolUsed_bytes", "MGP", Type::u64, 0u32),
        fact(70, "Start_time_sec", "MDP", Type::u32, started),
        fact(71, "Tainted", "SGP", Type::str, "0"),
    ];
    facts.retain(|fact| fact.value != Value::None);
    facts
}

/// `Name: value` lines.
pub fn text(facts: &[Fact]) -> String {
    facts.iter().fold(String::new(), |mut text, fact| {
        let name = fact.name;
        let _ = match &fact.value {
            Value::None => writeln!(text, "{name}: "),
            Value::Number(number) => writeln!(text, "{name}: {number}"),
            Value::Text(value) => writeln!(text, "{name}: {value}"),
        };
        text
    })
}
