//! The two children: started with what they need, heard, started again.

use std::{sync::Arc, time::Instant};

use rustix::process::Signal;

use super::{Daemon, Event, Slot, Upgrade, words};
use crate::{
    admin::status::State,
    heap,
    ipc::{
        channel::MAX_DESCRIPTORS,
        message::{
            BalancerStart, FromBalancer, FromSpeaker, ServerState, ToBalancer, ToSpeaker,
            Transition,
        },
    },
    notify::Subject,
    supervisor::{
        child::{Child, Report, Role},
        launch::Program,
        listeners::Open,
        memory,
        pulse::Pulse,
        vigil::Vigil,
    },
};

/// Words of a child that are kept have so many bytes at most.
const LONGEST_WORDS: usize = 1024;
/// Servers that no file names are remembered up to so many in all.
const MOST_SERVERS: usize = 65_536;

impl Daemon {
    fn child_serves(&mut self, role: Role, pid: u32) {
        let speaks = self.speaker.as_ref().is_none_or(Slot::ready);
        let balances = self.balancer.as_ref().is_none_or(Slot::ready);
        let begins = self.launched.child_serves(role, pid, speaks && balances);
        if begins {
            self.log_configuration(Instant::now());
        }
        self.succeeded(role, speaks && balances);
        if !self.leaving.serves() {
            self.next_reload(Instant::now());
        }
    }

