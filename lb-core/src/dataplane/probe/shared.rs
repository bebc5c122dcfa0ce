//! What the checks of all servers share, and what follows from changes: log lines, orders to the workers, servers
//! that go along.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::IpAddr,
    rc::Rc,
    sync::Arc,
};

use tokio::sync::mpsc::WeakUnboundedSender;

use super::{Agent, AgentTarget, Order, Place, Target, Watched, agent, watch::watch};
use crate::{
    backend::{Backend, Cause, StateChange},
    config::ProxyConfig,
    dataplane::{
        Balancer, Event, Events, Programs, clock, rt,
        sink::Sinks,
        worker::{Command, WorkerHandle},
    },
    health::{self, CheckReport, Monitor},
    log::events::level,
    server::{Server, ServerKey},
};

/// What the checks of all servers share.
pub(super) struct Shared {
    pub(super) balancer: RefCell<Arc<Balancer>>,
    pub(super) workers: RefCell<Arc<[WorkerHandle]>>,
    pub(super) events: Arc<dyn Events>,
    pub(super) programs: Option<Arc<dyn Programs>>,
    pub(super) sinks: Sinks,
    /// Some server tracks another: changes are to be passed on.
    pub(super) followed: Cell<bool>,
    /// The way back to the thread's own orders.
    pub(super) again: WeakUnboundedSender<Order>,
}

impl Shared {
    /// Goes over to the servers of another configuration.
    pub(super) fn rearrange(
        self: &Rc<Self>,
        mut before: BTreeMap<ServerKey, Watched>,
        targets: Vec<Target>,
    ) -> BTreeMap<ServerKey, Watched> {
        let mut watched = BTreeMap::new();
        for target in targets {
            let old = before.remove(&target.key);
            if let Some(old) = old {
                if *old.method == target.method {
                    old.place.replace(target.place);
                    watched.insert(target.key, old);
                    continue;
                }
                old.task.abort();
            }
            let pace = target.method.pace;
            let mut monitor = Monitor::new(target.method.check.clone(), pace, target.first);
            let server = target.place.backend.server(target.place.server);
            if let Some(known) = server.and_then(Server::check_report) {
                // What is known of it counts until the first result.
                monitor.handle(clock::recent(), health::Event::Restore(known));
            }
            let place = Rc::new(RefCell::new(target.place));
            let method = Rc::new(target.method);
            let task = watch(
                Rc::clone(self),
                Rc::clone(&place),
                Rc::clone(&method),
                target.tls,
                monitor,
            );
            let task = rt::spawn(task);
            watched.insert(
                target.key,
                Watched {
                    place,
                    method,
                    task,
                },
            );
        }
        for (_, gone) in before {
            gone.task.abort();
        }
        watched
    }

    /// The same for the agents.
    pub(super) fn rearrange_agents(
        self: &Rc<Self>,
        mut before: BTreeMap<ServerKey, Agent>,
        targets: Vec<AgentTarget>,
    ) -> BTreeMap<ServerKey, Agent> {
        let mut agents = BTreeMap::new();
        for target in targets {
            if let Some(old) = before.remove(&target.key) {
                if *old.method == target.method {
                    old.place.replace(target.place);
                    agents.insert(target.key, old);
                    continue;
                }
                old.task.abort();
            }
            let place = Rc::new(RefCell::new(target.place));
            let method = Rc::new(target.method);
            let (own, at) = (Rc::clone(&place), Rc::clone(&method));
            let task = agent::ask(Rc::clone(self), own, at, target.first);
            let task = rt::spawn(task);
            agents.insert(
                target.key,
                Agent {
                    place,
                    method,
                    task,
                },
            );
        }
        for (_, gone) in before {
            gone.task.abort();
        }
        agents
    }

    /// Every server that tracks another takes its state; nothing is logged of how it is found.
    pub(super) fn align(&self) {
        let balancer = Arc::clone(&self.balancer.borrow());
        let now = clock::now();
        // One that tracks may be tracked: as many rounds as a chain can be long.
        let tracking = || {
            let servers = balancer.backends.iter().flat_map(|b| b.servers());
            servers.filter(|server| server.config().track.is_some())
        };
        let count = tracking().count();
        self.followed.set(count > 0);
        for _ in 0..count {
            let mut changed = false;
            for backend in &balancer.backends {
                for server in backend.servers() {
                    let tracked = server.config().track.as_ref();
                    if let Some(tracked) = tracked.and_then(|name| find(&balancer, name)) {
                        let was_checked = server.is_checked();
                        changed |= backend.follow(now, server.index(), tracked).is_some();
                        changed |= server.is_checked() != was_checked;
                    }
                }
            }
            if !changed {
                break;
            }
        }
    }

    /// Those that track a server go along with it.
    pub(super) fn lead(&self, backend: &Backend, server: &Server) {
        if !self.followed.get() {
            return;
        }
        let balancer = Arc::clone(&self.balancer.borrow());
        for (other, follower) in balancer.followers(backend.name(), server.name()) {
            let change = other.follow(clock::now(), follower.index(), server);
            if let Some(change) = &change {
                self.tell(other, change);
            }
            self.lead(other, follower);
        }
    }

