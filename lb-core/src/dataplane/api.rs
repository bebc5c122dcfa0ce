//! What an embedder sees of the data plane.

use std::{
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::{Duration, Instant},
};

use super::{
    clock,
    gate::Gate,
    listener::Listener,
    probe::Checks,
    worker::{self, Command, Parts, WorkerHandle},
};
use crate::{
    backend::Backend,
    config::{Config, ProxyConfig},
    frontend::{Frontend, FrontendError},
    request::RequestView,
    stats::{FrontendCounters, ProcessCounters},
};

/// A listening socket, already bound and listening, for one worker.
#[derive(Debug)]
pub struct ListenerFd {
    /// Index of the proxy in [`Config::proxies`].
    pub proxy: usize,
    /// Index of the `bind` in its frontend.
    pub bind: usize,
    /// The worker that accepts from it (`SO_REUSEPORT` gives each worker its own socket).
    pub worker: usize,
    /// The socket; closed when accepting stops.
    pub fd: OwnedFd,
}

/// What [`start`] needs beside the configuration.
pub struct Options {
    /// Number of worker threads, at least 1.
    pub workers: usize,
    /// Listening sockets.
    pub listeners: Vec<ListenerFd>,
    /// Writes the stats page for proxies with `stats`.
    pub stats: Option<Arc<dyn StatsService>>,
    /// Is told about server states and notices.
    pub events: Arc<dyn Events>,
    /// Seconds that local time is ahead of UTC, for the dates in log lines.
    pub utc_offset: i32,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("workers", &self.workers)
            .field("listeners", &self.listeners)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// One worker, no listener, no stats page.
    pub fn new(events: Arc<dyn Events>) -> Self {
        Self {
            workers: 1,
            listeners: Vec::new(),
            stats: None,
            events,
            utc_offset: 0,
        }
    }
}

/// Something that an operator wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A server's check turned it up or down.
    Server {
        /// Index of the proxy in [`Config::proxies`].
        proxy: usize,
        /// Index of the server in its backend.
        server: usize,
        /// True for up.
        up: bool,
        /// The sentence that was logged (`Server be/s is DOWN, reason: ...`).
        text: String,
    },
    /// The last server of a backend went down.
    NoServer {
        /// Index of the proxy in [`Config::proxies`].
        proxy: usize,
        /// The sentence that was logged.
        text: String,
    },
    /// Anything else worth a line (accept errors, a log target that cannot be opened).
    Notice {
        /// One sentence.
        text: String,
    },
}

/// Receives [`Event`]s, from any thread; must not block.
pub trait Events: Send + Sync {
    /// One event.
    fn event(&self, event: Event);
}

/// [`Events`] that drops them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Events for Silent {
    fn event(&self, _event: Event) {}
}

/// Answers requests for the stats page.
pub trait StatsService: Send + Sync {
    /// Writes a whole HTTP/1.1 response (head and body) for a request whose target begins with the page's `uri`.
    /// The data plane adds `connection: close` where the connection ends with it. `view` has the head and, as its
    /// payload, the body as far as it fits a buffer.
    fn respond(
        &self,
        proxy: &ProxyConfig,
        view: &RequestView<'_>,
        out: &mut Vec<u8>,
    ) -> StatsOutcome;
}

/// What [`StatsService::respond`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatsOutcome {
    /// The request is not for the stats page after all.
    NotMine,
    /// A response was written; the status is what the log line shows.
    Responded {
        /// Status for log and counters.
        status: u16,
    },
}

/// Why the data plane did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A thread or its runtime could not be created.
    #[error("cannot start worker {worker}: {source}")]
    Worker {
        /// Its number.
        worker: usize,
        /// What the system said.
        source: io::Error,
    },
    /// A listener names a proxy or bind that is not in the configuration, or a worker that does not exist.
    #[error("listener for proxy {proxy}, bind {bind}, worker {worker} matches nothing")]
    UnknownListener {
        /// Index of the proxy.
        proxy: usize,
        /// Index of the bind.
        bind: usize,
        /// Number of the worker.
        worker: usize,
    },
    /// A frontend refers to something that is not there.
    #[error(transparent)]
    Frontend(#[from] FrontendError),
    /// A certificate or key of a `bind ... ssl` cannot be used.
    #[error("proxy '{proxy}': certificate {file}: {reason}")]
    Certificate {
        /// Name of the proxy.
        proxy: String,
        /// Its file.
        file: String,
        /// Why.
        reason: String,
    },
}

/// Everything that workers share, and that the stats page and the command line read.
#[derive(Debug)]
pub struct Balancer {
    /// The configuration that runs.
    pub config: Arc<Config>,
    /// Accepting halves in the order of the file.
    pub frontends: Vec<Arc<Frontend>>,
    /// Counters of the frontends, in the same order.
    pub frontend_counters: Vec<FrontendCounters>,
    /// Serving halves in the order of the file.
    pub backends: Vec<Arc<Backend>>,
    /// Counters of the process.
    pub process: ProcessCounters,
    /// When the data plane started.
    pub started: Instant,
    /// Seconds that local time is ahead of UTC, for log lines.
    pub utc_offset: i32,
    /// Proxy of each backend.
    backend_proxies: Vec<usize>,
    /// Frontend and backend of each proxy.
    halves: Vec<(Option<usize>, Option<usize>)>,
}