    fn child_name(&self, role: Role) -> &'static str {
        let sources = &self.configuration.sources;
        self.launched.program.child_name(role, sources)
    }

    pub(super) fn start_speaker(&mut self, now: Instant) {
        if self.upgrade.as_ref().is_some_and(Upgrade::is_settling) {
            return;
        }
        let events = self.events.clone();
        let line = self.predecessors.introduce();
        let hello = ToSpeaker::Start {
            configuration: self.configuration.for_speaker(),
            findings: self.tracks.findings(),
            succeeds: self
                .speaker
                .as_ref()
                .is_some_and(|slot| slot.ever_ready())
                .then(|| self.active.iter().cloned().collect()),
            hands_over: line.is_some(),
        };
        let name = self.child_name(Role::Speaker);
        let Some(slot) = &mut self.speaker else {
            return;
        };
        let report = move |generation, report, room| {
            let _ = events.send(Event::Speaker(generation, report, room));
        };
        match slot.start(name, report) {
            Ok(child) => {
                child.tell(hello, line.into_iter().collect());
            }
            Err(error) => {
                tracing::error!("cannot start the speaker: {error}");
                slot.not_started(now);
            }
        }
    }

    pub(super) fn start_balancer(&mut self, now: Instant) {
        if self.upgrade.as_ref().is_some_and(Upgrade::is_settling) {
            return;
        }
        let events = self.events.clone();
        let hello = ToBalancer::Start(BalancerStart {
            configuration: self.configuration.for_balancer(&self.loaded),
            workers: self.workers,
            servers: self.servers.values().cloned().collect(),
            utc_offset: chrono::Local::now().offset().local_minus_utc(),
        });
        let name = self.child_name(Role::Balancer);
        let Some(slot) = &mut self.balancer else {
            return;
        };
        let report = move |generation, report, room| {
            let _ = events.send(Event::Balancer(generation, report, room));
        };
        match slot.start(name, report) {
            Ok(child) => {
                memory::expose(child.pid);
                hand_over(child, &self.sockets);
                child.tell(hello, Vec::new());
            }
            Err(error) => {
                tracing::error!("cannot start the balancer: {error}");
                slot.not_started(now);
            }
        }
    }

    pub(super) fn speaker_reports(&mut self, report: Report<FromSpeaker>, now: Instant) {
        if matches!(report, Report::Said(_)) {
            // Where hundreds of changes are before it, its next beat is long in coming.
            self.speaker_lives(now);
        }
        let Some(slot) = &mut self.speaker else {
            return;
        };
        match report {
            Report::Said(FromSpeaker::Ready) => {
                let took = slot.is_ready(now).as_millis();
                let pid = slot.process(now).pid.unwrap_or_default();
                tracing::info!("speaker (pid {pid}) listens after {took} ms");
                self.vigil = Some(Vigil::new(now));
                self.look_soon(now);
                self.quiet_devices(|_| true);
                self.child_serves(Role::Speaker, pid);
                self.repeat_reload(Role::Speaker, now);
            }
            Report::Said(FromSpeaker::Beat) => {}
            Report::Said(FromSpeaker::Transition(mut transition)) => {
                clip(&mut transition.reason);
                if transition.to == State::Active {
                    self.quiet_devices(|name| name == transition.instance);
                }
                self.changed(&transition);
                // Hundreds may change together: they are looked at once.
                self.look_soon(now);
            }
            Report::Said(FromSpeaker::Group { group, state }) => {
                self.group_changed(group, state);
            }
            Report::Said(FromSpeaker::Priority {
                instance,
                active,
                priority,
            }) => {
                if self.tells_priority(&instance) {
                    self.notifier.priority_changed(&instance, active, priority);
                }
                self.ask_speaker();
            }
            Report::Said(FromSpeaker::LowerPriority { instance, priority }) => {
                if self.is_configured(&instance) {
                    self.notifier.lower_priority(&instance, priority);
                }
            }
            Report::Said(FromSpeaker::Status {
                instances,
                stray,
                strangers,
                neighbours,
                retrying_static,
            }) => {
                (self.instances, self.stray) = (instances, stray);
                self.strangers = strangers;
                self.neighbours = neighbours;
                heap::give_back_talk(self.instances.len());
                self.retrying_static = retrying_static;
                self.instances_at = Some(now);
                if std::mem::take(&mut self.states_due) {
                    self.tell_states();
                }
                self.reported(Role::Speaker);
                self.show_balancer(now);
            }
            Report::Said(FromSpeaker::Prepared(number, done)) => {
                self.reload_prepared(Role::Speaker, number, done, now);
            }
            Report::Said(FromSpeaker::Adopted(number)) => {
                self.has_adopted(Role::Speaker, Some(number), now);
            }
            Report::Said(FromSpeaker::HandsOver) => self.settled(Role::Speaker, now),
            Report::Said(FromSpeaker::NotHandedOver(why)) => {
                tracing::error!("the speaker before did not hand over: {why}");
                self.not_handed_over();
            }
            Report::Said(FromSpeaker::Failed(why)) => {
                tracing::error!("speaker: {why}");
                if !slot.ever_ready() {
                    self.fail();
                }
            }
            Report::Gone(exit) => {
                let ends = self.launched.ends_with_a_child() && !slot.is_relieved();
                slot.gone(exit, now, self.phase.is_running() && !ends);
                if ends {
                    self.dies_with(Role::Speaker);
                }
                self.vigil = None;
                self.speaker_silenced(exit);
                self.reported(Role::Speaker);
                self.reload_lost(Role::Speaker, exit, now);
                self.has_adopted(Role::Speaker, None, now);
                self.settled(Role::Speaker, now);
                self.speaker_ended(now);
            }
        }
    }

    /// keepalived(8), `--dont-respawn`: who started this one is to start all anew. Not for a child that made room for
    /// another one.
    fn dies_with(&mut self, role: Role) {
        if self.phase.is_running() {
            tracing::error!("the {role} died: exiting, as --dont-respawn has it");
            self.stop(Signal::TERM);
        }
    }

    /// keepalived.conf(5), fifo_write_vrrp_states_on_reload. The members of a group have its state.
    fn tell_states(&mut self) {
        let Some(config) = &self.loaded.keepalived else {
            return;
        };
        let find = |name: &str| self.instances.iter().find(|one| one.name == name);
        let instances = config.instances.iter().filter_map(|one| {
            let found = find(&one.name)?;
            Some((&*one.name, found.state, found.effective_priority))
        });
        let groups = config.sync_groups.iter().filter_map(|group| {
            let member = find(group.members.first()?)?;
            Some((&*group.name, member.state))
        });
        self.notifier.tell_states(instances, groups);
    }

    fn is_configured(&self, instance: &str) -> bool {
        let config = self.loaded.keepalived.as_ref();
        let mut instances = config.into_iter().flat_map(|config| &config.instances);
        instances.any(|one| *one.name == *instance)
    }

    /// keepalived.conf(5), notify_priority_changes.
    fn tells_priority(&self, instance: &str) -> bool {
        let config = self.loaded.keepalived.as_ref();
        let mut instances = config.into_iter().flat_map(|config| &config.instances);
        instances.any(|one| *one.name == *instance && one.notify_priority_changes)
    }

    /// A virtual router changed its state. One that never was in a file is none.
    pub(super) fn changed(&mut self, transition: &Transition) {
        let configured = self.is_configured(&transition.instance);
        if !configured && !self.history.contains_key(&transition.instance) {
            return;
        }
        self.log_as_keepalived(words::of_instance(transition));
        if transition.to == State::Active {
            self.active.insert(transition.instance.clone());
        } else {
            self.active.remove(&transition.instance);
        }
        // What ends while the daemon runs was taken away by a reload, also where another one has its name now.
        let deleted = !configured || self.phase.is_running();
        if transition.to == State::Initialize && deleted {
            self.notifier.deleted(transition);
        } else {
            self.notifier.changed(transition);
            let subject = Subject::Instance(transition.instance.clone());
            self.mail(&subject, transition.to);
        }
        self.remember(transition);
    }

    fn log_as_keepalived(&self, line: Option<String>) {
        let line = line.filter(|_| self.launched.program == Program::Keepalived);
        line.iter().for_each(|line| tracing::info!("{line}"));
    }

    /// A sync group changed its state, perhaps because a reload has taken it away.
    fn group_changed(&mut self, group: String, state: State) {
        let keepalived = self.loaded.keepalived.as_ref();
        let mut groups = keepalived
            .into_iter()
            .flat_map(|config| &config.sync_groups);
        if groups.any(|one| *one.name == *group) {
            self.log_as_keepalived(words::of_group(&group, state));
            self.notifier.group_changed(&group, state);
            self.mail(&Subject::Group(group), state);
        } else {
            self.notifier.group_deleted(&group);
        }
    }

    /// What is known of a server outlives the balancer, and a balancer that somebody has taken over.
    fn remember_server(&mut self, state: ServerState) {
        let key = (state.backend.clone(), state.server.clone());
        let config = self.loaded.balancer.as_ref();
        let configured = config.is_some_and(|config| config.server(&key.0, &key.1).is_some());
        // `add server` on the command line.
        let is_short = key.0.len() + key.1.len() <= LONGEST_WORDS;
        if configured
            || self.servers.contains_key(&key)
            || is_short && self.servers.len() < MOST_SERVERS
        {
            self.servers.insert(key, state);
        }
    }

    pub(super) fn balancer_reports(&mut self, report: Report<FromBalancer>, now: Instant) {
        let Some(slot) = &mut self.balancer else {
            return;
        };
        match report {
            Report::Said(FromBalancer::Ready) => {
                let took = slot.is_ready(now).as_millis();
                let pid = slot.process(now).pid.unwrap_or_default();
                tracing::info!("balancer (pid {pid}) serves after {took} ms");
                self.heartbeat = Some(Pulse::new(now));
                self.view_at = Some(now);
                if let Some(passed) = self.liveness.serves() {
                    self.answer_for_balancer(passed);
                }
                self.relieve();
                self.answer_worker();
                self.child_serves(Role::Balancer, pid);
                self.has_adopted(Role::Balancer, None, now);
                self.repeat_reload(Role::Balancer, now);
            }
            Report::Said(FromBalancer::Beat) => {
                if let Some(heartbeat) = &mut self.heartbeat {
                    heartbeat.beat(now);
                }
            }
            Report::Said(FromBalancer::Server(state)) => {
                self.remember_server(state);
            }
            Report::Said(FromBalancer::Check(check)) => self.check_by_program(&check),
            Report::Said(FromBalancer::Status(traffic)) => {
                self.traffic = traffic;
                self.traffic_at = Some(now);
                self.reported(Role::Balancer);
            }
            Report::Said(FromBalancer::Prepared(number, done)) => {
                self.reload_prepared(Role::Balancer, number, done, now);
            }
            Report::Said(FromBalancer::Adopted(number)) => {
                self.has_adopted(Role::Balancer, Some(number), now);
            }
            Report::Said(FromBalancer::HandsOver) => self.settled(Role::Balancer, now),
            Report::Said(FromBalancer::Failed(why)) => {
                tracing::error!("balancer: {why}");
                if !slot.ever_ready() {
                    self.fail();
                }
            }
            Report::Gone(exit) => {
                let ends = self.launched.ends_with_a_child() && !slot.is_relieved();
                slot.gone(exit, now, self.phase.is_running() && !ends);
                if ends {
                    self.dies_with(Role::Balancer);
                }
                self.heartbeat = None;
                self.reported(Role::Balancer);
                self.reload_lost(Role::Balancer, exit, now);
                self.has_adopted(Role::Balancer, None, now);
                self.settled(Role::Balancer, now);
                self.balancer_lost(now);
                self.balancer_ended();
                // Started within this event: the queue of the listening sockets should not grow old.
                if self.balancer.as_ref().is_some_and(|slot| slot.is_due(now)) {
                    self.start_balancer(now);
                }
            }
        }
    }
}

/// What a child says is kept for long.
pub(super) fn clip(words: &mut String) {
    if words.len() > LONGEST_WORDS {
        let mut ends = (0..=LONGEST_WORDS).rev();
        let end = ends.find(|at| words.is_char_boundary(*at));
        words.truncate(end.unwrap_or(0));
    }
}

/// Sends sockets, as many in a packet as fit.
pub(super) fn hand_over(child: &Child<ToBalancer>, sockets: &[Open]) {
    for part in sockets.chunks(MAX_DESCRIPTORS) {
        let pairs = part.iter().map(|o| (o.listener, Arc::clone(&o.socket)));
        let (listeners, sockets) = pairs.unzip();
        child.tell(ToBalancer::Listeners(listeners), sockets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_of_a_child_are_cut_at_a_letter() {
        for (long, kept) in [
            ("x".repeat(5000), 1024),
            (format!("x{}", "ö".repeat(5000)), 1023),
        ] {
            let mut words = long;
            clip(&mut words);
            assert_eq!(words.len(), kept);
        }
        let mut short = "a rival of 10.0.0.1".to_owned();
        clip(&mut short);
        assert_eq!(short, "a rival of 10.0.0.1");
    }
}
