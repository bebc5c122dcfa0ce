//! Tables of the drills beside keepalived.

use std::time::Duration;

use serde::Serialize;

use crate::{Fatal, fleet::Plan, garbage::Outcome, instances::Run, race::Deaths, report::say};

/// What the columns are.
pub(crate) fn race_head(rounds: u32) {
    say(&format!(
        "{rounds} deaths each; milliseconds, p50 / p99 / worst. Takeover: first advert of the new one, beyond \
         Active_Down_Interval. Announcement: gratuitous ARP after that advert. Lateness: of the following adverts. Halt: the longest that the machine \
         itself stood still meanwhile. Aside: deaths whose takeovers and announcements do not count because it did so within them for more than 1 ms \
         (0.15 ms where there is one router); as many were held once more, up to {rounds}. Such times stand in a line of their own, with lateness \
         in which the machine stood still.\n"
    ));
    say(&format!(
        "{:<11} {:>9} {:>8} {:>24} {:>24} {:>24} {:>8} {:>8} {:>6} {:>6}",
        "",
        "instances",
        "advert",
        "takeover",
        "announcement",
        "lateness",
        "missing",
        "unheard",
        "halt",
        "aside"
    ));
}

/// One kind of death.
pub(crate) fn race_row(deaths: &Deaths) {
    let notes = match (deaths.unsettled, deaths.early) {
        (0, 0) => String::new(),
        (unsettled, early) => {
            format!("  {unsettled} rounds without one Active before, {early} adverts too early")
        }
    };
    say(&format!(
        "{:<11} {:>9} {:>8} {:>24} {:>24} {:>24} {:>8} {:>8} {:>6.2} {:>6}{notes}",
        deaths.speaker.name(),
        deaths.plan.instances,
        format!("{} ms", deaths.plan.interval.as_millis()),
        spread(&deaths.times.takeover),
        spread(&deaths.times.announcement),
        spread(&deaths.times.lateness),
        format!("{} + {}", deaths.missing.0, deaths.missing.1),
        deaths.unheard,
        ms(deaths.stood_still),
        deaths.set_aside,
    ));
    if deaths.set_aside > 0 || !deaths.times_aside.lateness.is_empty() {
        say(&format!(
            "{:<30} {:>24} {:>24} {:>24}",
            "  aside",
            spread(&deaths.times_aside.takeover),
            spread(&deaths.times_aside.announcement),
            spread(&deaths.times_aside.lateness),
        ));
    }
}

/// The same for programs.
pub(crate) fn json(document: &impl Serialize) -> Result<(), Fatal> {
    say(&serde_json::to_string(document)?);
    Ok(())
}

/// Median, 99th of a hundred, and the longest.
fn spread(times: &[Duration]) -> String {
    match [50, 99, 100].map(|part| share_within(times, part)) {
        [Some(middle), Some(high), Some(worst)] => {
            format!("{:.2} / {:.2} / {:.2}", ms(middle), ms(high), ms(worst))
        }
        _ => "-".to_owned(),
    }
}

/// The time that so many of a hundred do not exceed.
pub(crate) fn share_within(times: &[Duration], part: usize) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().checked_sub(1)?;
    sorted.get((sorted.len() * part / 100).min(last)).copied()
}

/// For people.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// What the columns are.
pub(crate) fn instances_head(plan: Plan, span: Duration, bridge: bool) {
    say(&format!(
        "{} instances, an advert every {} ms, for {} s; two hosts on {}. Spurious: times that the Backup became Active. CPU time for each \
         advert, of all processes of the host that sends it and of the one that receives it.\n",
        plan.instances,
        plan.interval.as_millis(),
        span.as_secs(),
        if bridge { "a bridge" } else { "one cable" },
    ));
    say(&format!(
        "{:<11} {:>5} {:>9} {:>9} {:>13} {:>13}  memory: resident, proportional",
        "", "CPUs", "spurious", "adverts", "sending us", "receiving us"
    ));
}

/// One run.
pub(crate) fn instances_row(run: &Run) {
    let memory = run.memory.iter().flatten();
    let memory = memory.map(|(name, memory)| {
        let name: String = name.chars().rev().take(24).collect();
        let name: String = name.chars().rev().collect();
        format!(
            "{name} {:.1} {:.1}",
            mib(memory.resident),
            mib(memory.proportional)
        )
    });
    say(&format!(
        "{:<11} {:>5} {:>9} {:>9} {:>13.1} {:>13.1}  {}{}",
        run.speaker.name(),
        if run.busy { "busy" } else { "quiet" },
        run.spurious,
        run.adverts,
        run.sending.as_secs_f64() * 1e6,
        run.receiving.as_secs_f64() * 1e6,
        memory.collect::<Vec<_>>().join("; "),
        if run.settled {
            ""
        } else {
            " (the first host was not alone before)"
        },
    ));
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1048576.0
}

/// What came of garbage.
pub(crate) fn garbage(outcome: &Outcome, plan: Plan) {
    let [ours, strangers] = outcome.sent;
    say(&format!(
        "\n{}, adverts every {} ms: {ours} broken ones and {strangers} of strangers in {:.1} s; the second host became \
         Active {} times, adverts of the first were {:.0} ms apart at most",
        plan.wire.name(),
        plan.interval.as_millis(),
        outcome.seconds,
        outcome.spurious,
        ms(outcome.longest_gap)
    ));
    for (number, host) in (1..).zip(&outcome.hosts) {
        say(&format!(
            "host {number}: {} rejected, {} for nobody, {} without room in the socket, strangers hidden for {} times 10 s",
            host.rejected, host.stray, host.overflows, host.hidden
        ));
    }
    if let Some(succession) = outcome.succession {
        say(&format!(
            "the first host was ended in the midst of it: {:.1} ms until the second spoke (Skew_Time is {:.1} ms)",
            ms(succession),
            ms(plan.skew())
        ));
    }
    verdict(&outcome.missed);
}

/// What did not hold.
pub(crate) fn verdict(missed: &[String]) {
    for bar in missed {
        say(&format!("MISSED: {bar}"));
    }
    if missed.is_empty() {
        say("Everything held.");
    }
}
