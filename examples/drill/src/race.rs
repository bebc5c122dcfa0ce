//! How long nobody speaks after a death, beside keepalived: from the last advert of the dead to the first of the new,
//! minus the protocol's own time, and from there to the announcement of the address.

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use clap::Args;
use serde::Serialize;

use crate::{
    Fatal, exit,
    fleet::{Ear, Fleet, Gauge, Heard, Plan, Said, Speaker, Topic, Wire, until, wall},
    scale_report, verdict,
};

/// How long an election may take beyond its own time; keepalived with hundreds of instances is not always done.
const PATIENCE: Duration = Duration::from_secs(20);

/// Kill the Active host and time its successor, beside keepalived
#[derive(Debug, Args)]
pub(crate) struct Race {
    /// How often each death is held
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Virtual routers; may be repeated
    #[arg(long, value_name = "NUMBER", default_values_t = [1, 250])]
    instances: Vec<u8>,
    /// Milliseconds between adverts; may be repeated
    #[arg(long, value_name = "MS", default_values_t = [1000, 100, 10])]
    interval: Vec<u64>,
    /// Only this program; may be repeated
    #[arg(long, value_name = "PROGRAM")]
    speaker: Vec<Speaker>,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// All deaths of one kind.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Deaths {
    pub(crate) speaker: Speaker,
    pub(crate) plan: Plan,
    /// Rounds that were held, and those in which the host was not alone in the end.
    pub(crate) rounds: u32,
    pub(crate) unsettled: u32,
    #[serde(flatten)]
    pub(crate) times: Times,
    /// Adverts that came before the protocol's time was over: the new one had not heard the last of the dead.
    pub(crate) early: u32,
    /// Adverts, and announcements, that never came.
    pub(crate) missing: (u32, u32),
    /// Frames that the ear missed.
    pub(crate) unheard: u32,
    /// The longest that a processor stood still while takeovers were due and addresses announced.
    pub(crate) stood_still: Duration,
    /// Deaths whose times do not count because the machine stood still, and those times: as many were held once more. What
    /// never came, or too early, counts in all of them.
    pub(crate) set_aside: u32,
    pub(crate) times_aside: Times,
}

/// What is measured of deaths.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Times {
    /// First advert of the new one, beyond the protocol's time.
    pub(crate) takeover: Vec<Duration>,
    /// From there to the announcement.
    pub(crate) announcement: Vec<Duration>,
    /// How much longer than the interval the new one's adverts were apart while addresses went up.
    pub(crate) lateness: Vec<Duration>,
}

impl Times {
    fn extend(&mut self, more: Self) {
        self.takeover.extend(more.takeover);
        self.announcement.extend(more.announcement);
        self.lateness.extend(more.lateness);
    }
}

/// Times do not count where a processor stood still for longer (the machine is a virtual one, and others have theirs). The
/// kernel's work for a program may look like that, too: so the times that were set aside are shown, and no more than one for
/// each that counts.
const UNDISTURBED: Duration = Duration::from_millis(1);

impl Race {
    pub(crate) fn run(self) -> Result<ExitCode, Fatal> {
        let mut fleet = Fleet::new()?;
        let speakers = match self.speaker.as_slice() {
            [] => &[Speaker::Keepalived, Speaker::HaLb],
            chosen => chosen,
        };
        let mut all = Vec::new();
        if !self.json {
            scale_report::race_head(self.rounds);
        }
        for &instances in &self.instances {
            for interval in self.interval.iter().copied().map(Duration::from_millis) {
                for &speaker in speakers {
                    let plan = Plan {
                        instances,
                        interval,
                        wire: Wire::V3,
                    };
                    let deaths = hold(&mut fleet, speaker, plan, self.rounds)?;
                    if !self.json {
                        scale_report::race_row(&deaths);
                    }
                    all.push(deaths);
                }
            }
        }
        let missed = verdict::of_deaths(&all);
        if self.json {
            scale_report::json(&serde_json::json!({ "deaths": all, "missed": missed }))?;
        } else {
            scale_report::verdict(&missed);
        }
        Ok(exit(missed.is_empty()))
    }
}

