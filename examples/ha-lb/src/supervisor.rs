//! The privileged process: reads files, opens sockets, starts and restarts the other two, runs scripts.
//!
//! It takes no input from the network. Read `start`, then `daemon`; the other files are one concern each.

pub mod backoff;
pub mod child;
pub mod command;
pub mod control;
pub mod daemon;
pub mod heartbeat;
pub mod limits;
pub mod listeners;
pub mod liveness;
pub mod pidfile;
pub mod scripts;
pub mod security;
pub mod slot;
pub mod start;
pub mod tracks;

use std::process::ExitCode;

pub use daemon::{Difference, absolute};

/// `ha-lb run`.
pub fn run(options: &start::Options) -> ExitCode {
    let prepared = match start::prepare(options) {
        Ok(prepared) => prepared,
        Err(told) => {
            eprintln!("ha-lb: {told}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = runtime.and_then(|runtime| runtime.block_on(daemon::Daemon::run(prepared)));
    ended.unwrap_or_else(|error| {
        tracing::error!("the supervisor cannot go on: {error}");
        ExitCode::FAILURE
    })
}
