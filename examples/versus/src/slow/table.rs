//! What is printed.

use super::{Lane, Outcome, SlowReaders};
use crate::{Fatal, race::machine, report::say};

/// What stands above everything.
pub(super) fn begin(asked: &SlowReaders) {
    say(&format!(
        "{}\n{} slow readers at once; {} ordinary requests a second, measured for {:.1} s without and for {:.1} s with \
         them; timeout client {:.1} s",
        machine(),
        asked.readers,
        asked.pace,
        asked.seconds.as_secs_f64(),
        asked.seconds.as_secs_f64(),
        asked.timeout.as_secs_f64(),
    ));
}

/// A kind.
pub(super) fn outcome(outcome: &Outcome) {
    say(&format!(
        "\n{}: {}\n  {:<17} {:>17} {:>17} {:>17} {:>11} {:>6} {:>15}  verdict",
        outcome.kind,
        outcome.about,
        "contender",
        "p50 ms",
        "p99 ms",
        "CPU us",
        "kB a reader",
        "held",
        "ended after s"
    ));
    for lane in &outcome.lanes {
        say(&row(lane));
        for fault in &lane.faults {
            say(&format!("    {fault}"));
        }
    }
    let [reference, others @ ..] = outcome.lanes.as_slice() else {
        return;
    };
    for lane in others {
        let ratio = |of: fn(&Lane) -> f64| of(lane) / of(reference);
        say(&format!(
            "    {} / {} with slow readers: p50 {:.2}, p99 {:.2}, CPU {:.2}, memory {:.2}",
            lane.contender,
            reference.contender,
            ratio(|l| l.with.p50),
            ratio(|l| l.with.p99),
            ratio(|l| l.with.cpu_per_request),
            ratio(|l| l.bytes_per_reader),
        ));
    }
}

/// Figures without readers and with them.
fn row(lane: &Lane) -> String {
    let both = |without: f64, with: f64| format!("{without:.3} -> {with:.3}");
    let (without, with) = (&lane.without, &lane.with);
    let verdict = match lane.faults.is_empty() {
        true => "held",
        false => "FAILED",
    };
    format!(
        "  {:<17} {:>17} {:>17} {:>17} {:>11.1} {:>6} {:>15}  {verdict}",
        lane.contender,
        both(without.p50, with.p50),
        both(without.p99, with.p99),
        format!(
            "{:.1} -> {:.1}",
            without.cpu_per_request, with.cpu_per_request
        ),
        lane.bytes_per_reader / 1e3,
        lane.held,
        format!(
            "{:.1} - {:.1}",
            lane.ended.soonest.as_secs_f64(),
            lane.ended.latest.as_secs_f64()
        ),
    )
}

/// Everything in one document.
pub(super) fn json(outcomes: &[Outcome]) -> Result<(), Fatal> {
    say(&serde_json::to_string_pretty(outcomes)?);
    Ok(())
}
