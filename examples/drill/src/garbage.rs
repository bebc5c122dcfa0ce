//! Garbage at full rate while an election runs: nobody dies, nobody flips, and every packet of it is accounted for.
//!
//! Each packet is a valid advert of the highest priority with exactly one thing wrong: if one were taken for good, the
//! Active router would step down. Strangers' packets are counted on their own, for in a flood of them the kernel may
//! drop them uncounted.

mod bytes;
mod dice;
mod mutant;

use std::{
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    Fatal, exit,
    fleet::{Fleet, Heard, Plan, Said, Speaker, Topic, Wire, until, wall},
    scale_report,
};
use clap::Args;
use ha_lb::{
    admin::status::{Rejected, Status},
    lab::{Host, LabError},
    supervisor::control,
};
use mutant::Mutants;
use serde::Serialize;
use vip_netlink::advert_socket::AdvertSender;

const PATIENCE: Duration = Duration::from_secs(10);
/// An hour of 250 routers that advertise every 100 ms.
const COUNT: u64 = 9_000_000;

/// Send garbage at full rate while an election runs
#[derive(Debug, Args)]
pub(crate) struct Garbage {
    /// Packets, over all wires; the default is an hour of 250 routers that advertise every 100 ms
    #[arg(long, default_value_t = COUNT)]
    count: u64,
    /// Only adverts of this kind; may be repeated
    #[arg(long, value_name = "KIND")]
    wire: Vec<Wire>,
    /// Of these, how many of a hundred are for routers that nobody has
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    strangers: u8,
    /// Virtual routers
    #[arg(long, value_name = "NUMBER", default_value_t = 8)]
    instances: u8,
    /// Milliseconds between adverts; a second with VRRPv2
    #[arg(long, value_name = "MS", default_value_t = 100)]
    interval: u64,
    /// Replays a run
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) wire: Wire,
    /// Packets for our routers, and for routers that nobody has.
    pub(crate) sent: [u64; 2],
    pub(crate) seconds: f64,
    /// Of each host.
    pub(crate) hosts: Vec<Account>,
    /// Times that the second host became Active before the first was ended.
    pub(crate) spurious: u64,
    /// The longest time between two adverts of a router of the first host.
    pub(crate) longest_gap: Duration,
    /// From the end of the first host, in the midst of it, to the first advert of the second; the protocol's own time is
    /// Skew_Time.
    pub(crate) succession: Option<Duration>,
    /// What did not hold.
    pub(crate) missed: Vec<String>,
}

/// Where the packets went.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Account {
    /// Rejected, for a router of ours and for none.
    pub(crate) rejected: u64,
    pub(crate) stray: u64,
    /// No room in the socket.
    pub(crate) overflows: u64,
    /// How often strangers were hidden, for ten seconds each.
    pub(crate) hidden: u64,
}

impl Account {
    fn sum(&self) -> u64 {
        self.rejected + self.stray + self.overflows
    }
}

impl Garbage {
    pub(crate) fn run(self) -> Result<ExitCode, Fatal> {
        let wires = match self.wire.as_slice() {
            [] => &Wire::ALL,
            chosen => chosen,
        };
        let count = self.count / u64::try_from(wires.len())?;
        let mut fleet = Fleet::new()?;
        let noise = fleet.third("noise")?;
        let mut all = Vec::new();
        for &wire in wires {
            let plan = Plan {
                instances: self.instances,
                interval: wire.interval(Duration::from_millis(self.interval)),
                wire,
            };
            let outcome = self.hold(&mut fleet, &noise, plan, count)?;
            if !self.json {
                scale_report::garbage(&outcome, plan);
            }
            all.push(outcome);
        }
        if self.json {
            scale_report::json(&all)?;
        }
        Ok(exit(all.iter().all(|outcome| outcome.missed.is_empty())))
    }

