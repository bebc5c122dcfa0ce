//! What a person reads. The only file that prints to standard output.

use std::{fmt::Write as _, time::Duration};

use ha_lb::drill::{CASES, Outcome, SETUPS, Setup, Slack};
use serde_json::json;

use crate::{Fatal, kill::Held, reload::Reloads};

/// One line of output.
#[expect(clippy::print_stdout, reason = "this is the program's output")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// The cases and setups.
pub(crate) fn list() {
    for case in CASES {
        say(&format!("case   {:<28} {:?}", case.name, case.blow));
    }
    for setup in SETUPS {
        say(&format!(
            "setup  {:<28} VRRPv{}, advertisements every {:?}, balancer: {:?}",
            setup.name, setup.version, setup.interval, setup.check
        ));
    }
}

/// What became of each drill, and how long it took.
pub(crate) fn all(rows: &[(&str, Duration, bool)]) {
    say(&format!("\n{:<42} {:>8}  verdict", "drill", "seconds"));
    for (words, took, good) in rows {
        let verdict = if *good { "held" } else { "MISSED" };
        say(&format!(
            "{words:<42} {:>8.0}  {verdict}",
            took.as_secs_f64()
        ));
    }
}

/// What the columns are.
pub(crate) fn head(setup: &Setup, rounds: u32) {
    say(&format!(
        "\n{}: VRRPv{}, advertisements every {:?}, Skew_Time {:.0?}, Active_Down_Interval {:.0?}, balancer: {:?}; \
         {rounds} rounds each\n",
        setup.name,
        setup.version,
        setup.interval,
        setup.skew(),
        setup.down(),
        setup.check,
    ));
    say(&format!(
        "{:<26} {:>6} {:>15} {:>19} {:>15} {:>7} {:>6}  verdict",
        "", "two", "nobody", "last answer", "client waited", "", ""
    ));
    say(&format!(
        "{:<26} {:>6} {:>15} {:>19} {:>15} {:>7} {:>6}",
        "case", "answer", "p50 / max ms", "p50 / max ms", "p50 / max ms", "refused", "failed"
    ));
}

/// One case.
pub(crate) fn row(held: &Held) {
    let rounds = &held.rounds;
    let pair = |of: &dyn Fn(&Outcome) -> Option<Duration>, digits: usize| {
        let mut values: Vec<Duration> = rounds.iter().filter_map(of).collect();
        values.sort_unstable();
        match (values.get(values.len() / 2), values.last()) {
            (Some(middle), Some(longest)) => {
                format!("{:.digits$} / {:.digits$}", ms(*middle), ms(*longest))
            }
            _ => "-".to_owned(),
        }
    };
    let sum = |of: &dyn Fn(&Outcome) -> usize| rounds.iter().map(of).sum::<usize>();
    say(&format!(
        "{:<26} {:>6} {:>15} {:>19} {:>15} {:>7} {:>6}  {}",
        held.name,
        format!(
            "{} / {}",
            sum(&|one| one.doubles.len()),
            sum(&|one| one.return_doubles.len())
        ),
        pair(&|one| Some(one.silence), 0),
        pair(&|one| one.last_answer, 2),
        pair(&|one| Some(one.client), 0),
        sum(&|one| one.refused),
        sum(&|one| one.failed),
        if held.missed.is_empty() {
            "held"
        } else {
            "MISSED"
        },
    ));
}

/// What was missed, and what the figures mean.
pub(crate) fn foot(all: &[Held], slack: Slack, took: Duration) {
    let mut text = String::new();
    for held in all {
        for bar in &held.missed {
            let _ = writeln!(text, "{}: {bar}", held.name);
        }
    }
    let rounds = || all.iter().flat_map(|held| &held.rounds);
    let back = rounds().map(|one| one.return_silence);
    let back = back.max().unwrap_or_default();
    let spoilt: usize = rounds().map(|one| one.spoilt).sum();
    let _ = write!(
        text,
        "\nAsked every 5 ms, each host by its hardware address, ARP and TCP. Two answer: how often two hosts did at once,\n\
         after the blow / while all was made well again. Nobody: the longest time without an answer \
         for the address.\nLast answer: of the struck host after the blow, where it had to fall silent. Longest time \
         without an answer while all was made well again: {:.0} ms.\nSlack: {} ms to a kill, {} ms to the address, {} ms \
         to the client, and as long as the machine kept the prober from running. {spoilt} rounds were held again because \
         that was too long.\nTook {:.0} s.",
        ms(back),
        ms(slack.kill),
        ms(slack.address),
        ms(slack.client),
        took.as_secs_f64(),
    );
    say(&text);
}

/// The same for programs.
pub(crate) fn json(setup: &Setup, all: &[Held], slack: Slack) -> Result<(), Fatal> {
    let held = all.iter().all(|held| held.missed.is_empty());
    let document = json!({ "setup": setup.name, "slack": slack, "cases": all, "held": held });
    say(&serde_json::to_string(&document)?);
    Ok(())
}

/// The table of the reloads, or the document.
pub(crate) fn reloads(reloads: &Reloads, as_json: bool) -> Result<(), Fatal> {
    if as_json {
        say(&serde_json::to_string(reloads)?);
        return Ok(());
    }
    let mut text = format!(
        "{} reloads of both hosts in {:.0} s; two hosts answered {} times, nobody for {:.0} ms at most\n\n{:<32} {:>9} \
         {:>7} {:>6} {:>16}\n",
        reloads.rounds,
        reloads.took.as_secs_f64(),
        reloads.doubles,
        ms(reloads.silence),
        "clients",
        "answers",
        "refused",
        "failed",
        "longest wait ms"
    );
    for client in &reloads.clients {
        let _ = writeln!(
            text,
            "{:<32} {:>9} {:>7} {:>6} {:>16.1}",
            client.name,
            client.answers,
            client.refused,
            client.failed,
            ms(client.longest_wait)
        );
    }
    let _ = writeln!(
        text,
        "\n{:<32} {:>12} {:>12} {:>12}",
        "balancer of the first host", "at first", "at most", "at last"
    );
    for row in &reloads.resources {
        let _ = writeln!(
            text,
            "{:<32} {:>12} {:>12} {:>12}",
            row.name, row.first, row.most, row.last
        );
    }
    for bar in &reloads.missed {
        let _ = writeln!(text, "MISSED: {bar}");
    }
    if reloads.missed.is_empty() {
        text += "\nEverything held.";
    }
    say(&text);
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
