//! Children whose event loops stand still.

use std::time::Instant;

use super::{Daemon, Slot};
use crate::supervisor::{
    liveness::HANGS,
    procfs,
    vigil::{LOST, Verdict, Vigil},
};

impl Daemon {
    /// Whether the balancer hangs, if nothing was heard of it for a while.
    pub(super) fn feel_the_balancer(&mut self, now: Instant) {
        let Some(pid) = self.balancer.as_ref().and_then(Slot::child).map(|c| c.pid) else {
            self.heartbeat = None;
            return;
        };
        let pulse = self.heartbeat.as_mut();
        if pulse.is_some_and(|pulse| pulse.hangs(now, || procfs::effort(pid))) {
            self.balancer_hangs(now);
        }
    }

    /// It is killed at once, and its successor serves those who wait on the same sockets. Should it not die (a process
    /// that waits for a dead disk does not), the scripts fail when the grace ends.
    fn balancer_hangs(&mut self, now: Instant) {
        let Some(child) = self.balancer.as_ref().and_then(Slot::child) else {
            return;
        };
        tracing::error!(
            "balancer (pid {}) hangs, an event loop did not turn for {} ms: killing it",
            child.pid,
            HANGS.as_millis()
        );
        child.kill();
        if self.phase.is_running()
            && !self.predecessor_serves()
            && let Some(passed) = self.liveness.condemned(now)
        {
            self.answer_for_balancer(passed);
        }
    }

    /// Its addresses fall silent by the fence as soon as its adverts cease. One that does not go on is replaced.
    pub(super) fn speaker_stands_still(&mut self, verdict: Verdict) {
        let Some(child) = self.speaker.as_ref().and_then(Slot::child) else {
            return;
        };
        let pid = child.pid;
        match verdict {
            Verdict::Silent => tracing::error!(
                "speaker (pid {pid}) stands still, its event loop did not turn for {} ms",
                HANGS.as_millis()
            ),
            Verdict::Lost => {
                tracing::error!(
                    "speaker (pid {pid}) hangs, its event loop did not turn for {} s: killing it",
                    LOST.as_secs()
                );
                child.kill();
            }
        }
    }

    /// The speaker's event loop turns.
    pub(super) fn speaker_lives(&mut self, now: Instant) {
        if self.vigil.as_mut().is_some_and(|vigil| vigil.hears(now)) {
            tracing::warn!("the speaker's event loop turns again");
        }
    }

    /// Whether nothing is heard of the speaker's event loop.
    pub(super) fn speaker_is_silent(&self) -> bool {
        self.vigil.as_ref().is_some_and(Vigil::is_silent)
    }
}
