//! SIGHUP: both files are read again and checked as a whole, every child makes the new configuration ready beside
//! the present one, and then all change over, or none.
//!
//! `reading` reads, `read` makes everything else ready that the supervisor itself needs, `adopt` is its own change over. A child that the
//! new configuration needs for the first time, or in other clothes (`user`, `chroot`), begins when all change over.
//! `adoption` waits until they have.

mod adopt;
mod adoption;
mod difference;
mod read;
pub(super) mod reading;

use std::{
    process::ExitStatus,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    Daemon, Slot,
    children::hand_over,
    report::{self, Asker},
};
use crate::{
    admin::status::{self, Status},
    config::{load::Loaded, plan::Plan},
    heap,
    ipc::message::{Configuration, ToBalancer, ToSpeaker},
    notify::{
        Hooks, Subject,
        fifo::{Fifo, Wanted},
    },
    supervisor::{
        child::Role,
        limits,
        listeners::{self, Open},
        pidfile::PidFile,
        slot::describe,
        tracks::Watch,
    },
};
pub(super) use adoption::Adoption;
pub use difference::{Difference, absolute};
use reading::Fresh;

/// How long a child may take to make a configuration ready.
const PATIENCE: Duration = Duration::from_secs(10);

/// A configuration that waits for the children to be ready for it.
#[derive(Debug)]
pub(super) struct Reload {
    number: u64,
    configuration: Configuration,
    loaded: Loaded,
    plan: Plan,
    sockets: Vec<Open>,
    workers: usize,
    watches: Vec<Watch>,
    hooks: Vec<(Subject, Hooks)>,
    /// All fifos that there are to be, with those that are new.
    fifos: Vec<(Wanted, Option<Fifo>)>,
    /// `pidfile`, if it changes.
    pidfile: Option<Option<PidFile>>,
    speaker: Fate,
    balancer: Fate,
    before: Before,
    began: Instant,
    /// When the children must have made it ready.
    until: Instant,
}

/// What becomes of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// There is none, before and after.
    Absent,
    /// It is not there and will be.
    Begins,
    /// It is there and will not be.
    Ends,
    /// It is being started: it will be started with the new configuration.
    Anew,
    /// It makes the configuration ready; `done` when it has said so. `replaced`: only on trial, another one will be
    /// started on the same sockets.
    Prepares { done: bool, replaced: bool },
}

impl Fate {
    fn of(ready: Option<bool>, wanted: bool, replaced: bool) -> Self {
        match (ready, wanted) {
            (None, false) => Self::Absent,
            (None, true) => Self::Begins,
            (Some(_), false) => Self::Ends,
            (Some(false), true) => Self::Anew,
            (Some(true), true) => Self::Prepares {
                done: false,
                replaced,
            },
        }
    }

    fn waits(self) -> bool {
        matches!(self, Self::Prepares { done: false, .. })
    }

    /// Somebody serves meanwhile, by the old configuration until told otherwise.
    fn changes_over(self) -> bool {
        matches!(self, Self::Prepares { .. })
    }

    fn note_done(&mut self) {
        if let Self::Prepares { done, .. } = self {
            *done = true;
        }
    }
}

/// `config_save_dir`: how everything is before the change over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Before {
    /// Nobody was asked.
    #[default]
    Unasked,
    /// The children are asked.
    Asked,
    /// It is written down.
    Saved,
}

/// A reload that lost a child, by its own fault or not, is done over once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Repeat {
    /// Nothing was lost.
    #[default]
    No,
    /// When this child serves again.
    After(Role),
    /// This is the second try.
    Runs,
}

impl Reload {
    pub(super) fn deadline(&self) -> Instant {
        self.until
    }
}

impl Daemon {
    /// SIGHUP, or haproxy's SIGUSR2.
    pub(super) fn hang_up(&mut self, signal: &str, now: Instant) {
        self.reload_repeat = Repeat::No;
        self.read_and_apply(signal, now);
    }

