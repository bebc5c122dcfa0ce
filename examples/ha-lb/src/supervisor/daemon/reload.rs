//! SIGHUP: both files are read again and checked as a whole, every child makes the new configuration ready beside
//! the present one, and then all change over, or none.

use std::{
    path::PathBuf,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::{Daemon, GRACE, Slot, children::hand_over, turning};
use crate::{
    admin::status,
    config::{
        diagnostic::Diagnostics,
        files::Recorder,
        load::{self, Loaded},
        plan::Plan,
        predefined::Predefined,
    },
    ipc::message::{Configuration, Sources, ToBalancer, ToSpeaker},
    notify::Hooks,
    supervisor::{
        child::Role,
        limits,
        listeners::{self, Open},
        scripts::Script,
        start::{UnixPath, check_rights},
    },
};

/// How long a child may take to make a configuration ready.
const PATIENCE: Duration = Duration::from_secs(10);

/// A configuration that waits for the children to be ready for it.
#[derive(Debug)]
pub(super) struct Reload {
    number: u64,
    configuration: Configuration,
    loaded: Loaded,
    plan: Plan,
    sockets: Vec<Open>,
    workers: usize,
    scripts: Vec<Script>,
    hooks: Vec<(String, Hooks)>,
    /// Who has not answered yet.
    speaker: bool,
    balancer: bool,
    began: Instant,
}

impl Reload {
    pub(super) fn deadline(&self) -> Instant {
        self.began + PATIENCE
    }
}

/// What `ha-lb check --diff` is told.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Difference {
    /// What reading the files had to say.
    pub diagnostics: String,
    /// What a reload would do; absent if the files have errors.
    pub plan: Option<Plan>,
}

impl Daemon {
    /// SIGHUP, or haproxy's SIGUSR2.
    pub(super) fn hang_up(&mut self, signal: &str, now: Instant) {
        if !self.phase.is_running() {
            return;
        }
        let upgrades = self.upgrade.is_some() || self.predecessors.are_needed();
        if self.reload.is_some() || upgrades {
            let what = if upgrades { "upgrade" } else { "reload" };
            tracing::info!("{signal}: the files are read again after the {what} that runs");
            self.reload_again = true;
            return;
        }
        self.launched.reloads();
        let number = self.last_reload.as_ref().map_or(0, |last| last.number) + 1;
        tracing::info!("{signal}: reading the configuration again");
        match self.read_again(number, now) {
            Ok(reload) => self.prepare_children(reload, now),
            Err((why, plan)) => self.reload_refused(number, &why, &plan),
        }
    }

    /// Reads, checks, compares and opens; nothing that runs is touched.
    fn read_again(&self, number: u64, now: Instant) -> Result<Reload, (String, Plan)> {
        let simple = |why: String| (why, Plan::default());
        let recorder = Recorder::new(Predefined::of(&self.configuration.sources));
        let mut diagnostics = Diagnostics::default();
        let loaded = load::load(&self.configuration.sources, &recorder, &mut diagnostics);
        diagnostics.sort();
        eprint!("{diagnostics}");
        let loaded = loaded.ok_or_else(|| simple("the configuration has errors".to_owned()))?;
        check_rights(&loaded).map_err(|e| simple(e.to_string()))?;
        let scripts = loaded.scripts().map_err(|e| simple(e.to_string()))?;
        let hooks = loaded.hooks().map_err(|e| simple(e.to_string()))?;
        let plan = Plan::between(&self.loaded, &loaded);
        if !plan.refusals.is_empty() {
            return Err((plan.refusals.join("; "), plan));
        }
        let (mut workers, mut sockets) = (self.workers, Vec::new());
        if let Some(config) = &loaded.balancer {
            workers = listeners::workers(config);
            sockets = match listeners::reopen(config, workers, &self.sockets) {
                Ok(sockets) => sockets,
                Err(error) => {
                    self.remove_new_paths(&loaded);
                    return Err((error.to_string(), plan));
                }
            };
        }
        Ok(Reload {
            number,
            configuration: Configuration {
                sources: self.configuration.sources.clone(),
                bundle: recorder.into_bundle(),
            },
            loaded,
            plan,
            sockets,
            workers,
            scripts,
            hooks,
            speaker: false,
            balancer: false,
            began: now,
        })
    }

