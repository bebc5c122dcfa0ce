//! Answers on the control socket: the children are asked, what they say is put together.

use std::{
    collections::VecDeque,
    process::ExitStatus,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::{Daemon, Slot};
use crate::{
    admin::{
        dumps::Dump,
        metrics::{self, exposition::Exposition},
        status::{Changes, LastTransition, Process, State, Status},
    },
    heap,
    ipc::message::{ToBalancer, ToSpeaker, Transition},
    supervisor::{child::Role, control::Request, procfs, slot::describe},
};

/// How long a request waits for the children; after that the last known answer is given.
pub(super) const PATIENCE: Duration = Duration::from_millis(700);
/// How often the balancer hears how the rest of the daemon is.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How soon it hears of a change of state.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Changes of state that are remembered of each instance.
const HISTORY: usize = 32;

/// Changes of state of one instance.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(in crate::supervisor) struct History {
    /// Latest first.
    last: VecDeque<LastTransition>,
    changes: Vec<Changes>,
}

/// Who wants to know.
#[derive(Debug)]
pub(super) enum Asker {
    /// Someone at the control socket.
    Control(Request),
    /// A signal asked for a file.
    Dump(Dump),
    /// `config_save_dir` asks for one, before the reload of that number.
    Before(u64),
    /// After it.
    After(u64),
    /// The log, of the configuration that is in force now.
    Log,
}

/// A request that waits for children.
#[derive(Debug)]
pub(super) struct Waiting {
    asker: Asker,
    speaker: bool,
    balancer: bool,
    pub(super) until: Instant,
}

impl Daemon {
    pub(super) fn asked(&mut self, request: Request, now: Instant) {
        if let Some(words) = request.line.strip_prefix("diff") {
            let words = words.trim().to_owned();
            return self.difference(&words, request.reply);
        }
        if let Some(words) = request.line.strip_prefix("upgrade") {
            let words = words.trim().to_owned();
            return self.upgrade_asked(request, &words);
        }
        if !["status", "metrics"].contains(&request.line.as_str()) {
            let told = "{\"error\":\"unknown request; known: status, metrics, diff, upgrade\"}\n"
                .to_owned();
            let _ = request.reply.send(told);
            return;
        }
        self.ask_children(Asker::Control(request), now);
    }

