//! Health checks: the monitors' probes, run on a thread of their own, and what follows from their results.

mod once;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{
    Balancer, Event, Events, StartError, clock,
    destination::Destination,
    rt::{self, EventLoop},
    sink::Sinks,
    tls::Connector,
    worker::{Command, WorkerHandle},
};
use once::{Found, Method};

use crate::{
    backend::{Backend, StateChange},
    config::{CheckConfig, CheckKind, ProxyConfig},
    health::{self, CheckReport, Monitor, Pace, ProbeResult, script::Known},
    id::ServerIndex,
    log::events::level,
    server::{Server, ServerKey},
};

/// The running checks: a thread, told of each configuration.
#[derive(Debug)]
pub(super) struct Checks {
    orders: UnboundedSender<Order>,
    thread: JoinHandle<()>,
}

/// What the thread is told.
enum Order {
    /// A configuration is in force.
    Adopt(Arc<Balancer>, Arc<[WorkerHandle]>),
    /// An operator changed a server.
    Log(StateChange),
}

/// What the checks of all servers share.
struct Shared {
    balancer: RefCell<Arc<Balancer>>,
    workers: RefCell<Arc<[WorkerHandle]>>,
    events: Arc<dyn Events>,
    sinks: Sinks,
}

/// Where a checked server stands in the configuration in force.
struct Place {
    proxy: Option<usize>,
    backend: Arc<Backend>,
    server: ServerIndex,
    cut_sessions: bool,
}

/// A server to be checked.
struct Target {
    key: ServerKey,
    place: Place,
    method: Method,
    tls: Option<Connector>,
    /// When it is checked first.
    first: Instant,
}

/// A server that is checked.
struct Watched {
    place: Rc<RefCell<Place>>,
    method: Rc<Method>,
    task: rt::Task,
}

impl Checks {
    /// Starts the thread; there is nothing to check before [`Checks::adopt`].
    pub(super) fn start(
        balancer: &Arc<Balancer>,
        events: Arc<dyn Events>,
    ) -> Result<Self, StartError> {
        let failed = |source: io::Error| StartError::Worker {
            worker: usize::MAX,
            source,
        };
        let turning = EventLoop::new().map_err(failed)?;
        let (orders, mut received) = unbounded_channel::<Order>();
        let balancer = Arc::clone(balancer);
        let thread = std::thread::Builder::new()
            .name(String::from("checks"))
            .spawn(move || {
                turning.block_on(async move {
                    let shared = Rc::new(Shared {
                        sinks: Sinks::new(Arc::clone(&balancer)),
                        balancer: RefCell::new(balancer),
                        workers: RefCell::new(Arc::new([])),
                        events,
                    });
                    let mut watched = BTreeMap::new();
                    while let Some(order) = received.recv().await {
                        let (balancer, workers) = match order {
                            Order::Adopt(balancer, workers) => (balancer, workers),
                            Order::Log(change) => {
                                shared.log(&change);
                                continue;
                            }
                        };
                        shared.sinks.adopt(&balancer);
                        let targets = targets(&balancer, clock::now());
                        shared.balancer.replace(balancer);
                        shared.workers.replace(workers);
                        watched = shared.rearrange(watched, targets);
                    }
                });
            })
            .map_err(failed)?;
        Ok(Self { orders, thread })
    }

    /// Another configuration is in force: servers that are checked as before are not disturbed.
    pub(super) fn adopt(&self, balancer: &Arc<Balancer>, workers: &Arc<[WorkerHandle]>) {
        let order = Order::Adopt(Arc::clone(balancer), Arc::clone(workers));
        let _ = self.orders.send(order);
    }

    /// An operator changed a server: its proxy's log hears of it.
    pub(super) fn log(&self, change: StateChange) {
        let _ = self.orders.send(Order::Log(change));
    }

    /// Ends them.
    pub(super) fn join(self) {
        drop(self.orders);
        let _ = self.thread.join();
    }
}

