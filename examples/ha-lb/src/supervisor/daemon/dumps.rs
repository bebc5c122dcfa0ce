//! keepalived's files of state and counters, written when a signal asks for them.

use std::collections::BTreeMap;

use super::Daemon;
use crate::admin::{
    dumps::{self, Dump, Stats},
    status::Status,
};

/// Where the counters of the files begin: a signal sets them to 0, those of `ha-lb status` and of the metrics run on.
#[derive(Debug, Default)]
pub(super) struct Begin {
    stats: BTreeMap<String, Stats>,
    clear_next: bool,
}

impl Begin {
    /// The next file with counters is the last with these.
    pub(super) fn clear_next(&mut self) {
        self.clear_next = true;
    }
}

impl Daemon {
    /// Writes the file. A failure is told and harms nothing else.
    pub(super) fn dump(&mut self, dump: Dump, status: &Status) {
        let Some(config) = &self.loaded.keepalived else {
            return;
        };
        let text = dump.text(config, status, |instance| {
            let counted = Stats::from(&instance.counters);
            let before = self.stats.stats.get(&instance.name);
            before.map_or(counted, |before| counted.since(*before))
        });
        if dump == Dump::Stats && std::mem::take(&mut self.stats.clear_next) {
            let counted = status.instances.iter();
            let counted = counted.map(|one| (one.name.clone(), Stats::from(&one.counters)));
            self.stats.stats = counted.collect();
        }
        let path = dump.path();
        match dumps::replace(&path, &text, self.launched.dump_mode()) {
            Ok(()) => tracing::info!("{} written on a signal", path.display()),
            Err(error) => tracing::warn!("{} could not be written: {error}", path.display()),
        }
    }
}
