//! `ha-lb upgrade`: asks the daemon to go over to another program, and waits until that serves. Exit code 0 if it does.

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use super::status;
use crate::{
    admin::status::{Status, Upgrade, UpgradeAnswer},
    supervisor::control,
};

/// How long the daemon may take to answer: notify scripts may have to end first.
const ANSWER: Duration = Duration::from_secs(90);
/// How long the new processes may take.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);

/// Asks, and waits for the outcome.
pub(super) fn run(path: &Path, program: Option<&Path>) -> Result<ExitCode, String> {
    let before = last(path)?.map_or(0, |last| last.number);
    let request = match program {
        Some(program) => {
            let program = std::path::absolute(program).map_err(|e| e.to_string())?;
            let program = program.to_str().ok_or("the path is not UTF-8")?.to_owned();
            format!("upgrade {program}")
        }
        None => "upgrade".to_owned(),
    };
    let answer = control::ask_for(path, &request, ANSWER).map_err(|e| e.to_string())?;
    // No answer: the new program has begun before the old one could give it.
    if !answer.trim().is_empty() {
        let answer: UpgradeAnswer = serde_json::from_str(&answer)
            .map_err(|error| format!("the daemon's answer cannot be read: {error}"))?;
        if let Some(refusal) = answer.refusal {
            return Err(format!("refused, nothing has changed: {refusal}"));
        }
    }
    let begun = Instant::now();
    loop {
        // Nobody answers while one program follows the other.
        if let Ok(Some(last)) = last(path)
            && last.number > before
            && last.ready
        {
            return told(&last);
        }
        if begun.elapsed() > PATIENCE {
            let seconds = PATIENCE.as_secs();
            return Err(format!(
                "the new processes did not all serve within {seconds} s; see the daemon's log"
            ));
        }
        thread::sleep(LOOK);
    }
}

fn last(path: &Path) -> Result<Option<Upgrade>, String> {
    let answer = status::ask(path, "status")?;
    let status: Status = serde_json::from_str(&answer)
        .map_err(|error| format!("the daemon's answer cannot be read: {error}"))?;
    Ok(status.upgrade)
}

fn told(last: &Upgrade) -> Result<ExitCode, String> {
    match &last.failure {
        Some(why) => Err(format!("the program before goes on: {why}")),
        None => {
            let mut out = io::stdout();
            writeln!(out, "the new program runs (number {})", last.number)
                .map_err(|e| e.to_string())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
