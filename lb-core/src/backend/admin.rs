//! Changes from outside: results of checks, and what operators set on the command line or the stats page.

use std::{net::SocketAddr, sync::atomic::Ordering::SeqCst, time::Instant};

use super::{Backend, Cause, State, StateChange, slots::wake};
use crate::{
    health::{CheckReport, CheckStatus},
    id::ServerIndex,
    server::{AdminState, Operation, Server},
};

/// What an operator makes of a server (`set server B/S state ...`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminAction {
    /// In service.
    Ready,
    /// Finishes what it has and takes only streams that belong to it.
    Drain,
    /// Out of service, unchecked.
    Maintenance,
}

/// What an operator says of a server's health (`set server B/S health ...`); checks that go on may say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Up.
    Up,
    /// Up, without new streams.
    Stopping,
    /// Down.
    Down,
}

impl Backend {
    /// The state of a server's checks after a probe. Returns what it changed for those who log it.
    pub fn apply_check(
        &self,
        now: Instant,
        server: ServerIndex,
        report: &CheckReport,
    ) -> Option<StateChange> {
        let server = self.server(server)?;
        if report.result.status.passed() == Some(false) && server.operation() != Operation::Stopped
        {
            server.counters().failed_checks.increment();
        }
        server.set_report(report.clone());
        if server.admin().is_maintenance() {
            return None;
        }
        let operation = match (report.is_up() && server.agent_agrees(), server.operation()) {
            (false, _) => Operation::Stopped,
            (true, _) if report.result.status == CheckStatus::L7OkConditional => {
                Operation::Stopping
            }
            (true, Operation::Stopped) => Self::operation_on_return(server),
            (true, Operation::Stopping) => Operation::Running,
            (true, operation) => operation,
        };
        if operation == server.operation() {
            return None;
        }
        let was = server.operation();
        let change = self.change(now, server, Cause::Check(report.clone()), || {
            server.set_operation(operation, now);
        });
        let is_told = (was != Operation::Stopped) != change.up
            || [was, operation].contains(&Operation::Stopping);
        is_told.then_some(change)
    }

    /// What a server's agent says of its health, or is taken to have said; `cause` is what is told of it. Returns what it changed for those who log it.
    pub fn apply_agent(
        &self,
        now: Instant,
        server: ServerIndex,
        report: &CheckReport,
        cause: impl FnOnce(&CheckReport) -> Cause,
    ) -> Option<StateChange> {
        let server = self.server(server)?;
        server.set_agent_report(report.clone());
        let runs = server.operation() != Operation::Stopped;
        if server.admin().is_maintenance() || server.is_sound() == runs {
            return None;
        }
        let operation = match runs {
            true => Operation::Stopped,
            false => Self::operation_on_return(server),
        };
        Some(self.change(now, server, cause(report), || {
            server.set_operation(operation, now);
        }))
    }

    /// The state of the server that this one tracks has changed, or is looked at first.
    pub fn follow(
        &self,
        now: Instant,
        server: ServerIndex,
        tracked: &Server,
    ) -> Option<StateChange> {
        let server = self.server(server)?;
        if let Some(report) = tracked.check_report() {
            server.set_report(report);
        }
        server.set_tracks_checked(tracked.is_checked());
        let (backend, name) = server.config().track.clone()?;
        let before = server.admin();
        let mut admin = before;
        admin.set(
            AdminState::INHERITED_MAINT,
            tracked.admin().is_maintenance(),
        );
        admin.set(AdminState::INHERITED_DRAIN, tracked.admin().is_draining());
        let was = server.operation();
        let operation = match (tracked.operation(), was) {
            _ if admin.is_maintenance() => Operation::Stopped,
            (Operation::Starting | Operation::Running, Operation::Stopped) => {
                Self::operation_on_return(server)
            }
            (Operation::Starting | Operation::Running, Operation::Stopping) => Operation::Running,
            (Operation::Starting | Operation::Running, own) => own,
            (other, _) => other,
        };
        if (admin, operation) == (before, was) {
            return None;
        }
        let cause = match (before.is_maintenance(), admin.is_maintenance()) {
            (false, true) if was == Operation::Stopped => Cause::DownToMaintenance,
            (false, true) => Cause::Maintenance {
                drained: before.is_draining(),
            },
            (true, false) => Cause::Ready { drained: false },
            _ if admin.is_draining() && !before.is_draining() => Cause::Drain,
            _ if before.is_draining() && !admin.is_draining() => Cause::Ready { drained: true },
            _ => Cause::Tracked {
                stopping: operation == Operation::Stopping,
            },
        };
        let mut change = self.change(now, server, cause, || {
            server.set_admin(admin);
            server.set_operation(operation, now);
        });
        change.via = Some(format!("{backend}/{name}"));
        Some(change)
    }