    fn read_and_apply(&mut self, signal: &str, now: Instant) {
        if !self.phase.is_running() {
            return;
        }
        let upgrades = self.upgrade.is_some() || self.predecessors.are_needed();
        if self.reload_is_under_way() || upgrades {
            tracing::info!("{signal}: the files are read again when what runs now is over");
            self.reload_again = true;
            return;
        }
        self.launched.reloads();
        let number = self.last_reload.as_ref().map_or(0, |last| last.number) + 1;
        tracing::info!("{signal}: reading the configuration again");
        if let Err(error) = self.read_again(number, now) {
            let why = format!("no thread can be started to read the files: {error}");
            self.reload_refused(number, &why, &Plan::default());
        }
    }

    /// The files have been read.
    fn make_ready(
        &mut self,
        number: u64,
        began: Instant,
        fresh: Result<Fresh, String>,
        now: Instant,
    ) {
        let simple = |why| (why, Plan::default());
        let ready = fresh.map_err(simple);
        match ready.and_then(|fresh| self.ready(number, began, fresh, now)) {
            Ok(reload) => self.prepare_children(reload, now),
            Err((why, plan)) => {
                self.reload_refused(number, &why, &plan);
                self.next_reload(now);
            }
        }
    }

    fn prepare_children(&mut self, reload: Reload, now: Instant) {
        let balancer = self.balancer.as_ref().and_then(Slot::child);
        if let Some(config) = &reload.loaded.balancer {
            let needed = limits::needed(config, reload.sockets.len());
            let raised = balancer.map_or(Ok(()), |child| limits::raise_of(child.pid, needed));
            if let Err(advice) = raised.and_then(|()| limits::raise(needed))
                && config.global.maxconn.is_some()
            {
                tracing::warn!("{advice}");
            }
        }
        if let Some(child) = balancer.filter(|_| reload.balancer.waits()) {
            hand_over(child, &reload.sockets);
            let message = ToBalancer::Prepare {
                reload: reload.number,
                configuration: reload.configuration.for_balancer(&reload.loaded),
                workers: reload.workers,
            };
            child.tell(message, Vec::new());
        }
        let speaker = self.speaker.as_ref().and_then(Slot::child);
        if let Some(child) = speaker.filter(|_| reload.speaker.waits()) {
            let message = ToSpeaker::Prepare {
                reload: reload.number,
                configuration: reload.configuration.for_speaker(),
            };
            child.tell(message, Vec::new());
        }
        self.reload = Some(reload);
        self.commit_if_ready(now);
    }

    /// A child is ready to change over, or refuses to.
    pub(super) fn reload_prepared(
        &mut self,
        role: Role,
        number: u64,
        done: Result<(), String>,
        now: Instant,
    ) {
        let Some(reload) = self.reload.as_mut().filter(|r| r.number == number) else {
            return;
        };
        match role {
            Role::Speaker => reload.speaker.note_done(),
            Role::Balancer => reload.balancer.note_done(),
        }
        match done {
            Ok(()) => self.commit_if_ready(now),
            Err(why) => self.abandon(&format!("the {role} refuses it: {why}"), now),
        }
    }

    /// A child is gone: it is started again with the configuration that runs, and the new one is tried once more when it
    /// serves. Not a third time, for that may be what it died of.
    pub(super) fn reload_lost(&mut self, role: Role, exit: ExitStatus, now: Instant) {
        if self.reload.is_none() {
            return;
        }
        let lost = format!("the {role} {} meanwhile", describe(exit));
        if self.reload_repeat == Repeat::Runs {
            self.abandon(&format!("{lost}, for the second time"), now);
        } else {
            self.reload_repeat = Repeat::After(role);
            self.abandon(&format!("{lost}; it is tried again when that serves"), now);
        }
    }

    /// A child serves.
    pub(super) fn repeat_reload(&mut self, role: Role, now: Instant) {
        if self.reload_repeat == Repeat::After(role) {
            self.reload_repeat = Repeat::Runs;
            self.read_and_apply("the reload once more", now);
        }
    }

