//! The decision, and what follows from a slot that became free.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, SeqCst},
    },
    task::Waker,
    time::{Duration, Instant},
};

use super::{AssignKey, Assignment, Backend, Lease, Persistence, Refusal, State, Ticket};
use crate::{
    balance::Pick,
    id::ServerIndex,
    queue::Standing,
    server::{Operation, Server, WEIGHT_SCALE},
    stick_table::Key,
};

/// Slow start moves weights in steps of this share of its duration.
const WARM_STEPS: u32 = 20;

impl Backend {
    /// Gives the stream a server, a place in a queue, or nothing.
    pub fn assign(self: &Arc<Self>, now: Instant, key: &AssignKey<'_>) -> Assignment {
        let cell = self.counters.traffic.cell();
        if key.exclude.is_none() {
            cell.sessions.increment();
            self.counters.session_rate.count(now);
        }
        let mut woken = Vec::new();
        let assignment = {
            let mut state = self.lock();
            state.now = state.now.max(now);
            if state.warm_at.is_some_and(|at| at <= now) {
                self.refresh(&mut state, now);
                self.hand_out_all(&mut state, &mut woken);
            }
            self.decide(&mut state, now, key, &mut woken)
        };
        wake(woken);
        assignment
    }

    fn decide(
        self: &Arc<Self>,
        state: &mut State,
        now: Instant,
        key: &AssignKey<'_>,
        woken: &mut Vec<Waker>,
    ) -> Assignment {
        let (wanted, persistence) = self.wanted(now, key);
        if let Some(server) = wanted {
            if self.has_slot(server) && state.queues.len(Some(server.index())) == 0 {
                return self.lease(state, server, key.source, persistence);
            }
            // A full queue ends persistence: the balancing takes over.
            if !is_queue_full(server) {
                return self.queue(state, Some(server.index()), key.source, persistence, woken);
            }
        }
        let persistence = persistence.without_server();
        let hash = key.hash.unwrap_or_else(|| hash_of(key.source));
        let mut pick = state.scheduler.pick(hash, key.exclude);
        if pick == Pick::Nobody && key.exclude.is_some() {
            pick = state.scheduler.pick(hash, None);
        }
        match pick {
            Pick::Free(index) => match self.server(index) {
                Some(server) => self.lease(state, server, key.source, persistence),
                None => Assignment::Refused(Refusal::NoServer),
            },
            Pick::Full(index) => self.queue(state, Some(index), key.source, persistence, woken),
            Pick::Nobody if self.usable_servers() != (0, 0) => {
                self.queue(state, None, key.source, persistence, woken)
            }
            Pick::Nobody => Assignment::Refused(Refusal::NoServer),
        }
    }

    /// The server that the request itself asks for, and what is said of its cookie.
    fn wanted(&self, now: Instant, key: &AssignKey<'_>) -> (Option<&Server>, Persistence) {
        let usable = |index: ServerIndex| {
            self.server(index).filter(|server| {
                key.exclude != Some(index) && (server.accepts_persistent() || self.config.persist)
            })
        };
        if let Some(server) = key.forced.and_then(usable) {
            return (Some(server), Persistence::Stuck);
        }
        let mut persistence = Persistence::None;
        if let Some(cookie) = key.cookie {
            match self.by_cookie.get(cookie).map(|index| usable(*index)) {
                Some(Some(server)) => return (Some(server), Persistence::Valid),
                Some(None) => persistence = Persistence::Down,
                None => persistence = Persistence::Invalid,
            }
        }
        let stuck = self
            .sources
            .as_ref()
            .and_then(|table| table.server(now, &Key::from_ip(key.source)))
            .and_then(|id| self.servers.iter().find(|s| s.config().id == id))
            .and_then(|server| usable(server.index()))
            .filter(|server| server.accepts_persistent());
        match stuck {
            Some(server) => (Some(server), Persistence::Stuck),
            None => (None, persistence),
        }
    }

    fn lease(
        self: &Arc<Self>,
        state: &mut State,
        server: &Server,
        source: IpAddr,
        persistence: Persistence,
    ) -> Assignment {
        self.counters.sessions.enter();
        self.take_slot(state, server, source, persistence);
        Assignment::Leased(Lease::new(Arc::clone(self), server.index(), persistence))
    }

