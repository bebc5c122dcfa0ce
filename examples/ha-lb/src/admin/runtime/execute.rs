//! What the commands of the runtime command line do.

mod address;
mod caches;
mod maps;
mod resolvers;
mod servers;
mod servers_state;
mod sessions;
mod statistics;
mod tls;
mod variables;

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
    time::{Duration, Instant},
};

use lb_core::{
    backend::{AdminAction, Backend, Cause, Health, StateChange},
    config::{Config, StatsLevel},
    dataplane::{Balancer, Session, SessionsAt},
    id::ServerIndex,
    server::{Server, ServerKey},
};

use tokio::{io::AsyncWrite, sync::oneshot};

use super::{
    Executor, PATIENCE,
    command::{self, Command, InfoForm, StatForm, State, Target, Weight},
    peers, tables,
};
use crate::admin::stat::{columns, info, typed};

/// Hears of changes that a restarted balancer should know, and of what the logs should say of them.
pub type Changed = Box<dyn Fn(&Backend, &Server, Option<StateChange>) + Send + Sync>;

/// Passes on what the data plane is to do about a server.
pub type Order = Box<dyn Fn(ServerOrder) + Send + Sync>;

/// Puts a configuration with other servers into force.
pub type Renew = Box<dyn Fn(Config) -> Result<Arc<Balancer>, String> + Send + Sync>;

/// What the data plane is to do about a server or a connection.
#[derive(Debug)]
pub enum ServerOrder {
    /// Tell some of the connections there are from a place on, and where the rest begins.
    Sessions(SessionsAt, oneshot::Sender<Option<SessionsPage>>),
    /// Cut the connection of that number, and tell whether it was there.
    CutOne(u64, oneshot::Sender<bool>),
    /// Cut its sessions.
    Cut(ServerKey),
    /// It has another address.
    Moved(ServerKey),
}

/// Some connections, and where the rest begins.
pub type SessionsPage = (Vec<Session>, Option<SessionsAt>);

/// The running balancer, as commands and the stats page see and change it.
pub struct Runtime {
    /// Replaced by each reload: the balancer and the number of its workers.
    running: RwLock<(Arc<Balancer>, usize)>,
    changed: Changed,
    order: Order,
    /// Files of TLS that are not in use, and those that are being changed.
    tls: Mutex<tls::Work>,
    renew: Renew,
}

impl Runtime {
    /// `changed` is told of each server that a command changed, `order` of what the data plane is to do; `renew`
    /// replaces servers.
    pub fn new(
        balancer: Arc<Balancer>,
        workers: usize,
        changed: Changed,
        order: Order,
        renew: Renew,
    ) -> Self {
        Self {
            running: RwLock::new((balancer, workers)),
            changed,
            order,
            tls: Mutex::default(),
            renew,
        }
    }

    /// The number of its workers.
    pub fn workers(&self) -> usize {
        self.running().1
    }

    /// The balancer that runs now.
    pub fn balancer(&self) -> Arc<Balancer> {
        Arc::clone(&self.running().0)
    }

    /// Another configuration is in force: what should be known of its servers is told anew.
    pub fn adopt(&self, balancer: Arc<Balancer>, workers: usize) {
        for backend in &balancer.backends {
            for server in backend.servers() {
                (self.changed)(backend, server, None);
            }
        }
        // The files of the new configuration are those on disk.
        *self.tls.lock().unwrap_or_else(PoisonError::into_inner) = tls::Work::default();
        self.replace(balancer, workers);
    }

    fn replace(&self, balancer: Arc<Balancer>, workers: usize) {
        *self.running.write().unwrap_or_else(PoisonError::into_inner) = (balancer, workers);
    }

    fn running(&self) -> RwLockReadGuard<'_, (Arc<Balancer>, usize)> {
        self.running.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server by names or numbers, in HAProxy's words of refusal.
    fn find(&self, target: &Target) -> Result<(Arc<Backend>, ServerIndex), String> {
        let number = |word: &str| word.strip_prefix('#')?.parse::<u32>().ok();
        let balancer = self.balancer();
        let backend = balancer
            .backends
            .iter()
            .find(|b| b.name() == target.backend || number(&target.backend) == Some(b.id()))
            .ok_or("No such backend.")?;
        let server = backend
            .servers()
            .iter()
            .find(|s| s.name() == target.server || number(&target.server) == Some(s.config().id))
            .ok_or("No such server.")?;
        Ok((Arc::clone(backend), server.index()))
    }