    pub(super) fn reload_timeout(&mut self, now: Instant) {
        if self.reading.as_mut().is_some_and(|one| one.takes_long(now)) {
            tracing::warn!(
                "reload: the files are still being read after {} s; until a file or name server answers everything \
                 stays as it is",
                PATIENCE.as_secs()
            );
        }
        self.adoption_timeout(now);
        let Some(reload) = self.reload.as_ref().filter(|r| r.deadline() <= now) else {
            return;
        };
        let role = if reload.speaker.waits() {
            Role::Speaker
        } else {
            Role::Balancer
        };
        let seconds = PATIENCE.as_secs();
        self.abandon(
            &format!("the {role} did not make it ready within {seconds} s"),
            now,
        );
    }

    fn commit_if_ready(&mut self, now: Instant) {
        let saves = self.saves();
        let waits = |reload: &Reload| reload.speaker.waits() || reload.balancer.waits();
        let Some(reload) = self.reload.as_mut().filter(|reload| !waits(reload)) else {
            return;
        };
        match reload.before {
            Before::Unasked if saves => {
                reload.before = Before::Asked;
                reload.until = now + 2 * report::PATIENCE;
                let number = reload.number;
                return self.ask_children(Asker::Before(number), now);
            }
            Before::Asked => return,
            Before::Unasked | Before::Saved => {}
        }
        let Some(mut reload) = self.reload.take() else {
            return;
        };
        listeners::begin(&mut reload.sockets);
        for change in &reload.plan.changes {
            tracing::info!("reload: {change}");
        }
        let number = reload.number;
        self.adopt(reload, now);
        if self.saves() {
            self.ask_children(Asker::After(number), now);
        }
        self.log_configuration(now);
        self.end_adoption_if_done(now);
    }

    /// The children have told how they are before the change over, or do not.
    pub(super) fn saves_before(&mut self, number: u64, status: &Status, now: Instant) {
        let reload = self.reload.as_mut();
        if let Some(reload) = reload.filter(|reload| reload.number == number) {
            reload.before = Before::Saved;
            self.save(number, "pre", status);
            self.commit_if_ready(now);
        }
    }

    /// Everything stays as it is.
    fn abandon(&mut self, why: &str, now: Instant) {
        self.give_up_reload(why);
        self.next_reload(now);
    }

    /// The same, and none follows.
    pub(super) fn give_up_reload(&mut self, why: &str) {
        // One that is being adopted is not waited for any longer.
        if let Some(one) = self.adoption.take() {
            self.note(one.number, true, one.outcome, &one.plan);
        }
        let Some(reload) = self.reload.take() else {
            return;
        };
        if let Some(child) = self.balancer.as_ref().and_then(Slot::child) {
            child.tell(ToBalancer::Abandon(reload.number), Vec::new());
        }
        if let Some(child) = self.speaker.as_ref().and_then(Slot::child) {
            child.tell(ToSpeaker::Abandon(reload.number), Vec::new());
        }
        self.remove_new_paths(&reload.loaded);
        self.reload_refused(reload.number, why, &reload.plan);
    }

    fn reload_refused(&mut self, number: u64, why: &str, plan: &Plan) {
        tracing::error!("reload refused, nothing has changed: {why}");
        self.note(number, false, format!("refused: {why}"), plan);
    }

    pub(super) fn next_reload(&mut self, now: Instant) {
        if std::mem::take(&mut self.reload_again) {
            self.hang_up("asked once more", now);
        }
    }

    fn note(&mut self, number: u64, applied: bool, outcome: String, plan: &Plan) {
        self.launched.reloaded();
        let before = self.last_reload.as_ref().map_or(0, |last| last.failures);
        self.last_reload = Some(status::Reload {
            number,
            failures: if applied { 0 } else { before + 1 },
            at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            applied,
            outcome,
            changes: plan.changes.iter().map(ToString::to_string).collect(),
        });
        self.answer_reload();
        heap::give_back();
    }

    /// UNIX sockets that were made for a configuration that is not to be.
    fn remove_new_paths(&self, refused: &Loaded) {
        let new = refused.balancer.as_ref().map(listeners::unix_paths);
        for path in new.into_iter().flatten() {
            let present = self.traces.sockets.iter().any(|socket| socket.path == path);
            if !present {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}