    /// Asks the children how they are; `asker` hears it with their answers.
    pub(super) fn ask_children(&mut self, asker: Asker, now: Instant) {
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
            asker,
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
        let status = self.status(now);
        heap::give_back_talk(status.instances.len());
        for Waiting { asker, .. } in due {
            let request = match asker {
                Asker::Control(request) => request,
                Asker::Dump(dump) => {
                    self.dump(dump, &status);
                    continue;
                }
                Asker::Before(number) => {
                    self.saves_before(number, &status, now);
                    continue;
                }
                Asker::After(number) => {
                    self.save(number, "post", &status);
                    continue;
                }
                Asker::Log => {
                    self.dump_to_the_log(&status);
                    continue;
                }
            };
            let answer = if request.line == "metrics" {
                let mut metrics = Exposition::default();
                metrics::daemon::write(&mut metrics, &status, 0.0);
                metrics.into_text()
            } else {
                serde_json::to_string(&status).unwrap_or_default() + "\n"
            };
            let _ = request.reply.send(answer);
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

    /// The speaker's routers are others, or in other states.
    pub(super) fn look_soon(&mut self, now: Instant) {
        let soon = now + LOOK_AGAIN;
        self.view_at = Some(self.view_at.map_or(soon, |at| at.min(soon)));
    }

    /// The balancer is shown the rest of the daemon as soon as the speaker has told of its routers. One that does not
    /// answer is shown as it was, with the age of that.
    pub(super) fn look(&mut self, now: Instant) {
        if self.view_at.is_none_or(|at| now < at) {
            return;
        }
        // Nobody else waits for it, and what hundreds of routers tell of themselves takes megabytes on its way.
        self.view_at = self.balancer.as_ref().map(|_| now + LOOK_EVERY);
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
        let child = balancer.and_then(Slot::child);
        if let Some(child) = child.filter(|child| child.keeps_up()) {
            child.tell(
                ToBalancer::Daemon(Box::new(self.daemon_status(now))),
                Vec::new(),
            );
        }
    }

    /// Takes a change of state into the history, which outlives the speaker.
    pub(super) fn remember(&mut self, transition: &Transition) {
        let history = self.history.entry(transition.instance.clone()).or_default();
        history.last.push_front(LastTransition {
            from: transition.from,
            to: transition.to,
            reason: transition.reason.clone(),
            at: unix_time(),
        });
        history.last.truncate(HISTORY);
        let known = history.changes.iter_mut().find(|c| c.to == transition.to);
        match known {
            Some(changes) => changes.count += 1,
            None => history.changes.push(Changes {
                to: transition.to,
                count: 1,
            }),
        }
    }

    /// The speaker is gone, and with it every state.
    pub(super) fn speaker_silenced(&mut self, exit: ExitStatus) {
        self.neighbours.clear();
        let reason = format!("the VRRP process {}", describe(exit));
        let mut names = Vec::new();
        for instance in &mut self.instances {
            instance.state = State::Initialize;
            instance.state_age = None;
            instance.takeover_in = None;
            instance.lease = None;
            instance.held_by = Some("the VRRP process does not run".to_owned());
            names.push(instance.name.clone());
        }
        for instance in names {
            let last = self.history.get(&instance).and_then(|all| all.last.front());
            let from = last.map_or(State::Initialize, |last| last.to);
            if from == State::Initialize {
                continue;
            }
            self.remember(&Transition {
                instance,
                from,
                to: State::Initialize,
                reason: reason.clone(),
                priority: 0,
            });
        }
    }

    pub(super) fn status(&self, now: Instant) -> Status {
        Status {
            frontends: self.traffic.frontends.clone(),
            backends: self.traffic.backends.clone(),
            traffic_age: self.traffic_at.map(|at| age(at, now)),
            ..self.daemon_status(now)
        }
    }

    /// All but what the balancer tells.
    fn daemon_status(&self, now: Instant) -> Status {
        let mut instances = self.instances.clone();
        for instance in &mut instances {
            if let Some(history) = self.history.get(&instance.name) {
                instance.transitions = history.last.iter().cloned().collect();
                instance.changes.clone_from(&history.changes);
            }
        }
        let supervisor = Process {
            pid: Some(std::process::id()),
            ready: self.phase.is_running(),
            uptime: Some(age(self.started, now)),
            ..Process::default()
        };
        let hangs = self.speaker_is_silent();
        let speaker = self.speaker.as_ref().map(|slot| Process {
            hangs,
            ..slot.process(now)
        });
        let balancer = self.balancer.as_ref().map(|slot| slot.process(now));
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: unix_time(),
            router_id: self.router_id.clone(),
            uptime: now.saturating_duration_since(self.started).as_secs(),
            supervisor: procfs::look_at(supervisor),
            vrrp: speaker.map(procfs::look_at),
            balancer: balancer.map(procfs::look_at),
            instances,
            instances_age: self.instances_at.map(|at| age(at, now)),
            stray: self.stray.clone(),
            strangers: self.strangers.clone(),
            neighbours: self.neighbours.clone(),
            retrying_static: self.retrying_static.clone(),
            scripts: self.tracks.status(now),
            notify: self.notifier.status(),
            mail: self.post.status(now),
            reload: self.last_reload.clone(),
            upgrade: self.last_upgrade.clone(),
            ..Status::default()
        }
    }
}

fn age(at: Instant, now: Instant) -> f64 {
    now.saturating_duration_since(at).as_secs_f64()
}

fn unix_time() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
