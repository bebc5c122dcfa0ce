//! `ha-lb demo`: a cluster of three hosts, three origins and a client on this one machine, without root.
//!
//! The hosts are network namespaces on one bridge and run the real daemon with generated files. The story kills
//! and revives hosts and sets the gap that the client saw beside the gap that the protocol allows.

mod cluster;
mod show;
mod story;

use std::{
    collections::BTreeMap,
    io,
    process::{ExitCode, ExitStatus},
};

use serde::Serialize;

use crate::lab::{LabError, enclosure};

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
    #[error("{0} did not happen in time")]
    TooLate(String),
}

/// One thing that was done to the cluster and what the client saw of it.
#[derive(Debug, Clone, Serialize)]
struct Event {
    /// What was done.
    what: String,
    /// Longest time without an answer that the client saw, in milliseconds.
    gap_ms: u128,
    /// What the protocol allows, in milliseconds.
    allowed_ms: u128,
    /// Whether the gap held, give or take [`story::PROBE_RESOLUTION`].
    held: bool,
    /// Good answers a second over the whole event, its gap included.
    requests_per_second: u64,
    /// Good answers by origin.
    by_origin: BTreeMap<String, u64>,
    /// Requests without a good answer.
    failed: u64,
    /// Who answers afterwards.
    active: String,
}

/// Runs the demonstration; the exit code is 0 when every gap held.
pub fn run(json: bool) -> ExitCode {
    let result = if enclosure::is_inside() {
        inside(json)
    } else {
        outside(json)
    };
    result.unwrap_or_else(|message| {
        tracing::error!("{message}");
        ExitCode::FAILURE
    })
}

/// Re-executes the demonstration in namespaces of its own.
fn outside(json: bool) -> Result<ExitCode, String> {
    let keep_users = match enclosure::permitted(false) {
        Ok(()) => false,
        Err(_) if enclosure::permitted(true).is_ok() => true,
        Err(error) => {
            return Err(format!(
                "this machine does not let you make namespaces ({error}). Run the demonstration as root \
                 (`sudo ha-lb demo`), or allow user namespaces: `sudo sysctl -w kernel.unprivileged_userns_clone=1 \
                 kernel.apparmor_restrict_unprivileged_userns=0`."
            ));
        }
    };
    let program = std::env::current_exe().map_err(|error| format!("own program: {error}"))?;
    let arguments: &[&str] = if json { &["demo", "--json"] } else { &["demo"] };
    let status = enclosure::run(program.as_os_str(), arguments, keep_users)
        .map_err(|error| format!("unshare: {error}"))?;
    Ok(exit_code(status))
}

fn exit_code(status: ExitStatus) -> ExitCode {
    status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from)
}

fn inside(json: bool) -> Result<ExitCode, String> {
    enclosure::follow_the_outer_process().map_err(|error| format!("leash: {error}"))?;
    let mut show = show::Show::new(json);
    let outcome = story::tell(&mut show);
    match outcome {
        Ok(events) => {
            let held = events.iter().all(|event| event.held);
            show.table(&events, held);
            Ok(if held {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Err((error, logs)) => Err(format!("{error}\n{logs}")),
    }
}
