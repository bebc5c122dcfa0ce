//! What the supervisor tells its children and what they report.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use lb_core::config::StatsLevel;
use serde::{Deserialize, Serialize};

use super::watched::{Finding, Watched};
use crate::{
    admin::status,
    config::{
        diagnostic::Diagnostics,
        files::{Bundle, Recorder},
        load::{self, Loaded},
    },
};

/// Which files a daemon was started with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// keepalived's file (`-k`).
    pub keepalived: Option<PathBuf>,
    /// HAProxy's files in order (`-x`).
    pub haproxy: Vec<PathBuf>,
    /// What the command line sets.
    pub overrides: Overrides,
}

/// Settings of haproxy's and keepalived's command lines that hold whatever the files say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// `ha-lb run --resign-at-once`.
    pub resign_at_once: bool,
    /// haproxy's `-n`: connections of the process.
    pub maxconn: Option<u32>,
    /// haproxy's `-m`, megabytes: so many connections as fit, if no `maxconn` says how many.
    #[serde(default)]
    pub memory: Option<u32>,
    /// haproxy's `-N`: connections of each proxy without a `maxconn`.
    pub proxy_maxconn: Option<u32>,
    /// haproxy's `-L`: what its file calls this host.
    pub local_peer: Option<String>,
    /// haproxy's `-W`: a master is asked for.
    pub master: bool,
    /// haproxy without `-W`: to the operator there is one process, whose number is in logs and statistics.
    #[serde(default)]
    pub one_process: bool,
    /// keepalived's `-C` without `-P`: no virtual routers.
    pub no_vrrp: bool,
    /// keepalived's `-P` without `-C`: no virtual servers.
    pub no_virtual_servers: bool,
    /// keepalived's `-i`: which lines that begin with `@` count; this host's name by default.
    #[serde(default)]
    pub config_id: Option<String>,
    /// keepalived's `-e`: an include that finds nothing is a mistake.
    #[serde(default)]
    pub every_file: bool,
}

/// The first message to either child: parse these sources again with these answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Configuration {
    /// The files' names.
    pub sources: Sources,
    /// Their contents.
    pub bundle: Bundle,
}

impl Configuration {
    /// For the process that must not be held up: what it reads while its routers run is keepalived's file alone, and not
    /// HAProxy's certificates and maps, however many these are.
    #[must_use]
    pub fn for_speaker(&self) -> Self {
        let sources = Sources {
            haproxy: Vec::new(),
            ..self.sources.clone()
        };
        let asked = Recorder::new(self.bundle.clone());
        // It has been read before, without mistakes.
        let _ = load::load(&sources, &asked, &mut Diagnostics::new());
        Self {
            sources,
            bundle: asked.into_bundle(),
        }
    }

    /// For the process that strangers talk to: files with keys of VRRP hold another one.
    #[must_use]
    pub fn for_balancer(&self, loaded: &Loaded) -> Self {
        /// Such as a key must be, that the files read as they did.
        const NO_KEY: [u8; 32] = [b'0'; 32];
        Self {
            sources: self.sources.clone(),
            bundle: self.bundle.clone().without(&loaded.secret_files(), &NO_KEY),
        }
    }
}

/// To the speaker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ToSpeaker {
    /// Start. What is known already of scripts, files and processes comes along, so that a restarted speaker need not
    /// wait.
    Start {
        /// What to run.
        configuration: Configuration,
        /// As in [`ToSpeaker::Found`].
        findings: Vec<(Watched, Finding)>,
        /// The instances that were Active when the speaker before this one died, if there was one.
        succeeds: Option<Vec<String>>,
        /// That one still runs: the message's descriptor leads to it, and it hands over.
        hands_over: bool,
    },
    /// How something that is watched is from now on.
    Found(Watched, Finding),
    /// Make this configuration ready beside the present one; answered with [`FromSpeaker::Prepared`].
    Prepare {
        /// Number of the reload.
        reload: u64,
        /// What to run.
        configuration: Configuration,
    },
    /// Put the prepared configuration into force; answered with [`FromSpeaker::Adopted`].
    Commit(u64),
    /// Forget the prepared configuration.
    Abandon(u64),
    /// The program is being replaced: answered with [`FromSpeaker::HandsOver`], the last message of either side. What
    /// comes then is plain bytes with a descriptor, over which a successor asks for the routers (`vrrp::handover`).
    HandOver,
    /// Report [`FromSpeaker::Status`].
    Status,
    /// Resign everywhere (priority 0, addresses removed) and exit.
    Stop,
}

