//! The end of a daemon: the speaker resigns first (priority 0, addresses removed), then listening sockets are
//! closed and the balancer finishes what runs.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use super::{Daemon, Slot};
use crate::ipc::message::{ToBalancer, ToSpeaker};

/// How long the speaker may take to resign.
const RESIGNATION: Duration = Duration::from_secs(3);
/// What the balancer may take beyond the grace that it was given.
const MARGIN: Duration = Duration::from_secs(2);

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
    pub(super) fn stop(&mut self, signal: &str) {
        if !self.phase.is_running() {
            tracing::warn!("{signal} again: ending at once");
            self.kill_children();
            self.phase = Phase::Over(ExitCode::SUCCESS);
            return;
        }
        tracing::info!("{signal}: resigning, then finishing running requests");
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
        if matches!(self.phase, Phase::Draining { .. }) {
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
        match self.balancer.as_ref().and_then(Slot::child) {
            Some(child) => {
                child.tell(ToBalancer::Stop { grace: self.grace }, Vec::new());
                let until = Instant::now() + self.grace + MARGIN;
                self.phase = Phase::Draining { until };
            }
            None => self.phase = Phase::Over(ExitCode::SUCCESS),
        }
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
