//! What an embedder sees of the data plane.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize},
        mpsc,
    },
    time::Duration,
};

use super::{
    clock,
    worker::{self, Command, WorkerHandle},
};
use crate::{
    config::{Config, ProxyConfig},
    head::HeadRef,
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
    /// The data plane adds `connection: close` where the connection ends with it. `body` is the request's body
    /// as far as it fits a buffer.
    fn respond(
        &self,
        proxy: &ProxyConfig,
        request: HeadRef<'_>,
        body: &[u8],
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
    /// Connections of the whole process.
    pub connections: AtomicU32,
    /// Log lines that a full socket dropped.
    pub dropped_logs: AtomicUsize,
}

/// The running data plane.
#[derive(Debug)]
pub struct DataPlane {
    balancer: Arc<Balancer>,
    workers: Vec<WorkerHandle>,
    ended: mpsc::Receiver<()>,
}

/// Starts the workers and the health checks.
pub fn start(config: Arc<Config>, options: Options) -> Result<DataPlane, StartError> {
    let balancer = Arc::new(Balancer {
        config,
        connections: AtomicU32::new(0),
        dropped_logs: AtomicUsize::new(0),
    });
    let (ended_tx, ended) = mpsc::channel();
    let mut workers = Vec::new();
    for number in 0..options.workers.max(1) {
        workers.push(worker::spawn(number, ended_tx.clone())?);
    }
    Ok(DataPlane {
        balancer,
        workers,
        ended,
    })
}

impl DataPlane {
    /// What workers share.
    pub fn balancer(&self) -> &Arc<Balancer> {
        &self.balancer
    }

    /// Closes the listeners; running connections go on, idle ones are closed.
    pub fn stop_accepting(&self) {
        for worker in &self.workers {
            worker.send(Command::StopAccepting);
        }
    }

    /// Completes once every worker's event loop has turned; works under any executor.
    pub async fn heartbeat(&self) {
        for worker in &self.workers {
            worker.ping().await;
        }
    }

    /// Completes once no client connection is left; for use after [`DataPlane::stop_accepting`].
    pub async fn drained(&self) {
        for worker in &self.workers {
            worker.drained().await;
        }
    }

    /// Stops accepting, lets running requests finish for `grace`, cuts what is left and ends the threads.
    /// Blocks.
    pub fn join(self, grace: Duration) {
        self.stop_accepting();
        for worker in &self.workers {
            worker.send(Command::ExitWhenDrained);
        }
        let deadline = clock::now() + grace;
        let mut running = self.workers.len();
        while running > 0 {
            let left = deadline.saturating_duration_since(clock::now());
            if self.ended.recv_timeout(left).is_err() {
                break;
            }
            running -= 1;
        }
        for worker in &self.workers {
            worker.send(Command::Exit);
        }
        for worker in self.workers {
            worker.join();
        }
    }
}