    fn hold(
        &self,
        fleet: &mut Fleet,
        noise: &Host,
        plan: Plan,
        count: u64,
    ) -> Result<Outcome, Fatal> {
        let ear = fleet.listen(&[0, 1], &[Topic::Adverts])?;
        fleet.begin(Speaker::HaLb, plan)?;
        let settled = until(plan.down() + PATIENCE, || {
            let since = wall().saturating_sub(plan.interval * 4);
            ear.look(|heard| {
                let mut recent = heard.iter().rev().take_while(|one| one.at > since);
                let first = recent.clone().filter(|one| one.host == 0).count();
                first > usize::from(plan.instances) && recent.all(|one| one.host == 0)
            })
        });
        if !settled {
            return Err(format!("no single Active:\n{}\n{}", fleet.log(0), fleet.log(1)).into());
        }
        drop(ear.take());
        let began = Instant::now();
        let mut mutants = Mutants::new(plan.wire, self.seed, plan.instances, self.strangers);
        let mut sender = sender(noise, plan.wire)?;
        // The first host is ended in the midst of the last tenth.
        mutants.send(&mut sender, count - count / 10)?;
        let heard = ear.take();
        let steady = spurious(&heard, plan);
        let longest_gap = longest_gap(&heard);
        mutants.trickle(&mut sender)?;
        let first = account_settled(fleet, 0)?;
        let sent_to_first = mutants.sent;
        let ended = wall();
        fleet.end(0);
        mutants.send(&mut sender, count / 10)?;
        let seconds = began.elapsed().as_secs_f64();
        mutants.trickle(&mut sender)?;
        let second = account_settled(fleet, 1)?;
        let follows = |one: &&Heard| one.host == 1 && one.at > ended;
        until(plan.down() + PATIENCE, || {
            ear.look(|heard| heard.iter().any(|one| follows(&one)))
        });
        let succession = ear.take().iter().find(follows).copied();
        let mut outcome = Outcome {
            wire: plan.wire,
            sent: mutants.sent,
            seconds,
            spurious: steady,
            longest_gap,
            succession: succession.map(|one| one.at.saturating_sub(ended)),
            missed: Vec::new(),
            hosts: vec![first, second],
        };
        outcome.judge(&[sent_to_first, mutants.sent], fleet.runs(1));
        if !outcome.missed.is_empty() {
            eprintln!("{}", fleet.log(1));
        }
        fleet.stop();
        Ok(outcome)
    }
}

/// Sends to the hosts' segment.
fn sender(noise: &Host, wire: Wire) -> Result<AdvertSender, Fatal> {
    let family = wire
        .envelope(mutant::NOISE, 1)
        .family()
        .ok_or("no family")?;
    Ok(noise.run(|| {
        AdvertSender::new("eth0", noise.index(), family).map_err(|error| LabError::Io {
            what: "socket for garbage".to_owned(),
            source: error.into(),
        })
    })?)
}

impl Outcome {
    fn judge(&mut self, sent: &[[u64; 2]; 2], lives: bool) {
        let mut missed = Vec::new();
        if !lives {
            missed.push("the second host died".to_owned());
        }
        if self.spurious > 0 {
            missed.push(format!(
                "the second host became Active {} times",
                self.spurious
            ));
        }
        if self.succession.is_none() {
            missed.push("the second host did not take over".to_owned());
        }
        for (number, (account, [ours, strange])) in (1..).zip(self.hosts.iter().zip(sent)) {
            let all = ours + strange;
            let known = account.rejected + account.stray;
            // What had no room may have been an advert of the other host.
            let least = if account.hidden > 0 { *ours } else { all };
            if known > all || known + account.overflows < least {
                missed.push(format!(
                    "host {number} accounts for {known} and {} without room, of {all} packets",
                    account.overflows
                ));
            }
        }
        self.missed = missed;
    }
}

fn spurious(heard: &[Heard], plan: Plan) -> u64 {
    crate::instances::appearances(heard, plan)
}

fn longest_gap(heard: &[Heard]) -> Duration {
    let mut last = [None; 256];
    let mut longest = Duration::ZERO;
    for one in heard.iter().filter(|one| one.host == 0) {
        if let Said::Advert { vrid, .. } = one.said
            && let Some(slot) = last.get_mut(usize::from(vrid))
            && let Some(before) = slot.replace(one.at)
        {
            longest = longest.max(one.at - before);
        }
    }
    longest
}

/// What a host accounts for, once that grows no more.
fn account_settled(fleet: &Fleet, host: usize) -> Result<Account, Fatal> {
    let (mut last, mut same): (Option<Account>, _) = (None, 0);
    let settled = until(PATIENCE, || {
        sleep(Duration::from_millis(100));
        let now = account(fleet, host).ok();
        let sums = [&now, &last].map(|one| one.as_ref().map(Account::sum));
        same = match sums {
            [Some(now), Some(before)] if now == before => same + 1,
            _ => 0,
        };
        last = now;
        same == 5
    });
    last.filter(|_| settled)
        .ok_or_else(|| format!("host {} does not come to rest", host + 1).into())
}

fn account(fleet: &Fleet, host: usize) -> Result<Account, Fatal> {
    let asked = Instant::now();
    let answer = control::ask(&fleet.control(host), "status")?;
    let status: Status = serde_json::from_str(&answer)?;
    // What the daemon knows of a speaker that still reads what waits for it, and has not answered, is none.
    let is_new = |age: f64| age <= asked.elapsed().as_secs_f64();
    if !status.instances_age.is_some_and(is_new) {
        return Err("the speaker has not answered".into());
    }
    let of = |list: &[Rejected], name: &str| {
        let found = list.iter().filter(|one| one.cause == name);
        found.map(|one| one.count).sum::<u64>()
    };
    let all = |list: &[Rejected]| list.iter().map(|one| one.count).sum::<u64>();
    let overflows = of(&status.stray, "receive_buffer_full");
    let hidden = of(&status.stray, "unknown_router_hidden_10s");
    let instances = status.instances.iter();
    Ok(Account {
        rejected: instances.map(|one| all(&one.counters.rejected)).sum(),
        stray: all(&status.stray) - overflows - hidden,
        overflows,
        hidden,
    })
}