    fn prepare_children(&mut self, mut reload: Reload, now: Instant) {
        let slots = [
            (self.speaker.as_ref().map(Slot::ready), Role::Speaker),
            (self.balancer.as_ref().map(Slot::ready), Role::Balancer),
        ];
        if let Some((_, role)) = slots.iter().find(|(ready, _)| *ready == Some(false)) {
            let why = format!("the {role} is being started; try again when it runs");
            self.remove_new_paths(&reload.loaded);
            return self.reload_refused(reload.number, &why, &reload.plan);
        }
        if let Some(child) = self.balancer.as_ref().and_then(Slot::child) {
            if let Some(config) = &reload.loaded.balancer {
                let needed = limits::needed(config, reload.sockets.len());
                let raised = limits::raise_of(child.pid, needed);
                if let Err(advice) = raised.and_then(|()| limits::raise(needed)) {
                    tracing::warn!("{advice}");
                }
            }
            hand_over(child, &reload.sockets);
            let message = ToBalancer::Prepare {
                reload: reload.number,
                configuration: reload.configuration.clone(),
                workers: reload.workers,
            };
            child.tell(message, Vec::new());
            reload.balancer = true;
        }
        if let Some(child) = self.speaker.as_ref().and_then(Slot::child) {
            let message = ToSpeaker::Prepare {
                reload: reload.number,
                configuration: reload.configuration.clone(),
            };
            child.tell(message, Vec::new());
            reload.speaker = true;
        }
        self.reload = Some(reload);
        self.commit_if_ready(now);
    }

    /// A child is ready to change over, or refuses to.
    pub(super) fn reload_prepared(
        &mut self,
        role: Role,
        number: u64,
        done: Result<(), String>,
        now: Instant,
    ) {
        let Some(reload) = self.reload.as_mut().filter(|r| r.number == number) else {
            return;
        };
        match role {
            Role::Speaker => reload.speaker = false,
            Role::Balancer => reload.balancer = false,
        }
        match done {
            Ok(()) => self.commit_if_ready(now),
            Err(why) => self.abandon(&format!("the {role} refuses it: {why}"), now),
        }
    }

    /// A child is gone: it is started again with the configuration that runs.
    pub(super) fn reload_lost(&mut self, role: Role, now: Instant) {
        if self.reload.is_some() {
            self.abandon(&format!("the {role} died meanwhile"), now);
        }
    }

    pub(super) fn reload_timeout(&mut self, now: Instant) {
        let Some(reload) = self.reload.as_ref().filter(|r| r.deadline() <= now) else {
            return;
        };
        let role = if reload.speaker {
            Role::Speaker
        } else {
            Role::Balancer
        };
        let seconds = PATIENCE.as_secs();
        self.abandon(
            &format!("the {role} did not make it ready within {seconds} s"),
            now,
        );
    }

    fn commit_if_ready(&mut self, now: Instant) {
        let ready = self
            .reload
            .as_ref()
            .is_some_and(|r| !r.speaker && !r.balancer);
        let Some(mut reload) = self.reload.take_if(|_| ready) else {
            return;
        };
        listeners::begin(&mut reload.sockets);
        if let Some(child) = self.balancer.as_ref().and_then(Slot::child) {
            child.tell(ToBalancer::Commit(reload.number), Vec::new());
        }
        if let Some(child) = self.speaker.as_ref().and_then(Slot::child) {
            child.tell(ToSpeaker::Commit(reload.number), Vec::new());
        }
        for change in &reload.plan.changes {
            tracing::info!("reload: {change}");
        }
        self.adopt(reload, now);
        self.next_reload(now);
    }

