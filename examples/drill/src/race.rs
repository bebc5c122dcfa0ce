//! How long nobody speaks after a death, beside keepalived: from the last advert of the dead to the first of the new,
//! minus the protocol's own time, and from there to the announcement of the address.

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use clap::Args;
use serde::Serialize;

use crate::{
    Fatal, exit,
    fleet::{Awake, Ear, Fleet, Gauge, Heard, Plan, Said, Speaker, Topic, Wire, until, wall},
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
    /// Let processors sleep that have nothing to do: a virtual one comes back late, whoever waits for it
    #[arg(long)]
    let_sleep: bool,
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
    /// The longest that a processor stood still within times that count.
    pub(crate) stood_still: Duration,
    /// Deaths whose takeovers and announcements do not count because the machine stood still: as many were held once more. What
    /// never came, or too early, counts in all of them.
    pub(crate) set_aside: u32,
    /// The times that do not count.
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

/// Times do not count where a processor stood still for longer within them (the machine is a virtual one, and others have
/// theirs): a half of what one router has for its takeover, a fifth of what one of hundreds has. The kernel's work for a program
/// may look like that, too: so the times that were set aside are shown, and no more than one for each that counts.
const fn undisturbed(instances: u8) -> Duration {
    match instances {
        0..=8 => Duration::from_micros(150),
        _ => Duration::from_millis(1),
    }
}

impl Race {
    pub(crate) fn run(self) -> Result<ExitCode, Fatal> {
        let mut fleet = Fleet::new()?;
        let _awake = (!self.let_sleep).then(Awake::start).transpose()?;
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
    let mut deaths = Deaths::none(speaker, plan, rounds);
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

/// One death as it was heard.
#[derive(Debug, Default)]
struct Death {
    takeover: Vec<Duration>,
    announcement: Vec<Duration>,
    /// From when on takeovers were due, and when the last address was announced.
    within: (Duration, Duration),
    /// The adverts that followed, by when the one before had come.
    following: Vec<(Duration, Duration)>,
}

impl Deaths {
    fn none(speaker: Speaker, plan: Plan, rounds: u32) -> Self {
        Self {
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
        }
    }

    /// Takes in what was heard of one death.
    fn take(&mut self, heard: &[Heard], gauge: &Gauge) {
        let death = self.measure(heard);
        let halt = |(from, to)| gauge.longest(from, to);
        let most = undisturbed(self.plan.instances);
        let disturbed = |span| gauge.goes_first() && halt(span) > most;
        let to = if disturbed(death.within) && self.set_aside < self.rounds {
            self.set_aside += 1;
            &mut self.times_aside
        } else {
            self.stood_still = self.stood_still.max(halt(death.within));
            &mut self.times
        };
        to.takeover.extend(death.takeover);
        to.announcement.extend(death.announcement);
        let (mut aside, mut counting): (Vec<_>, Vec<_>) = death
            .following
            .into_iter()
            .partition(|span| disturbed(*span));
        if aside.len() > counting.len() {
            counting.append(&mut aside);
        }
        let interval = self.plan.interval;
        let late = |(before, next): (Duration, Duration)| (next - before).saturating_sub(interval);
        self.times.lateness.extend(counting.into_iter().map(late));
        self.times_aside
            .lateness
            .extend(aside.into_iter().map(late));
    }

    /// The times of one death.
    fn measure(&mut self, heard: &[Heard]) -> Death {
        let plan = self.plan;
        let mut last = BTreeMap::new();
        for one in heard.iter().filter(|one| one.host == 0) {
            if let Said::Advert { vrid, .. } = one.said {
                last.insert(vrid, one.at);
            }
        }
        let due = last.values().min().copied().unwrap_or_default() + plan.down();
        let mut death = Death {
            within: (due, due),
            ..Death::default()
        };
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
                Some(late) => death.takeover.push(late),
                None => self.early += 1,
            }
            let mut before = first;
            for next in adverts {
                death.following.push((before, next));
                before = next;
            }
            let said = Said::Announcement(Plan::address(vrid));
            let announced = heard
                .iter()
                .find(|one| one.host == 1 && one.said == said && one.at >= first);
            match announced {
                Some(one) => death.announcement.push(one.at - first),
                None => self.missing.1 += 1,
            }
            let done = announced.map_or(first, |one| one.at);
            death.within.1 = death.within.1.max(done);
        }
        death
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Wire;

    const fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    fn plan() -> Plan {
        Plan {
            instances: 1,
            interval: ms(100),
            wire: Wire::V3,
        }
    }

    /// A death at 1 s: the other takes over a millisecond after the protocol's time, announces a millisecond later, and goes on
    /// every 102 ms. Gives what was heard, and when the takeover was due.
    fn death() -> (Vec<Heard>, Duration) {
        let advert = Said::Advert {
            vrid: 1,
            priority: 100,
        };
        let heard = |host, at, said| Heard { at, host, said };
        let died = ms(1000);
        let due = died + plan().down();
        let first = due + ms(1);
        let all = vec![
            heard(0, died, advert),
            heard(1, first, advert),
            heard(1, first + ms(1), Said::Announcement(Plan::address(1))),
            heard(1, first + ms(102), advert),
            heard(1, first + ms(204), advert),
            heard(1, first + ms(306), advert),
        ];
        (all, due)
    }

    fn taken(halts: &[(Duration, Duration)], times: u32) -> Deaths {
        let mut deaths = Deaths::none(Speaker::HaLb, plan(), 1);
        for _ in 0..times {
            deaths.take(&death().0, &Gauge::with(halts));
        }
        deaths
    }

    #[test]
    fn what_is_measured_of_a_death() {
        let deaths = taken(&[], 1);
        assert_eq!(deaths.times.takeover, [ms(1)]);
        assert_eq!(deaths.times.announcement, [ms(1)]);
        assert_eq!(deaths.times.lateness, [ms(2); 3]);
        assert_eq!(
            (deaths.early, deaths.missing, deaths.set_aside),
            (0, (0, 0), 0)
        );
    }

    #[test]
    fn only_times_within_which_the_machine_stood_still_are_set_aside() {
        let due = death().1;
        let before_and_long_after = [(due - ms(50), ms(40)), (due + ms(50), ms(10))];
        let deaths = taken(&before_and_long_after, 1);
        assert_eq!(deaths.set_aside, 0);
        assert_eq!(deaths.times.takeover, [ms(1)]);
        assert_eq!(
            (
                deaths.times.lateness.len(),
                deaths.times_aside.lateness.len()
            ),
            (2, 1)
        );

        let deaths = taken(&[(due - ms(5), ms(6))], 1);
        assert_eq!(deaths.set_aside, 1);
        assert_eq!(
            (
                deaths.times.takeover.len(),
                deaths.times_aside.takeover.len()
            ),
            (0, 1)
        );
        assert_eq!(deaths.times.lateness.len(), 3);
    }

    #[test]
    fn no_more_is_set_aside_than_counts() {
        let due = death().1;
        let deaths = taken(&[(due - ms(5), ms(500))], 2);
        assert_eq!(deaths.set_aside, 1);
        assert_eq!(
            (
                deaths.times.takeover.len(),
                deaths.times_aside.takeover.len()
            ),
            (1, 1)
        );
        assert_eq!(deaths.stood_still, ms(500));
        assert_eq!(deaths.times.lateness.len(), 6, "none was calm");
    }
}
