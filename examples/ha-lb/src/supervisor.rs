//! The privileged process: reads files, opens sockets, starts and restarts the other two, runs scripts.
//!
//! It takes no input from the network. Read `start`, then `daemon`; the other files are one concern each.

pub mod background;
pub mod backoff;
pub mod child;
pub mod command;
pub mod control;
pub mod daemon;
pub mod heartbeat;
pub mod launch;
pub mod limits;
pub mod listeners;
pub mod liveness;
pub mod pidfile;
pub mod scripts;
pub mod security;
pub mod service_manager;
pub mod sink;
pub mod slot;
pub mod start;
pub mod tracks;

use std::process::ExitCode;

pub use daemon::{Difference, absolute};

/// `ha-lb run`.
pub fn run(options: &start::Options) -> ExitCode {
    let read = start::read(&options.sources);
    eprint!("{}", read.diagnostics);
    serve(read, options).unwrap_or_else(|refusal| {
        eprintln!("ha-lb: {refusal}");
        ExitCode::FAILURE
    })
}

/// Runs what was read until a signal ends it.
pub fn serve(read: start::Read, options: &start::Options) -> Result<ExitCode, start::Refusal> {
    let prepared = start::prepare(read, options)?;
    let launched = launch::launch(&options.launch).map_err(start::Refusal::Told)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended =
        runtime.and_then(|runtime| runtime.block_on(daemon::Daemon::run(prepared, launched)));
    Ok(match ended {
        Ok(end) => end.leave(),
        Err(error) => {
            tracing::error!("the supervisor cannot go on: {error}");
            ExitCode::FAILURE
        }
    })
}
