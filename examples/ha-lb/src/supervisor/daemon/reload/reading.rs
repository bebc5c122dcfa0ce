//! Reading the files again, on a thread of its own: a file on a dead file server, a name server or a directory of accounts
//! that does not answer holds up nothing but the reload that asks for it.

use std::{fs, io, path::Path, thread, time::Instant};

use tokio::sync::oneshot;

use super::{Daemon, PATIENCE, read::first_error};
use crate::{
    config::{
        diagnostic::Diagnostics,
        files::{Bundle, Files, Recorder, Remembering},
        load::{self, Loaded},
        predefined::Predefined,
    },
    ipc::message::{Configuration, Sources},
    notify::{Hooks, Subject, fifo::Wanted},
    signals,
    supervisor::{
        daemon::{Event, schedule::Found},
        start::check_rights,
        tracks::Watch,
    },
};

/// What was read, and for whom.
#[derive(Debug)]
pub(in crate::supervisor) enum Read {
    /// For a reload: everything that may keep one waiting, or why there is none.
    Reload {
        number: u64,
        began: Instant,
        fresh: Box<Result<Fresh, String>>,
    },
    /// For someone who wants to know what a reload would do.
    Difference {
        diagnostics: String,
        new: Box<Option<Loaded>>,
        reply: oneshot::Sender<String>,
    },
    /// When the next reload is planned.
    Time(Found),
}

/// The files are being read for a reload.
#[derive(Debug)]
pub(in crate::supervisor::daemon) struct Reading {
    /// When it is told that this takes long.
    tell_at: Option<Instant>,
}

impl Reading {
    pub(in crate::supervisor::daemon) fn deadline(&self) -> Option<Instant> {
        self.tell_at
    }

    /// Time has passed; true if it takes long, once.
    pub(super) fn takes_long(&mut self, now: Instant) -> bool {
        self.tell_at.take_if(|at| *at <= now).is_some()
    }
}

/// A configuration as the files have it now.
#[derive(Debug)]
pub(in crate::supervisor) struct Fresh {
    pub(super) loaded: Loaded,
    pub(super) configuration: Configuration,
    pub(super) watches: Vec<Watch>,
    pub(super) hooks: Vec<(Subject, Hooks)>,
    pub(super) fifos: Vec<Wanted>,
}

impl Fresh {
    fn read(before: Configuration) -> Result<Self, String> {
        let Configuration { sources, bundle } = before;
        let files = Predefined::of(&sources);
        let recorder = Recorder::new(Remembering::new(files, bundle.clone()));
        let mut diagnostics = Diagnostics::default();
        let loaded = load::load(&sources, &recorder, &mut diagnostics);
        diagnostics.sort();
        eprint!("{diagnostics}");
        let loaded = loaded.ok_or_else(|| first_error(&diagnostics))?;
        check_emptied(&sources, &bundle, &recorder)?;
        check_rights(&loaded).map_err(|e| e.to_string())?;
        let watches = loaded.watches();
        let hooks = loaded.hooks();
        let fifos = loaded.fifos();
        let bundle = recorder.into_bundle();
        Ok(Self {
            loaded,
            configuration: Configuration { sources, bundle },
            watches,
            hooks,
            fifos,
        })
    }
}

/// `reload_file`: there, and empty, while the files are read, for whoever writes them to wait for.
struct Mark<'p>(&'p Path);

impl<'p> Mark<'p> {
    fn set(path: &'p Path) -> Self {
        if let Err(error) = fs::write(path, "") {
            tracing::warn!("reload_file {}: {error}", path.display());
        }
        Self(path)
    }
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        // One that could not be made is not there.
        let _ = fs::remove_file(self.0);
    }
}

/// A file in which nothing is left was cut off by an interrupted copy or a full disk rather than meant.
fn check_emptied(sources: &Sources, before: &Bundle, now: &impl Files) -> Result<(), String> {
    let is_empty = |text: Vec<u8>| text.trim_ascii().is_empty();
    for path in sources.keepalived.iter().chain(&sources.haproxy) {
        let before = before.read(path);
        if before.is_ok_and(|text| !is_empty(text)) && now.read(path).is_ok_and(is_empty) {
            return Err(format!("{}: nothing is left in this file", path.display()));
        }
    }
    Ok(())
}

impl Daemon {
    /// Whether the files are being read for a reload, or children make ready for one or change over.
    pub(in crate::supervisor::daemon) fn reload_is_under_way(&self) -> bool {
        self.reading.is_some() || self.reload.is_some() || self.adoption.is_some()
    }

    /// Reads the files for a reload.
    pub(super) fn read_again(&mut self, number: u64, began: Instant) -> io::Result<()> {
        let before = self.configuration.clone();
        let keepalived = self.loaded.keepalived.as_ref();
        let mark = keepalived.and_then(|config| config.global.reloads.mark.clone());
        self.read_aside(move || {
            let mark = mark.as_deref().map(Mark::set);
            let fresh = Box::new(Fresh::read(before));
            drop(mark);
            Read::Reload {
                number,
                began,
                fresh,
            }
        })?;
        self.reading = Some(Reading {
            tell_at: Some(began + PATIENCE),
        });
        Ok(())
    }

    /// What `read` finds comes back as an event.
    pub(in crate::supervisor::daemon) fn read_aside(
        &self,
        read: impl FnOnce() -> Read + Send + 'static,
    ) -> io::Result<()> {
        let events = self.events.clone();
        let read = move || {
            // At worst a signal comes here, and is heard all the same.
            let _ = signals::block();
            let _ = events.send(Event::Read(Box::new(read())));
        };
        thread::Builder::new()
            .name("reading".to_owned())
            .spawn(read)
            .map(drop)
    }

    /// Something was read.
    pub(in crate::supervisor::daemon) fn has_read(&mut self, read: Read, now: Instant) {
        match read {
            Read::Reload {
                number,
                began,
                fresh,
            } => {
                self.reading = None;
                if self.phase.is_running() {
                    self.make_ready(number, began, *fresh, now);
                }
            }
            Read::Difference {
                diagnostics,
                new,
                reply,
            } => self.tell_difference(diagnostics, *new, reply),
            Read::Time(found) => self.found_time(found, now),
        }
    }
}