    fn queue(
        self: &Arc<Self>,
        state: &mut State,
        server: Option<ServerIndex>,
        source: IpAddr,
        persistence: Persistence,
        woken: &mut Vec<Waker>,
    ) -> Assignment {
        let (number, before) = state.queues.join(server, source, persistence);
        self.counters.sessions.enter();
        match server.and_then(|index| self.server(index)) {
            Some(server) => {
                server.counters().queue.enter();
                self.note_load(state, server);
            }
            None => {
                self.counters.queue.enter();
            }
        }
        if self.elastic {
            // `minconn`: limits grow with the load, so there may be room now; the oldest comes first.
            for server in &self.servers {
                self.note_load(state, server);
            }
            self.hand_out_all(state, woken);
        }
        Assignment::Queued(Ticket::new(Arc::clone(self), number, server, before))
    }

    /// Books a slot that is free, for a lease that is about to be made.
    fn take_slot(&self, state: &mut State, server: &Server, source: IpAddr, how: Persistence) {
        let now = state.now;
        let counters = server.counters();
        counters.sessions.enter();
        counters.session_rate.count(now);
        counters.last_session.mark(now);
        self.counters.last_session.mark(now);
        let cell = counters.traffic.cell();
        cell.sessions.increment();
        if !how.is_direct() {
            cell.chosen.increment();
            self.counters.traffic.cell().chosen.increment();
        }
        self.note_load(state, server);
        if let Some(table) = &self.sources {
            table.set_server(now, &Key::from_ip(source), server.config().id);
        }
    }

    /// Gives back a slot: the oldest waiter that may have it gets it.
    pub(super) fn release(&self, index: ServerIndex) {
        self.counters.sessions.leave();
        let Some(server) = self.server(index) else {
            return;
        };
        server.counters().sessions.leave();
        // Without limits nobody waits. Should a limit be set just now, either this sees that it was, or who sets
        // it sees the slot that was given back: both sides write before they read (SeqCst).
        if !self.settles.load(SeqCst) {
            return;
        }
        let woken = {
            let mut state = self.lock();
            self.note_load(&mut state, server);
            self.hand_out(&mut state, server)
        };
        wake(woken);
    }

    /// A ticket is thrown away.
    pub(super) fn abandon(&self, number: u64) {
        let granted = {
            let mut state = self.lock();
            let Some(waiter) = state.queues.leave(number) else {
                return;
            };
            match waiter.standing {
                Standing::Granted(server) => Some(server),
                Standing::Waiting { server, .. } => {
                    self.left_queue(&mut state, server);
                    self.counters.sessions.leave();
                    None
                }
                Standing::Refused(_) => {
                    self.counters.sessions.leave();
                    None
                }
            }
        };
        if let Some(server) = granted {
            self.release(server);
        }
    }

    /// The turn of a ticket.
    pub(super) fn poll_ticket(
        &self,
        number: u64,
        waker: &Waker,
    ) -> Option<Result<(ServerIndex, Persistence), Refusal>> {
        let mut state = self.lock();
        let waiter = state.queues.get_mut(number)?;
        let result = match &mut waiter.standing {
            Standing::Waiting { waker: known, .. } => {
                match known {
                    Some(known) => known.clone_from(waker),
                    None => *known = Some(waker.clone()),
                }
                return None;
            }
            Standing::Granted(server) => Ok((*server, waiter.persistence)),
            Standing::Refused(refusal) => Err(*refusal),
        };
        if result.is_err() {
            self.counters.sessions.leave();
        }
        state.queues.leave(number);
        Some(result)
    }

    /// Fills the free slots of one server from the queues.
    pub(super) fn hand_out(&self, state: &mut State, server: &Server) -> Vec<Waker> {
        let mut woken = Vec::new();
        let balanced = state.scheduler.weight(server.index()) > 0;
        while self.has_slot(server) && server.accepts_persistent() {
            let Some((number, queue)) = state.queues.oldest(server.index(), balanced) else {
                break;
            };
            woken.extend(
                state
                    .queues
                    .settle(number, Standing::Granted(server.index())),
            );
            self.left_queue(state, queue);
            let (source, persistence) = match state.queues.get_mut(number) {
                Some(waiter) => (waiter.source, waiter.persistence),
                None => break,
            };
            self.take_slot(state, server, source, persistence);
        }
        woken
    }

    /// The same for all servers.
    pub(super) fn hand_out_all(&self, state: &mut State, woken: &mut Vec<Waker>) {
        for server in &self.servers {
            woken.extend(self.hand_out(state, server));
        }
    }

    fn left_queue(&self, state: &mut State, server: Option<ServerIndex>) {
        match server.and_then(|index| self.server(index)) {
            Some(server) => {
                server.counters().queue.leave();
                self.note_load(state, server);
            }
            None => {
                self.counters.queue.leave();
            }
        }
    }