    /// Carries out a change of a server and tells of it.
    pub fn change(
        &self,
        target: &Target,
        change: impl FnOnce(&Backend, ServerIndex, &Server) -> Option<StateChange>,
    ) -> Result<(), String> {
        let (backend, index) = self.find(target)?;
        let server = backend.server(index).ok_or("No such server.")?;
        let change = change(&backend, index, server);
        if let Some(change) = &change {
            tracing::warn!("{change}");
        }
        (self.changed)(&backend, server, change);
        Ok(())
    }

    /// Something of a server.
    pub fn look<T>(&self, target: &Target, at: impl FnOnce(&Server) -> T) -> Result<T, String> {
        let (backend, index) = self.find(target)?;
        let server = backend.server(index).ok_or("No such server.")?;
        Ok(at(server))
    }

    /// `set server ... state`.
    pub fn set_state(&self, target: &Target, state: State) -> Result<(), String> {
        let action = match state {
            State::Ready => AdminAction::Ready,
            State::Drain => AdminAction::Drain,
            State::Maint => AdminAction::Maintenance,
        };
        self.change(target, |backend, index, _| {
            backend.set_state(Instant::now(), index, action)
        })
    }

    /// `set server ... health`.
    pub fn set_health(&self, target: &Target, health: Health) -> Result<(), String> {
        if self.look(target, |server| server.config().track.is_some())? {
            // It would differ from what it tracks until that changes.
            return Err("cannot change health on a tracking server.".to_owned());
        }
        self.change(target, |backend, index, _| {
            backend.set_health(Instant::now(), index, health)
        })
    }

    /// `enable health`, `disable health`.
    pub fn set_checked(&self, target: &Target, checked: bool) -> Result<(), String> {
        let (backend, index) = self.find(target)?;
        if self.balancer().set_checked(&backend, index, checked) || !checked {
            return Ok(());
        }
        Err("Health check was not configured on this server, cannot enable.".to_owned())
    }

    /// `enable agent`, `disable agent`.
    pub fn set_asked(&self, target: &Target, asked: bool) -> Result<(), String> {
        let (backend, index) = self.find(target)?;
        if backend.set_asked(index, asked) || !asked {
            return Ok(());
        }
        Err("Agent was not configured on this server, cannot enable.".to_owned())
    }

    /// `set server ... agent`: what the agent is taken to have said.
    pub fn set_agent(&self, target: &Target, up: bool) -> Result<(), String> {
        let report = self.look(target, |server| {
            server.agent_report().filter(|_| server.has_agent())
        })?;
        let mut report = report.ok_or("agent checks are not enabled on this server.")?;
        report.health = u32::from(up);
        self.change(target, |backend, index, _| {
            backend.apply_agent(Instant::now(), index, &report, |_| Cause::Agent)
        })
    }

    /// `shutdown sessions server`.
    pub fn shutdown_sessions(&self, target: &Target) -> Result<(), String> {
        let (backend, index) = self.find(target)?;
        let server = backend.server(index).ok_or("No such server.")?;
        tracing::info!("sessions of {}/{} are cut", backend.name(), server.name());
        (self.order)(ServerOrder::Cut(server.key()));
        Ok(())
    }

    fn set_weight(&self, target: &Target, weight: Weight) -> Result<(), String> {
        let (backend, index) = self.find(target)?;
        let initial = backend.server(index).map_or(0, |s| s.config().weight);
        let weight = match weight {
            Weight::Absolute(weight) => weight,
            Weight::Percent(percent) => share(initial, percent),
        };
        if !backend.allows_weight(index, weight) {
            let message =
                "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.";
            return Err(message.to_owned());
        }
        self.change(target, |backend, index, _| {
            backend.set_weight(Instant::now(), index, weight)
        })
    }

    fn backend_names(&self) -> String {
        let balancer = self.balancer();
        let backends = balancer.backends.iter();
        let names = backends.map(|b| format!("{}\n", b.name()));
        format!("# name\n{}", names.collect::<String>())
    }

    fn local_time(&self) -> String {
        let now = chrono::Utc::now().naive_utc()
            + chrono::TimeDelta::seconds(self.balancer().utc_offset.into());
        now.format("%d/%b/%Y:%H:%M:%S%.3f").to_string()
    }
}

/// So many percent of a weight, 256 at most.
fn share(weight: u16, percent: u32) -> u16 {
    let share = u64::from(weight) * u64::from(percent) / 100;
    u16::try_from(share.min(256)).unwrap_or(256)
}

impl Executor for Runtime {
    fn patience(&self) -> Duration {
        let told = self.balancer().config.global.stats_timeout;
        told.unwrap_or(PATIENCE)
    }

