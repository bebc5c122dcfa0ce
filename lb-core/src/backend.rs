//! A pool of servers: who serves a stream, who waits, who is turned away.
//!
//! [`Backend::assign`] is the one question; its answer is a [`Lease`] (a slot on a server, given back on drop),
//! a [`Ticket`] (a place in a queue, a future that becomes a lease) or a [`Refusal`]. A backend is shared by all
//! workers: one short lock around the balancing state and the queues, everything that statistics read in
//! atomics. Never here: connections, clocks, what a request looks like.
//!
//! Order of the decision, as in HAProxy: `use-server`, cookie, stick table, balancing; a server chosen by the
//! first three may be waited for in its own queue, everyone else waits for any server.

mod admin;
mod assign;
mod change;
mod directory;
mod kin;
mod lease;
mod names;
mod renew;
mod resolution;
mod retry;
mod slots;
mod terminal;
mod weights;

#[cfg(test)]
mod tests;

pub use crate::queue::Ahead;
pub use admin::{AdminAction, Health};
pub use change::{Cause, StateChange};
use directory::Directory;
use kin::Kin;
pub use lease::{Lease, Outcome, Ticket};
use names::CookieNames;
pub use resolution::Unresolved;
pub use retry::AfterFailure;

use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::{
    balance::{Algorithm, HashLayout, IndexedHeap, Scheduler},
    config::{BackendConfig, ProxyConfig, StickTableConfig, StoreKind, TableKey},
    cookie::CookiePolicy,
    id::ServerIndex,
    queue::Queues,
    server::{Server, ServerKey},
    stats::BackendCounters,
    stick_table::StickTable,
};

/// What the choice depends on.
#[derive(Debug, Clone, Copy)]
pub struct AssignKey<'a> {
    /// Client address.
    pub source: IpAddr,
    /// Value of this backend's persistence cookie in the request (without a prefix-mode remainder).
    pub cookie: Option<&'a [u8]>,
    /// Hash to balance by where a key other than `source` chooses
    /// ([`HashConfig::of_request`](crate::balance::HashConfig::of_request)).
    pub hash: Option<u32>,
    /// The server that just failed this stream: any other, if there is one (redispatch).
    pub exclude: Option<ServerIndex>,
    /// `use-server`.
    pub forced: Option<ServerIndex>,
    /// Number of the server that a stick table remembers; comes after the cookie.
    pub stuck: Option<u32>,
    /// The server that the client has a connection to and is to stay with; comes after all that its request names.
    pub last: Option<ServerIndex>,
    /// `force-persist`: the cookie leads to a server that is down, too.
    pub insists: bool,
    /// Whom it goes before if it has to wait.
    pub precedence: Precedence,
}

/// Which of those who wait for a server goes first (`set-priority-class`, `set-priority-offset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Precedence {
    /// Lower ones go first.
    pub class: i16,
    /// Within a class, milliseconds that are added to the time of its coming.
    pub offset: i32,
}

impl AssignKey<'_> {
    /// Nothing but a client address.
    pub fn new(source: IpAddr) -> Self {
        Self {
            source,
            cookie: None,
            hash: None,
            exclude: None,
            forced: None,
            stuck: None,
            last: None,
            insists: false,
            precedence: Precedence::default(),
        }
    }
}

/// Answer to [`Backend::assign`].
#[derive(Debug)]
#[must_use]
pub enum Assignment {
    /// A slot on a server.
    Leased(Lease),
    /// All slots are taken.
    Queued(Ticket),
    /// Nobody can serve this stream.
    Refused(Refusal),
}

/// Why nobody serves a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No server is up: 503, `SC`.
    #[error("no server is available")]
    NoServer,
    /// This server was to serve, is full, and so is its queue (`maxqueue`): 503, `SQ`.
    #[error("the server's queue is full")]
    QueueFull(ServerIndex),
}

/// What became of the client's cookie; the third character of the termination state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Persistence {
    /// `N`: no cookie (or none is looked for).
    #[default]
    None,
    /// `I`: the cookie names no server.
    Invalid,
    /// `D`: its server is down.
    Down,
    /// `V`: its server is used.
    Valid,
    /// `D`: its server is used although it is down.
    Insisted,
    /// A stick entry or `use-server` chose.
    Stuck,
}

