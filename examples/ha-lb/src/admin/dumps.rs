//! The files that a keepalived writes when it is signalled, in its layout: exporters and checks read them.
//!
//! What keepalived does not know is left out here, and so is what only it has (descriptors, timers of its own).
//! Passwords stay out too: the files may be readable for everyone by `--umask`.

mod address;
mod data;
mod json;
mod stats;

use std::{
    env, fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

pub use stats::Stats;

use super::status::{self, Status};
use crate::config::keepalived::{Config, Instance};

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dump {
    /// `keepalived.data`: what is configured and how it is.
    Data,
    /// `keepalived.stats`: what each virtual router counts.
    Stats,
    /// `keepalived.json`: both, for programs.
    Json,
}

/// A virtual router: its configuration, its state, its counters.
type Router<'a> = (&'a Instance, &'a status::Instance, Stats);

impl Dump {
    /// Name of the file.
    pub fn file(self) -> &'static str {
        match self {
            Self::Data => "keepalived.data",
            Self::Stats => "keepalived.stats",
            Self::Json => "keepalived.json",
        }
    }

    /// The file's text; `stats` tells what an instance counts.
    pub fn text(
        self,
        config: &Config,
        status: &Status,
        stats: impl Fn(&status::Instance) -> Stats,
    ) -> String {
        let unknown = status::Instance::default();
        let routers: Vec<Router<'_>> = config
            .instances
            .iter()
            .map(|instance| {
                let known = status
                    .instances
                    .iter()
                    .find(|known| *known.name == *instance.name)
                    .unwrap_or(&unknown);
                (instance, known, stats(known))
            })
            .collect();
        match self {
            Self::Data => data::text(config, status, &routers),
            Self::Stats => stats::text(&routers),
            Self::Json => json::text(config, &routers),
        }
    }

    /// Where keepalived puts it: into `TMPDIR` if that is absolute, else into `/tmp`.
    pub fn path(self) -> PathBuf {
        env::var_os("TMPDIR")
            .map(PathBuf::from)
            .filter(|folder| folder.is_absolute())
            .unwrap_or_else(|| "/tmp".into())
            .join(self.file())
    }
}

/// Puts `text` in the place of `path` as a whole. Everyone may write to the folder: what lies there, a link for
/// example, is replaced and never followed or written to.
pub fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    const TRIES: u32 = 16;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    for attempt in 0..TRIES {
        let mut fresh = name.clone();
        fresh.push(format!(".{attempt}"));
        let fresh = PathBuf::from(fresh);
        let mut options = fs::OpenOptions::new();
        // `create_new` is O_EXCL, which follows no link either.
        let mut file = match options.write(true).create_new(true).mode(mode).open(&fresh) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        };
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| fs::rename(&fresh, path));
        if written.is_err() {
            let _ = fs::remove_file(&fresh);
        }
        return written;
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The router that a Backup follows, if its adverts are heard.
fn followed(known: &status::Instance) -> Option<&status::Peer> {
    let address = known.active_address.as_ref()?;
    known.peers.iter().find(|peer| peer.address == *address)
}

/// A program and its arguments, each in quotes.
fn quoted(command: &crate::config::keepalived::Command) -> String {
    let words = command.arguments.iter().map(|word| format!("'{word}'"));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
