//! The supervisor's preparation for a reload: reads, checks, compares and opens; nothing that runs is touched.

use std::{path::PathBuf, time::Instant};

use super::{Daemon, Fate, Reload, Slot};
use crate::{
    config::{
        diagnostic::{Diagnostics, Severity},
        files::{Files, Recorder, Remembering},
        load::{self, Loaded},
        plan::Plan,
        predefined::Predefined,
    },
    ipc::message::Configuration,
    notify::fifo::{Fifo, Wanted},
    supervisor::{launch::Program, listeners, pidfile::PidFile, start::check_rights},
};

impl Daemon {
    /// A file in which nothing is left was cut off by an interrupted copy or a full disk rather than meant.
    fn check_emptied(&self, now: &impl Files) -> Result<(), String> {
        let sources = &self.configuration.sources;
        let is_empty = |text: Vec<u8>| text.trim_ascii().is_empty();
        for path in sources.keepalived.iter().chain(&sources.haproxy) {
            let before = self.configuration.bundle.read(path);
            if before.is_ok_and(|text| !is_empty(text)) && now.read(path).is_ok_and(is_empty) {
                return Err(format!("{}: nothing is left in this file", path.display()));
            }
        }
        Ok(())
    }

    /// What a reload needs, or why there is none.
    pub(super) fn read_again(&self, number: u64, now: Instant) -> Result<Reload, (String, Plan)> {
        let simple = |why: String| (why, Plan::default());
        let files = Predefined::of(&self.configuration.sources);
        let before = self.configuration.bundle.clone();
        let recorder = Recorder::new(Remembering::new(files, before));
        let mut diagnostics = Diagnostics::default();
        let loaded = load::load(&self.configuration.sources, &recorder, &mut diagnostics);
        diagnostics.sort();
        eprint!("{diagnostics}");
        let loaded = loaded.ok_or_else(|| simple(first_error(&diagnostics)))?;
        self.check_emptied(&recorder).map_err(simple)?;
        check_rights(&loaded).map_err(|e| simple(e.to_string()))?;
        let (watches, hooks) = (loaded.watches(), loaded.hooks());
        let plan = Plan::between(&self.loaded, &loaded);
        if !plan.refusals.is_empty() {
            return Err((plan.refusals.join("; "), plan));
        }
        let prepared = self.new_fifos(&loaded).and_then(|fifos| {
            let pidfile = self.new_pidfile(&loaded)?;
            Ok((fifos, pidfile))
        });
        let (fifos, pidfile) = match prepared {
            Ok(prepared) => prepared,
            Err(why) => return Err((why, plan)),
        };
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
        let (speaks, balances) = (loaded.needs_speaker(), loaded.balancer.is_some());
        Ok(Reload {
            number,
            configuration: Configuration {
                sources: self.configuration.sources.clone(),
                bundle: recorder.into_bundle(),
            },
            speaker: Fate::of(self.speaker.as_ref().map(Slot::ready), speaks, false),
            balancer: Fate::of(
                self.balancer.as_ref().map(Slot::ready),
                balances,
                plan.replaces_balancer,
            ),
            loaded,
            plan,
            sockets,
            workers,
            watches,
            hooks,
            fifos,
            pidfile,
            began: now,
        })
    }

    /// Opens the fifos that are new; dropping them removes what was made.
    fn new_fifos(&self, loaded: &Loaded) -> Result<Vec<(Wanted, Option<Fifo>)>, String> {
        let wanted = loaded.fifos().into_iter();
        wanted
            .map(|wanted| {
                let path = wanted.path.display();
                let known = self
                    .notifier
                    .fifos()
                    .iter()
                    .any(|f| f.path() == wanted.path);
                let fifo = (!known).then(|| Fifo::open(wanted.clone())).transpose();
                let fifo = fifo.map_err(|e| format!("notify fifo {path}: {e}"))?;
                Ok((wanted, fifo))
            })
            .collect()
    }

    /// Writes another `pidfile`; dropping it removes it.
    fn new_pidfile(&self, loaded: &Loaded) -> Result<Option<Option<PidFile>>, String> {
        let of = |loaded: &Loaded| {
            let own = self.launched.program == Program::HaLb;
            let config = loaded.balancer.as_ref().filter(|_| own)?;
            config.global.pidfile.clone()
        };
        let (old, new) = (of(&self.loaded), of(loaded));
        if old == new {
            return Ok(None);
        }
        let write = |path: PathBuf| {
            PidFile::write(&path).map_err(|e| format!("pidfile {}: {e}", path.display()))
        };
        Ok(Some(new.map(write).transpose()?))
    }
}

/// The first error, and how many more there are.
fn first_error(diagnostics: &Diagnostics) -> String {
    let mut errors = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error);
    let Some(first) = errors.next() else {
        return "the configuration has errors".to_owned();
    };
    match errors.count() {
        0 => first.to_string(),
        more => format!("{first} (and {more} more)"),
    }
}
