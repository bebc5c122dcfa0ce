//! `ha-lb check --diff`: what a reload would do, of a running daemon or from one set of files to another. Exit code
//! 0 if a reload would be carried out, 1 if it would be refused.

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use super::status;
use crate::{
    config::{diagnostic::Diagnostics, load, predefined::Predefined},
    ipc::message::Sources,
    supervisor::{self, Difference},
};

/// Asks the daemon at `path`; without `given`, about its own files.
pub(super) fn daemon(path: &Path, given: &Sources, json: bool) -> Result<ExitCode, String> {
    let mut request = "diff".to_owned();
    if *given != Sources::default() {
        let absolute = supervisor::absolute(given);
        let words = serde_json::to_string(&absolute).map_err(|e| e.to_string())?;
        request = format!("diff {words}");
    }
    let answer = status::ask(path, &request)?;
    let difference = serde_json::from_str(&answer)
        .map_err(|error| format!("the daemon's answer cannot be read: {error}"))?;
    print(&difference, json)
}

/// Compares two sets of files.
pub(super) fn files(old: &Sources, new: &Sources, json: bool) -> Result<ExitCode, String> {
    let mut diagnostics = Diagnostics::new();
    let Some(loaded) = load::load(old, &Predefined::of(old), &mut diagnostics) else {
        return Err(format!("the old configuration has errors:\n{diagnostics}"));
    };
    let files = Predefined::of(new);
    print(&Difference::of(&loaded, new, &files), json)
}

fn print(difference: &Difference, json: bool) -> Result<ExitCode, String> {
    let text = if json {
        serde_json::to_string_pretty(difference).map_err(|e| e.to_string())? + "\n"
    } else {
        let plan = match &difference.plan {
            Some(plan) => plan.to_string(),
            None => "a reload would be refused: the configuration has errors\n".to_owned(),
        };
        let mut text = difference.diagnostics.clone();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text + &plan
    };
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| error.to_string())?;
    let applies = difference
        .plan
        .as_ref()
        .is_some_and(|plan| plan.refusals.is_empty());
    Ok(if applies {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
