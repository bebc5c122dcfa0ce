//! keepalived's files of state and counters, written when a signal asks for them.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::mpsc::{self, SyncSender, TrySendError},
    thread,
    time::Instant,
};

use super::{Daemon, report::Asker};
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

/// How many files wait at most for a file server that does not answer.
const QUEUE: usize = 8;

/// Who writes the files. Those of a signal do not wait for the folder of `config_save_dir`.
#[derive(Debug, Default)]
pub(super) struct Writers {
    dumps: Writer,
    saves: Writer,
}

/// Writes one file after the other, on a thread of its own that begins with the first: a file server that does not answer
/// holds up nothing else, and of two files with the same name the later one stays.
#[derive(Debug, Default)]
struct Writer(Option<SyncSender<File>>);

impl Writer {
    fn write(&mut self, file: File) {
        let path = file.path.clone();
        if let Err(error) = self.hand_over(file) {
            tracing::warn!("{} could not be written: {error}", path.display());
        }
    }

    fn hand_over(&mut self, file: File) -> io::Result<()> {
        let queue = match self.0.take() {
            Some(queue) => queue,
            None => begin()?,
        };
        let handed = queue.try_send(file);
        self.0 = Some(queue);
        handed.map_err(|error| match error {
            TrySendError::Full(_) => io::Error::other("those before it are still being written"),
            TrySendError::Disconnected(_) => io::ErrorKind::BrokenPipe.into(),
        })
    }
}

fn begin() -> io::Result<SyncSender<File>> {
    let (queue, files) = mpsc::sync_channel::<File>(QUEUE);
    let write = move || {
        // At worst a signal comes here, and is heard all the same.
        let _ = crate::signals::block();
        for file in files {
            file.put();
        }
    };
    thread::Builder::new()
        .name("writing".to_owned())
        .spawn(write)?;
    Ok(queue)
}

/// A file to be written.
#[derive(Debug)]
struct File {
    /// `config_save_dir`: made if it is not there. Without it, a signal asked for the file.
    folder: Option<PathBuf>,
    path: PathBuf,
    text: String,
    mode: u32,
}

impl File {
    /// A failure is told and harms nothing else.
    fn put(self) {
        let path = self.path.display();
        match self.write() {
            Ok(()) if self.folder.is_some() => {}
            Ok(()) => tracing::info!("{path} written on a signal"),
            Err(error) => tracing::warn!("{path} could not be written: {error}"),
        }
    }

    fn write(&self) -> io::Result<()> {
        if let Some(folder) = &self.folder
            && let Err(error) = fs::create_dir(folder)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error);
        }
        dumps::replace(&self.path, &self.text, self.mode)
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
        self.writers.dumps.write(File {
            folder: None,
            path: dump.path(),
            text,
            mode: self.launched.dump_mode(),
        });
    }

    /// Another configuration is in force: logged, if that is asked for, once the children have said how they are.
    pub(super) fn log_configuration(&mut self, now: Instant) {
        if self.launched.logs_configuration() {
            self.ask_children(Asker::Log, now);
        }
    }

    pub(super) fn dump_to_the_log(&self, status: &Status) {
        if let Some(config) = &self.loaded.keepalived {
            let text = Dump::Data.text(config, status, |instance| self.counted(instance));
            text.lines().for_each(|line| tracing::info!("{line}"));
        }
    }

    /// Whether `config_save_dir` asks for it.
    pub(super) fn saves(&self) -> bool {
        let config = self.loaded.keepalived.as_ref();
        config.is_some_and(|config| config.global.reloads.saved.is_some())
    }

    /// keepalived.conf(5), config_save_dir: configuration and state before (`pre`) and after (`post`) a reload. A failure
    /// is told and harms nothing else.
    pub(super) fn save(&mut self, number: u64, moment: &str, status: &Status) {
        let Some(config) = &self.loaded.keepalived else {
            return;
        };
        let Some(folder) = &config.global.reloads.saved else {
            return;
        };
        let text = Dump::Data.text(config, status, |instance| self.counted(instance));
        let file = format!("keepalived_vrrp.{}.{number}.{moment}", std::process::id());
        let file = File {
            folder: Some(folder.clone()),
            path: folder.join(file),
            text,
            mode: self.launched.dump_mode(),
        };
        self.writers.saves.write(file);
    }

    fn counted(&self, instance: &status::Instance) -> Stats {
        let counted = Stats::from(&instance.counters);
        let before = self.stats.stats.get(&instance.name);
        before.map_or(counted, |before| counted.since(*before))
    }
}
