//! `virtual_server` and what belongs to it, in types.

use std::{net::SocketAddr, time::Duration};

use crate::config::diagnostic::Span;

/// A `virtual_server`, which lb-core balances in the place of the kernel's IPVS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualServer {
    /// Where it is defined.
    pub span: Span,
    /// Address and port.
    pub address: SocketAddr,
    /// `lb_algo`.
    pub scheduler: Scheduler,
    /// `lb_kind`, as written; a proxy has none of them.
    pub forwarding: Option<String>,
    /// `persistence_timeout`: a client stays with its server for this long.
    pub persistence: Option<Duration>,
    /// `persistence_granularity`: prefix length under which clients count as one.
    pub persistence_prefix: Option<u8>,
    /// `delay_loop` (60 s): interval of the checks.
    pub delay_loop: Duration,
    /// `sorry_server`: used when no other is up.
    pub sorry_server: Option<SocketAddr>,
    /// `quorum` (1).
    pub quorum: u32,
    /// `alpha`: servers are down until their first check has passed.
    pub starts_down: bool,
    /// `real_server`, in the order of the file.
    pub real_servers: Vec<RealServer>,
}

/// `lb_algo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduler {
    /// `rr`: round robin without weights.
    RoundRobin,
    /// `wrr`: weighted round robin.
    WeightedRoundRobin,
    /// `lc`: fewest connections.
    LeastConnections,
    /// `wlc`, and `sed` and `nq`, which are its kind: fewest connections for the weight.
    WeightedLeastConnections,
    /// `sh`: by the client's address.
    SourceHash,
    /// `mh`: by the client's address, as Maglev does.
    MaglevHash,
}

/// A `real_server`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealServer {
    /// Where it is defined.
    pub span: Span,
    /// Address and port; port 0 stands for the virtual server's.
    pub address: SocketAddr,
    /// `weight` (1); 0 takes no new connections.
    pub weight: u16,
    /// `uthreshold`: most connections.
    pub upper_threshold: Option<u32>,
    /// The check; without one the server counts as up.
    pub check: Option<Check>,
}

/// A health check of a real server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is tried.
    pub kind: CheckKind,
    /// `connect_ip` and `connect_port`; the server's by default.
    pub address: SocketAddr,
    /// `connect_timeout` (5 s).
    pub connect_timeout: Duration,
    /// `delay_loop`; the virtual server's by default.
    pub interval: Duration,
    /// `retry`: how often a failed check is repeated before it counts (1).
    pub retry: u32,
    /// `delay_before_retry` (1 s).
    pub retry_delay: Duration,
}

/// What a health check tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckKind {
    /// `TCP_CHECK`: a connection is accepted.
    Tcp,
    /// `HTTP_GET`, first `url`: the answer has one of these status codes.
    Http {
        /// `path`.
        path: String,
        /// `virtualhost`.
        host: Option<String>,
        /// `status_code` (200-299): first and last of each range.
        status: Vec<(u16, u16)>,
    },
}