    /// An operator's change in the log of its proxy, and what follows from it.
    pub(super) fn log(&self, change: &StateChange) {
        let balancer = Arc::clone(&self.balancer.borrow());
        let Some((backend, name)) = change.name.rsplit_once('/') else {
            return;
        };
        let index = balancer.backend_named(backend);
        let proxy = index.and_then(|index| balancer.backend_proxy(index));
        if change.cause == Cause::Weight {
            return self.tell_of_loss(backend, proxy, change);
        }
        if let Some(proxy) = proxy {
            let text = change.to_string();
            self.sinks.log(proxy, change.level(), text.as_bytes());
        }
        self.tell_of_loss(backend, proxy, change);
        let backend = index.and_then(|index| balancer.backends.get(index));
        if let Some((backend, server)) = backend.and_then(|b| Some((b, b.server_named(name)?))) {
            self.end_sessions(backend, server, change);
            self.lead(backend, server);
        }
    }

    /// What a change means to connections that are open (`on-marked-down`, `on-marked-up`).
    fn end_sessions(&self, backend: &Arc<Backend>, server: &Server, change: &StateChange) {
        if !change.up {
            self.order(|| Command::ServerDown {
                server: server.key(),
                cut_sessions: server.config().shutdown_sessions_on_down,
            });
        }
        self.relieve_backups(backend, server, change);
    }

    /// `option log-health-checks`: `check` is what was done.
    pub(super) fn log_result(
        &self,
        place: &Place,
        check: &str,
        before: &CheckReport,
        report: &CheckReport,
    ) {
        if !place.backend.config().log_health_checks {
            return;
        }
        let balancer = self.balancer.borrow();
        let proxy = place
            .proxy
            .and_then(|index| balancer.config.proxies.get(index));
        let (Some(proxy), Some(server)) = (proxy, place.backend.server(place.server)) else {
            return;
        };
        let backup = if server.config().backup {
            "backup "
        } else {
            ""
        };
        let backend = place.backend.name();
        let check = format!("{check} for {backup}server {backend}/{}", server.name());
        if let Some(line) = report.log_line(before, &check, server.weight() > 0) {
            self.sinks.log(proxy, level::NOTICE, line.as_bytes());
        }
    }

    /// Logs a change, tells the supervisor, and the workers if a server went down.
    pub(super) fn tell(&self, backend: &Arc<Backend>, change: &StateChange) {
        let balancer = self.balancer.borrow();
        let index = balancer.backend_named(backend.name());
        let proxy = index.and_then(|index| balancer.backend_proxy(index));
        if change.cause == Cause::Weight {
            return self.tell_of_loss(backend.name(), proxy, change);
        }
        let text = change.to_string();
        if let Some(proxy) = proxy {
            self.sinks.log(proxy, change.level(), text.as_bytes());
        }
        let Some(server) = backend.server(change.server) else {
            return;
        };
        self.end_sessions(backend, server, change);
        self.events.event(Event::Server {
            backend: Arc::from(backend.name()),
            server: Arc::from(server.name()),
            up: change.up,
            text,
        });
        self.tell_of_loss(backend.name(), proxy, change);
    }

    /// The backend has lost its last server, if it has.
    fn tell_of_loss(&self, backend: &str, proxy: Option<&ProxyConfig>, change: &StateChange) {
        if let Some(text) = change.backend_notice() {
            if let Some(proxy) = proxy {
                self.sinks.log(proxy, level::EMERGENCY, text.as_bytes());
            }
            let backend = Arc::from(backend);
            self.events.event(Event::NoServer { backend, text });
        }
    }

    /// A server's name has led it to another address.
    pub(super) fn tell_moved(
        &self,
        backend: &Backend,
        server: &Server,
        from: &str,
        to: IpAddr,
        by: &str,
    ) {
        let text = format!(
            "{}/{} changed its IP from {from} to {to} by {by}.",
            backend.name(),
            server.name()
        );
        self.notice(backend, &text);
        self.order(|| Command::ServerMoved(server.key()));
        self.events.event(Event::Notice { text });
    }

    /// A line in the log of a backend.
    pub(super) fn notice(&self, backend: &Backend, text: &str) {
        let balancer = self.balancer.borrow();
        let index = balancer.backend_named(backend.name());
        if let Some(proxy) = index.and_then(|index| balancer.backend_proxy(index)) {
            self.sinks.log(proxy, level::NOTICE, text.as_bytes());
        }
    }

    /// Servers have other addresses or other names: checks and questions go there. A configuration that has come meanwhile
    /// stays the one in force.
    pub(super) fn look_again(&self) {
        if let Some(orders) = self.again.upgrade() {
            let _ = orders.send(Order::Look);
        }
    }

    /// `on-marked-up shutdown-backup-sessions`.
    fn relieve_backups(&self, backend: &Backend, server: &Server, change: &StateChange) {
        let config = server.config();
        let relieves = config.cut_backups_on_up && !config.backup && server.is_usable();
        if !relieves || !change.up {
            return;
        }
        for backup in backend.servers().iter().filter(|s| s.config().backup) {
            self.order(|| Command::BackupRelieved(backup.key()));
        }
    }

    fn order(&self, command: impl Fn() -> Command) {
        for worker in self.workers.borrow().iter() {
            worker.send(command());
        }
    }
}

/// A server by the names of its backend and its own.
fn find<'b>(
    balancer: &'b Balancer,
    (backend, server): &(Arc<str>, Arc<str>),
) -> Option<&'b Server> {
    let index = balancer.backend_named(backend)?;
    balancer.backends.get(index)?.server_named(server)
}