impl Persistence {
    /// Whether the server was not chosen by the balancing.
    pub fn is_direct(self) -> bool {
        matches!(self, Self::Valid | Self::Insisted | Self::Stuck)
    }

    /// The character in log lines.
    pub fn letter(self) -> char {
        match self {
            Self::None | Self::Stuck => 'N',
            Self::Invalid => 'I',
            Self::Down | Self::Insisted => 'D',
            Self::Valid => 'V',
        }
    }

    pub(crate) fn without_server(self) -> Self {
        match self {
            Self::Valid | Self::Insisted => Self::Down,
            Self::Stuck => Self::None,
            other => other,
        }
    }
}

/// A pool of servers.
#[derive(Debug)]
pub struct Backend {
    name: Arc<str>,
    id: AtomicU32,
    config: BackendConfig,
    cookie: Option<CookiePolicy>,
    servers: Vec<Server>,
    by_cookie: CookieNames,
    directory: Directory,
    counters: Arc<BackendCounters>,
    sources: Option<Arc<StickTable>>,
    usable: [AtomicU32; 2],
    /// Some server's limit follows the load (`minconn`).
    elastic: bool,
    /// A slot given back matters to the balancing or to someone in line: never unset.
    settles: AtomicBool,
    /// Itself and those that it replaced.
    kin: Arc<Kin>,
    state: Mutex<State>,
}

/// What a backend shares with the one that it replaces.
struct Kept {
    counters: Arc<BackendCounters>,
    sources: Option<Arc<StickTable>>,
    kin: Arc<Kin>,
}

/// What one thread at a time may touch.
#[derive(Debug)]
struct State {
    scheduler: Scheduler,
    /// Full servers whose limit follows the load, by the load at which they have room again.
    growing: IndexedHeap<u32>,
    queues: Queues,
    /// The latest time anyone told.
    now: Instant,
    /// When the weights of slowly starting servers are looked at again.
    warm_at: Option<Instant>,
    /// When a table of keys was last laid out without the lock.
    planned_at: Option<Instant>,
    last_change: Instant,
    down_since: Option<Instant>,
    down_for: Duration,
    down_transitions: u64,
}

impl Backend {
    /// A backend with the servers of `proxy`, all of which are up until checks say otherwise.
    pub fn new(proxy: &ProxyConfig, now: Instant) -> Arc<Self> {
        let config = proxy.backend.clone().unwrap_or_default();
        let servers = config
            .servers
            .iter()
            .enumerate()
            .map(|(index, server)| Server::new(ServerIndex::new(index), server.clone(), now))
            .collect();
        let kept = Kept {
            counters: Arc::new(BackendCounters::new(now)),
            sources: config
                .stick_on_source
                .map(|expire| Arc::new(source_table(expire, now))),
            kin: Arc::default(),
        };
        let backend = Arc::new(Self::with(proxy, config, servers, kept, now));
        let plan = {
            let mut state = backend.lock();
            backend.refresh(&mut state, now);
            state.scheduler.plan()
        };
        backend.lay_out(plan);
        backend.kin.join(&backend);
        backend
    }

    fn with(
        proxy: &ProxyConfig,
        config: BackendConfig,
        servers: Vec<Server>,
        kept: Kept,
        now: Instant,
    ) -> Self {
        let scheduler = scheduler(proxy, &config, &servers);
        Self {
            name: Arc::clone(&proxy.name),
            id: AtomicU32::new(proxy.id),
            cookie: config.cookie.as_ref().map(CookiePolicy::new),
            by_cookie: CookieNames::new(&config),
            directory: Directory::new(&servers),
            counters: kept.counters,
            sources: kept.sources,
            usable: Default::default(),
            elastic: servers.iter().any(|s| s.config().minconn.is_some()),
            settles: AtomicBool::new(
                scheduler.follows_load() || servers.iter().any(|s| s.maxconn() > 0),
            ),
            kin: kept.kin,
            state: Mutex::new(State {
                scheduler,
                growing: IndexedHeap::new(servers.len()),
                queues: Queues::new(servers.len()),
                now,
                warm_at: None,
                planned_at: None,
                last_change: now,
                down_since: None,
                down_for: Duration::ZERO,
                down_transitions: 0,
            }),
            servers,
            config,
        }
    }

