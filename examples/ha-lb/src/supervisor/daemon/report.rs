//! Answers on the control socket: the children are asked, what they say is put together.

use std::time::{Duration, Instant};

use super::{Daemon, Slot};
use crate::{
    admin::status::{Process, State, Status},
    ipc::message::{ToBalancer, ToSpeaker},
    supervisor::{child::Role, control::Request},
};

/// How long a request waits for the children; after that the last known answer is given.
const PATIENCE: Duration = Duration::from_millis(700);

/// A request that waits for children.
#[derive(Debug)]
pub(super) struct Waiting {
    request: Request,
    speaker: bool,
    balancer: bool,
    pub(super) until: Instant,
}

impl Daemon {
    pub(super) fn asked(&mut self, request: Request, now: Instant) {
        if let Some(words) = request.line.strip_prefix("diff") {
            let difference = self.difference(words.trim());
            let document = serde_json::to_string(&difference).unwrap_or_default();
            let _ = request.reply.send(format!("{document}\n"));
            return;
        }
        if request.line != "status" {
            let told = "{\"error\":\"unknown request; known: status, diff\"}\n".to_owned();
            let _ = request.reply.send(told);
            return;
        }
        let speaker = self
            .speaker
            .as_ref()
            .filter(|s| s.ready())
            .and_then(Slot::child);
        let balancer = self
            .balancer
            .as_ref()
            .filter(|s| s.ready())
            .and_then(Slot::child);
        if let Some(child) = speaker {
            child.tell(ToSpeaker::Status, Vec::new());
        }
        if let Some(child) = balancer {
            child.tell(ToBalancer::Status, Vec::new());
        }
        self.waiting.push(Waiting {
            request,
            speaker: speaker.is_some(),
            balancer: balancer.is_some(),
            until: now + PATIENCE,
        });
        self.answer_late(now);
    }

    /// A child answered, or is gone.
    pub(super) fn reported(&mut self, role: Role) {
        for waiting in &mut self.waiting {
            match role {
                Role::Speaker => waiting.speaker = false,
                Role::Balancer => waiting.balancer = false,
            }
        }
        self.answer_late(Instant::now());
    }

    /// Answers the requests that wait for nothing any more, or have waited long enough.
    pub(super) fn answer_late(&mut self, now: Instant) {
        let (due, waiting): (Vec<Waiting>, Vec<Waiting>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|w| !(w.speaker || w.balancer) || w.until <= now);
        self.waiting = waiting;
        if due.is_empty() {
            return;
        }
        let document = serde_json::to_string(&self.status(now)).unwrap_or_default();
        for waiting in due {
            let _ = waiting.request.reply.send(format!("{document}\n"));
        }
    }

    fn status(&self, now: Instant) -> Status {
        let mut instances = self.instances.clone();
        let speaks = self.speaker.as_ref().is_some_and(Slot::ready);
        for instance in instances.iter_mut().filter(|_| !speaks) {
            instance.state = State::Initialize;
        }
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            router_id: self.router_id.clone(),
            uptime: now.saturating_duration_since(self.started).as_secs(),
            supervisor: Process {
                pid: Some(std::process::id()),
                ready: self.phase.is_running(),
                restarts: 0,
            },
            vrrp: self.speaker.as_ref().map(Slot::process),
            balancer: self.balancer.as_ref().map(Slot::process),
            instances,
            frontends: self.traffic.frontends.clone(),
            backends: self.traffic.backends.clone(),
            scripts: self.tracks.status(),
            reload: self.last_reload.clone(),
        }
    }
}
