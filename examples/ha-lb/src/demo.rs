//! `ha-lb demo`: a cluster of three hosts, four origins and a client on this one machine, without root.
//!
//! The hosts are network namespaces on one bridge and run the real daemon with generated files. The story cuts,
//! kills, stops, reloads and brings back, and sets what a client waited beside what the protocol allows.
//!
//! Two processes: the inner one, in namespaces of its own, has the cluster and tells what happens; the
//! outer one shows it and has the terminal. However either ends, the terminal is restored and the kernel ends
//! everything in the namespaces.

mod client;
mod cluster;
mod deed;
mod files;
mod hand;
mod inside;
mod measure;
mod message;
mod node;
mod outside;
mod plain;
mod screen;
mod table;
mod teller;
mod watch;

use std::{io, process::ExitCode};

use crate::lab::{LabError, enclosure};

/// How the demonstration is to be shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// One JSON document at the end.
    pub json: bool,
    /// Lines even on a terminal.
    pub plain: bool,
    /// No story: the person at the keyboard acts.
    pub interactive: bool,
}

/// Why the demonstration could not be carried through.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error(transparent)]
    Lab(#[from] LabError),
    #[error("{what}: {source}")]
    Io {
        what: &'static str,
        source: io::Error,
    },
    #[error("{0}: not so after 20 s")]
    TooLate(String),
    #[error("there is no host or origin number {0}")]
    NoHost(usize),
    #[error("no host is left")]
    NobodyLeft,
}

impl DemoError {
    fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

/// Runs the demonstration; the exit code is 0 when everything held.
pub fn run(options: Options) -> ExitCode {
    if enclosure::is_inside() {
        return inside::run(options.interactive);
    }
    outside::run(options).unwrap_or_else(|message| {
        tracing::error!("{message}");
        ExitCode::FAILURE
    })
}
