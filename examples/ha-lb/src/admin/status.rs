//! The document of `ha-lb status --json` and of the control socket.
//!
//! The supervisor puts it together from what its children report. Names are snake_case; ages and durations are
//! seconds, `at` is seconds since the UNIX epoch, both with fractions. Fields are only ever added; one that does not
//! apply is null. Its form for people is `text`.

mod run;
mod text;
mod traffic;
mod vrrp;

use serde::{Deserialize, Serialize};

pub use run::{Mail, Notify, Run};
pub use text::Text;
pub use traffic::{Admin, Backend, Check, Frontend, Server, Traffic};
pub use vrrp::{
    Changes, Counters, Failure, Instance, LastTransition, Lease, Neighbour, Peer, Refused,
    Rejected, Script, State, Stranger, Track, VirtualMac,
};

/// Everything about one running daemon.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// When this was put together.
    #[serde(default)]
    pub at: f64,
    /// `router_id` of keepalived's file: this host's name among its kind.
    #[serde(default)]
    pub router_id: Option<String>,
    /// Seconds since the supervisor started.
    pub uptime: u64,
    /// The privileged process.
    pub supervisor: Process,
    /// The VRRP process; absent when no instance is configured.
    pub vrrp: Option<Process>,
    /// The balancer process; absent when nothing is to be balanced.
    pub balancer: Option<Process>,
    /// Virtual routers in file order.
    pub instances: Vec<Instance>,
    /// How long ago the VRRP process told of them; absent while it never did.
    #[serde(default)]
    pub instances_age: Option<f64>,
    /// VRRP packets that belong to no instance, by cause.
    #[serde(default)]
    pub stray: Vec<Rejected>,
    /// For which VRIDs they are, and from whom: 32 of them at most, those heard last first.
    #[serde(default)]
    pub strangers: Vec<Stranger>,
    /// Neighbours that are watched by BFD.
    #[serde(default)]
    pub neighbours: Vec<Neighbour>,
    /// What could not be done of `static_ipaddress`, `static_routes` and `static_rules`, and is still tried.
    #[serde(default)]
    pub retrying_static: Option<Failure>,
    /// Proxies that accept connections.
    pub frontends: Vec<Frontend>,
    /// Proxies that have servers.
    pub backends: Vec<Backend>,
    /// How long ago the balancer told of them; absent while it never did.
    #[serde(default)]
    pub traffic_age: Option<f64>,
    /// Scripts, files and processes that routers track.
    pub scripts: Vec<Script>,
    /// What has become of notify scripts, for each instance and sync group that has any.
    #[serde(default)]
    pub notify: Vec<Notify>,
    /// Alerts by mail; absent without a server or recipients.
    #[serde(default)]
    pub mail: Option<Mail>,
    /// The last reload; absent before the first.
    #[serde(default)]
    pub reload: Option<Reload>,
    /// The last upgrade; absent before the first.
    #[serde(default)]
    pub upgrade: Option<Upgrade>,
}

/// Another program in the place of the one that ran (`ha-lb upgrade`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// Counts them since the daemon was started.
    pub number: u64,
    /// Seconds since the UNIX epoch when the program was executed.
    pub at: u64,
    /// Version of the program before.
    pub from: String,
    /// Whether every process has taken over.
    pub ready: bool,
    /// Why the program before was executed again instead.
    #[serde(default)]
    pub failure: Option<String>,
}

/// The answer to a request for an upgrade.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct UpgradeAnswer {
    /// Why there will be none; nothing has changed then.
    pub refusal: Option<String>,
}

/// A reload (SIGHUP).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// Counts the reloads that were asked for.
    pub number: u64,
    /// How many were refused since the last that was applied.
    #[serde(default)]
    pub failures: u64,
    /// Seconds since the UNIX epoch when it ended.
    pub at: u64,
    /// Whether the configuration was put into force.
    pub applied: bool,
    /// How it ended, in words.
    pub outcome: String,
    /// What it changed, or would have.
    pub changes: Vec<String>,
}

/// One process. What the kernel tells of it is absent while it does not run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Its number; absent while it is being restarted.
    pub pid: Option<u32>,
    /// Whether it reported that it serves.
    pub ready: bool,
    /// Whether its event loop stands still.
    #[serde(default)]
    pub hangs: bool,
    /// How often it was started again after a death.
    pub restarts: u32,
    /// Seconds since it was started.
    #[serde(default)]
    pub uptime: Option<f64>,
    /// Effective user.
    #[serde(default)]
    pub uid: Option<u32>,
    /// Effective group.
    #[serde(default)]
    pub gid: Option<u32>,
    /// Effective capabilities (`CAP_NET_ADMIN`); `all` alone stands for every one.
    #[serde(default)]
    pub capabilities: Option<Vec<String>>,
    /// Whether it can never gain rights again.
    #[serde(default)]
    pub no_new_privs: Option<bool>,
    /// Its root directory; absent where it cannot be read.
    #[serde(default)]
    pub root: Option<String>,
    /// Threads.
    #[serde(default)]
    pub threads: Option<u32>,
    /// Resident memory in bytes.
    #[serde(default)]
    pub memory: Option<u64>,
    /// Open descriptors.
    #[serde(default)]
    pub descriptors: Option<u64>,
    /// The most it may open.
    #[serde(default)]
    pub descriptor_limit: Option<u64>,
    /// Processor time used so far.
    #[serde(default)]
    pub cpu: Option<f64>,
}
