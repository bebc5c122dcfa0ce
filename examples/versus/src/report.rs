//! The report: a table per scenario, or one JSON document.

pub(crate) mod markdown;

use std::fmt::Write as _;

use serde::Serialize;

use crate::{
    Fatal, Race,
    race::{Lane, Outcome, Round, Track, machine},
    scenario::ALL,
};

/// Prints a line.
#[expect(clippy::print_stdout, reason = "this is the program's output")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// The scenarios.
pub(crate) fn list() {
    for scenario in ALL {
        say(&format!("{:<20} {}", scenario.name, scenario.about));
    }
}

/// What is about to run, and on what.
pub(crate) fn begin(race: &Race, track: &Track) {
    let told = format!(
        "{}\n{} rounds of {:.1} s; proxy on CPU {:?}, load and origin on CPU {:?}{}",
        machine(),
        race.rounds,
        track.measured.as_secs_f64(),
        track.cpus.of_proxy(1),
        track.cpus.of_load(1),
        if track.cpus.suffice(2) {
            ""
        } else {
            "; with two workers they share"
        },
    );
    if race.json {
        eprintln!("{told}");
    } else {
        say(&told);
    }
}

/// The middle of several values.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some((upper + lower) / 2.0)
}

fn middle(lane: &Lane, of: impl Fn(&Round) -> f64) -> f64 {
    median(lane.rounds.iter().map(of)).unwrap_or(0.0)
}

/// The middle of what each round's figure is to that of the reference in the same round.
fn ratio(lane: &Lane, reference: &Lane, of: impl Fn(&Round) -> f64) -> Option<f64> {
    let pairs = lane.rounds.iter().zip(&reference.rounds);
    median(
        pairs
            .map(|(own, other)| of(own) / of(other))
            .filter(|r| r.is_finite() && *r > 0.0),
    )
}

/// What is compared: time, calls or bytes.
fn cost(round: &Round) -> f64 {
    match (&round.calls, round.bytes_per_connection) {
        (Some(calls), _) => calls.all,
        (None, Some(bytes)) => bytes,
        (None, None) => round.cpu_per_request,
    }
}

/// Prints what came out of a scenario.
pub(crate) fn outcome(outcome: &Outcome) {
    say(&format!("\n{}: {}", outcome.scenario, outcome.about));
    let rounds = || outcome.lanes.iter().flat_map(|l| &l.rounds);
    let counted = rounds().any(|r| r.calls.is_some());
    let idle = rounds().any(|r| r.bytes_per_connection.is_some());
    say(match (counted, idle) {
        (true, _) => "  contender          calls/request  ratio  errors  which",
        (_, true) => "  contender       bytes/connection  ratio  errors   peak MB",
        _ => {
            "  contender             requests/s  CPU us  ratio   p50 ms   p99 ms  ratio   peak MB  errors"
        }
    });
    let Some(reference) = outcome.lanes.first() else {
        return;
    };
    for lane in &outcome.lanes {
        let name = &lane.contender;
        if let Some(reason) = &lane.absent {
            say(&format!("  {name:<17} -  {reason}"));
            continue;
        }
        let shown = |r: Option<f64>| r.map_or("-".to_owned(), |r| format!("{r:.2}"));
        let own = shown(ratio(lane, reference, cost));
        let tail = shown(ratio(lane, reference, |r| r.p99));
        let errors: u64 = lane.rounds.iter().map(|r| r.errors).sum();
        let paid = middle(lane, cost);
        let peak = middle(lane, |r| r.peak_memory as f64 / 1e6);
        let mut line = String::new();
        let _ = match (counted, idle) {
            (true, _) => write!(
                line,
                "  {name:<17} {paid:14.2}  {own:>5}  {errors:6}  {}",
                names(lane)
            ),
            (_, true) => write!(
                line,
                "  {name:<17} {paid:14.0}  {own:>5}  {errors:6}  {peak:8.1}"
            ),
            _ => write!(
                line,
                "  {name:<17} {:14.0} {paid:7.1}  {own:>5}  {:7.3}  {:7.3}  {tail:>5}  {peak:8.1}  {errors:6}",
                middle(lane, |r| r.requests_per_second),
                middle(lane, |r| r.p50),
                middle(lane, |r| r.p99),
            ),
        };
        say(&line);
        if let Some(first) = lane.rounds.iter().find_map(|r| r.first_error.as_ref()) {
            say(&format!("    first error: {first}"));
        }
    }
}

/// The calls that matter, most frequent first.
fn names(lane: &Lane) -> String {
    let calls = lane.rounds.iter().find_map(|r| r.calls.as_ref());
    let mut calls: Vec<_> = calls.into_iter().flat_map(|c| &c.by_name).collect();
    calls.retain(|(_, each)| **each >= 0.02);
    calls.sort_by(|a, b| b.1.total_cmp(a.1));
    let words = calls.iter().map(|(name, each)| format!("{name} {each:.2}"));
    words.collect::<Vec<_>>().join(" ")
}

/// Everything, every round, as JSON.
pub(crate) fn json(outcomes: &[Outcome]) -> Result<(), Fatal> {
    #[derive(Serialize)]
    struct Document<'a> {
        machine: String,
        scenarios: &'a [Outcome],
    }
    let document = Document {
        machine: machine(),
        scenarios: outcomes,
    };
    say(&serde_json::to_string_pretty(&document)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let lane = |values: [f64; 3]| Lane {
            contender: String::new(),
            absent: None,
            rounds: values
                .map(|cpu_per_request| Round {
                    cpu_per_request,
                    ..Round::default()
                })
                .to_vec(),
        };
        // The middle round was a bad one for both.
        let found = ratio(&lane([8.0, 80.0, 8.0]), &lane([10.0, 100.0, 10.0]), cost);
        assert_eq!(found, Some(0.8));
    }
}
