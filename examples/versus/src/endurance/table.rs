//! What is printed.

use super::{
    Lane, Row,
    level::{Level, SLACK},
};
use crate::{Fatal, report::say};

fn figures(level: &Level) -> String {
    let of = |p: &super::level::Process| {
        format!(
            "{:.1} MB {} fd {} pipe ends",
            p.resident as f64 / 1e6,
            p.descriptors,
            p.pipes
        )
    };
    let each: Vec<String> = level.processes.iter().map(of).collect();
    let idle = match level.idle {
        0 => String::new(),
        count => format!(" ({count} to servers, idle)"),
    };
    format!("{}{idle}", each.join(" + "))
}

/// What stands above a proxy's phases.
pub(super) fn begin(lane: &Lane) {
    let names: Vec<&str> = lane.fresh.processes.iter().map(|p| &*p.name).collect();
    say(&format!(
        "\n{}: memory (pages of files not counted) and open descriptors of {} when sessions are 0; {:.0} MB of slack",
        lane.contender,
        names.join(" + "),
        SLACK as f64 / 1e6
    ));
    say("  phase            connections   requests  seconds  verdict  level");
    for (name, level) in [("fresh", &lane.fresh), ("warm", &lane.warm)] {
        say(&format!("  {name:<56}{}", figures(level)));
    }
}

/// A phase.
pub(super) fn row(row: &Row) {
    let verdict = if row.faults.is_empty() {
        "held"
    } else {
        "LOST"
    };
    say(&format!(
        "  {:<16} {:>11} {:>10} {:>8.1}  {verdict:<7}  {}",
        row.phase,
        row.connections,
        row.requests,
        row.seconds,
        figures(&row.level)
    ));
    for fault in &row.faults {
        say(&format!("    {fault}"));
    }
}

/// What stands below them.
pub(super) fn end(lane: &Lane) {
    let sum = |of: fn(&Row) -> u64| lane.rows.iter().map(of).sum::<u64>();
    let (connections, requests) = (sum(|r| r.connections), sum(|r| r.requests));
    say(&format!(
        "  all              {connections:>11} {requests:>10}"
    ));
}

/// Everything in one document.
pub(super) fn json(lanes: &[Lane]) -> Result<(), Fatal> {
    say(&serde_json::to_string_pretty(lanes)?);
    Ok(())
}
