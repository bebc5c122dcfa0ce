//! Health checks: the monitors' probes, run on a thread of their own, and what follows from their results.

mod agent;
mod arranged;
mod names;
mod once;
mod program;
pub(super) mod question;
mod services;
mod shared;
mod watch;

use std::{
    cell::{Cell, RefCell},
    io,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::{
    mpsc::{UnboundedSender, unbounded_channel},
    oneshot,
};

use super::{
    Balancer, Events, Programs, StartError,
    destination::Destination,
    rt::{self, EventLoop},
    sink::Sinks,
    tls::Connector,
    worker::WorkerHandle,
};
use arranged::Arranged;
use once::Method;
pub(crate) use question::fuzz as fuzz_dns;
use shared::Shared;

use crate::{
    backend::{Backend, StateChange},
    config::{CheckConfig, CheckKind, Protocol, ProxyConfig},
    health::{Monitor, Pace, script::Act},
    id::ServerIndex,
    server::{Server, ServerKey},
};

/// Orders that are carried out in one go.
const TOGETHER: usize = 1024;

/// The running checks: a thread, told of each configuration.
#[derive(Debug)]
pub(super) struct Checks {
    /// Not bounded, for a worker that tells of a change is not to wait for this thread. What waits is no more than operators,
    /// whose commands are answered one after the other, and name servers can bring about while it carries out what came before:
    /// a line for the log, or one look at the servers for any number of orders.
    orders: UnboundedSender<Order>,
    thread: JoinHandle<()>,
}

/// What the thread is told.
enum Order {
    /// A configuration is in force.
    Adopt(Arc<Balancer>, Arc<[WorkerHandle]>),
    /// Servers of it have other addresses, or other names to follow.
    Look,
    /// An operator changed a server.
    Log(StateChange),
    /// Another process has taken the place of this one: peers are its own from now on, and it is told what the tables
    /// hold.
    Teach(oneshot::Sender<()>),
}

/// Where a checked server stands in the configuration in force.
struct Place {
    proxy: Option<usize>,
    backend: Arc<Backend>,
    server: ServerIndex,
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

/// An agent to be asked.
struct AgentTarget {
    key: ServerKey,
    place: Place,
    method: agent::Method,
    first: Instant,
}

/// An agent that is asked.
struct Agent {
    place: Rc<RefCell<Place>>,
    method: Rc<agent::Method>,
    task: rt::Task,
}

impl Checks {
    /// Starts the thread; there is nothing to check before [`Checks::adopt`].
    pub(super) fn start(
        balancer: &Arc<Balancer>,
        events: Arc<dyn Events>,
        programs: Option<Arc<dyn Programs>>,
    ) -> Result<Self, StartError> {
        let failed = |source: io::Error| StartError::Worker {
            worker: usize::MAX,
            source,
        };
        let turning = EventLoop::new().map_err(failed)?;
        let (orders, mut received) = unbounded_channel::<Order>();
        let again = orders.downgrade();
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
                        programs,
                        followed: Cell::new(false),
                        again,
                    });
                    let mut arranged = Arranged::new(shared);
                    let mut orders = Vec::new();
                    while received.recv_many(&mut orders, TOGETHER).await > 0 {
                        arranged.carry_out(orders.drain(..));
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

    /// Speaks to no peer any more but the process that has taken the place of this one, and tells when that knows all.
    pub(super) fn teach(&self, done: oneshot::Sender<()>) {
        let _ = self.orders.send(Order::Teach(done));
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
        let spread = spread(balancer, shortest);
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
                },
                method: Method {
                    pace: pace(balancer, proxy, &destination),
                    destination,
                    source: server.config().source,
                    check: check.clone(),
                    kind: backend.config().check.clone(),
                    asks: asks(&backend.config().check),
                    over_http2: asks(&backend.config().check) && speaks_http2(server, check),
                    proxy: (
                        server.config().send_proxy.unwrap_or(1),
                        server.config().proxy_options,
                    ),
                },
                tls: balancer.check_connector(server.key()).cloned(),
                first: Monitor::first_probe(now, spread, position, count),
            });
        }
    }
    targets
}

/// Whether checks speak HTTP/2: by `check-proto`, or where the server itself is asked and its line says
/// `proto h2`.
fn speaks_http2(server: &Server, check: &CheckConfig) -> bool {
    let elsewhere = check.port.is_some() || check.addr.is_some();
    match check.protocol {
        Some(protocol) => protocol == Protocol::Http2,
        None => server.config().protocol == Protocol::Http2 && !elsewhere,
    }
}

/// Whether checks make requests.
fn asks(kind: &CheckKind) -> bool {
    match kind {
        CheckKind::Script(script) => {
            let mut steps = script.steps.iter();
            steps.any(|step| matches!(step.act, Act::Request(_)))
        }
        CheckKind::Tcp | CheckKind::External(_) => false,
    }
}

fn agent_targets(balancer: &Balancer, now: Instant) -> Vec<AgentTarget> {
    let mut targets = Vec::new();
    for (index, backend) in balancer.backends.iter().enumerate() {
        let proxy = balancer.backend_proxy(index).filter(|p| !p.disabled);
        let Some(proxy) = proxy else {
            continue;
        };
        let count = u32::try_from(backend.servers().len()).unwrap_or(u32::MAX);
        for (position, server) in (0u32..).zip(backend.servers()) {
            if let Some(method) = agent::method(server, proxy.timeouts.check) {
                let spread = spread(balancer, method.agent.inter);
                targets.push(AgentTarget {
                    key: server.key(),
                    place: Place {
                        proxy: balancer.proxy_of_backend(index),
                        backend: Arc::clone(backend),
                        server: server.index(),
                    },
                    first: Monitor::first_probe(now, spread, position, count),
                    method,
                });
            }
        }
    }
    targets
}

/// Over how long first checks are spread: an interval, bounded by `max-spread-checks`.
fn spread(balancer: &Balancer, interval: Duration) -> Duration {
    let most = balancer.config.global.max_spread;
    most.map_or(interval, |most| most.min(interval))
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
