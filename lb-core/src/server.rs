//! A server of a backend: what it was configured to be, what it is now, and its counters.
//!
//! State changes only under the lock of its [`Backend`](crate::backend::Backend); reading it takes no lock, so
//! that the stats page and the command line never hold a worker up. Never here: choosing, queueing, checking.

mod observed;
mod record;
mod shared;
mod status;

pub use observed::Seen;
pub use record::ServiceRecord;
pub use shared::ServerKey;
use shared::Shared;
pub use status::{AdminState, Operation, ServerStatus};

use std::{
    net::SocketAddr,
    sync::{
        Arc, PoisonError,
        atomic::{
            AtomicBool, AtomicU32,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use crate::{config::ServerConfig, health::CheckReport, id::ServerIndex, stats::ServerCounters};

/// Weights are multiplied by this, so that slow start can give a server less than weight 1.
pub(crate) const WEIGHT_SCALE: u32 = 16;
/// A slow start that is over.
pub(crate) const FULLY_WARM: u32 = 1000;

/// One server.
#[derive(Debug)]
pub struct Server {
    index: ServerIndex,
    config: ServerConfig,
    /// Share of the balancing; 0 while it gets no new streams.
    effective_weight: AtomicU32,
    /// How far its slow start is, in thousandths.
    warmth: AtomicU32,
    /// The server that it tracks is not checked. No operator's order, which would outlive a line without `track`.
    tracks_unchecked: AtomicBool,
    shared: Arc<Shared>,
}

impl Server {
    pub(crate) fn new(index: ServerIndex, config: ServerConfig, now: Instant) -> Self {
        Self {
            index,
            effective_weight: AtomicU32::new(0),
            warmth: AtomicU32::new(FULLY_WARM),
            tracks_unchecked: AtomicBool::new(false),
            shared: Arc::new(Shared::new(&config, now)),
            config,
        }
    }

    /// The server `old` under a new `server` line. With the same address it is the same server and shares what it
    /// is and counts; with another one it begins anew, only its counters and an operator's orders go on.
    pub(crate) fn renewed(
        index: ServerIndex,
        config: ServerConfig,
        old: &Self,
        now: Instant,
    ) -> Self {
        let same = shared::destination(&config) == shared::destination(&old.config);
        let shared = if same {
            Arc::clone(&old.shared)
        } else {
            Arc::new(Shared::moved(&config, &old.shared, now))
        };
        Self {
            index,
            effective_weight: AtomicU32::new(0),
            warmth: AtomicU32::new(FULLY_WARM),
            tracks_unchecked: AtomicBool::new(false),
            shared,
            config,
        }
    }

    /// The new line of a server that [`Server::renewed`] made takes effect where it differs from the old one.
    pub(crate) fn adopt(&self, old: &Self, now: Instant) {
        if Arc::ptr_eq(&self.shared, &old.shared) {
            self.shared.adopt(&self.config, &old.config, now);
        }
    }

    /// Gives it a number that no other server of its backend ever had.
    pub(crate) fn set_number(&self, number: u32) {
        self.shared.number.store(number, Relaxed);
    }

    /// Its number in tables: the same over reloads, whatever its place in the file.
    pub(crate) fn number(&self) -> u32 {
        self.shared.number.load(Relaxed)
    }

    /// What it is known by beside its place: the same over reloads as long as its address is.
    pub fn key(&self) -> ServerKey {
        ServerKey::of(&self.shared)
    }

    /// Whether both count their streams together.
    pub(crate) fn shares_slots_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared.counters, &other.shared.counters)
    }

    /// Place in its backend.
    pub fn index(&self) -> ServerIndex {
        self.index
    }

    /// Its `server` line.
    pub fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// Where it listens: as its line says, or where an operator has put it since. `None` on a UNIX socket, too.
    pub fn address(&self) -> Option<SocketAddr> {
        if self.config.resolution.is_some() && !self.is_resolved() {
            // Where it was is no longer known to be its own.
            return None;
        }
        self.moved_to().or(self.config.address)
    }

    /// The address that an operator has given it, if that is not its line's.
    pub fn moved_to(&self) -> Option<SocketAddr> {
        if !self.shared.moved.load(Relaxed) {
            return None;
        }
        self.history().address
    }

    /// How often its address has changed: connections from before lead elsewhere.
    pub fn moves(&self) -> u32 {
        self.shared.moves.load(Acquire)
    }

    /// Whether it is known where it listens.
    pub fn has_address(&self) -> bool {
        self.config.has_address() || self.shared.moved.load(Relaxed)
    }

    /// Whether its name, if it has one, has an address.
    pub fn is_resolved(&self) -> bool {
        !self.admin().contains(AdminState::RESOLUTION_MAINT)
    }

    /// Name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Counters.
    pub fn counters(&self) -> &ServerCounters {
        &self.shared.counters
    }

    /// Streams it serves now.
    pub fn served(&self) -> u32 {
        self.shared.counters.sessions.value()
    }

    /// What its checks say.
    pub fn operation(&self) -> Operation {
        Operation::from_number(self.shared.operation.load(Relaxed))
    }

    /// What operators and the configuration say.
    pub fn admin(&self) -> AdminState {
        AdminState::from_bits(self.shared.admin.load(Relaxed))
    }

    /// Weight, 0-256 (`uweight`).
    pub fn weight(&self) -> u32 {
        self.shared.weight.load(Relaxed)
    }

    /// Weight in effect, 0-256: lower while the server starts slowly, 0 when it gets no new streams (`weight`).
    pub fn effective_weight(&self) -> u32 {
        self.effective_weight.load(Relaxed).div_ceil(WEIGHT_SCALE)
    }

    /// Most streams at once; 0 is no limit.
    pub fn maxconn(&self) -> u32 {
        self.shared.maxconn.load(Relaxed)
    }

    /// Whether new streams may be given to it by the balancing (when its group, active or backup, is in use).
    pub fn is_usable(&self) -> bool {
        self.admin() == AdminState::default()
            && matches!(self.operation(), Operation::Running | Operation::Starting)
            && self.weight() > 0
            && self.has_address()
    }

    /// Whether streams that belong to it (cookie, table) may still go to it: also while it drains.
    pub fn accepts_persistent(&self) -> bool {
        !self.admin().is_maintenance()
            && self.operation() != Operation::Stopped
            && self.has_address()
    }

    /// Its status as the `status` column shows it.
    pub fn status(&self) -> ServerStatus {
        let report = self.check_report().filter(|_| self.is_checked());
        let health = report.map(|r| (r.health, r.rise, r.fall));
        ServerStatus::new(self.admin(), self.operation(), health)
    }

    /// Whether it has `check`, or goes along with one that has, and nobody switched its checks off.
    pub fn is_checked(&self) -> bool {
        if self.config.track.is_some() {
            return !self.tracks_unchecked.load(Relaxed);
        }
        self.config.check.is_some() && !self.shared.unchecked.load(Relaxed)
    }

    /// A stream tells what it saw of it (`observe`).
    pub fn observe(&self, seen: Seen) {
        if let Some(rule) = &self.config.observe {
            self.shared.observed.note(rule, seen);
        }
    }

    /// Too many errors in a row were seen; in words. Whoever runs its checks listens.
    pub fn poll_alarm(&self, cx: &mut Context<'_>) -> Poll<String> {
        self.shared.observed.poll_alarm(cx)
    }

    /// What its agent says, `None` without one.
    pub fn agent_report(&self) -> Option<CheckReport> {
        self.history().agent.clone()
    }

    /// Whether its agent is asked: it has one, and nobody switched that off.
    pub fn has_agent(&self) -> bool {
        self.config.agent.is_some() && !self.shared.unasked.load(Relaxed)
    }

    /// Whether neither its checks nor its agent say that it is down.
    pub(crate) fn is_sound(&self) -> bool {
        let history = self.history();
        let own = !self.is_checked() || history.report.as_ref().is_none_or(CheckReport::is_up);
        own && history.agent.as_ref().is_none_or(CheckReport::is_up)
    }

    /// Whether no agent says that it is down.
    pub(crate) fn agent_agrees(&self) -> bool {
        self.history().agent.as_ref().is_none_or(CheckReport::is_up)
    }

    /// The last check, `None` without `check`.
    pub fn check_report(&self) -> Option<CheckReport> {
        self.history().report.clone()
    }

    /// Seconds since it last went up or down (`lastchg`).
    pub fn seconds_since_change(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.history().last_change)
            .as_secs()
    }

    /// When it last went up or down.
    pub fn last_change(&self) -> Instant {
        self.history().last_change
    }

    /// Total time it was down (`downtime`).
    pub fn downtime(&self, now: Instant) -> Duration {
        let history = self.history();
        let current = history
            .down_since
            .map(|since| now.saturating_duration_since(since));
        history.down_for + current.unwrap_or_default()
    }

    /// Share of its weight in percent while it starts slowly (`throttle`).
    pub fn throttle(&self) -> Option<u32> {
        let full = self.weight() * WEIGHT_SCALE;
        (self.operation() == Operation::Starting && full > 0)
            .then(|| (self.effective_weight.load(Relaxed) * 100 / full).clamp(1, 100))
    }

    /// How far its slow start was when that was last looked at, in thousandths.
    pub(crate) fn warmth(&self) -> u32 {
        self.warmth.load(Relaxed)
    }

    /// Looks how far its slow start is at `now`.
    pub(crate) fn note_warmth(&self, now: Instant) -> u32 {
        let slow = self.config.slowstart.filter(|s| !s.is_zero());
        let warmth = slow.map_or(FULLY_WARM, |slow| {
            let since = now.saturating_duration_since(self.last_change());
            let share = since.as_micros() * u128::from(FULLY_WARM) / slow.as_micros().max(1);
            u32::try_from(share).map_or(FULLY_WARM, |share| share.min(FULLY_WARM))
        });
        self.warmth.store(warmth, Relaxed);
        warmth
    }

    pub(crate) fn set_effective_weight(&self, scaled: u32) {
        self.effective_weight.store(scaled, Relaxed);
    }

    pub(crate) fn set_weight(&self, weight: u32) {
        self.shared.weight.store(weight.min(256), Relaxed);
    }

    pub(crate) fn set_maxconn(&self, maxconn: u32) {
        self.shared.maxconn.store(maxconn, Relaxed);
    }

    pub(crate) fn set_admin(&self, admin: AdminState) {
        self.shared.admin.store(admin.bits(), Relaxed);
    }

    pub(crate) fn set_address(&self, address: SocketAddr) {
        let moves = self.moved_to().or(self.config.address) != Some(address);
        let moved = self.config.address != Some(address);
        self.history().address = moved.then_some(address);
        self.shared.moved.store(moved, Relaxed);
        if moves {
            self.shared.moves.fetch_add(1, Release);
        }
    }

    pub(crate) fn set_checked(&self, checked: bool) {
        self.shared.unchecked.store(!checked, Relaxed);
    }

    pub(crate) fn set_tracks_checked(&self, checked: bool) {
        self.tracks_unchecked.store(!checked, Relaxed);
    }

    pub(crate) fn set_asked(&self, asked: bool) {
        self.shared.unasked.store(!asked, Relaxed);
    }

    pub(crate) fn set_agent_report(&self, report: CheckReport) {
        self.history().agent = Some(report);
    }

    pub(crate) fn set_report(&self, report: CheckReport) {
        self.history().report = Some(report);
    }

    /// Changes what the checks say and keeps the books of up and down time.
    pub(crate) fn set_operation(&self, operation: Operation, now: Instant) {
        self.shared.set_operation(operation, now);
    }

    fn history(&self) -> std::sync::MutexGuard<'_, shared::History> {
        self.shared
            .history
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
