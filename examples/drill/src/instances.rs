//! Many virtual routers at a short interval, beside keepalived: whether they stay where they are, quiet and with every
//! CPU kept busy, what an advert costs, and how much memory there is.

use std::{
    fs,
    process::{Child, Command, ExitCode, Stdio},
    thread::{available_parallelism, sleep},
    time::{Duration, Instant},
};

use clap::Args;
use serde::Serialize;

use crate::{
    Fatal, exit,
    fleet::{Fleet, Gauge, Memory, Plan, Said, Speaker, Topic, Usage, Wire, memory, until, wall},
    scale_report, verdict,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Many virtual routers, with and without a busy machine: stability, CPU time and memory, beside keepalived
#[derive(Debug, Args)]
pub(crate) struct Instances {
    /// Virtual routers
    #[arg(long, value_name = "NUMBER", default_value_t = 250)]
    instances: u8,
    /// Milliseconds between adverts
    #[arg(long, value_name = "MS", default_value_t = 100)]
    interval: u64,
    /// How long each run is
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How often the programs take turns
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Only this program; may be repeated
    #[arg(long, value_name = "PROGRAM")]
    speaker: Vec<Speaker>,
    /// Only the quiet run
    #[arg(long)]
    quiet: bool,
    /// The hosts on a bridge instead of on one cable. Bridge and peer work on the account of the host that sends
    #[arg(long)]
    bridge: bool,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// One run of one program.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) speaker: Speaker,
    pub(crate) plan: Plan,
    pub(crate) busy: bool,
    /// Whether the first host was Active for all of them, alone, before it began.
    pub(crate) settled: bool,
    /// Times that the second host became Active, which it never should.
    pub(crate) spurious: u64,
    /// The longest that a processor stood still meanwhile.
    pub(crate) stood_still: Duration,
    /// Adverts of the first host.
    pub(crate) adverts: u64,
    /// CPU time for each of them, of the host that sent and of the host that received it.
    pub(crate) sending: Duration,
    pub(crate) receiving: Duration,
    /// Memory of the first host's and the second host's processes, each with its name.
    pub(crate) memory: [Vec<(String, Memory)>; 2],
}

impl Run {
    /// Resident memory of all processes of the host that uses more.
    pub(crate) fn resident(&self) -> u64 {
        let sum = |host: &Vec<(String, Memory)>| host.iter().map(|(_, one)| one.resident).sum();
        self.memory.iter().map(sum).max().unwrap_or_default()
    }
}

impl Instances {
    pub(crate) fn run(self) -> Result<ExitCode, Fatal> {
        let mut fleet = match self.bridge {
            true => Fleet::new()?,
            false => Fleet::without_bridge()?,
        };
        let speakers = match self.speaker.as_slice() {
            [] => &[Speaker::Keepalived, Speaker::HaLb],
            chosen => chosen,
        };
        let plan = Plan {
            instances: self.instances,
            interval: Duration::from_millis(self.interval),
            wire: Wire::V3,
        };
        let span = Duration::from_secs(self.seconds);
        let mut all = Vec::new();
        if !self.json {
            scale_report::instances_head(plan, span, self.bridge);
        }
        for busy in [false, true]
            .into_iter()
            .filter(|busy| !(*busy && self.quiet))
        {
            for _ in 0..self.rounds {
                for &speaker in speakers {
                    let run = hold(&mut fleet, speaker, plan, span, busy)?;
                    if !self.json {
                        scale_report::instances_row(&run);
                    }
                    all.push(run);
                }
            }
        }
        let missed = verdict::of_runs(&all);
        if self.json {
            scale_report::json(&serde_json::json!({ "runs": all, "missed": missed }))?;
        } else {
            scale_report::verdict(&missed);
        }
        Ok(exit(missed.is_empty()))
    }
}

fn hold(
    fleet: &mut Fleet,
    speaker: Speaker,
    plan: Plan,
    span: Duration,
    busy: bool,
) -> Result<Run, Fatal> {
    fleet.begin(speaker, plan)?;
    let settled = settle(fleet, plan, span)?;
    let burners = match busy {
        true => Burners::start()?,
        false => Burners(Vec::new()),
    };
    let gauge = Gauge::start()?;
    let since = wall();
    let ear = fleet.listen(&[1], &[Topic::Adverts])?;
    let processes = [fleet.pids(0), fleet.pids(1)];
    let usage = || processes.each_ref().map(|pids| Usage::of(pids));
    let (before, sent) = (usage(), fleet.frames_from(0)?);
    let began = Instant::now();
    sleep(span);
    let (after, sent) = (usage(), fleet.frames_from(0)?.saturating_sub(sent));
    let took = began.elapsed();
    drop(burners);
    for number in [0, 1] {
        if !fleet.runs(number) {
            return Err(format!("{} died:\n{}", speaker.name(), fleet.log(number)).into());
        }
    }
    let share = |of: usize| {
        let used = after
            .get(of)
            .zip(before.get(of))
            .map(|(now, then)| now.since(*then));
        used.unwrap_or_default() / u32::try_from(sent).unwrap_or(u32::MAX).max(1)
    };
    let memory = processes.each_ref().map(|pids| {
        let each = pids.iter().map(|pid| (name(*pid), memory(*pid)));
        each.collect()
    });
    let run = Run {
        speaker,
        plan,
        busy,
        settled: settled && took < span * 2,
        spurious: appearances(&ear.take(), plan),
        stood_still: gauge.longest(since, wall()),
        adverts: sent,
        sending: share(0),
        receiving: share(1),
        memory,
    };
    if run.spurious > 0 {
        for number in [0, 1] {
            eprintln!("host {}:\n{}", number + 1, fleet.log(number));
        }
    }
    fleet.stop();
    Ok(run)
}

/// How often the second host began to speak for a router.
pub(crate) fn appearances(heard: &[crate::fleet::Heard], plan: Plan) -> u64 {
    let mut last = [None; 256];
    let mut count = 0;
    for one in heard.iter().filter(|one| one.host == 1) {
        if let Said::Advert {
            vrid,
            priority: 1..,
        } = one.said
            && let Some(slot) = last.get_mut(usize::from(vrid))
        {
            let goes_on = slot.is_some_and(|before| one.at < before + plan.interval * 2);
            count += u64::from(!goes_on);
            *slot = Some(one.at);
        }
    }
    count
}

/// Waits until the first host alone speaks, at its full rate, and its announcements are over.
fn settle(fleet: &Fleet, plan: Plan, span: Duration) -> Result<bool, Fatal> {
    let rate = f64::from(plan.instances) / plan.interval.as_secs_f64();
    let calm = Duration::from_secs(1).max(plan.interval * 5);
    // Figures of a longer run are taken after the second burst of announcements.
    sleep(plan.down() + Duration::from_secs(6).min(span));
    let ear = fleet.listen(&[1], &[Topic::Adverts])?;
    let (mut seen, mut at) = (fleet.frames_from(0)?, Instant::now());
    Ok(until(PATIENCE, || {
        if at.elapsed() < calm {
            return false;
        }
        let now = fleet.frames_from(0).unwrap_or(0);
        let expected = rate * at.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let share = (now.saturating_sub(seen)) as f64 / expected;
        (seen, at) = (now, Instant::now());
        (0.95..1.05).contains(&share) && ear.take().is_empty()
    }))
}

/// Its role, or its program's name.
fn name(pid: u32) -> String {
    let told = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = told
        .split(|octet| *octet == 0)
        .map(String::from_utf8_lossy)
        .collect();
    words.join(" ").trim().to_owned()
}

/// Processes that keep every CPU busy.
struct Burners(Vec<Child>);

impl Burners {
    fn start() -> Result<Self, Fatal> {
        let mut all = Self(Vec::new());
        for _ in 0..available_parallelism()?.get() * 2 {
            let mut shell = Command::new("sh");
            shell
                .args(["-c", "while :; do :; done"])
                .stdin(Stdio::null());
            all.0.push(shell.spawn()?);
        }
        Ok(all)
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        for burner in &mut self.0 {
            let _ = burner.kill();
            let _ = burner.wait();
        }
    }
}
