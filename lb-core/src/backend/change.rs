//! A change of a server's state, in the words of HAProxy's log.

use std::fmt;

use super::Unresolved;
use crate::{
    health::{CheckReport, CheckStatus},
    id::ServerIndex,
    log::events::level,
};

/// A server went up, down, into or out of maintenance or draining.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// The server.
    pub server: ServerIndex,
    /// Whether it serves now.
    pub up: bool,
    /// Its name as `backend/server`.
    pub name: String,
    /// It is a backup server.
    pub is_backup: bool,
    /// What happened.
    pub cause: Cause,
    /// The server that it tracks, by its name, where it goes along with that.
    pub via: Option<String>,
    /// Usable (active, backup) servers left.
    pub left: (u32, u32),
    /// Streams on the server.
    pub sessions: u32,
    /// Waiters that were sent to the other servers.
    pub requeued: usize,
    /// Streams that still wait for this very server.
    pub remaining: u32,
    /// The backend lost its last server by this.
    pub backend_lost: bool,
    /// The result of the check that decided is logged by itself (`option log-health-checks`).
    pub result_is_logged: bool,
}

/// Why a server's state changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Its checks.
    Check(CheckReport),
    /// The server that it tracks went up or down.
    Tracked {
        /// It only finishes what it has.
        stopping: bool,
    },
    /// Its name has no address any more.
    Unresolved(Unresolved),
    /// An operator speaks for its agent.
    Agent,
    /// An operator set this health.
    Admin(&'static str),
    /// An operator took it out.
    Maintenance {
        /// It was only finishing what it had.
        drained: bool,
    },
    /// An operator took it out when it was down.
    DownToMaintenance,
    /// An operator or its agent gave it another weight: nothing is said of the server itself.
    Weight,
    /// An operator lets it only finish what it has.
    Drain,
    /// It has an address at last; the host name of its line.
    Resolved(String),
    /// An operator let it in again.
    Ready {
        /// It was drained, and not taken out.
        drained: bool,
    },
}

impl StateChange {
    /// Syslog level: 1 alert for a server that is lost, 5 notice for the rest.
    pub fn level(&self) -> u8 {
        match self.cause {
            Cause::Maintenance { drained: true }
            | Cause::DownToMaintenance
            | Cause::Drain
            | Cause::Ready { .. }
            | Cause::Resolved(_) => level::NOTICE,
            _ if self.up => level::NOTICE,
            _ => level::ALERT,
        }
    }

    /// `backend X has no server available!`, at [`level::EMERGENCY`], when it was the last one.
    pub fn backend_notice(&self) -> Option<String> {
        let (backend, _) = self.name.rsplit_once('/')?;
        self.backend_lost
            .then(|| format!("backend {backend} has no server available!"))
    }
}

impl StateChange {
    fn write_via(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.via {
            Some(via) => write!(f, " via {via}"),
            None => Ok(()),
        }
    }
}

/// The sentence about the server; empty where there is none.
impl fmt::Display for StateChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match &self.cause {
            Cause::Admin(word) => word,
            Cause::Maintenance { .. } | Cause::Unresolved(_) => "going DOWN for maintenance",
            Cause::Ready { drained: true } => "UP (leaving forced drain)",
            Cause::Ready { drained: false } if self.via.is_some() => {
                "UP/READY (leaving maintenance)"
            }
            Cause::Ready { drained: false } => "UP/READY (leaving forced maintenance)",
            Cause::Drain | Cause::Weight | Cause::Resolved(_) | Cause::DownToMaintenance => "",
            Cause::Check(report)
                if self.up && report.result.status == CheckStatus::L7OkConditional =>
            {
                "stopping"
            }
            Cause::Tracked { stopping: true } => "stopping",
            Cause::Check(_) | Cause::Tracked { .. } | Cause::Agent if self.up => "UP",
            Cause::Check(_) | Cause::Tracked { .. } | Cause::Agent => "DOWN",
        };
        let kind = if self.is_backup { "Backup " } else { "" };
        match &self.cause {
            Cause::Weight => return Ok(()),
            Cause::Drain => write!(f, "{kind}Server {} enters drain state", self.name)?,
            Cause::Resolved(host) => {
                let name = &self.name;
                return write!(
                    f,
                    "{kind}Server {name} ('{host}') is UP/READY (resolves again)."
                );
            }
            // HAProxy counts nothing here.
            Cause::DownToMaintenance => {
                let name = &self.name;
                write!(f, "{kind}Server {name} was DOWN and now enters maintenance")?;
                self.write_via(f)?;
                return f.write_str(".");
            }
            Cause::Ready { .. } => return write!(f, "{kind}Server {} is {word}.", self.name),
            _ => write!(f, "{kind}Server {} is {word}", self.name)?,
        }
        if matches!(self.cause, Cause::Agent | Cause::Admin(_)) {
            f.write_str(", changed from CLI")?;
        }
        if let Cause::Unresolved(reason) = self.cause {
            write!(f, " ({})", reason.words())?;
        }
        self.write_via(f)?;
        if let (Cause::Check(report), false) = (&self.cause, self.result_is_logged) {
            write!(f, ", {}", report.result)?;
        }
        let (active, backup) = self.left;
        let online = self.up || self.cause == Cause::Drain;
        let ending = if online { "online" } else { "left" };
        let on_backup = match (active, backup) {
            (0, 1..) => " Running on backup.",
            _ => "",
        };
        write!(
            f,
            ". {active} active and {backup} backup servers {ending}.{on_backup}"
        )?;
        let (requeued, remaining) = (self.requeued, self.remaining);
        if online {
            write!(
                f,
                " {requeued} sessions requeued, {remaining} total in queue."
            )
        } else {
            write!(
                f,
                " {} sessions active, {requeued} requeued, {remaining} remaining in queue.",
                self.sessions
            )
        }
    }
}
