//! The end of a daemon: the speaker resigns first (priority 0, addresses removed), then listening sockets are
//! closed and the balancer finishes what runs.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{Daemon, Slot};
use crate::{
    ipc::message::{ToBalancer, ToSpeaker},
    supervisor::launch::Program,
};

/// How long the speaker may take to resign.
const RESIGNATION: Duration = Duration::from_secs(3);
/// What the balancer may take beyond the grace that it was given.
const MARGIN: Duration = Duration::from_secs(2);
/// A soft stop without `hard-stop-after`: a year.
pub(super) const FOREVER: Duration = Duration::from_secs(365 * 86_400);

/// How far the end has come.
#[derive(Debug)]
pub(super) enum Phase {
    Running,
    Resigning { until: Instant },
    Draining { until: Instant },
    Over(ExitCode),
}

impl Phase {
    pub(super) fn is_running(&self) -> bool {
        matches!(self, Self::Running)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Resigning { until } | Self::Draining { until } => Some(*until),
            Self::Running | Self::Over(_) => None,
        }
    }
}

impl Daemon {
    /// A signal asks for the end; a second one does not wait any longer.
    pub(super) fn stop(&mut self, signal: Signal) {
        let name = match signal {
            Signal::INT => "SIGINT",
            _ => "SIGTERM",
        };
        if self.upgrade_stops(signal) {
            return;
        }
        self.dies_of = self.launched.dies_of_signals().then_some(signal);
        self.interrupted = signal == Signal::INT;
        if !self.phase.is_running() {
            tracing::warn!("{name} again: ending at once");
            self.kill_children();
            self.phase = Phase::Over(ExitCode::SUCCESS);
            return;
        }
        // haproxy's management guide §4: SIGTERM does not wait for connections.
        if self.launched.program == Program::Haproxy {
            tracing::info!("{name}: ending, connections are cut");
            self.grace = Duration::ZERO;
        } else {
            tracing::info!("{name}: resigning, then finishing running requests");
        }
        self.begin_stop();
    }

    /// haproxy's management guide §4: SIGUSR1 closes the listeners and waits for the last connection.
    pub(super) fn soft_stop(&mut self) {
        if self.phase.is_running() && !self.upgrade_stops(Signal::USR1) {
            tracing::info!("SIGUSR1: closing the listeners, then finishing what runs");
            self.grace = self.hard_stop_after.unwrap_or(FOREVER);
            self.begin_stop();
        }
    }

    fn begin_stop(&mut self) {
        self.give_up_reload("the daemon ends");
        self.launched.stops();
        // It hears nothing any more.
        self.vigil = None;
        self.predecessors.release();
        self.relieve();
        if let Some(slot) = &mut self.speaker {
            slot.retire();
        }
        if let Some(slot) = &mut self.balancer {
            slot.retire();
        }
        match self.speaker.as_ref().and_then(Slot::child) {
            Some(child) => {
                child.tell(ToSpeaker::Stop, Vec::new());
                let until = Instant::now() + RESIGNATION;
                self.phase = Phase::Resigning { until };
            }
            None => self.drain(),
        }
    }

    /// The configuration cannot run: everything ends, exit code 1.
    pub(super) fn fail(&mut self) {
        self.kill_children();
        self.phase = Phase::Over(ExitCode::FAILURE);
    }

    pub(super) fn speaker_ended(&mut self, now: Instant) {
        match self.phase {
            Phase::Resigning { .. } => self.drain(),
            _ if self.speaker.as_ref().is_some_and(|slot| slot.is_due(now)) => {
                self.start_speaker(now)
            }
            _ => {}
        }
    }

    pub(super) fn balancer_ended(&mut self) {
        let runs = self.balancer.as_ref().and_then(Slot::child).is_some();
        if matches!(self.phase, Phase::Draining { .. })
            && !runs
            && self.predecessors.have_ended()
            && self.leaving.have_ended()
        {
            self.phase = Phase::Over(ExitCode::SUCCESS);
        }
    }

    pub(super) fn stop_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Resigning { until } if until <= now => {
                tracing::error!("the speaker did not resign within 3 s: killing it");
                if let Some(child) = self.speaker.as_ref().and_then(Slot::child) {
                    child.kill();
                }
                self.drain();
            }
            Phase::Draining { until } if until <= now => {
                tracing::warn!("requests that still ran were cut");
                self.kill_children();
                self.phase = Phase::Over(ExitCode::SUCCESS);
            }
            _ => {}
        }
    }

    fn drain(&mut self) {
        self.sockets.clear();
        self.heartbeat = None;
        if let Some(child) = self.balancer.as_ref().and_then(Slot::child) {
            child.tell(ToBalancer::Stop { grace: self.grace }, Vec::new());
        }
        let until = Instant::now() + self.grace + MARGIN;
        self.phase = Phase::Draining { until };
        self.balancer_ended();
    }

    fn kill_children(&self) {
        if let Some(child) = self.speaker.as_ref().and_then(Slot::child) {
            child.kill();
        }
        if let Some(child) = self.balancer.as_ref().and_then(Slot::child) {
            child.kill();
        }
    }
}