fn targets(balancer: &Balancer, now: Instant) -> Vec<Target> {
    let mut targets = Vec::new();
    for (index, backend) in balancer.backends.iter().enumerate() {
        let Some(proxy) = balancer.backend_proxy(index) else {
            continue;
        };
        if proxy.disabled {
            continue;
        }
        let checked: Vec<_> = backend
            .servers()
            .iter()
            .filter_map(|server| Some((server, server.config().check.as_ref()?)))
            .collect();
        let shortest = checked
            .iter()
            .map(|(_, c)| c.inter)
            .min()
            .unwrap_or_default();
        let count = u32::try_from(checked.len()).unwrap_or(u32::MAX);
        for (position, (server, check)) in (0u32..).zip(checked) {
            let Some(destination) = destination(server, check) else {
                continue;
            };
            targets.push(Target {
                key: server.key(),
                place: Place {
                    proxy: balancer.proxy_of_backend(index),
                    backend: Arc::clone(backend),
                    server: server.index(),
                    cut_sessions: server.config().shutdown_sessions_on_down,
                },
                method: Method {
                    pace: pace(balancer, proxy, &destination),
                    destination,
                    source: server.config().source,
                    check: check.clone(),
                    kind: backend.config().check.clone(),
                },
                tls: balancer.check_connector(server.key()).cloned(),
                first: Monitor::first_probe(now, shortest, position, count),
            });
        }
    }
    targets
}

fn pace(balancer: &Balancer, proxy: &ProxyConfig, destination: &Destination) -> Pace {
    Pace {
        connect_timeout: proxy.timeouts.connect,
        check_timeout: proxy.timeouts.check,
        spread_percent: balancer.config.global.spread_checks,
        seed: match destination {
            Destination::Ip(address) => u64::from(address.port()),
            Destination::Unix(_) => 0,
        },
    }
}

/// Where a server is checked.
fn destination(server: &Server, check: &CheckConfig) -> Option<Destination> {
    if let Some(unix) = &server.config().unix {
        let elsewhere = check.addr.zip(check.port).map(SocketAddr::from);
        return Some(elsewhere.map_or_else(|| Destination::Unix(unix.clone()), Destination::Ip));
    }
    let own = server.address()?;
    Some(Destination::Ip(SocketAddr::new(
        check.addr.unwrap_or(own.ip()),
        check.port.unwrap_or(own.port()),
    )))
}

