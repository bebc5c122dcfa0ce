//! Children of the program before: they serve until their successors do, and are reaped when they end.

use std::{
    collections::BTreeSet,
    os::fd::{AsFd as _, OwnedFd, RawFd},
    sync::Arc,
    time::Instant,
};

use rustix::process::{Signal, kill_process};
use tokio::sync::mpsc::UnboundedSender;

use super::{Daemon, Event, Slot};
use crate::{
    ipc::channel,
    supervisor::{
        adopted,
        child::Role,
        upgrade::{Inherited, Predecessor},
    },
};

/// What the program before left running.
#[derive(Debug, Default)]
pub(super) struct Predecessors {
    /// Those that still do the work.
    speaker: Option<Predecessor>,
    balancer: Option<Predecessor>,
    /// Everything that has not ended.
    alive: BTreeSet<u32>,
}

impl Predecessors {
    pub(super) fn adopt(inherited: &mut Inherited, events: &UnboundedSender<Event>) -> Self {
        let all = Self {
            speaker: inherited.speaker.take(),
            balancer: inherited.balancer.take(),
            alive: inherited.children.iter().copied().collect(),
        };
        let kept: Vec<u32> = [&all.speaker, &all.balancer]
            .into_iter()
            .flatten()
            .map(|one| one.pid)
            .collect();
        for pid in &all.alive {
            tokio::spawn(watch(*pid, events.clone()));
        }
        tracing::debug!("upgrade: {kept:?} wait for their successors");
        all
    }

    /// Whether a successor is still to come.
    pub(super) fn are_needed(&self) -> bool {
        self.speaker.is_some() || self.balancer.is_some()
    }

    /// Those that wait for a successor, for the program after this one, whose children may fare better.
    pub(super) fn left(&self, role: Role) -> Option<(u32, RawFd)> {
        match role {
            Role::Speaker => self.speaker.as_ref().map(Predecessor::left),
            Role::Balancer => self.balancer.as_ref().map(Predecessor::left),
        }
    }

    /// Whether connections are accepted by one of them.
    pub(super) fn balancer_serves(&self) -> bool {
        self.balancer.is_some()
    }

    pub(super) fn have_ended(&self) -> bool {
        self.alive.is_empty()
    }

    /// A line between a predecessor of the speaker and its successor: the successor's end.
    pub(super) fn introduce(&self) -> Option<Arc<OwnedFd>> {
        let predecessor = self.speaker.as_ref()?;
        let (theirs, ours) = channel::pair().ok()?;
        channel::send_descriptor(predecessor.line(), theirs.as_fd()).ok()?;
        Some(Arc::new(ours))
    }

    /// They are not needed any more: the lines close, upon which a speaker resigns and a balancer finishes.
    pub(super) fn release(&mut self) {
        self.speaker = None;
        self.balancer = None;
    }

    /// Ends what is left.
    pub(super) fn kill(&self) {
        self.alive.iter().copied().for_each(kill);
    }
}

fn kill(number: u32) {
    if let Some(pid) = adopted::pid(number) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Tells when a child has ended.
async fn watch(number: u32, events: UnboundedSender<Event>) {
    adopted::ended(number).await;
    let _ = events.send(Event::Ended(number));
}

impl Daemon {
    /// A child serves: its predecessor may go. An upgrade is over when all serve.
    pub(super) fn succeeded(&mut self, role: Role, all: bool) {
        let gone = match role {
            Role::Speaker => self.predecessors.speaker.take(),
            Role::Balancer => self.predecessors.balancer.take(),
        };
        if let Some(gone) = gone {
            tracing::info!(
                "upgrade: the {role} has taken over from process {}",
                gone.pid
            );
        }
        let Some(upgrade) = self.last_upgrade.as_mut().filter(|u| all && !u.ready) else {
            return;
        };
        upgrade.ready = true;
        let version = env!("CARGO_PKG_VERSION");
        match &upgrade.failure {
            None => tracing::info!("upgrade: version {version} runs, after {}", upgrade.from),
            Some(why) => tracing::error!("upgrade failed, version {version} goes on: {why}"),
        }
        self.next_reload(Instant::now());
    }

    /// The speaker says that its predecessor does not hand over: that one must not speak any more.
    pub(super) fn not_handed_over(&mut self) {
        if let Some(predecessor) = self.predecessors.speaker.take() {
            tracing::error!("killing the speaker before (pid {})", predecessor.pid);
            kill(predecessor.pid);
        }
    }

    /// A child of the program before has ended.
    pub(super) fn predecessor_ended(&mut self, number: u32, now: Instant) {
        self.predecessors.alive.remove(&number);
        let is = |one: &Option<Predecessor>| one.as_ref().is_some_and(|one| one.pid == number);
        if is(&self.predecessors.speaker) {
            self.predecessors.speaker = None;
        }
        if is(&self.predecessors.balancer) {
            self.predecessors.balancer = None;
            if !self.balancer.as_ref().is_some_and(Slot::ready) {
                self.balancer_lost(now);
            }
        }
        self.balancer_ended();
    }

    /// Whether connections are accepted although the balancer does not serve.
    pub(super) fn predecessor_serves(&self) -> bool {
        self.predecessors.balancer_serves()
    }
}
