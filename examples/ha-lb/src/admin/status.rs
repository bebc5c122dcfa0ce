//! The document of `ha-lb status --json` and of the control socket, and its form for people.
//!
//! The supervisor puts it together from what its children report. Fields are only ever added.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Everything about one running daemon.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
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
    /// Seconds since the VRRP process told of them; absent while it never did.
    #[serde(default)]
    pub instances_age: Option<f64>,
    /// Proxies that accept connections.
    pub frontends: Vec<Frontend>,
    /// Proxies that have servers.
    pub backends: Vec<Backend>,
    /// Results of the track scripts.
    pub scripts: Vec<Script>,
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
    /// Seconds since the UNIX epoch when it ended.
    pub at: u64,
    /// Whether the configuration was put into force.
    pub applied: bool,
    /// How it ended, in words.
    pub outcome: String,
    /// What it changed, or would have.
    pub changes: Vec<String>,
}

/// One process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number; absent while it is being restarted.
    pub pid: Option<u32>,
    /// Whether it reported that it serves.
    pub ready: bool,
    /// How often it was started again after a death.
    pub restarts: u32,
}

/// State of a virtual router in RFC 9568's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum State {
    /// Not started, or stopped.
    #[default]
    Initialize,
    /// Listens.
    Backup,
    /// Holds the addresses.
    Active,
    /// Held out of the election by a fault (keepalived's FAULT; Initialize in RFC 9568's words).
    Fault,
}

impl State {
    /// keepalived's word, as notify scripts get it.
    pub fn keepalived_name(self) -> &'static str {
        match self {
            Self::Initialize => "STOP",
            Self::Backup => "BACKUP",
            Self::Active => "MASTER",
            Self::Fault => "FAULT",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Initialize => "Initialize",
            Self::Backup => "Backup",
            Self::Active => "Active",
            Self::Fault => "Fault",
        })
    }
}

/// One virtual router.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Instance {
    /// Name in the file.
    pub name: String,
    /// State.
    pub state: State,
    /// Priority of the file.
    pub priority: u8,
    /// Priority with the weights of tracked objects.
    pub effective_priority: u8,
    /// Interface name.
    pub interface: String,
    /// VRID.
    pub vrid: u8,
    /// VRRP version.
    pub version: u8,
    /// Virtual addresses (`address/prefix`).
    pub vips: Vec<String>,
    /// The last change of state.
    pub last_transition: Option<LastTransition>,
    /// Other routers of this VRID that were heard, latest first.
    pub peers: Vec<Peer>,
}

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastTransition {
    /// State before.
    pub from: State,
    /// State after.
    pub to: State,
    /// Why.
    pub reason: String,
    /// Seconds since the UNIX epoch.
    pub at: u64,
}

/// Another router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its address.
    pub address: String,
    /// Priority of its last advert.
    pub priority: u8,
    /// Milliseconds since its last advert.
    pub age_ms: u64,
}

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

/// One track script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// Name in the file.
    pub name: String,
    /// `passes`, `fails`, `unknown`.
    pub result: String,
    /// What answers: the command, or this daemon's balancer.
    pub answered_by: String,
}

/// Tables for people.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let process = |p: &Process| match p.pid {
            Some(pid) if p.ready => format!("pid {pid}"),
            Some(pid) => format!("pid {pid}, starting"),
            None => "restarting".to_owned(),
        };
        write!(
            f,
            "ha-lb {}, up {} s: supervisor {}",
            self.version,
            self.uptime,
            process(&self.supervisor)
        )?;
        if let Some(vrrp) = &self.vrrp {
            write!(f, ", vrrp {}", process(vrrp))?;
        }
        if let Some(balancer) = &self.balancer {
            write!(f, ", balancer {}", process(balancer))?;
        }
        if let Some(name) = &self.router_id {
            write!(f, ", router_id {name}")?;
        }
        writeln!(f)?;
        if let Some(reload) = &self.reload {
            let at = chrono::DateTime::from_timestamp(i64::try_from(reload.at).unwrap_or(0), 0);
            let at = at.unwrap_or_default().with_timezone(&chrono::Local);
            let at = at.format("%Y-%m-%d %H:%M:%S");
            writeln!(f, "last reload {at}: {}", reload.outcome)?;
        }
        for instance in &self.instances {
            write!(f, "\n{instance}")?;
        }
        for script in &self.scripts {
            writeln!(
                f,
                "  script {}: {} (answered by {})",
                script.name, script.result, script.answered_by
            )?;
        }
        if !self.frontends.is_empty() {
            writeln!(
                f,
                "\n{:<24} {:<7} {:>8} {:>10}  LISTENS ON",
                "FRONTEND", "STATUS", "SESSIONS", "TOTAL"
            )?;
        }
        for frontend in &self.frontends {
            let binds = frontend.binds.join(" ");
            writeln!(
                f,
                "{:<24} {:<7} {:>8} {:>10}  {binds}",
                frontend.name, frontend.status, frontend.sessions, frontend.total
            )?;
        }
        for backend in &self.backends {
            writeln!(
                f,
                "\n{:<24} {:<10} {:<10} {:>6} {:>8} {:>10}  ADDRESS",
                format!("BACKEND {}", backend.name),
                backend.status,
                "CHECK",
                "WEIGHT",
                "SESSIONS",
                "TOTAL"
            )?;
            for server in &backend.servers {
                writeln!(
                    f,
                    "  {:<22} {:<10} {:<10} {:>6} {:>8} {:>10}  {}",
                    server.name,
                    server.status,
                    server.check,
                    server.weight,
                    server.sessions,
                    server.total,
                    server.address
                )?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {}, priority {} (base {}), VRID {} on {}, {}",
            self.name,
            self.state,
            self.effective_priority,
            self.priority,
            self.vrid,
            self.interface,
            self.vips.join(" ")
        )?;
        if let Some(last) = &self.last_transition {
            writeln!(
                f,
                "  last change: {} -> {}: {}",
                last.from, last.to, last.reason
            )?;
        }
        for peer in &self.peers {
            writeln!(
                f,
                "  heard {} with priority {} {} ms ago",
                peer.address, peer.priority, peer.age_ms
            )?;
        }
        Ok(())
    }
}
