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
/// How often the balancer hears how the rest of the daemon is.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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
        if let Some(words) = request.line.strip_prefix("upgrade") {
            let words = words.trim().to_owned();
            return self.upgrade_asked(request, &words);
        }
        if request.line != "status" {
            let told = "{\"error\":\"unknown request; known: status, diff, upgrade\"}\n".to_owned();
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

    /// Asks the speaker how its routers are; whether there was one to ask.
    pub(super) fn ask_speaker(&self) -> bool {
        let speaker = self.speaker.as_ref().filter(|slot| slot.ready());
        let child = speaker.and_then(Slot::child);
        child
            .map(|child| child.tell(ToSpeaker::Status, Vec::new()))
            .is_some()
    }

    /// The balancer is shown the rest of the daemon as soon as the speaker has told of its routers. One that does not
    /// answer is shown as it was, with the age of that.
    pub(super) fn look(&mut self, now: Instant) {
        if self.balancer.is_none() || now < self.view_at {
            return;
        }
        self.view_at = now + LOOK_EVERY;
        let is_late = self
            .instances_at
            .is_some_and(|at| now.saturating_duration_since(at) > 2 * LOOK_EVERY);
        if !self.ask_speaker() || is_late {
            self.show_balancer(now);
        }
    }

    /// Tells the balancer how everything but itself is.
    pub(super) fn show_balancer(&self, now: Instant) {
        let balancer = self.balancer.as_ref().filter(|slot| slot.ready());
        if let Some(child) = balancer.and_then(Slot::child) {
            child.tell(
                ToBalancer::Daemon(Box::new(self.daemon_status(now))),
                Vec::new(),
            );
        }
    }

    fn status(&self, now: Instant) -> Status {
        Status {
            frontends: self.traffic.frontends.clone(),
            backends: self.traffic.backends.clone(),
            ..self.daemon_status(now)
        }
    }

    /// All but what the balancer tells.
    fn daemon_status(&self, now: Instant) -> Status {
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
            instances_age: self
                .instances_at
                .map(|at| now.saturating_duration_since(at).as_secs_f64()),
            frontends: Vec::new(),
            backends: Vec::new(),
            scripts: self.tracks.status(),
            reload: self.last_reload.clone(),
            upgrade: self.last_upgrade.clone(),
        }
    }
}