/// From the speaker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum FromSpeaker {
    /// Sockets are open and the routers have been started.
    Ready,
    /// Its event loop turns: several times a second. Read, it tells the speaker that the supervisor lives and watches; once
    /// it is not, the speaker gives the addresses up.
    Beat,
    /// A virtual router changed its state.
    Transition(Transition),
    /// A sync group changed its state, after its members did.
    Group {
        /// Its name.
        group: String,
        /// State after.
        state: status::State,
    },
    /// A virtual router that is Active heard another of lower priority; once until its state changes.
    LowerPriority {
        /// Name of the instance.
        instance: String,
        /// Its own effective priority.
        priority: u8,
    },
    /// Tracking changed the effective priority of a virtual router.
    Priority {
        /// Name of the instance.
        instance: String,
        /// Whether it is Active.
        active: bool,
        /// Effective priority from now on.
        priority: u8,
    },
    /// Answer to [`ToSpeaker::Prepare`]: ready to change over, or why not.
    Prepared(u64, Result<(), String>),
    /// Answer to [`ToSpeaker::HandOver`].
    HandsOver,
    /// The speaker before did not hand its routers over: why. This one ends.
    NotHandedOver(String),
    /// Answer to [`ToSpeaker::Status`].
    Status {
        /// The virtual routers in file order.
        instances: Vec<status::Instance>,
        /// Packets for none of them.
        stray: Vec<status::Rejected>,
        /// Who sends these.
        strangers: Vec<status::Stranger>,
        /// Neighbours that are watched by BFD.
        neighbours: Vec<status::Neighbour>,
        /// What could not be done of what is static.
        retrying_static: Option<status::Failure>,
    },
    /// It cannot run; it exits after this.
    Failed(String),
    /// Answer to [`ToSpeaker::Commit`]: the routers are as the new configuration has them.
    Adopted(u64),
}

/// A change of state of a virtual router, in RFC 9568's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Name of the instance.
    pub instance: String,
    /// State before.
    pub from: status::State,
    /// State after.
    pub to: status::State,
    /// One clause: why.
    pub reason: String,
    /// Effective priority after the change.
    pub priority: u8,
}

/// One listening socket among the descriptors of [`ToBalancer::Listeners`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listener {
    /// A `bind` of a proxy.
    Bind {
        /// Index of the proxy.
        proxy: usize,
        /// Index of the bind.
        bind: usize,
        /// The worker that accepts from it.
        worker: usize,
    },
    /// A `stats socket`, by its index in the global section.
    Stats(usize),
}

/// To the balancer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ToBalancer {
    /// Sockets, in the order of the packet's descriptors; any number of these before [`ToBalancer::Start`] and
    /// before each [`ToBalancer::Prepare`].
    Listeners(Vec<Listener>),
    /// Start.
    Start(BalancerStart),
    /// Make this configuration ready beside the present one; answered with [`FromBalancer::Prepared`].
    Prepare {
        /// Number of the reload.
        reload: u64,
        /// What to run.
        configuration: Configuration,
        /// Number of workers that the listeners are for.
        workers: usize,
    },
    /// Put the prepared configuration into force; answered with [`FromBalancer::Adopted`].
    Commit(u64),
    /// Forget the prepared configuration and close its sockets.
    Abandon(u64),
    /// Report [`FromBalancer::Status`].
    Status,
    /// How the rest of the daemon is, for the statistics page and the metrics: at each change of state of a virtual
    /// router and about every second.
    Daemon(Box<status::Status>),
    /// The program is being replaced: answered with [`FromBalancer::HandsOver`], the last message of either side. It
    /// serves on until the socket is closed, then as after [`ToBalancer::Stop`].
    HandOver {
        /// How long requests may go on then.
        grace: Duration,
    },
    /// Answer to [`FromBalancer::Check`], by its number.
    Checked(u64, ProgramEnded),
    /// The message's descriptor leads to someone who speaks the runtime command line.
    CommandLine(Rights),
    /// Stop accepting, finish running requests for this long, exit.
    Stop {
        /// How long requests may go on.
        grace: Duration,
    },
}

/// What a command line may do: [`StatsLevel`] for the way between processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rights {
    /// Reads statistics.
    User,
    /// Reads everything.
    Operator,
    /// Changes servers.
    Admin,
}

