//! Another program file in the place of the running one: the supervisor executes it under its own process number and
//! leaves it a document that names everything that stays open.
//!
//! Listening sockets, control socket, fifos, pid files, the pipe of the log: all stay. The children of the old program
//! run on until those of the new one have taken over (`daemon::succession`). Before anything is touched the new
//! program reads the document once on trial ([`check`]).

mod document;
mod execute;

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    path::PathBuf,
    process::{ExitCode, Output},
};

pub(super) use document::{Document, Inherited, Predecessor, read};
pub(super) use execute::{execute, inherited, left_behind, own_program};

use super::start;
use crate::{config::diagnostic::Diagnostics, config::load, logging};

/// The hidden word by which a program is asked whether it can read a document (its standard input).
pub const CHECK: &str = "upgrade-check";

/// What the program answers if it can: another program does not know the word.
const ANSWER: &str = "ha-lb can go on";

/// Whether this program could go on with the document on standard input; what is wrong goes to standard error.
pub fn check() -> ExitCode {
    logging::init();
    match try_check() {
        Ok(()) => match writeln!(std::io::stdout(), "{ANSWER}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn try_check() -> Result<(), String> {
    let input = std::io::stdin().as_fd().try_clone_to_owned();
    let document = read_document(input.map_err(|e| e.to_string())?)?;
    let mut diagnostics = Diagnostics::default();
    let configuration = &document.configuration;
    let loaded = load::load(
        &configuration.sources,
        &configuration.bundle,
        &mut diagnostics,
    );
    let loaded = loaded
        .ok_or_else(|| format!("it cannot read the configuration that runs:\n{diagnostics}"))?;
    start::check_rights(&loaded).map_err(|e| e.to_string())
}

fn read_document(memory: OwnedFd) -> Result<Document, String> {
    let mut bytes = Vec::new();
    let mut memory = File::from(memory);
    memory
        .seek(SeekFrom::Start(0))
        .and_then(|_| memory.read_to_end(&mut bytes))
        .map_err(|e| e.to_string())?;
    Document::from_bytes(&bytes)
}

/// Whether a program that was asked has answered that it can.
pub(super) fn agrees(output: &Output) -> bool {
    output.status.success() && output.stdout.trim_ascii() == ANSWER.as_bytes()
}

/// Why an upgrade did not happen.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The new program says so itself.
    #[error("{} refuses: {}", .0.display(), .1)]
    Checked(PathBuf, String),
    /// It is another program.
    #[error("{} is no ha-lb that can go on as this daemon", .0.display())]
    Stranger(PathBuf),
    /// It cannot be asked.
    #[error("cannot run {}: {}", .0.display(), .1)]
    Unable(PathBuf, std::io::Error),
    /// It does not answer.
    #[error("{} does not answer `upgrade-check` within {} s", .0.display(), .1)]
    Silent(PathBuf, u64),
}
