//! Runs of scripts that failed, notify scripts and alerts by mail for people.

use std::fmt;

use super::{
    super::{Mail, Notify, Run, Status},
    layout::{Table, clock, duration, milliseconds, paragraph},
};

pub(super) fn write(f: &mut fmt::Formatter<'_>, status: &Status) -> fmt::Result {
    for one in &status.scripts {
        if let Some(run) = one.last_run.as_ref().filter(|run| !run.passed) {
            let text = format!("{}: {}", one.name, ended(run));
            paragraph(f, "  LAST RUN    ", &text)?;
        }
    }
    let mut table = Table::new(&["NOTIFY", "RUN", "FAILED", "WAITING", "LAST"]);
    for one in &status.notify {
        let waiting = one.waiting + usize::from(one.running.is_some());
        let waiting = match one.dropped {
            0 => waiting.to_string(),
            dropped => format!("{waiting} ({dropped} DROPPED)"),
        };
        table.row([
            format!("{} {}", one.kind, one.name),
            one.runs.to_string(),
            one.failures.to_string(),
            waiting,
            last(one),
        ]);
    }
    if !table.is_empty() {
        write!(f, "\n{table}")?;
    }
    let failed = status
        .notify
        .iter()
        .filter_map(|one| one.last_failure.as_ref());
    for run in failed {
        let text = format!("{} ({})", run.command, ended(run));
        paragraph(f, "  LAST FAILURE ", &text)?;
    }
    if let Some(mail) = &status.mail {
        f.write_str("\n")?;
        paragraph(f, &format!("mail to {}: ", mail.server), &post(mail))?;
    }
    Ok(())
}

fn last(one: &Notify) -> String {
    match (&one.running, &one.last) {
        (Some(_), _) => format!("runs for {}", duration(one.running_for.unwrap_or_default())),
        (None, Some(last)) => ended(last),
        (None, None) => "none yet".to_owned(),
    }
}

fn ended(run: &Run) -> String {
    format!(
        "{}, {}: {}",
        clock(run.at),
        milliseconds(run.took),
        run.outcome
    )
}

fn post(mail: &Mail) -> String {
    let mut told = format!("{} sent, {} waiting", mail.sent, mail.queued);
    for (count, what) in [
        (mail.refused, "refused for good"),
        (mail.dropped, "GIVEN UP because too many waited"),
        (mail.retries, "attempts failed"),
    ] {
        if count > 0 {
            told.push_str(&format!(", {count} {what}"));
        }
    }
    if let (Some(error), Some(at)) = (&mail.last_error, mail.last_error_at) {
        told.push_str(&format!("; last error {}: {error}", clock(at)));
    }
    if let Some(left) = mail.retry_in {
        told.push_str(&format!("; next attempt in {}", duration(left)));
    }
    told
}