    /// `enable agent`, `disable agent`; false for a server without one.
    pub fn set_asked(&self, server: ServerIndex, asked: bool) -> bool {
        let server = self.server(server);
        let server = server.filter(|server| server.config().agent.is_some());
        server.map(|server| server.set_asked(asked)).is_some()
    }

    /// `set server state`; `None` when nothing changes.
    pub fn set_state(
        &self,
        now: Instant,
        server: ServerIndex,
        action: AdminAction,
    ) -> Option<StateChange> {
        let server = self.server(server)?;
        let before = server.admin();
        let mut admin = before;
        match action {
            AdminAction::Ready => {
                admin.set(AdminState::MAINT, false);
                admin.set(AdminState::CONFIG_MAINT, false);
                admin.set(AdminState::DRAIN, false);
            }
            AdminAction::Drain => {
                admin.set(AdminState::MAINT, false);
                admin.set(AdminState::CONFIG_MAINT, false);
                admin.set(AdminState::DRAIN, true);
            }
            AdminAction::Maintenance => admin.set(AdminState::MAINT, true),
        }
        if admin == before {
            return None;
        }
        let drained = before.is_draining() && !before.is_maintenance();
        let down = !before.is_maintenance() && server.operation() == Operation::Stopped;
        let cause = match action {
            AdminAction::Ready => Cause::Ready { drained },
            AdminAction::Drain => Cause::Drain,
            AdminAction::Maintenance if down => Cause::DownToMaintenance,
            AdminAction::Maintenance => Cause::Maintenance { drained },
        };
        Some(self.change(now, server, cause, || {
            server.set_admin(admin);
            let operation = match (before.is_maintenance(), admin.is_maintenance()) {
                (_, true) => Operation::Stopped,
                // Back from maintenance it is up until one check says otherwise.
                (true, false) => {
                    if let Some(mut report) = server.check_report() {
                        report.health = report.rise;
                        server.set_report(report);
                    }
                    Self::operation_on_return(server)
                }
                (false, false) => return,
            };
            server.set_operation(operation, now);
        }))
    }

    /// `set server health`; `None` when nothing changes. In maintenance it counts from its end on.
    pub fn set_health(
        &self,
        now: Instant,
        server: ServerIndex,
        health: Health,
    ) -> Option<StateChange> {
        let server = self.server(server)?;
        if let Some(mut report) = server.check_report() {
            report.health = match health {
                Health::Up | Health::Stopping => report.rise + report.fall - 1,
                Health::Down => 0,
            };
            server.set_report(report);
        }
        let (operation, word) = match (health, server.operation()) {
            (Health::Up, Operation::Stopped) => (Self::operation_on_return(server), "UP"),
            (Health::Up, Operation::Stopping) => (Operation::Running, "UP"),
            (Health::Up, operation) => (operation, "UP"),
            (Health::Stopping, _) => (Operation::Stopping, "stopping"),
            (Health::Down, _) => (Operation::Stopped, "DOWN"),
        };
        if server.admin().is_maintenance() || operation == server.operation() {
            return None;
        }
        Some(self.change(now, server, Cause::Admin(word), || {
            server.set_operation(operation, now);
        }))
    }

    /// `set server addr`: from now on it is there. What is known of its health stays; one that had no address begins.
    pub fn set_address(
        &self,
        now: Instant,
        server: ServerIndex,
        address: SocketAddr,
    ) -> Option<StateChange> {
        let server = self.server(server)?;
        let mut admin = server.admin();
        let begins = admin.contains(AdminState::RESOLUTION_MAINT);
        admin.set(AdminState::RESOLUTION_MAINT, false);
        if !begins || admin.is_maintenance() {
            server.set_address(address);
            server.set_admin(admin);
            self.kin.note_move();
            return None;
        }
        let cause = Cause::Resolved(server.host().as_deref().unwrap_or_default().to_owned());
        Some(self.change(now, server, cause, || {
            server.set_address(address);
            server.set_admin(admin);
            self.kin.note_move();
            server.set_operation(Self::operation_on_return(server), now);
        }))
    }

