//! Counters that the stats page, the command line and log lines read. Every one is an atomic; names follow the
//! columns of HAProxy's `show stat`.
//!
//! What is counted on each request lies in [`Traffic`], one cell per worker on cache lines of its own and summed
//! when read; [`set_worker`] says which cell a thread uses. Gauges and rates, whose maximum must be exact, are
//! shared. Time is passed in. Nothing here decides anything.

mod gauge;
mod histogram;
mod name_server;
mod rate;
mod tally;
mod time;
mod traffic;

pub use gauge::{Counter, Gauge};
pub use histogram::{BOUNDS_US, Buckets};
pub use name_server::NameServerCounters;
pub use rate::Rate;
pub use tally::{Spread, Tally, set_worker};
pub use time::{Moment, Sliding};
pub use traffic::{Cell, Samples, StatusClass, Timer, Timers, Times, Traffic};

use std::time::Instant;

/// What is counted of connections in HTTP/2.
#[derive(Debug, Default)]
pub struct Http2Counters {
    /// Connections.
    pub connections: Counter,
    /// Requests on them.
    pub streams: Counter,
    /// Requests that were none: their streams were reset.
    pub malformed: Counter,
    /// Connections that were closed because their frames made no sense.
    pub protocol_errors: Counter,
    /// Connections that were closed because they flooded us with frames.
    pub floods: Counter,
}

/// Counters of a frontend.
#[derive(Debug)]
pub struct FrontendCounters {
    /// What requests count.
    pub traffic: Traffic,
    /// Client connections now and at most (`scur`, `smax`).
    pub connections: Gauge,
    /// Accepted connections (`conn_tot`).
    pub connections_total: Counter,
    /// Connections refused by `tcp-request connection` (`dcon`).
    pub denied_connections: Counter,
    /// Connections refused by `tcp-request session` (`dses`).
    pub denied_sessions: Counter,
    /// Connections a second (`conn_rate`).
    pub connection_rate: Rate,
    /// Sessions a second (`rate`).
    pub session_rate: Rate,
    /// Requests a second (`req_rate`).
    pub request_rate: Rate,
    /// HTTP/2.
    pub http2: Http2Counters,
}

impl FrontendCounters {
    /// All zero.
    pub fn new(now: Instant) -> Self {
        Self {
            traffic: Traffic::new(),
            connections: Gauge::default(),
            connections_total: Counter::default(),
            denied_connections: Counter::default(),
            denied_sessions: Counter::default(),
            connection_rate: Rate::new(now),
            session_rate: Rate::new(now),
            request_rate: Rate::new(now),
            http2: Http2Counters::default(),
        }
    }
}

/// Counters of one listener (`option socket-stats`).
#[derive(Debug)]
pub struct ListenerCounters {
    /// What requests count.
    pub traffic: Traffic,
    /// Client connections now and at most.
    pub connections: Gauge,
    /// Connections refused by `tcp-request connection` (`dcon`).
    pub denied_connections: Counter,
    /// Connections refused by `tcp-request session` (`dses`).
    pub denied_sessions: Counter,
}

impl ListenerCounters {
    /// All zero.
    pub fn new() -> Self {
        Self {
            traffic: Traffic::new(),
            connections: Gauge::default(),
            denied_connections: Counter::default(),
            denied_sessions: Counter::default(),
        }
    }
}

impl Default for ListenerCounters {
    fn default() -> Self {
        Self::new()
    }
}

/// Counters of a backend.
#[derive(Debug)]
pub struct BackendCounters {
    /// What requests count.
    pub traffic: Traffic,
    /// Streams now and at most, waiting ones included (`scur`, `smax`).
    pub sessions: Gauge,
    /// Streams that wait for any server (`qcur`, `qmax`).
    pub queue: Gauge,
    /// Streams that wait for any server or for one of them.
    pub waiting: Gauge,
    /// Streams a second (`rate`).
    pub session_rate: Rate,
    /// Last time a stream was given a server (`lastsess`).
    pub last_session: Moment,
}

impl BackendCounters {
    /// All zero.
    pub fn new(now: Instant) -> Self {
        Self {
            traffic: Traffic::new(),
            sessions: Gauge::default(),
            queue: Gauge::default(),
            waiting: Gauge::default(),
            session_rate: Rate::new(now),
            last_session: Moment::new(now),
        }
    }
}

/// Counters of a server.
#[derive(Debug)]
pub struct ServerCounters {
    /// What requests count.
    pub traffic: Traffic,
    /// Leases now and at most (`scur`, `smax`).
    pub sessions: Gauge,
    /// Streams that wait for this server (`qcur`, `qmax`).
    pub queue: Gauge,
    /// Idle connections kept to it (`srv_icur`).
    pub idle: Gauge,
    /// Streams a second (`rate`).
    pub session_rate: Rate,
    /// Last time a stream was given this server (`lastsess`).
    pub last_session: Moment,
    /// Failed health checks while it was up (`chkfail`).
    pub failed_checks: Counter,
    /// Times that `observe` saw too many errors (`hanafail`).
    pub alarms: Counter,
    /// Transitions to down (`chkdown`).
    pub down_transitions: Counter,
}

impl ServerCounters {
    /// All zero.
    pub fn new(now: Instant) -> Self {
        Self {
            traffic: Traffic::new(),
            sessions: Gauge::default(),
            queue: Gauge::default(),
            idle: Gauge::default(),
            session_rate: Rate::new(now),
            last_session: Moment::new(now),
            failed_checks: Counter::default(),
            alarms: Counter::default(),
            down_transitions: Counter::default(),
        }
    }
}

/// Counters of the whole process (`show info`).
#[derive(Debug)]
pub struct ProcessCounters {
    /// Client connections now and at most (`CurrConns`).
    pub connections: Gauge,
    /// Accepted connections (`CumConns`).
    pub connections_total: Counter,
    /// Requests (`CumReq`).
    pub requests: Spread,
    /// TLS connections now and at most (`CurrSslConns`).
    pub tls_connections: Gauge,
    /// Accepted TLS connections (`CumSslConns`).
    pub tls_connections_total: Counter,
    /// Connections a second (`ConnRate`, `MaxConnRate`).
    pub connection_rate: Rate,
    /// Sessions a second (`SessRate`, `MaxSessRate`).
    pub session_rate: Rate,
    /// TLS handshakes a second (`SslRate`, `MaxSslRate`).
    pub tls_rate: Rate,
    /// Handshakes with clients that agreed on new keys, a second (`SslFrontendKeyRate`).
    pub tls_keys: Rate,
    /// The same with servers (`SslBackendKeyRate`).
    pub tls_server_keys: Rate,
    /// Bytes sent (`TotalBytesOut`).
    pub bytes_out: Spread,
    /// Log lines that could not be sent (`DroppedLogs`).
    pub dropped_logs: Counter,
}

impl ProcessCounters {
    /// All zero.
    pub fn new(now: Instant) -> Self {
        Self {
            connections: Gauge::default(),
            connections_total: Counter::default(),
            requests: Spread::default(),
            tls_connections: Gauge::default(),
            tls_connections_total: Counter::default(),
            connection_rate: Rate::new(now),
            session_rate: Rate::new(now),
            tls_rate: Rate::new(now),
            tls_keys: Rate::new(now),
            tls_server_keys: Rate::new(now),
            bytes_out: Spread::default(),
            dropped_logs: Counter::default(),
        }
    }
}
