//! What the master's command line asks of the daemon.

use std::{
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::Arc,
    time::Instant,
};

use lb_core::config::StatsLevel;
use tokio::sync::oneshot;

use super::{Daemon, Slot};
use crate::{
    ipc::message::{Rights, ToBalancer},
    supervisor::{
        child::Child,
        master_cli::{Ask, Processes, Reloaded, Which, Worker},
    },
};

/// Who waits for reloads up to this number.
#[derive(Debug)]
pub(super) struct WaitsForReload {
    number: u64,
    reply: oneshot::Sender<Reloaded>,
}

impl Daemon {
    pub(super) fn asked_as_master(&mut self, ask: Ask, now: Instant) {
        match ask {
            Ask::Processes(reply) => {
                let _ = reply.send(self.processes(now));
            }
            Ask::Find(which, reply) => self.find_worker(which, reply),
            Ask::Worker(which, level, reply) => {
                if let Some(child) = self.worker(which)
                    && let Some(line) = connect(child, level)
                {
                    let _ = reply.send((child.pid, line));
                }
            }
            Ask::Reload(reply) => self.reload_as_master(reply, now),
        }
    }

    /// Who asks while a worker starts hears of it when it serves, as connections to its sockets do.
    fn find_worker(&mut self, which: Which, reply: oneshot::Sender<u32>) {
        if let Some(child) = self.worker(which) {
            let _ = reply.send(child.pid);
        } else if self.phase.is_running() && self.balancer.as_ref().is_some_and(|s| !s.ready()) {
            self.worker_waiters.retain(|(_, reply)| !reply.is_closed());
            self.worker_waiters.push((which, reply));
        }
    }

    /// A worker serves.
    pub(super) fn answer_worker(&mut self) {
        for (which, reply) in std::mem::take(&mut self.worker_waiters) {
            self.find_worker(which, reply);
        }
    }

    /// Who asks while a reload is under way waits for the one after it, which sees all that the files say now.
    fn reload_as_master(&mut self, reply: oneshot::Sender<Reloaded>, now: Instant) {
        if !self.phase.is_running() {
            let _ = reply.send(Reloaded {
                applied: false,
                outcome: "refused: the daemon ends".to_owned(),
            });
            return;
        }
        let under_way = u64::from(self.reload_is_under_way());
        let last = self.last_reload.as_ref().map_or(0, |last| last.number);
        self.reload_waiters.push(WaitsForReload {
            number: last + under_way + 1,
            reply,
        });
        self.hang_up("reload on the master CLI", now);
    }

    /// A reload is over.
    pub(super) fn answer_reload(&mut self) {
        let Some(last) = &self.last_reload else {
            return;
        };
        let mut outcome = last.outcome.clone();
        for change in &last.changes {
            outcome.push('\n');
            outcome.push_str(change);
        }
        let reloaded = Reloaded {
            applied: last.applied,
            outcome,
        };
        let done = |waits: &mut WaitsForReload| waits.number <= last.number;
        for waits in self.reload_waiters.extract_if(.., done) {
            let _ = waits.reply.send(reloaded.clone());
        }
    }

    /// The balancer that serves is worker 1; those that leave have only their numbers.
    fn worker(&self, which: Which) -> Option<&Child<ToBalancer>> {
        let serving = self.balancer.as_ref().filter(|slot| slot.ready());
        let child = serving.and_then(Slot::child);
        child.filter(|child| match which {
            Which::Relative(number) => number == 1,
            Which::Pid(pid) => pid == child.pid,
        })
    }

    fn processes(&self, now: Instant) -> Processes {
        let worker = |child: &Child<ToBalancer>| Worker {
            pid: child.pid,
            uptime: now.saturating_duration_since(child.started),
            reloads: 0,
        };
        let last = self.last_reload.as_ref();
        let leaving = self.leaving.balancers.iter().chain(&self.leaving.relieved);
        Processes {
            master: (
                std::process::id(),
                now.saturating_duration_since(self.started),
            ),
            reloads: last.map_or(0, |last| last.number),
            failed: last.map_or(0, |last| last.failures),
            workers: self
                .worker(Which::Relative(1))
                .map(worker)
                .into_iter()
                .collect(),
            old: leaving
                .map(|(_, child)| Worker {
                    reloads: 1,
                    ..worker(child)
                })
                .collect(),
        }
    }
}

/// A line to a balancer's command line.
fn connect(child: &Child<ToBalancer>, level: StatsLevel) -> Option<UnixStream> {
    let (ours, theirs) = UnixStream::pair().ok()?;
    ours.set_nonblocking(true).ok()?;
    theirs.set_nonblocking(true).ok()?;
    let message = ToBalancer::CommandLine(Rights::from(level));
    child.tell(message, vec![Arc::new(OwnedFd::from(theirs))]);
    Some(ours)
}
