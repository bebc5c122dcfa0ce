//! The balancer's part of the status document.

use serde::{Deserialize, Serialize};

/// What the balancer reports.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Proxies that accept connections.
    pub frontends: Vec<Frontend>,
    /// Proxies that have servers.
    pub backends: Vec<Backend>,
}

/// One accepting proxy.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Frontend {
    /// Name in the file.
    pub name: String,
    /// `OPEN`, `FULL` or `STOP`.
    pub status: String,
    /// Addresses it listens on.
    pub binds: Vec<String>,
    /// Connections now.
    pub sessions: u64,
    /// Connections since the start.
    pub total: u64,
    /// Requests since the start (HTTP).
    pub requests: u64,
    /// The most connections there may be.
    #[serde(default)]
    pub limit: u64,
    /// Sessions in the last second.
    #[serde(default)]
    pub rate: u64,
    /// Requests that a rule refused.
    #[serde(default)]
    pub denied: u64,
    /// Invalid requests.
    #[serde(default)]
    pub errors: u64,
}

/// One proxy with servers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Backend {
    /// Name in the file.
    pub name: String,
    /// `UP` or `DOWN`.
    pub status: String,
    /// Sessions now.
    pub sessions: u64,
    /// Sessions since the start.
    pub total: u64,
    /// Requests that wait for a slot.
    pub queued: u64,
    /// Servers that take sessions now, backup ones not counted.
    #[serde(default)]
    pub usable: u64,
    /// How long ago it went up or down.
    #[serde(default)]
    pub last_change: u64,
    /// Servers in file order.
    pub servers: Vec<Server>,
}

/// One server.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Server {
    /// Name in the file.
    pub name: String,
    /// Where it is.
    pub address: String,
    /// HAProxy's word: `UP`, `DOWN 1/2`, `MAINT`, `no check` ...
    pub status: String,
    /// Result of the last check (`L4OK`, `L7STS/500` ...), empty without checks.
    pub check: String,
    /// Effective weight.
    pub weight: u32,
    /// Sessions now.
    pub sessions: u64,
    /// Sessions since the start.
    pub total: u64,
    /// Requests that wait for this server.
    #[serde(default)]
    pub queued: u64,
    /// Whether it stands in only when the others are down.
    #[serde(default)]
    pub backup: bool,
    /// How long ago it went up or down, or was changed.
    #[serde(default)]
    pub last_change: u64,
    /// How long it was down all in all.
    #[serde(default)]
    pub downtime: u64,
    /// The last check; absent without checks.
    #[serde(default)]
    pub last_check: Option<Check>,
}

/// The result of a health check.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// HAProxy's word (`L7STS`).
    pub status: String,
    /// The same in words.
    pub meaning: String,
    /// The server's status code.
    pub code: Option<u16>,
    /// How long it took; absent while the first runs.
    pub duration: Option<f64>,
    /// What more there is to say.
    pub detail: String,
    /// Checks that failed while it was up.
    pub failures: u64,
}

/// What an operator set a server to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Admin {
    /// Takes part.
    #[default]
    Ready,
    /// Gets no new sessions except persistent ones.
    Drain,
    /// Taken out; not checked.
    Maint,
}
