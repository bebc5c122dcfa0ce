//! What a server is at the moment, apart from the line that describes it: shared by the backends of two
//! configurations while one replaces the other, so that neither its state nor its counters are lost.

use std::{
    net::SocketAddr,
    num::NonZero,
    ptr::NonNull,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{AdminState, Operation, ServiceRecord, observed::Observed};
use crate::{
    config::ServerConfig,
    health::{CheckReport, CheckStatus},
    stats::ServerCounters,
};

/// Tells servers apart over reloads. Only good for comparing, and only while the server lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerKey(NonZero<usize>);

impl ServerKey {
    pub(super) fn of(shared: &Arc<Shared>) -> Self {
        Self(NonNull::from_ref(&**shared).addr())
    }
}

/// The state of a server.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) admin: AtomicU8,
    /// An operator has put it at another address.
    pub(super) moved: AtomicBool,
    /// How often its address has changed.
    pub(super) moves: AtomicU32,
    pub(super) operation: AtomicU8,
    pub(super) weight: AtomicU32,
    pub(super) maxconn: AtomicU32,
    /// `disable health`.
    pub(super) unchecked: AtomicBool,
    /// `disable agent`.
    pub(super) unasked: AtomicBool,
    pub(super) observed: Observed,
    /// Its number in stick tables.
    pub(super) number: AtomicU32,
    pub(super) counters: Arc<ServerCounters>,
    pub(super) history: Mutex<History>,
}

/// What changes seldom and is more than a number.
#[derive(Debug, Clone)]
pub(super) struct History {
    pub(super) report: Option<CheckReport>,
    /// What its agent says.
    pub(super) agent: Option<CheckReport>,
    /// The address that an operator has given it.
    pub(super) address: Option<SocketAddr>,
    /// The record of a service that leads to it.
    pub(super) record: Option<ServiceRecord>,
    /// A record has given it a host while it had no address.
    pub(super) named: bool,
    pub(super) last_change: Instant,
    pub(super) down_since: Option<Instant>,
    pub(super) down_for: Duration,
}

/// Where a server's connections go, and what they begin with. Without an address it is its port that stays when its
/// name gets one, and what a service has told of it is nothing to another name.
pub(super) fn destination(config: &ServerConfig) -> impl PartialEq {
    let place = (config.address, config.unix.clone(), config.map_port);
    let named = (config.port, service(config).map(str::to_owned));
    let begin = (config.send_proxy, config.source, config.tls.clone());
    (place, named, begin)
}

/// The name of the service that it follows, if it does.
pub(super) fn service(config: &ServerConfig) -> Option<&str> {
    let resolution = config.resolution.as_ref();
    let service = resolution.filter(|resolution| resolution.of_service);
    service.and(config.fqdn.as_deref())
}

impl Shared {
    pub(super) fn new(config: &ServerConfig, now: Instant) -> Self {
        Self::with_counters(config, Arc::new(ServerCounters::new(now)), now)
    }

    fn with_counters(config: &ServerConfig, counters: Arc<ServerCounters>, now: Instant) -> Self {
        let mut admin = AdminState::default();
        admin.set(AdminState::CONFIG_MAINT, config.disabled);
        admin.set(AdminState::RESOLUTION_MAINT, !config.has_address());
        let operation = if admin.is_maintenance() {
            Operation::Stopped
        } else {
            Operation::Running
        };
        Self {
            admin: AtomicU8::new(admin.bits()),
            moved: AtomicBool::new(false),
            moves: AtomicU32::new(0),
            operation: AtomicU8::new(operation as u8),
            weight: AtomicU32::new(u32::from(config.weight)),
            maxconn: AtomicU32::new(config.maxconn.unwrap_or(0)),
            unchecked: AtomicBool::new(false),
            unasked: AtomicBool::new(false),
            observed: Observed::default(),
            number: AtomicU32::new(config.id),
            counters,
            history: Mutex::new(History {
                report: config.check.as_ref().map(CheckReport::initial),
                agent: config.agent.as_ref().map(|_| CheckReport::of_agent()),
                address: None,
                record: None,
                named: false,
                last_change: now,
                down_since: admin.is_maintenance().then_some(now),
                down_for: Duration::ZERO,
            }),
        }
    }