    /// `enable health`, `disable health`; false for a server without `check`.
    pub fn set_checked(&self, server: ServerIndex, checked: bool) -> bool {
        let server = self.server(server);
        let server = server.filter(|server| server.config().check.is_some());
        server.map(|server| server.set_checked(checked)).is_some()
    }

    /// Whether a server may have this weight while it runs: where the algorithm is static, only its own or none.
    pub fn allows_weight(&self, server: ServerIndex, weight: u16) -> bool {
        let fixed = self.config.balance.is_static(self.config.hash.layout);
        let own = self.server(server).map(|server| server.config().weight);
        !fixed || weight == 0 || own == Some(weight)
    }

    /// `set server weight`, 0-256. Returns the change, for those who log it, if the backend has lost its last server by it.
    pub fn set_weight(
        &self,
        now: Instant,
        server: ServerIndex,
        weight: u16,
    ) -> Option<StateChange> {
        let server = self.server(server)?;
        let plan;
        let (was_up, is_up, woken) = {
            let mut state = self.lock();
            state.now = state.now.max(now);
            let was_up = self.is_up();
            server.set_weight(u32::from(weight));
            self.refresh(&mut state, now);
            let is_up = self.is_up();
            self.keep_books(&mut state, now, was_up, is_up);
            plan = state.plan();
            (was_up, is_up, self.hand_out(&mut state, server))
        };
        wake(woken);
        self.lay_out(plan);
        self.kin.follow(self, now);
        let change = || self.told_of(server, Cause::Weight, true, 0);
        (was_up && !is_up).then(change)
    }

    /// `set maxconn server`; 0 is no limit.
    pub fn set_maxconn(&self, server: ServerIndex, maxconn: u32) {
        let Some(server) = self.server(server) else {
            return;
        };
        let woken = {
            let mut state = self.lock();
            server.set_maxconn(maxconn);
            self.settles.fetch_or(maxconn > 0, SeqCst);
            self.note_load(&mut state, server);
            self.hand_out(&mut state, server)
        };
        wake(woken);
        if self.kin.is_large() {
            self.kin.settle(server);
        }
    }

    /// What an earlier process knew of a server; nothing is logged.
    pub fn restore(&self, now: Instant, server: ServerIndex, report: &CheckReport) {
        let Some(server) = self.server(server) else {
            return;
        };
        server.set_report(report.clone());
        if !report.is_up() && server.operation() != Operation::Stopped {
            let mut state = self.lock();
            server.set_operation(Operation::Stopped, now);
            self.refresh(&mut state, now);
        }
    }

    fn operation_on_return(server: &Server) -> Operation {
        match server.config().slowstart {
            Some(slowstart) if !slowstart.is_zero() => Operation::Starting,
            _ => Operation::Running,
        }
    }

    /// Carries out `apply` and everything that follows from it.
    pub(super) fn change(
        &self,
        now: Instant,
        server: &Server,
        cause: Cause,
        apply: impl FnOnce(),
    ) -> StateChange {
        let mut state = self.lock();
        state.now = state.now.max(now);
        let was_up = self.is_up();
        apply();
        self.refresh(&mut state, now);
        let mut woken = Vec::new();
        let requeued = self.requeue(&mut state);
        self.hand_out_all(&mut state, &mut woken);
        let is_up = self.is_up();
        self.keep_books(&mut state, now, was_up, is_up);
        let plan = state.plan();
        drop(state);
        wake(woken);
        self.lay_out(plan);
        self.kin.follow(self, now);
        self.told_of(server, cause, was_up && !is_up, requeued)
    }

    /// What is told of a change.
    fn told_of(
        &self,
        server: &Server,
        cause: Cause,
        backend_lost: bool,
        requeued: usize,
    ) -> StateChange {
        StateChange {
            server: server.index(),
            up: server.status().is_up(),
            name: format!("{}/{}", self.name(), server.name()),
            is_backup: server.config().backup,
            cause,
            via: None,
            left: self.usable_servers(),
            sessions: server.served(),
            requeued,
            remaining: server.counters().queue.value(),
            backend_lost,
            result_is_logged: self.config().log_health_checks,
        }
    }

    pub(super) fn keep_books(&self, state: &mut State, now: Instant, was_up: bool, is_up: bool) {
        if was_up == is_up {
            return;
        }
        state.last_change = now;
        if is_up {
            let since = state.down_since.take().unwrap_or(now);
            state.down_for += now.saturating_duration_since(since);
        } else {
            state.down_since = Some(now);
            state.down_transitions += 1;
        }
    }
}