    async fn tell(
        &self,
        command: &Command,
        out: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<bool> {
        let Command::ShowSessions(one) = command else {
            return Ok(false);
        };
        self.sessions(*one, out).await?;
        Ok(true)
    }

    async fn answer(&self, command: &Command, level: StatsLevel) -> String {
        match command {
            Command::ShutdownSession(id) => self.shutdown_session(*id).await,
            other => self.execute(other, level),
        }
    }

    fn execute(&self, command: &Command, level: StatsLevel) -> String {
        let done = |done: Result<(), String>| done.err().unwrap_or_default();
        let said = |said: Result<String, String>| said.unwrap_or_else(|told| told);
        match command {
            Command::Prompt
            | Command::Quit
            | Command::Lower(_)
            | Command::SetTimeout(_)
            | Command::ExperimentalMode
            // Those that have to be waited for.
            | Command::ShowSessions(_)
            | Command::ShutdownSession(_) => String::new(),
            Command::Help(words) => command::help(words, level),
            Command::ShowLevel => match level {
                StatsLevel::User => "user",
                StatsLevel::Operator => "operator",
                StatsLevel::Admin => "admin",
            }
            .to_owned(),
            Command::ShowVersion => info::VERSION.to_owned(),
            Command::ShowInfo(form) => {
                let (balancer, workers) = self.running().clone();
                let facts = info::facts(&balancer, workers, Instant::now());
                match form {
                    InfoForm::Plain => info::text(&facts),
                    InfoForm::Json => typed::info_json(&facts),
                    InfoForm::Typed => typed::info_lines(&facts),
                }
            }
            Command::ShowStat(selection, form) => {
                let rows = self.rows(selection, level);
                match form {
                    StatForm::Csv => columns::csv(&rows),
                    StatForm::Json => typed::json(&rows),
                    StatForm::Typed => typed::stat_lines(&rows),
                }
            }
            Command::ShowSchema => typed::SCHEMA.to_owned(),
            Command::ShowResolvers(name) => said(resolvers::show(&self.balancer(), name.as_deref())),
            Command::ShowServersState(backend) => self.servers_state(backend.as_deref()),
            Command::ShowBackend => self.backend_names(),
            Command::ShowCache => caches::show(&self.balancer().config.caches, Instant::now()),
            Command::ShowErrors => format!("Total events captured on [{}] : 0", self.local_time()),
            Command::ClearCounters(all) => {
                if *all && level < StatsLevel::Admin {
                    return "Permission denied".to_owned();
                }
                self.clear_counters(*all);
                String::new()
            }
            Command::ShowTable(name, filter) => {
                let (balancer, now) = (self.balancer(), Instant::now());
                said(tables::show(&balancer, name.as_deref(), filter, level, now))
            }
            Command::ShowPeers(name) => {
                peers::show(&self.balancer(), name.as_deref(), Instant::now())
            }
            Command::ClearTable(name, filter) => done(tables::clear(
                &self.balancer(),
                name,
                filter,
                Instant::now(),
            )),
            Command::SetTable(name, key, values) => {
                let now = Instant::now();
                done(tables::set(&self.balancer(), name, key, values, now))
            }
            Command::Patterns(kind, command) => said(self.patterns(*kind, command)),
            Command::Variable(command) => said(self.variable(command)),
            Command::Tls(command) => self.tls(command),
            Command::AddServer(target, words) => said(self.add_server(target, words)),
            Command::DeleteServer(target) => said(self.delete_server(target)),
            Command::ShowServersConnections(backend) => {
                said(self.servers_connections(backend.as_deref()))
            }
            Command::SetProbe(target, probe) => said(self.set_probe(target, probe)),
            Command::GetWeight(target) => match self.find(target) {
                Ok((backend, index)) => backend.server(index).map_or_else(String::new, |server| {
                    format!("{} (initial {})", server.weight(), server.config().weight)
                }),
                Err(told) => told,
            },
            Command::SetAddress(target, ip, port) => self
                .set_address(target, *ip, port.as_deref())
                .unwrap_or_else(|told| told),
            Command::SetWeight(target, weight) => done(self.set_weight(target, *weight)),
            Command::SetState(target, state) => done(self.set_state(target, *state)),
            Command::SetChecked(target, checked) => done(self.set_checked(target, *checked)),
            Command::SetAsked(target, asked) => done(self.set_asked(target, *asked)),
            Command::SetAgent(target, up) => done(self.set_agent(target, *up)),
            Command::SetHealth(target, health) => done(self.set_health(target, *health)),
            Command::ShutdownSessions(target) => done(self.shutdown_sessions(target)),
            Command::SetMaxconn(target, maxconn) => {
                done(self.change(target, |backend, index, _| {
                    backend.set_maxconn(index, *maxconn);
                    None
                }))
            }
        }
    }
}
