//! The change over: what the children are told, and the supervisor's own part.

use std::time::Instant;

use super::{Adoption, Daemon, Fate, Reload};
use crate::{
    ipc::message::{ToBalancer, ToSpeaker},
    mail::Settings,
    supervisor::{
        child::Role,
        daemon::{
            Slot,
            begin::{GRACE, turning},
            stop::FOREVER,
        },
        listeners,
        liveness::Liveness,
        start::UnixPath,
    },
};

impl Daemon {
    pub(super) fn adopt(&mut self, reload: Reload, now: Instant) {
        let took = now.saturating_duration_since(reload.began).as_millis();
        let (speaker, balancer) = (reload.speaker, reload.balancer);
        let config = reload.loaded.balancer.as_ref();
        let paths = config.map(listeners::unix_paths).unwrap_or_default();
        let present = self.traces.sockets.iter().map(|socket| &socket.path);
        for gone in present.filter(|p| !paths.contains(p)) {
            let _ = std::fs::remove_file(gone);
        }
        self.traces.sockets = UnixPath::all(&paths);
        if let Some(pidfile) = reload.pidfile {
            self.traces.pidfile = pidfile;
        }
        if let Some(config) = config {
            listeners::restore_rights(config);
            self.hard_stop_after = config.global.hard_stop_after;
            self.grace = self.hard_stop_after.unwrap_or(GRACE);
        }
        let before = self.loaded.balancer.as_ref();
        self.servers.retain(|(backend, server), state| {
            let line = config.and_then(|config| config.server(backend, server));
            let old = before.and_then(|config| config.server(backend, server));
            // What an operator said of the address holds for the line that it was said of.
            let same = line.map(|s| (s.address, s.port)) == old.map(|s| (s.address, s.port));
            state.address = state.address.filter(|_| same);
            line.is_some()
        });
        let keepalived = reload.loaded.keepalived.as_ref();
        self.router_id = keepalived.and_then(|config| config.global.router_id.clone());
        let balances = config.is_some();
        self.tracks
            .replan(reload.watches, balances, turning(&self.events));
        if self.balancer.as_ref().is_some_and(Slot::ready) && balances {
            self.tracks.balancer_is_ready();
        }
        for (watched, finding) in self.tracks.findings() {
            self.tell_speaker_of(watched, finding);
        }
        self.notifier.replan(reload.hooks);
        let mail = keepalived.and_then(|config| Settings::of(&config.global));
        self.post.replan(mail, now);
        self.notifier.change_fifos(reload.fifos);
        self.states_due = keepalived.is_some_and(|config| config.global.states_on_reload);
        self.configuration = reload.configuration;
        self.loaded = reload.loaded;
        self.sockets = reload.sockets;
        self.workers = reload.workers;
        self.change_balancer(balancer, reload.number, now);
        self.change_speaker(speaker, reload.number, now);
        if self.states_due {
            self.ask_speaker();
        }
        let outcome = match reload.plan.changes.len() {
            0 => "nothing had changed".to_owned(),
            1 => "1 change applied".to_owned(),
            count => format!("{count} changes applied"),
        };
        tracing::info!("reload: {outcome}, in {took} ms");
        let fates = (speaker, balancer);
        self.adoption = Some(Adoption::new(
            reload.number,
            outcome,
            reload.plan,
            fates,
            now,
        ));
    }

    fn change_balancer(&mut self, fate: Fate, number: u64, now: Instant) {
        match fate {
            Fate::Absent => {}
            Fate::Begins => self.balancer = Some(Slot::new(Role::Balancer, now, true)),
            Fate::Ends => {
                let grace = self.hard_stop_after.unwrap_or(FOREVER);
                if let Some((generation, child)) = self.balancer.take().and_then(Slot::into_child) {
                    child.tell(ToBalancer::Stop { grace }, Vec::new());
                    self.leaving.balancers.push((generation, child));
                }
                self.heartbeat = None;
                self.liveness = Liveness::default();
                self.traffic = Default::default();
            }
            Fate::Anew => {
                if let Some(slot) = &mut self.balancer {
                    slot.relieve();
                    slot.hurry(now);
                }
            }
            Fate::Prepares {
                replaced: false, ..
            } => {
                if let Some(child) = self.balancer.as_ref().and_then(Slot::child) {
                    child.tell(ToBalancer::Commit(number), Vec::new());
                }
            }
            Fate::Prepares { replaced: true, .. } => {
                let slot = self.balancer.take();
                if let Some((generation, child)) = slot.and_then(Slot::into_child) {
                    child.tell(ToBalancer::Abandon(number), Vec::new());
                    self.leaving.relieved = Some((generation, child));
                }
                self.heartbeat = None;
                self.balancer = Some(Slot::new(Role::Balancer, now, true));
            }
        }
    }

    fn change_speaker(&mut self, fate: Fate, number: u64, now: Instant) {
        match fate {
            Fate::Absent => {}
            Fate::Begins => self.speaker = Some(Slot::new(Role::Speaker, now, true)),
            Fate::Ends => {
                if let Some((generation, child)) = self.speaker.take().and_then(Slot::into_child) {
                    child.tell(ToSpeaker::Stop, Vec::new());
                    self.leaving.speakers.push((generation, child));
                }
                self.vigil = None;
                self.instances.clear();
            }
            Fate::Anew => {
                if let Some(slot) = &mut self.speaker {
                    slot.relieve();
                    slot.hurry(now);
                }
            }
            Fate::Prepares { .. } => {
                if let Some(child) = self.speaker.as_ref().and_then(Slot::child) {
                    child.tell(ToSpeaker::Commit(number), Vec::new());
                }
            }
        }
    }
}
