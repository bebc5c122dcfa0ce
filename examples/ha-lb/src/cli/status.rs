//! `ha-lb status`: asks a running daemon and prints its document or tables.

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use crate::{admin::status, supervisor::control};

/// Asks the daemon at `path`.
pub(super) fn run(path: &Path, json: bool) -> Result<ExitCode, String> {
    let answer = ask(path, "status")?;
    let status: status::Status = serde_json::from_str(&answer)
        .map_err(|error| format!("the daemon's answer cannot be read: {error}"))?;
    let text = if json { answer } else { status.to_string() };
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
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
            _ => format!("{path}: {error}"),
        }
    })
}
