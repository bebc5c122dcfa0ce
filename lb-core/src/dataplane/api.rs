//! What an embedder sees of the data plane.

use std::{
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    config::ProxyConfig, frontend::FrontendError, request::RequestView, rules::Service,
    server::ServerKey,
};

/// A connection of a client, or a stream of one in HTTP/2 (`show sess`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its number in the process.
    pub id: u64,
    /// The client.
    pub source: SocketAddr,
    /// When it began.
    pub since: Instant,
    /// Name of the frontend.
    pub frontend: Option<Arc<str>>,
    /// The server in use.
    pub server: Option<ServerKey>,
}

/// A place among the connections of all workers; the default is the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionsAt {
    pub(super) worker: usize,
    pub(super) entry: usize,
}

/// A listening socket, already bound and listening, for one worker.
#[derive(Debug)]
pub struct ListenerFd {
    /// Index of the proxy in [`Config::proxies`](crate::config::Config::proxies).
    pub proxy: usize,
    /// Index of the `bind` in its frontend.
    pub bind: usize,
    /// The worker that accepts from it (`SO_REUSEPORT` gives each worker its own socket).
    pub worker: usize,
    /// The socket; closed when accepting stops.
    pub fd: OwnedFd,
}

/// What [`start`](super::start) needs beside the configuration.
pub struct Options {
    /// Number of worker threads, at least 1.
    pub workers: usize,
    /// Listening sockets.
    pub listeners: Vec<ListenerFd>,
    /// Writes the stats page for proxies with `stats`.
    pub stats: Option<Arc<dyn StatsService>>,
    /// Is told about server states and notices.
    pub events: Arc<dyn Events>,
    /// Runs the programs of `option external-check`; without it such checks fail.
    pub programs: Option<Arc<dyn Programs>>,
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
            programs: None,
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
        /// Name of the backend.
        backend: Arc<str>,
        /// Name of the server.
        server: Arc<str>,
        /// True for up.
        up: bool,
        /// The sentence that was logged (`Server be/s is DOWN, reason: ...`).
        text: String,
    },
    /// The last server of a backend went down.
    NoServer {
        /// Name of the backend.
        backend: Arc<str>,
        /// The sentence that was logged.
        text: String,
    },
    /// Something went as it should, and is worth a line all the same.
    Done {
        /// One sentence.
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

/// A check by the program of a backend ([`ExternalCheck`](crate::config::ExternalCheck)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramRun {
    /// Name of the backend.
    pub backend: Arc<str>,
    /// Name of the server.
    pub server: Arc<str>,
    /// Where the server is now; `None` for one at a UNIX socket.
    pub address: Option<SocketAddr>,
    /// Connections that it has now.
    pub sessions: u32,
    /// How long the program may take.
    pub limit: Duration,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramEnd {
    /// By itself, with this status.
    Exited(u8),
    /// It took too long.
    TimedOut,
    /// Otherwise, or it was not started: why.
    Failed(String),
}

/// Runs programs that check servers, from the thread of the checks; must not block.
pub trait Programs: Send + Sync {
    /// Runs the program of a backend for one of its servers. `tell` hears how that ended; dropped, the run says nothing of the
    /// server.
    fn check(&self, run: ProgramRun, tell: Box<dyn FnOnce(ProgramEnd) + Send>);
}

/// Answers requests for the stats page and for services.
pub trait StatsService: Send + Sync {
    /// Writes an HTTP/1.1 response for a request whose target begins with the page's `uri`: a whole one, or its head
    /// and what gives the body. The data plane adds `connection: close` where the connection ends with it, and the
    /// framing of a body that comes piece by piece. `view` has the head and, as its payload, the body as far as it
    /// fits a buffer.
    fn respond(
        &self,
        proxy: &ProxyConfig,
        view: &RequestView<'_>,
        out: &mut Vec<u8>,
    ) -> StatsOutcome;

    /// The same for `http-request use-service`, whatever the target.
    fn serve(&self, service: Service, view: &RequestView<'_>, out: &mut Vec<u8>) -> StatsOutcome {
        let _ = (service, view, out);
        StatsOutcome::NotMine
    }
}

/// What [`StatsService::respond`] did.
#[derive(Debug)]
pub enum StatsOutcome {
    /// The request is not for the stats page after all.
    NotMine,
    /// The client may not see it: the error page for 403.
    Denied,
    /// A response was written; the status is what the log line shows.
    Responded {
        /// Status for log and counters.
        status: u16,
    },
    /// The head of a response was written; its body is asked for as fast as the client takes it.
    Streams {
        /// Status for log and counters.
        status: u16,
        /// Gives the body.
        body: Box<dyn StatsBody>,
    },
}

/// A body that is made while it is sent, so that a large one neither holds up a worker nor lies in memory.
pub trait StatsBody: std::fmt::Debug {
    /// Appends the next piece, some 16 kB; false after the last one.
    fn next_piece(&mut self, out: &mut Vec<u8>) -> bool;
}

/// Why the data plane did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A thread or its event loop could not be created.
    #[error("cannot start worker {worker}: {source}")]
    Worker {
        /// Its number.
        worker: usize,
        /// What the system said.
        source: io::Error,
    },
    /// There is no descriptor left.
    #[error("cannot duplicate a listener: {0}")]
    Descriptor(#[source] io::Error),
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
    /// A certificate, a key or another setting of TLS cannot be used.
    #[error("proxy '{proxy}': {}{reason}", of_file(.file.as_deref()))]
    Certificate {
        /// Name of the proxy.
        proxy: String,
        /// `file:line` of the `bind` or `server`, where it is known.
        line: Option<Arc<str>>,
        /// The certificate's file, if it is about one.
        file: Option<String>,
        /// Why.
        reason: String,
    },
}

fn of_file(file: Option<&str>) -> String {
    file.map_or_else(String::new, |file| format!("certificate {file}: "))
}

impl StartError {
    /// `file:line` of what is wrong, where that is known.
    pub fn line(&self) -> Option<&str> {
        match self {
            Self::Certificate { line, .. } => line.as_deref(),
            _ => None,
        }
    }

    /// The same about what stands in this line.
    pub(super) fn in_line(mut self, of: Option<&Arc<str>>) -> Self {
        if let Self::Certificate { line, .. } = &mut self {
            *line = of.cloned();
        }
        self
    }
}