impl From<StatsLevel> for Rights {
    fn from(level: StatsLevel) -> Self {
        match level {
            StatsLevel::User => Self::User,
            StatsLevel::Operator => Self::Operator,
            StatsLevel::Admin => Self::Admin,
        }
    }
}

impl From<Rights> for StatsLevel {
    fn from(rights: Rights) -> Self {
        match rights {
            Rights::User => Self::User,
            Rights::Operator => Self::Operator,
            Rights::Admin => Self::Admin,
        }
    }
}

/// All that a balancer needs beside its sockets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BalancerStart {
    /// What to run.
    pub configuration: Configuration,
    /// Number of workers that the listeners were opened for.
    pub workers: usize,
    /// Server states of the balancer before this one.
    pub servers: Vec<ServerState>,
    /// Seconds that local time is ahead of UTC: a balancer in a chroot cannot look it up.
    pub utc_offset: i32,
}

/// From the balancer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum FromBalancer {
    /// Every worker accepts.
    Ready,
    /// Every worker's event loop has turned: several times a second.
    Beat,
    /// A server went up or down, or was changed by an operator.
    Server(ServerState),
    /// A server is to be checked by its backend's program; answered with [`ToBalancer::Checked`].
    Check(ProgramCheck),
    /// Answer to [`ToBalancer::Prepare`]: ready to change over, or why not.
    Prepared(u64, Result<(), String>),
    /// Answer to [`ToBalancer::HandOver`].
    HandsOver,
    /// Answer to [`ToBalancer::Status`].
    Status(status::Traffic),
    /// It cannot run; it exits after this.
    Failed(String),
    /// Answer to [`ToBalancer::Commit`]: no worker accepts for the old configuration any more.
    Adopted(u64),
}

/// A check by a program (`option external-check`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramCheck {
    /// Its number.
    pub number: u64,
    /// Backend name.
    pub backend: String,
    /// Server name.
    pub server: String,
    /// Where the server is now, unless that is a UNIX socket.
    pub address: Option<SocketAddr>,
    /// Connections that it has.
    pub sessions: u32,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProgramEnded {
    /// It exited with this status.
    Exited(u8),
    /// It took too long.
    TimedOut,
    /// It was killed, or could not be started: why.
    Failed(String),
    /// It was not run: there is none for that server, or one has its time whose end nobody waits for any more.
    NotRun,
}

/// What a restarted balancer should know of a server before its first check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerState {
    /// Backend name.
    pub backend: String,
    /// Server name.
    pub server: String,
    /// Whether it was up.
    pub up: bool,
    /// What an operator set it to.
    pub admin: status::Admin,
    /// Weight if an operator changed it.
    pub weight: Option<u16>,
    /// Address if an operator gave it another one.
    #[serde(default)]
    pub address: Option<SocketAddr>,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::files::Files as _;

    #[test]
    fn the_speaker_reads_keepalived_s_files_and_nothing_of_haproxy_s() {
        let [main, more, haproxy, map] = ["/k.conf", "/more.conf", "/h.cfg", "/huge.map"];
        let bundle = Bundle::default()
            .with_file(main, "include /more.conf\n")
            .with_file(
                more,
                "vrrp_instance V {\n interface lo\n virtual_router_id 1\n virtual_ipaddress {\n 10.0.0.1\n }\n}\n",
            )
            .with_file(
                haproxy,
                "frontend f\n mode http\n bind :1\n use_backend %[src,map(/huge.map)]\nbackend b\n",
            )
            .with_file(map, "10.0.0.1 b\n");
        let sources = Sources {
            keepalived: Some(main.into()),
            haproxy: vec![haproxy.into()],
            overrides: Overrides::default(),
        };
        let asked = Recorder::new(bundle);
        load::load(&sources, &asked, &mut Diagnostics::new()).unwrap();
        let whole = Configuration {
            sources,
            bundle: asked.into_bundle(),
        };
        let part = whole.for_speaker();
        let loaded = load::load(&part.sources, &part.bundle, &mut Diagnostics::new()).unwrap();
        assert_eq!(loaded.keepalived.unwrap().instances.len(), 1);
        assert!(loaded.balancer.is_none());
        for (path, is_there) in [(main, true), (more, true), (haproxy, false), (map, false)] {
            assert!(whole.bundle.read(Path::new(path)).is_ok(), "{path}");
            assert_eq!(
                part.bundle.read(Path::new(path)).is_ok(),
                is_there,
                "{path}"
            );
        }
    }
}
