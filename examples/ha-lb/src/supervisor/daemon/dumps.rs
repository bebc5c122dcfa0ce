//! keepalived's files of state and counters, written when a signal asks for them.

use std::{collections::BTreeMap, fs, io};

use super::Daemon;
use crate::admin::{
    dumps::{self, Dump, Stats},
    status::{self, Status},
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
        let text = dump.text(config, status, |instance| self.counted(instance));
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

    /// Whether `config_save_dir` asks for it.
    pub(super) fn saves(&self) -> bool {
        let config = self.loaded.keepalived.as_ref();
        config.is_some_and(|config| config.global.reloads.saved.is_some())
    }

    /// keepalived.conf(5), config_save_dir: configuration and state before (`pre`) and after (`post`) a reload. A failure
    /// is told and harms nothing else.
    pub(super) fn save(&self, number: u64, moment: &str, status: &Status) {
        let Some(config) = &self.loaded.keepalived else {
            return;
        };
        let Some(folder) = &config.global.reloads.saved else {
            return;
        };
        let text = Dump::Data.text(config, status, |instance| self.counted(instance));
        let file = format!("keepalived_vrrp.{}.{number}.{moment}", std::process::id());
        let path = folder.join(file);
        let made = match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        };
        let mode = self.launched.dump_mode();
        if let Err(error) = made.and_then(|()| dumps::replace(&path, &text, mode)) {
            tracing::warn!("{} could not be written: {error}", path.display());
        }
    }

    fn counted(&self, instance: &status::Instance) -> Stats {
        let counted = Stats::from(&instance.counters);
        let before = self.stats.stats.get(&instance.name);
        before.map_or(counted, |before| counted.since(*before))
    }
}
