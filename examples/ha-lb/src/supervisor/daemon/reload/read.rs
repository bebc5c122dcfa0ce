//! The supervisor's preparation for a reload whose files have been read: compares and opens; nothing that runs is touched.

use std::{path::PathBuf, time::Instant};

use super::{Before, Daemon, Fate, PATIENCE, Reload, Slot, reading::Fresh};
use crate::{
    config::{
        diagnostic::{Diagnostics, Severity},
        load::Loaded,
        plan::Plan,
    },
    notify::fifo::{Fifo, Wanted},
    supervisor::{launch::Program, listeners, pidfile::PidFile},
};

impl Daemon {
    /// What a reload needs, or why there is none.
    pub(super) fn ready(
        &self,
        number: u64,
        began: Instant,
        fresh: Fresh,
        now: Instant,
    ) -> Result<Reload, (String, Plan)> {
        let Fresh {
            loaded,
            configuration,
            watches,
            hooks,
            fifos,
        } = fresh;
        let plan = Plan::between(&self.loaded, &loaded);
        if !plan.refusals.is_empty() {
            return Err((plan.refusals.join("; "), plan));
        }
        let prepared = self.new_fifos(fifos).and_then(|fifos| {
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
            configuration,
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
            before: Before::default(),
            began,
            until: now + PATIENCE,
        })
    }

    /// Opens the fifos that are new; dropping them removes what was made.
    fn new_fifos(&self, wanted: Vec<Wanted>) -> Result<Vec<(Wanted, Option<Fifo>)>, String> {
        wanted
            .into_iter()
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
pub(super) fn first_error(diagnostics: &Diagnostics) -> String {
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