    /// A server of the same name somewhere else: its checks begin anew; counters and an operator's maintenance go
    /// on.
    pub(super) fn moved(config: &ServerConfig, old: &Self, now: Instant) -> Self {
        let shared = Self::with_counters(config, Arc::clone(&old.counters), now);
        let before = AdminState::from_bits(old.admin.load(Relaxed));
        let mut admin = AdminState::from_bits(shared.admin.load(Relaxed));
        admin.set(AdminState::DRAIN, before.contains(AdminState::DRAIN));
        if before.contains(AdminState::MAINT) {
            admin.set(AdminState::MAINT, true);
            shared.set_operation(Operation::Stopped, now);
        }
        shared.admin.store(admin.bits(), Relaxed);
        shared.unchecked.store(old.unchecked.load(Relaxed), Relaxed);
        shared.unasked.store(old.unasked.load(Relaxed), Relaxed);
        shared.number.store(old.number.load(Relaxed), Relaxed);
        shared
    }

    /// Takes over what differs between two lines for one server. What an operator set at run time stays unless the
    /// file has changed just that. Its weight is its backend's business.
    pub(super) fn adopt(&self, new: &ServerConfig, old: &ServerConfig, now: Instant) {
        if new.maxconn != old.maxconn {
            self.maxconn.store(new.maxconn.unwrap_or(0), Relaxed);
        }
        if new.agent.is_some() != old.agent.is_some() {
            self.lock().agent = new.agent.as_ref().map(|_| CheckReport::of_agent());
        }
        let before = AdminState::from_bits(self.admin.load(Relaxed));
        let mut admin = before;
        if new.disabled != old.disabled {
            admin.set(AdminState::CONFIG_MAINT, new.disabled);
            self.admin.store(admin.bits(), Relaxed);
        }
        if new.check.is_none() && old.check.is_some() {
            self.lock().report = None;
        } else if new.check != old.check {
            self.check_anew(new);
        }
        let healthy = self.lock().report.as_ref().is_none_or(CheckReport::is_up);
        let operation = match (admin.is_maintenance(), before.is_maintenance()) {
            (true, false) => Operation::Stopped,
            (false, true) if healthy => Operation::Running,
            (false, false) if new.check.is_none() && old.check.is_some() => Operation::Running,
            _ => return,
        };
        self.set_operation(operation, now);
    }

    /// Other checks, or other counts for them: what is known of its health stays until the first result.
    fn check_anew(&self, config: &ServerConfig) {
        let mut history = self.lock();
        let Some(mut fresh) = config.check.as_ref().map(CheckReport::initial) else {
            return;
        };
        if let Some(known) = &history.report {
            let decided = known.result.status != CheckStatus::Initializing;
            fresh.health = match (known.is_up(), decided) {
                (true, true) => fresh.rise + fresh.fall - 1,
                (true, false) => fresh.health,
                (false, _) => 0,
            };
            fresh.result = known.result.clone();
        }
        history.report = Some(fresh);
    }

    pub(super) fn set_operation(&self, operation: Operation, now: Instant) {
        let before = Operation::from_number(self.operation.load(Relaxed));
        self.operation.store(operation as u8, Relaxed);
        let stops = operation == Operation::Stopped;
        let was_stopped = before == Operation::Stopped;
        let mut history = self.lock();
        if stops != was_stopped {
            history.last_change = now;
        }
        if stops && !was_stopped {
            history.down_since = Some(now);
            self.counters.down_transitions.increment();
        } else if let Some(since) = history.down_since.filter(|_| !stops) {
            history.down_since = None;
            history.down_for += now.saturating_duration_since(since);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