fn hold(fleet: &mut Fleet, speaker: Speaker, plan: Plan, rounds: u32) -> Result<Deaths, Fatal> {
    let mut deaths = Deaths {
        speaker,
        plan,
        rounds,
        unsettled: 0,
        times: Times::default(),
        early: 0,
        missing: (0, 0),
        unheard: 0,
        stood_still: Duration::ZERO,
        set_aside: 0,
        times_aside: Times::default(),
    };
    let gauge = Gauge::start()?;
    let ear = fleet.listen(&[0, 1], &[Topic::Adverts, Topic::Announcements])?;
    fleet.begin(speaker, plan)?;
    for held in 0.. {
        if held == rounds + deaths.set_aside {
            break;
        }
        if held > 0 {
            fleet.start(0)?;
        }
        if !settled(&ear, plan) {
            deaths.unsettled += 1;
        }
        ear.forget(plan.interval * 2);
        let killed = fleet.kill(0);
        // The second burst of announcements comes after five seconds: not waited for.
        let calm = plan.interval * 12;
        until(plan.down() + PATIENCE, || {
            ear.look(|heard| succeeded(heard, killed, plan)) && wall() > killed + plan.down() + calm
        });
        if !fleet.runs(1) {
            return Err(format!("{} died:\n{}", speaker.name(), fleet.log(1)).into());
        }
        deaths.take(&ear.take(), &gauge);
    }
    deaths.unheard = ear.missed();
    fleet.stop();
    Ok(deaths)
}

/// The first host alone speaks, for every router, and has for a while.
fn settled(ear: &Ear, plan: Plan) -> bool {
    let calm = (plan.interval * 5).max(Duration::from_millis(500));
    until(plan.down() + PATIENCE, || {
        let since = wall().saturating_sub(calm);
        ear.look(|heard| {
            let recent = heard.iter().rev().take_while(|one| one.at > since);
            let mut spoke = [false; 256];
            for one in recent {
                if let Said::Advert { vrid, priority } = one.said {
                    if one.host == 1 || priority == 0 {
                        return false;
                    }
                    if let Some(slot) = spoke.get_mut(usize::from(vrid)) {
                        *slot = true;
                    }
                }
            }
            spoke.iter().filter(|spoke| **spoke).count() == usize::from(plan.instances)
        })
    })
}

/// The second host has spoken for every router and announced every address.
fn succeeded(heard: &[Heard], killed: Duration, plan: Plan) -> bool {
    let (mut spoke, mut announced) = ([false; 256], [false; 256]);
    for one in heard.iter().filter(|one| one.host == 1 && one.at > killed) {
        let (list, number) = match one.said {
            Said::Advert { vrid, .. } => (&mut spoke, vrid),
            Said::Announcement(address) => (&mut announced, address.octets()[3]),
        };
        if let Some(slot) = list.get_mut(usize::from(number)) {
            *slot = true;
        }
    }
    let all = |list: &[bool]| list.iter().filter(|is| **is).count() == usize::from(plan.instances);
    all(&spoke) && all(&announced)
}

impl Deaths {
    /// Takes in what was heard of one death.
    fn take(&mut self, heard: &[Heard], gauge: &Gauge) {
        let (times, from, to) = self.measure(heard);
        let stood_still = gauge.longest(from, to);
        if stood_still > UNDISTURBED && gauge.goes_first() && self.set_aside < self.rounds {
            self.set_aside += 1;
            self.times_aside.extend(times);
        } else {
            self.times.extend(times);
            self.stood_still = self.stood_still.max(stood_still);
        }
    }

    /// The times of one death, and the time in which they were measured.
    fn measure(&mut self, heard: &[Heard]) -> (Times, Duration, Duration) {
        let plan = self.plan;
        let mut times = Times::default();
        let mut last = BTreeMap::new();
        for one in heard.iter().filter(|one| one.host == 0) {
            if let Said::Advert { vrid, .. } = one.said {
                last.insert(vrid, one.at);
            }
        }
        let from = last.values().min().copied().unwrap_or_default() + plan.down();
        let mut to = from;
        for vrid in 1..=plan.instances {
            let Some(died) = last.get(&vrid).copied() else {
                self.missing.0 += 1;
                continue;
            };
            let mut adverts = heard
                .iter()
                .filter(|one| one.host == 1 && one.at > died)
                .filter(|one| matches!(one.said, Said::Advert { vrid: of, .. } if of == vrid))
                .map(|one| one.at);
            let Some(first) = adverts.next() else {
                self.missing.0 += 1;
                continue;
            };
            match (first - died).checked_sub(plan.down()) {
                Some(late) => times.takeover.push(late),
                None => self.early += 1,
            }
            let mut before = first;
            for next in adverts {
                times
                    .lateness
                    .push((next - before).saturating_sub(plan.interval));
                before = next;
            }
            let said = Said::Announcement(Plan::address(vrid));
            let announced = heard
                .iter()
                .find(|one| one.host == 1 && one.said == said && one.at >= first);
            match announced {
                Some(one) => times.announcement.push(one.at - first),
                None => self.missing.1 += 1,
            }
            to = to.max(before).max(announced.map_or(first, |one| one.at));
        }
        (times, from, to)
    }
}