    /// Everyone in line for `server` waits for any server from now on.
    pub(super) fn requeue(&self, state: &mut State, server: &Server) -> usize {
        let moved = state.queues.release_from(server.index());
        for _ in 0..moved {
            server.counters().queue.leave();
            self.counters.queue.enter();
        }
        moved
    }

    /// Nobody will ever be served: everyone who waits is told so.
    pub(super) fn refuse_waiters(&self, state: &mut State) -> Vec<Waker> {
        let mut woken = Vec::new();
        for server in &self.servers {
            self.requeue(state, server);
        }
        for number in state.queues.waiting() {
            woken.extend(
                state
                    .queues
                    .settle(number, Standing::Refused(Refusal::NoServer)),
            );
            self.counters.queue.leave();
        }
        woken
    }

    /// Tells the scheduler how loaded a server is and whether it is full.
    pub(super) fn note_load(&self, state: &mut State, server: &Server) {
        let counters = server.counters();
        let load = counters.sessions.value() + counters.queue.value();
        state.scheduler.set_load(server.index(), load);
        state
            .scheduler
            .set_parked(server.index(), !self.has_slot(server));
    }

    fn has_slot(&self, server: &Server) -> bool {
        let limit = self.limit_of(server);
        limit == 0 || server.served() < limit
    }

    /// Most streams on a server now (0 is no limit): `maxconn`, less while the backend is below `fullconn` or
    /// the server starts slowly.
    pub fn limit_of(&self, server: &Server) -> u32 {
        let max = server.maxconn();
        if max == 0 {
            return 0;
        }
        let mut limit = max;
        if let (Some(min), Some(full)) = (server.config().minconn, self.config.fullconn) {
            let load = u64::from(self.counters.sessions.value());
            if load < u64::from(full) {
                let share = u64::from(max) * load / u64::from(full.max(1));
                limit = u32::try_from(share).unwrap_or(max).clamp(min.min(max), max);
            }
        }
        if let Some(throttle) = server.throttle() {
            limit = limit * throttle / 100;
        }
        limit.max(1)
    }

    /// Works out who is in use and with which weight, after any change of a server and while one starts slowly.
    pub(super) fn refresh(&self, state: &mut State, now: Instant) {
        let count = |backup: bool| {
            let usable = |s: &&Server| s.config().backup == backup && s.is_usable();
            self.servers.iter().filter(usable).count()
        };
        let (active, backup) = (count(false), count(true));
        for (slot, number) in self.usable.iter().zip([active, backup]) {
            slot.store(u32::try_from(number).unwrap_or(u32::MAX), Relaxed);
        }
        // Backup servers serve only when no active one is left: the first of them, or all.
        let mut backups_wanted = match (active, self.config.all_backups) {
            (0, true) => usize::MAX,
            (0, false) => 1,
            _ => 0,
        };
        let mut step: Option<Duration> = None;
        for server in &self.servers {
            let mut weight = if server.is_usable() {
                server.weight() * WEIGHT_SCALE
            } else {
                0
            };
            if weight > 0 && server.config().backup {
                if backups_wanted == 0 {
                    weight = 0;
                } else {
                    backups_wanted -= 1;
                }
            }
            if server.operation() == Operation::Starting {
                let warmth = server.warmth(now);
                if warmth >= 1000 {
                    server.set_operation(Operation::Running, now);
                } else {
                    weight = (weight * warmth / 1000).max(u32::from(weight > 0));
                    let own = server.config().slowstart.unwrap_or_default() / WARM_STEPS;
                    step = Some(step.map_or(own, |s| s.min(own)));
                }
            }
            server.set_effective_weight(weight);
            state.scheduler.set_weight(server.index(), weight);
            self.note_load(state, server);
        }
        state.warm_at = step.map(|step| now + step.max(Duration::from_millis(10)));
    }
}

/// `maxqueue` is reached.
fn is_queue_full(server: &Server) -> bool {
    server
        .config()
        .maxqueue
        .is_some_and(|most| server.counters().queue.value() >= most)
}

/// As `balance source` does: the address's 32-bit words in network order, combined by exclusive or.
fn hash_of(source: IpAddr) -> u64 {
    match source.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            let words = [bits >> 96, bits >> 64, bits >> 32, bits];
            words.iter().fold(0, |hash, word| {
                hash ^ u64::try_from(word & 0xffff_ffff).unwrap_or(0)
            })
        }
    }
}

/// Wakes after the lock is gone: a waker may run anything.
pub(super) fn wake(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}
