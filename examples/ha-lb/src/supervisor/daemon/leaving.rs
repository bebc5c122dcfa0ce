//! Children that a reload has made superfluous: told to end, and heard until they have.

use std::time::Instant;

use super::{Daemon, children::clip, stop::FOREVER};
use crate::{
    ipc::message::{FromSpeaker, ToBalancer, ToSpeaker},
    supervisor::child::{Child, Report},
};

/// A child and the number that its reports carry.
type Numbered<T> = (u64, Child<T>);

/// Those that end, and one that waits for its successor.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    pub(super) speakers: Vec<Numbered<ToSpeaker>>,
    pub(super) balancers: Vec<Numbered<ToBalancer>>,
    /// Serves until another one does on the same sockets.
    pub(super) relieved: Option<Numbered<ToBalancer>>,
}

impl Leaving {
    /// Whether one of them still accepts connections.
    pub(super) fn serves(&self) -> bool {
        self.relieved.is_some()
    }

    pub(super) fn have_ended(&self) -> bool {
        self.speakers.is_empty() && self.balancers.is_empty() && self.relieved.is_none()
    }

    pub(super) fn kill(&self) {
        let balancers = self.balancers.iter().chain(&self.relieved);
        balancers.for_each(|(_, child)| child.kill());
        self.speakers.iter().for_each(|(_, child)| child.kill());
    }
}

impl Daemon {
    /// Another balancer accepts on the same sockets: the one before finishes what it has.
    pub(super) fn relieve(&mut self) {
        if let Some((generation, child)) = self.leaving.relieved.take() {
            let grace = self.hard_stop_after.unwrap_or(FOREVER);
            tracing::info!(
                "the balancer before (pid {}) finishes its requests",
                child.pid
            );
            child.tell(ToBalancer::Stop { grace }, Vec::new());
            self.leaving.balancers.push((generation, child));
        }
    }

    /// A speaker that leaves: its last changes of state are told like any other.
    pub(super) fn leaving_speaker_reports(&mut self, generation: u64, report: Report<FromSpeaker>) {
        if !self.leaving.speakers.iter().any(|(n, _)| *n == generation) {
            return;
        }
        match report {
            Report::Said(FromSpeaker::Transition(mut transition)) => {
                clip(&mut transition.reason);
                self.changed(&transition);
            }
            Report::Said(_) => {}
            Report::Gone(_) => self.leaving.speakers.retain(|(n, _)| *n != generation),
        }
    }

    /// Of a balancer that leaves only its end is of interest.
    pub(super) fn leaving_balancer_ended(&mut self, generation: u64, now: Instant) {
        self.leaving.balancers.retain(|(n, _)| *n != generation);
        let relieved = self.leaving.relieved.take_if(|(n, _)| *n == generation);
        if relieved.is_some() {
            self.balancer_lost(now);
        }
        self.balancer_ended();
    }
}
