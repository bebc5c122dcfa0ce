//! The table of the README, ready to be put there.

use super::{cost, middle, ratio, say};
use crate::{
    race::{Lane, Outcome, Round},
    scenario::{ALL, Bar},
};

/// Prints a row for each scenario; what meets its bar is bold.
pub(crate) fn table(outcomes: &[Outcome]) {
    say(
        "\n| scenario | HAProxy | nginx | ha-lb | floor | ha-lb / HAProxy | bar | p99 ratio |\n\
         |---|---|---|---|---|---|---|---|",
    );
    for outcome in outcomes {
        say(&row(outcome));
    }
}

fn row(outcome: &Outcome) -> String {
    let lane = |name: &str| {
        let mut lanes = outcome.lanes.iter();
        lanes.find(|lane| lane.contender.starts_with(name) && !lane.rounds.is_empty())
    };
    let (haproxy, own) = (lane("haproxy"), lane("ha-lb"));
    let scenario = ALL.iter().find(|s| s.name == outcome.scenario);
    let bar = scenario.map_or(Bar::Words("-"), |s| s.bar);
    let compared = |of: fn(&Round) -> f64| {
        own.zip(haproxy)
            .and_then(|(own, other)| ratio(own, other, of))
    };
    let of_costs = compared(cost);
    let paid = |lane: Option<&Lane>| lane.map(|lane| middle(lane, cost));
    let met = match bar {
        Bar::Ratio(most) => of_costs.is_some_and(|ratio| ratio <= most),
        Bar::Most(most, _) => paid(own).is_some_and(|paid| paid <= most),
        Bar::Words(_) => false,
    };
    let ours = match (paid(own), met) {
        (Some(paid), true) => format!("**{}**", figure(paid)),
        (paid, _) => shown(paid),
    };
    let bar = match bar {
        Bar::Ratio(most) => format!("{most:.2}"),
        Bar::Most(most, unit) => format!("{} {unit}", figure(most)),
        Bar::Words(words) => words.to_owned(),
    };
    let short = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |r| format!("{r:.2}"));
    let tail = match haproxy.is_some_and(|lane| middle(lane, |r| r.p99) > 0.0) {
        true => short(compared(|round| round.p99)),
        false => String::new(),
    };
    format!(
        "| {} | {} | {} | {ours} | {} | {} | {bar} | {tail} |",
        outcome.scenario,
        shown(paid(haproxy)),
        shown(paid(lane("nginx"))),
        shown(paid(lane("floor"))),
        short(of_costs),
    )
}

fn shown(paid: Option<f64>) -> String {
    paid.map_or("-".to_owned(), figure)
}

/// Three digits, or four where they are whole.
fn figure(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_was_paid_and_whether_the_bar_is_met() {
        let lane = |contender: &str, cpu_per_request: f64| Lane {
            contender: contender.to_owned(),
            absent: None,
            rounds: vec![Round {
                cpu_per_request,
                p99: cpu_per_request * 2.0,
                ..Round::default()
            }],
        };
        let mut outcome = Outcome {
            scenario: "h1-128",
            about: "",
            lanes: vec![lane("haproxy 2.6.12", 10.0), lane("ha-lb", 8.5)],
        };
        let expected = "| h1-128 | 10.0 | - | **8.50** | - | 0.85 | 0.85 | 0.85 |";
        assert_eq!(row(&outcome), expected);
        outcome.lanes.push(lane("floor", 123.4));
        outcome.lanes.swap(0, 1);
        outcome.lanes[0].rounds[0].cpu_per_request = 8.6;
        let expected = "| h1-128 | 10.0 | - | 8.60 | 123 | 0.86 | 0.85 | 0.85 |";
        assert_eq!(row(&outcome), expected);
    }
}
