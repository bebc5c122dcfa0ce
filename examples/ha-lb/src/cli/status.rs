//! `ha-lb status`: asks a running daemon and prints its tables, its document or its metrics; once, or again and again.

mod watch;

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use crate::{admin::status, supervisor::control};

pub(super) use watch::watch;

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Tables for people.
    Text,
    /// The document for programs.
    Json,
    /// Prometheus' text format, of all but the balancer's half.
    Metrics,
}

/// Asks the daemon at `path` once.
pub(super) fn run(path: &Path, form: Form) -> Result<ExitCode, String> {
    let text = fetch(path, form)?;
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// The daemon's answer in that form.
fn fetch(path: &Path, form: Form) -> Result<String, String> {
    if form == Form::Metrics {
        return ask(path, "metrics");
    }
    let answer = ask(path, "status")?;
    let status: status::Status = serde_json::from_str(&answer)
        .map_err(|error| format!("the daemon's answer cannot be read: {error}"))?;
    Ok(match form {
        Form::Text => status::Text(&status).to_string(),
        _ => answer,
    })
}

/// The daemon's answer to a request, or what to do if there is none.
pub(super) fn ask(path: &Path, request: &str) -> Result<String, String> {
    control::ask(path, request).map_err(|error| {
        let path = path.display();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => format!(
                "no daemon answers at {path} ({error}); is `ha-lb run` running with this --control?"
            ),
            io::ErrorKind::PermissionDenied => {
                format!("{path}: {error}; only the user that runs the daemon may ask it (try sudo)")
            }
            io::ErrorKind::WouldBlock => format!(
                "{path}: the daemon is there, but its supervisor does not answer (stopped, or held up by a file)"
            ),
            _ => format!("{path}: {error}"),
        }
    })
}
