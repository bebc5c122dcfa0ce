//! Weights and limits in effect: who is in use, slow start, `minconn`.

use std::{
    sync::atomic::Ordering::Relaxed,
    task::Waker,
    time::{Duration, Instant},
};

use super::{Backend, State, slots::wake};
use crate::{
    balance::Plan,
    id::ServerIndex,
    server::{FULLY_WARM, Operation, Server, WEIGHT_SCALE},
};

/// Slow start moves weights in steps of this share of its duration.
const WARM_STEPS: u32 = 20;
/// What comes within it is one change for a table of keys.
const TOGETHER: Duration = Duration::from_millis(10);

impl Backend {
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
        if server.operation() == Operation::Starting {
            // Whatever the algorithm makes of weights.
            let share = u64::from(limit) * u64::from(server.warmth()) / u64::from(FULLY_WARM);
            limit = u32::try_from(share).unwrap_or(limit);
        }
        limit.max(1)
    }

    /// The load of the backend from which on a full server would have a slot, if that is a question of the load.
    pub(super) fn load_for_more(&self, server: &Server) -> Option<u32> {
        server.config().minconn?;
        let (max, full) = (
            u64::from(server.maxconn()),
            u64::from(self.config.fullconn?),
        );
        let mut needed = u64::from(server.served()) + 1;
        if server.operation() == Operation::Starting {
            // Cold as it is, it has one slot until its next step, under whatever load.
            let warmth = Some(u64::from(server.warmth())).filter(|warmth| *warmth > 0)?;
            needed = (needed * u64::from(FULLY_WARM)).div_ceil(warmth);
        }
        let load = (needed * full).div_ceil(max.max(1)).min(full);
        (needed <= max).then(|| u32::try_from(load).unwrap_or(u32::MAX))
    }

    /// Moves slow starts on, also of servers that nobody asks for; to be called about once a second.
    pub fn warm_up(&self, now: Instant) {
        let mut woken = Vec::new();
        let plan;
        {
            let mut state = self.lock();
            state.now = state.now.max(now);
            self.warm(&mut state, now, &mut woken);
            plan = state.plan();
        }
        wake(woken);
        self.lay_out(plan);
    }

    /// Lays a table of keys out without the lock, so that nobody else waits for it.
    pub(super) fn lay_out(&self, plan: Option<Plan>) {
        if let Some(plan) = plan {
            let laid_out = plan.lay_out();
            self.lock().scheduler.put(laid_out);
        }
    }

    pub(super) fn warm(&self, state: &mut State, now: Instant, woken: &mut Vec<Waker>) {
        if state.warm_at.is_some_and(|at| at <= now) {
            self.refresh(state, now);
            self.hand_out_all(state, woken);
        }
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
                let warmth = server.note_warmth(now);
                if warmth >= FULLY_WARM {
                    server.set_operation(Operation::Running, now);
                } else {
                    // A table is laid out once, and its keys stay where they are.
                    if !self.config.balance.is_static(self.config.hash.layout) {
                        weight = (weight * warmth / FULLY_WARM).max(u32::from(weight > 0));
                    }
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

impl State {
    /// A server has room again when the load of the backend is `load`.
    pub(super) fn grow_at(&mut self, server: ServerIndex, load: Option<u32>) {
        match load {
            Some(load) => self.growing.set(server.index(), load),
            None => self.growing.remove(server.index()),
        }
    }

    /// A table of keys that is to be laid out without the lock: once for changes that come together, as when a rack fails.
    /// After those that follow, whoever needs the table lays it out.
    pub(super) fn plan(&mut self) -> Option<Plan> {
        let recent = |at| self.now.saturating_duration_since(at) < TOGETHER;
        if self.planned_at.is_some_and(recent) {
            return None;
        }
        let plan = self.scheduler.plan()?;
        self.planned_at = Some(self.now);
        Some(plan)
    }

    /// A server that has room again with this load.
    pub(super) fn grown(&self, load: u32) -> Option<ServerIndex> {
        let (needed, server) = self.growing.first_except(None)?;
        (needed <= load).then(|| ServerIndex::new(server))
    }
}