    /// Section name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number in statistics (`iid`).
    pub fn id(&self) -> u32 {
        self.id.load(Relaxed)
    }

    /// The serving half of its section.
    pub fn config(&self) -> &BackendConfig {
        &self.config
    }

    /// How persistence cookies are read and written, if there is a `cookie` line.
    pub fn cookie(&self) -> Option<&CookiePolicy> {
        self.cookie.as_ref()
    }

    /// The value of the persistence cookie that stands for `server`.
    pub fn cookie_of<'a>(&self, server: &'a Server) -> Option<Cow<'a, str>> {
        self.by_cookie.of(server)
    }

    /// Servers in file order.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// One server.
    pub fn server(&self, index: ServerIndex) -> Option<&Server> {
        self.servers.get(index.index())
    }

    /// The server called `name`.
    pub fn server_named(&self, name: &str) -> Option<&Server> {
        self.server(self.directory.named(name)?)
    }

    /// The server that is known by `key`.
    pub fn server_of(&self, key: ServerKey) -> Option<&Server> {
        self.server(self.directory.of_key(key)?)
    }

    /// Counters.
    pub fn counters(&self) -> &BackendCounters {
        &self.counters
    }

    /// Usable (active, backup) servers (`act`, `bck`).
    pub fn usable_servers(&self) -> (u32, u32) {
        let [active, backup] = &self.usable;
        (active.load(Relaxed), backup.load(Relaxed))
    }

    /// Whether any server can serve (`status` UP); a backend without servers is up as well.
    pub fn is_up(&self) -> bool {
        self.servers.is_empty() || self.usable_servers() != (0, 0)
    }

    /// Sum of the weights in effect (`weight`).
    pub fn total_weight(&self) -> u32 {
        self.servers.iter().map(Server::effective_weight).sum()
    }

    /// Streams that wait for any server or for one of them.
    pub fn waiting(&self) -> u32 {
        self.counters.waiting.value()
    }

    /// Seconds since it last went up or down (`lastchg`).
    pub fn seconds_since_change(&self, now: Instant) -> u64 {
        let last_change = self.lock().last_change;
        now.saturating_duration_since(last_change).as_secs()
    }

    /// Total time without a server (`downtime`).
    pub fn downtime(&self, now: Instant) -> Duration {
        let state = self.lock();
        let current = state
            .down_since
            .map(|since| now.saturating_duration_since(since));
        state.down_for + current.unwrap_or_default()
    }

    /// Times the last server went away (`chkdown`).
    pub fn down_transitions(&self) -> u64 {
        self.lock().down_transitions
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How servers are picked.
fn scheduler(proxy: &ProxyConfig, config: &BackendConfig, servers: &[Server]) -> Scheduler {
    let ids = || servers.iter().map(Server::number).collect::<Vec<u32>>();
    match config.hash.layout {
        HashLayout::Ring if config.balance.is_keyed() => {
            return Scheduler::consistent(&ids(), config.hash.balance_factor);
        }
        HashLayout::Maglev if config.balance.is_keyed() => {
            let names: Vec<&str> = servers.iter().map(Server::name).collect();
            return Scheduler::maglev(&names);
        }
        _ => {}
    }
    if config.balance == Algorithm::First {
        return Scheduler::first(&ids());
    }
    // The seed differs between backends and not between runs.
    let mut hasher = DefaultHasher::new();
    proxy.name.hash(&mut hasher);
    Scheduler::new(config.balance, servers.len(), hasher.finish())
}

/// Remembers which server a client address was given.
fn source_table(expire: Duration, now: Instant) -> StickTable {
    let config = StickTableConfig {
        expire: Some(expire),
        store: vec![StoreKind::ServerId],
        ..StickTableConfig::new(TableKey::Ipv6, 1 << 20)
    };
    StickTable::new(&config, now)
}