/// Checks one server until it is told otherwise.
async fn watch(
    shared: Rc<Shared>,
    place: Rc<RefCell<Place>>,
    method: Rc<Method>,
    tls: Option<Connector>,
    mut monitor: Monitor,
) {
    loop {
        if let Some(deadline) = monitor.next_deadline() {
            rt::sleep_until(deadline).await;
            monitor.handle(clock::now(), health::Event::Timeout);
        }
        let Some(probe) = monitor.poll_probe() else {
            rt::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let begun = clock::now();
        let paused = place.borrow().is_paused();
        let found = if paused {
            Found::unknown()
        } else {
            let state = place.borrow().state(&shared, &method);
            let known = Known {
                secure: tls.is_some(),
                is_down: !monitor.report().is_up(),
                state: state.as_deref(),
            };
            once::run(&method, known, tls.as_ref(), probe).await
        };
        let now = clock::now();
        let result = ProbeResult {
            status: found.status,
            code: found.code,
            duration: now.saturating_duration_since(begun),
            detail: found.detail,
        };
        // Somebody forced its health since the last probe.
        let known = place.borrow().report();
        if let Some(known) = known.filter(|known| known.health != monitor.report().health) {
            monitor.handle(now, health::Event::Restore(known));
        }
        let before = monitor.report().clone();
        monitor.handle(now, health::Event::ProbeDone(result));
        if paused {
            continue;
        }
        let place = place.borrow();
        if place.backend.config().log_health_checks {
            shared.log_result(&place, &before, monitor.report());
        }
        let change = place
            .backend
            .apply_check(now, place.server, monitor.report());
        if let Some(change) = change {
            shared.tell(&place, &change);
        }
    }
}

impl Place {
    fn is_paused(&self) -> bool {
        self.backend
            .server(self.server)
            .is_none_or(|server| server.admin().is_maintenance() || !server.is_checked())
    }

    fn report(&self) -> Option<CheckReport> {
        self.backend.server(self.server)?.check_report()
    }

    /// What a server is told of itself by `http-check send-state`.
    fn state(&self, shared: &Shared, method: &Method) -> Option<String> {
        let CheckKind::Script(script) = &method.kind else {
            return None;
        };
        let server = self
            .backend
            .server(self.server)
            .filter(|_| script.send_state)?;
        let balancer = shared.balancer.borrow();
        let (address, port) = match &method.destination {
            Destination::Ip(at) => (at.ip().to_string(), at.port()),
            Destination::Unix(_) => ("unix".to_owned(), 0),
        };
        let (own, all) = (server.counters(), self.backend.counters());
        Some(format!(
            "{}; address={address}; port={port}; name={}/{}; node={}; weight={}/{}; scur={}/{}; qcur={}",
            server.status(),
            self.backend.name(),
            server.name(),
            balancer.node(),
            server.weight(),
            self.backend.total_weight(),
            own.sessions.value(),
            all.sessions.value(),
            own.queue.value(),
        ))
    }
}

impl Shared {
    /// Goes over to the servers of another configuration.
    fn rearrange(
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

    /// An operator's change in the log of its proxy.
    fn log(&self, change: &StateChange) {
        let balancer = self.balancer.borrow();
        let Some((backend, _)) = change.name.rsplit_once('/') else {
            return;
        };
        let index = balancer.backend_named(backend);
        let proxy = index.and_then(|index| balancer.backend_proxy(index));
        if let Some(proxy) = proxy {
            let text = change.to_string();
            self.sinks.log(proxy, change.level(), text.as_bytes());
            if let Some(text) = change.backend_notice() {
                self.sinks.log(proxy, level::EMERGENCY, text.as_bytes());
            }
        }
        if let Some(text) = change.backend_notice() {
            let backend = Arc::from(backend);
            self.events.event(Event::NoServer { backend, text });
        }
    }

    /// `option log-health-checks`.
    fn log_result(&self, place: &Place, before: &CheckReport, report: &CheckReport) {
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
        let name = format!("{backup}server {}/{}", place.backend.name(), server.name());
        if let Some(line) = report.log_line(before, &name, server.weight() > 0) {
            self.sinks.log(proxy, level::NOTICE, line.as_bytes());
        }
    }

    /// Logs a change, tells the supervisor, and the workers if a server went down.
    fn tell(&self, place: &Place, change: &StateChange) {
        let text = change.to_string();
        let balancer = self.balancer.borrow();
        let proxy = place
            .proxy
            .and_then(|index| balancer.config.proxies.get(index));
        if let Some(proxy) = proxy {
            self.sinks.log(proxy, change.level(), text.as_bytes());
        }
        let Some(server) = place.backend.server(place.server) else {
            return;
        };
        if !change.up {
            for worker in self.workers.borrow().iter() {
                worker.send(Command::ServerDown {
                    server: server.key(),
                    cut_sessions: place.cut_sessions,
                });
            }
        }
        let backend: Arc<str> = Arc::from(place.backend.name());
        self.events.event(Event::Server {
            backend: Arc::clone(&backend),
            server: Arc::from(server.name()),
            up: change.up,
            text,
        });
        if let Some(text) = change.backend_notice() {
            if let Some(proxy) = proxy {
                self.sinks.log(proxy, level::EMERGENCY, text.as_bytes());
            }
            self.events.event(Event::NoServer { backend, text });
        }
    }
}
