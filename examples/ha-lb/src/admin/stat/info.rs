//! `show info`: what HAProxy 2.6 tells of its process, in its order. What this program does not have is 0.

use std::{
    fmt::Write as _,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use lb_core::dataplane::Balancer;
use rustix::process::{Resource, getrlimit};

/// Name and version of the interface that tools look for, and of the program that speaks it.
pub const VERSION: &str = concat!("2.6.12-ha-lb-", env!("CARGO_PKG_VERSION"));

/// `Release_date`, and the date in `haproxy -v`.
pub const RELEASE_DATE: &str = "2026/11/21";

/// Names and values in order.
pub fn values(balancer: &Balancer, workers: usize, now: Instant) -> Vec<(&'static str, String)> {
    let mut values = identity(balancer, workers, now);
    values.extend(traffic(balancer, now));
    values.extend(rest(balancer, now));
    values
}

fn zero() -> String {
    "0".to_owned()
}

fn uptime(balancer: &Balancer, now: Instant) -> u64 {
    now.saturating_duration_since(balancer.started).as_secs()
}

fn identity(balancer: &Balancer, workers: usize, now: Instant) -> Vec<(&'static str, String)> {
    let up = uptime(balancer, now);
    let (days, hours) = (up / 86400, up / 3600 % 24);
    vec![
        ("Name", "HAProxy".to_owned()),
        ("Version", VERSION.to_owned()),
        ("Release_date", RELEASE_DATE.to_owned()),
        ("Nbthread", workers.to_string()),
        ("Nbproc", "1".to_owned()),
        ("Process_num", "1".to_owned()),
        ("Pid", std::process::id().to_string()),
        (
            "Uptime",
            format!("{days}d {hours}h{:02}m{:02}s", up / 60 % 60, up % 60),
        ),
        ("Uptime_sec", up.to_string()),
        ("Memmax_MB", zero()),
        ("PoolAlloc_MB", zero()),
        ("PoolUsed_MB", zero()),
        ("PoolFailed", zero()),
    ]
}

fn traffic(balancer: &Balancer, now: Instant) -> Vec<(&'static str, String)> {
    let process = &balancer.process;
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let maxconn = balancer.config.global.maxconn.map_or(files / 2, u64::from);
    vec![
        ("Ulimit-n", files.to_string()),
        ("Maxsock", files.to_string()),
        ("Maxconn", maxconn.to_string()),
        ("Hard_maxconn", maxconn.to_string()),
        ("CurrConns", process.connections.value().to_string()),
        ("CumConns", process.connections_total.value().to_string()),
        ("CumReq", process.requests.value().to_string()),
        ("MaxSslConns", zero()),
        ("CurrSslConns", process.tls_connections.value().to_string()),
        (
            "CumSslConns",
            process.tls_connections_total.value().to_string(),
        ),
        ("Maxpipes", zero()),
        ("PipesUsed", zero()),
        ("PipesFree", zero()),
        (
            "ConnRate",
            process.connection_rate.per_second(now).to_string(),
        ),
        ("ConnRateLimit", zero()),
        ("MaxConnRate", process.connection_rate.max().to_string()),
        ("SessRate", process.session_rate.per_second(now).to_string()),
        ("SessRateLimit", zero()),
        ("MaxSessRate", process.session_rate.max().to_string()),
        ("SslRate", process.tls_rate.per_second(now).to_string()),
        ("SslRateLimit", zero()),
        ("MaxSslRate", process.tls_rate.max().to_string()),
    ]
}

/// What follows in HAProxy's list; most of it has no counterpart here.
const ABSENT: [&str; 12] = [
    "SslFrontendKeyRate",
    "SslFrontendMaxKeyRate",
    "SslFrontendSessionReuse_pct",
    "SslBackendKeyRate",
    "SslBackendMaxKeyRate",
    "SslCacheLookups",
    "SslCacheMisses",
    "CompressBpsIn",
    "CompressBpsOut",
    "CompressBpsRateLim",
    "Tasks",
    "Run_queue",
];

fn rest(balancer: &Balancer, now: Instant) -> Vec<(&'static str, String)> {
    let process = &balancer.process;
    let frontends = balancer
        .config
        .proxies
        .iter()
        .filter_map(|p| p.frontend.as_ref());
    let listeners: usize = frontends.map(|frontend| frontend.binds.len()).sum();
    let node = balancer.config.global.node.clone().unwrap_or_else(|| {
        rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned()
    });
    let epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let started = epoch.map_or(0, |since| {
        since.as_secs().saturating_sub(uptime(balancer, now))
    });
    let mut values: Vec<_> = ABSENT.iter().map(|name| (*name, zero())).collect();
    values.extend([
        ("Idle_pct", "100".to_owned()),
        ("node", node),
        ("Stopping", zero()),
        ("Jobs", (listeners + 1).to_string()),
        ("Unstoppable Jobs", zero()),
        ("Listeners", listeners.to_string()),
        ("ActivePeers", zero()),
        ("ConnectedPeers", zero()),
        ("DroppedLogs", process.dropped_logs.value().to_string()),
        ("BusyPolling", zero()),
        ("FailedResolutions", zero()),
        ("TotalBytesOut", process.bytes_out.value().to_string()),
        ("TotalSplicdedBytesOut", zero()),
        ("BytesOutRate", zero()),
        ("DebugCommandsIssued", zero()),
        ("CumRecvLogs", zero()),
        ("Build info", VERSION.to_owned()),
        ("Memmax_bytes", zero()),
        ("PoolAlloc_bytes", zero()),
        ("PoolUsed_bytes", zero()),
        ("Start_time_sec", started.to_string()),
        ("Tainted", zero()),
    ]);
    values
}

/// `Name: value` lines.
pub fn text(values: &[(&'static str, String)]) -> String {
    values
        .iter()
        .fold(String::new(), |mut text, (name, value)| {
            let _ = writeln!(text, "{name}: {value}");
            text
        })
}

/// One JSON object; whole numbers are numbers.
pub fn json(values: &[(&'static str, String)]) -> String {
    let object: serde_json::Map<String, serde_json::Value> = values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), super::columns::json_value(value)))
        .collect();
    serde_json::Value::Object(object).to_string()
}