impl Balancer {
    fn new(config: Arc<Config>, utc_offset: i32, now: Instant) -> Result<Self, StartError> {
        let mut backends = Vec::new();
        let mut backend_proxies = Vec::new();
        let mut names = BTreeMap::new();
        let mut halves = vec![(None, None); config.proxies.len()];
        for (index, proxy) in config.proxies.iter().enumerate() {
            if proxy.backend.is_some() {
                names.insert(Arc::clone(&proxy.name), backends.len());
                if let Some(half) = halves.get_mut(index) {
                    half.1 = Some(backends.len());
                }
                backends.push(Backend::new(proxy, now));
                backend_proxies.push(index);
            }
        }
        let limit = config.global.maxconn.unwrap_or(u32::MAX);
        let mut frontends = Vec::new();
        let mut frontend_counters = Vec::new();
        for (index, proxy) in config.proxies.iter().enumerate() {
            if proxy.frontend.is_some() {
                if let Some(half) = halves.get_mut(index) {
                    half.0 = Some(frontends.len());
                }
                frontends.push(Frontend::new(proxy, &names, limit)?);
                frontend_counters.push(FrontendCounters::new(now));
            }
        }
        Ok(Self {
            process: ProcessCounters::new(now),
            started: now,
            config,
            frontends,
            frontend_counters,
            backends,
            utc_offset,
            backend_proxies,
            halves,
        })
    }

    /// The section of a backend, by its place in [`Balancer::backends`].
    pub fn backend_proxy(&self, backend: usize) -> Option<&ProxyConfig> {
        self.config.proxies.get(*self.backend_proxies.get(backend)?)
    }

    /// The frontend of a section, by its place in [`Config::proxies`].
    pub fn frontend_of(&self, proxy: usize) -> Option<(usize, &Arc<Frontend>)> {
        let index = self.halves.get(proxy)?.0?;
        Some((index, self.frontends.get(index)?))
    }

    /// The backend of a section, by its place in [`Config::proxies`].
    pub fn backend_of(&self, proxy: usize) -> Option<(usize, &Arc<Backend>)> {
        let index = self.halves.get(proxy)?.1?;
        Some((index, self.backends.get(index)?))
    }

    /// Place in [`Balancer::backends`] of the one called `name`.
    pub fn backend_named(&self, name: &str) -> Option<usize> {
        self.backends.iter().position(|b| b.name() == name)
    }

    /// Place in [`Config::proxies`] of a backend.
    pub fn proxy_of_backend(&self, backend: usize) -> Option<usize> {
        self.backend_proxies.get(backend).copied()
    }
}

/// The running data plane.
#[derive(Debug)]
pub struct DataPlane {
    balancer: Arc<Balancer>,
    workers: Arc<[WorkerHandle]>,
    checks: Option<Checks>,
    ended: Mutex<mpsc::Receiver<()>>,
}

/// Starts the workers and the health checks.
pub fn start(config: Arc<Config>, options: Options) -> Result<DataPlane, StartError> {
    let now = clock::now();
    let balancer = Arc::new(Balancer::new(config, options.utc_offset, now)?);
    let count = options.workers.max(1);
    let process = Gate::new(balancer.config.global.maxconn);
    let gates: Vec<_> = balancer
        .frontends
        .iter()
        .map(|frontend| Gate::new(Some(frontend.maxconn())))
        .collect();
    let mut listeners: Vec<Vec<Listener>> = (0..count).map(|_| Vec::new()).collect();
    for given in options.listeners {
        let unknown = StartError::UnknownListener {
            proxy: given.proxy,
            bind: given.bind,
            worker: given.worker,
        };
        let worker = given.worker;
        let found = balancer.frontend_of(given.proxy);
        let Some((index, frontend)) = found else {
            return Err(unknown);
        };
        let (Some(gate), Some(of_worker)) = (gates.get(index), listeners.get_mut(worker)) else {
            return Err(unknown);
        };
        let gates = [Arc::clone(&process), Arc::clone(gate)];
        let frontend = (index, Arc::clone(frontend));
        of_worker.push(Listener::new(given, &balancer.config, frontend, gates)?);
    }
    let (ended_tx, ended) = mpsc::channel();
    let mut workers = Vec::new();
    for (number, listeners) in listeners.into_iter().enumerate() {
        let parts = Parts {
            number,
            balancer: Arc::clone(&balancer),
            stats: options.stats.clone(),
            events: Arc::clone(&options.events),
            listeners,
        };
        workers.push(worker::spawn(parts, ended_tx.clone())?);
    }
    let workers: Arc<[WorkerHandle]> = workers.into();
    let checks = Checks::start(&balancer, &workers, options.events)?;
    Ok(DataPlane {
        balancer,
        workers,
        checks,
        ended: Mutex::new(ended),
    })
}

impl DataPlane {
    /// What workers share.
    pub fn balancer(&self) -> &Arc<Balancer> {
        &self.balancer
    }

    /// Closes the listeners; running connections go on, idle ones are closed.
    pub fn stop_accepting(&self) {
        for worker in self.workers.iter() {
            worker.send(Command::StopAccepting);
        }
    }

    /// Completes once every worker's event loop has turned; works under any executor.
    pub async fn heartbeat(&self) {
        for worker in self.workers.iter() {
            worker.ping().await;
        }
    }

    /// Completes once no client connection is left; for use after [`DataPlane::stop_accepting`].
    pub async fn drained(&self) {
        for worker in self.workers.iter() {
            worker.drained().await;
        }
    }

    /// Stops accepting, lets running requests finish for `grace`, cuts what is left and ends the threads.
    /// Blocks.
    pub fn join(self, grace: Duration) {
        self.stop_accepting();
        for worker in self.workers.iter() {
            worker.send(Command::ExitWhenDrained);
        }
        let deadline = clock::now() + grace;
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in self.workers.iter() {
            let left = deadline.saturating_duration_since(clock::now());
            if ended.recv_timeout(left).is_err() {
                break;
            }
        }
        for worker in self.workers.iter() {
            worker.send(Command::Exit);
        }
        if let Some(checks) = self.checks {
            checks.join();
        }
        for worker in self.workers.iter() {
            worker.join();
        }
    }
}
