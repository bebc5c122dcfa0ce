//! The privileged process: reads files, opens sockets, starts and restarts the other two, runs scripts.
//!
//! It takes no input from the network. Read `start`, then `daemon`; the other files are one concern each.

pub mod adopted;
pub mod background;
pub mod backoff;
pub mod child;
pub mod command;
pub mod control;
pub mod daemon;
mod external_check;
pub mod launch;
pub mod limits;
pub mod listeners;
pub mod liveness;
pub mod master_cli;
pub mod memory;
pub mod pidfile;
pub mod procfs;
pub mod pulse;
pub mod scripts;
pub mod security;
pub mod service_manager;
pub mod sink;
pub mod slot;
pub mod start;
pub mod tracks;
pub mod upgrade;
pub mod vigil;

use std::{io, os::fd::AsFd as _, path::Path, process::ExitCode};

pub use daemon::{Difference, absolute};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{config::keepalived::Process, logging, scheduling, signals};

/// `ha-lb run`.
pub fn run(options: &start::Options) -> ExitCode {
    let read = start::read(&options.sources);
    eprint!("{}", read.diagnostics);
    let config = read
        .loaded
        .as_ref()
        .and_then(|loaded| loaded.keepalived.as_ref());
    if let Some(name) = config.and_then(|config| config.global.process.namespace.as_ref())
        && let Err(error) = enter_namespace(name)
    {
        eprintln!("ha-lb: net_namespace {name}: {error}; `ip netns add {name}` makes one");
        return ExitCode::FAILURE;
    }
    let mut options = options.clone();
    options.launch.umask = config.and_then(|config| config.global.process.umask);
    if let Some(mask) = options.launch.umask {
        rustix::process::umask(rustix::fs::Mode::from_bits_truncate(mask));
    }
    for keyword in config.map_or_else(Vec::new, |c| without_effect(&c.global.process)) {
        eprintln!(
            "ha-lb: warning: `{keyword}` has no effect here, only when called as `keepalived`: no pid files are written"
        );
    }
    serve(read, &options).unwrap_or_else(|refusal| {
        eprintln!("ha-lb: {refusal}");
        ExitCode::FAILURE
    })
}

/// What only the command line of keepalived carries out.
fn without_effect(process: &Process) -> Vec<&'static str> {
    let keywords = [
        ("instance", process.instance.is_some()),
        ("use_pid_dir", process.pid_folder),
    ];
    let written = keywords.into_iter().filter(|(_, written)| *written);
    written.map(|(keyword, _)| keyword).collect()
}

/// Goes into a network namespace that `ip netns` has named.
pub fn enter_namespace(name: &str) -> io::Result<()> {
    let namespace = std::fs::File::open(Path::new("/run/netns").join(name))?;
    let kind = Some(LinkNameSpaceType::Network);
    Ok(move_into_link_name_space(namespace.as_fd(), kind)?)
}

/// Runs what was read until a signal ends it.
pub fn serve(read: start::Read, options: &start::Options) -> Result<ExitCode, start::Refusal> {
    let prepared = start::prepare(read, options)?;
    let launched = launch::launch(&options.launch).map_err(start::Refusal::Told)?;
    memory::protect(false);
    Ok(go(prepared, launched, upgrade::Inherited::default()))
}

/// Goes on as the program that executed this one in its own place, if one did. To be called before anything else.
pub fn resume() -> Option<ExitCode> {
    let document = upgrade::left_behind()?;
    logging::init();
    signals::take_the_name_called_by();
    Some(match upgrade::read(document) {
        Ok((prepared, launched, inherited)) => {
            memory::protect(true);
            go(prepared, launched, inherited)
        }
        Err(why) => {
            tracing::error!("upgrade: cannot go on: {why}");
            ExitCode::FAILURE
        }
    })
}

fn go(
    prepared: start::Prepared,
    launched: launch::Launched,
    inherited: upgrade::Inherited,
) -> ExitCode {
    scheduling::supervisor();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_start(|| {
            let _ = signals::block();
        })
        .build();
    let ended = runtime
        .and_then(|runtime| runtime.block_on(daemon::Daemon::run(prepared, launched, inherited)));
    match ended {
        Ok(end) => end.leave(),
        Err(error) => {
            tracing::error!("the supervisor cannot go on: {error}");
            ExitCode::FAILURE
        }
    }
}