    /// The supervisor's own part.
    fn adopt(&mut self, reload: Reload, now: Instant) {
        let took = now.saturating_duration_since(reload.began).as_millis();
        if let Some(config) = &reload.loaded.balancer {
            listeners::restore_rights(config);
            let paths = listeners::unix_paths(config);
            let present = self.traces.sockets.iter().map(|socket| &socket.path);
            for gone in present.filter(|p| !paths.contains(p)) {
                let _ = std::fs::remove_file(gone);
            }
            self.traces.sockets = UnixPath::all(&paths);
            self.hard_stop_after = config.global.hard_stop_after;
            self.grace = self.hard_stop_after.unwrap_or(GRACE);
            self.servers.retain(|(backend, server), _| {
                let mut proxies = config.proxies.iter().filter(|p| *p.name == **backend);
                let mut servers = proxies.find_map(|p| p.backend.as_ref()).into_iter();
                servers.any(|b| b.servers.iter().any(|s| *s.name == **server))
            });
        }
        let keepalived = reload.loaded.keepalived.as_ref();
        self.router_id = keepalived.and_then(|config| config.global.router_id.clone());
        self.tracks.replan(
            reload.scripts,
            self.balancer.is_some(),
            turning(&self.events),
        );
        if self.balancer.as_ref().is_some_and(Slot::ready) {
            self.tracks.balancer_is_ready();
        }
        for (name, passed) in self.tracks.results() {
            self.tell_speaker_of(name, passed);
        }
        self.notifier.replan(reload.hooks);
        self.configuration = reload.configuration;
        self.loaded = reload.loaded;
        self.sockets = reload.sockets;
        self.workers = reload.workers;
        let outcome = match reload.plan.changes.len() {
            0 => "nothing had changed".to_owned(),
            1 => "1 change applied".to_owned(),
            count => format!("{count} changes applied"),
        };
        tracing::info!("reload: {outcome}, in {took} ms");
        self.note(reload.number, true, outcome, &reload.plan);
    }

    /// Everything stays as it is.
    fn abandon(&mut self, why: &str, now: Instant) {
        let Some(reload) = self.reload.take() else {
            return;
        };
        if let Some(child) = self.balancer.as_ref().and_then(Slot::child) {
            child.tell(ToBalancer::Abandon(reload.number), Vec::new());
        }
        if let Some(child) = self.speaker.as_ref().and_then(Slot::child) {
            child.tell(ToSpeaker::Abandon(reload.number), Vec::new());
        }
        self.remove_new_paths(&reload.loaded);
        self.reload_refused(reload.number, why, &reload.plan);
        self.next_reload(now);
    }

    fn reload_refused(&mut self, number: u64, why: &str, plan: &Plan) {
        tracing::error!("reload refused, nothing has changed: {why}");
        self.note(number, false, format!("refused: {why}"), plan);
    }

    pub(super) fn next_reload(&mut self, now: Instant) {
        if std::mem::take(&mut self.reload_again) {
            self.hang_up("asked once more", now);
        }
    }

    fn note(&mut self, number: u64, applied: bool, outcome: String, plan: &Plan) {
        self.launched.reloaded();
        self.last_reload = Some(status::Reload {
            number,
            at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            applied,
            outcome,
            changes: plan.changes.iter().map(ToString::to_string).collect(),
        });
    }

    /// UNIX sockets that were made for a configuration that is not to be.
    fn remove_new_paths(&self, refused: &Loaded) {
        let new = refused.balancer.as_ref().map(listeners::unix_paths);
        for path in new.into_iter().flatten() {
            let present = self.traces.sockets.iter().any(|socket| socket.path == path);
            if !present {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// `ha-lb check --diff`: what a reload with these files would do; nothing is touched.
    pub(super) fn difference(&self, words: &str) -> Difference {
        let sources = match words {
            "" => self.configuration.sources.clone(),
            words => match serde_json::from_str::<Sources>(words) {
                Ok(sources) => sources,
                Err(error) => {
                    return Difference {
                        diagnostics: format!("the request cannot be read: {error}\n"),
                        plan: None,
                    };
                }
            },
        };
        Difference::of(&self.loaded, &sources)
    }
}

impl Difference {
    /// From what is loaded to what `sources` say.
    pub fn of(old: &Loaded, sources: &Sources) -> Self {
        let mut diagnostics = Diagnostics::default();
        let new = load::load(sources, &Predefined::of(sources), &mut diagnostics);
        diagnostics.sort();
        Self {
            diagnostics: diagnostics.to_string(),
            plan: new.map(|new| Plan::between(old, &new)),
        }
    }
}

/// Absolute paths, for a daemon that stands elsewhere.
pub fn absolute(sources: &Sources) -> Sources {
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    Sources {
        keepalived: sources.keepalived.as_ref().map(absolute),
        haproxy: sources.haproxy.iter().map(absolute).collect(),
        overrides: sources.overrides.clone(),
    }
}
