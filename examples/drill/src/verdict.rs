//! The bars of races and of many routers: what did not hold, in words. Only our own program is judged.

use std::time::Duration;

use crate::{
    fleet::Speaker,
    instances::Run,
    race::Deaths,
    scale_report::{ms, share_within},
};

/// Of a first advert beyond the protocol's time, and of the announcement after it.
struct Bars {
    takeover: Duration,
    announcement: Duration,
}

/// One router is judged by its longest time; of hundreds, one of a hundred may take longer.
const fn bars(instances: u8) -> Bars {
    match instances {
        0..=8 => Bars {
            takeover: Duration::from_micros(300),
            announcement: Duration::from_millis(1),
        },
        _ => Bars {
            takeover: Duration::from_millis(5),
            announcement: Duration::from_millis(10),
        },
    }
}

/// Every kind of death.
pub(crate) fn of_deaths(all: &[Deaths]) -> Vec<String> {
    let ours = all.iter().filter(|deaths| deaths.speaker == Speaker::HaLb);
    ours.flat_map(of_death).collect()
}

fn of_death(deaths: &Deaths) -> Vec<String> {
    let plan = deaths.plan;
    let what = format!("{} at {} ms", plan.instances, plan.interval.as_millis());
    let mut missed = Vec::new();
    let bars = bars(plan.instances);
    // The adverts that follow may wait for nothing: half of an interval lies between a late one and one that is missed.
    let late = plan.interval / 2;
    for (name, times, part, bar) in [
        ("first advert", &deaths.times.takeover, 99, bars.takeover),
        (
            "announcement",
            &deaths.times.announcement,
            99,
            bars.announcement,
        ),
        ("an advert was late by", &deaths.times.lateness, 100, late),
    ] {
        let time = share_within(times, part).unwrap_or_default();
        if time > bar {
            let (time, bar) = (ms(time), ms(bar));
            missed.push(format!(
                "{what}: {name}: {time:.2} ms, allowed are {bar:.2}"
            ));
        }
    }
    for (count, name) in [
        (deaths.missing.0, "adverts never came"),
        (deaths.missing.1, "announcements never came"),
        (deaths.early, "adverts came too early"),
        (deaths.unsettled, "rounds began without one Active"),
    ] {
        if count > 0 {
            missed.push(format!("{what}: {count} {name}"));
        }
    }
    missed
}

/// Every run, beside keepalived's of the same kind where there is one.
pub(crate) fn of_runs(all: &[Run]) -> Vec<String> {
    let ours = all.iter().filter(|run| run.speaker == Speaker::HaLb);
    let peer = |run: &Run| {
        all.iter()
            .find(|one| one.speaker == Speaker::Keepalived && one.busy == run.busy)
    };
    ours.flat_map(|run| of_run(run, peer(run))).collect()
}

fn of_run(run: &Run, peer: Option<&Run>) -> Vec<String> {
    let what = if run.busy { "busy" } else { "quiet" };
    let mut missed = Vec::new();
    if !run.settled {
        missed.push(format!("{what}: the first host was not alone before"));
    }
    if run.spurious > 0 {
        let count = run.spurious;
        missed.push(format!("{what}: the Backup became Active {count} times"));
    }
    let Some(peer) = peer else { return missed };
    for (name, ours, theirs) in [
        ("sent", run.sending, peer.sending),
        ("received", run.receiving, peer.receiving),
    ] {
        if ours * 2 > theirs {
            let [ours, theirs] = [ours, theirs].map(|time| time.as_secs_f64() * 1e6);
            missed.push(format!(
                "{what}: {ours:.1} us for each advert {name}, keepalived {theirs:.1}: allowed is half of that"
            ));
        }
    }
    if run.resident() > peer.resident() {
        let [ours, theirs] = [run, peer].map(|run| run.resident() >> 10);
        missed.push(format!(
            "{what}: {ours} KiB of memory, keepalived {theirs}: allowed is as much"
        ));
    }
    missed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Memory, Plan, Wire};
    use crate::race::Times;

    fn plan(instances: u8) -> Plan {
        Plan {
            instances,
            interval: Duration::from_millis(100),
            wire: Wire::V3,
        }
    }

    fn run(speaker: Speaker) -> Run {
        let memory = Memory {
            resident: 1 << 20,
            proportional: 1 << 20,
        };
        Run {
            speaker,
            plan: plan(250),
            busy: false,
            settled: true,
            spurious: 0,
            stood_still: Duration::ZERO,
            adverts: 1,
            sending: Duration::from_micros(8),
            receiving: Duration::from_micros(3),
            memory: [vec![("one".into(), memory)], Vec::new()],
        }
    }

    #[test]
    fn each_bar_of_a_race_can_be_missed() {
        let ms = Duration::from_millis;
        let times = |takeover, announcement, lateness| Times {
            takeover: vec![takeover; 200],
            announcement: vec![announcement; 200],
            lateness: vec![lateness; 200],
        };
        let good = Deaths {
            speaker: Speaker::HaLb,
            plan: plan(1),
            rounds: 1,
            unsettled: 0,
            times: times(Duration::from_micros(300), ms(1), ms(50)),
            early: 0,
            missing: (0, 0),
            unheard: 0,
            stood_still: Duration::ZERO,
            set_aside: 1,
            times_aside: times(ms(51), ms(51), ms(51)),
        };
        assert!(of_deaths(std::slice::from_ref(&good)).is_empty());
        let bad = Deaths {
            unsettled: 1,
            times: times(Duration::from_micros(301), ms(2), ms(51)),
            early: 1,
            missing: (1, 1),
            ..good.clone()
        };
        assert_eq!(of_deaths(std::slice::from_ref(&bad)).len(), 7);
        let theirs = Deaths {
            speaker: Speaker::Keepalived,
            ..bad.clone()
        };
        assert!(of_deaths(&[theirs]).is_empty(), "it is no business of ours");
        let many = Deaths {
            plan: plan(250),
            times: times(ms(5), ms(10), ms(50)),
            ..good
        };
        assert!(of_deaths(&[many]).is_empty(), "hundreds may take longer");
    }

    #[test]
    fn a_run_is_judged_by_its_peer_in_the_same_run() {
        let theirs = run(Speaker::Keepalived);
        let mut ours = run(Speaker::HaLb);
        (ours.sending, ours.receiving) = (theirs.sending / 2, theirs.receiving / 2);
        assert!(of_runs(&[theirs, ours]).is_empty());
        let mut ours = run(Speaker::HaLb);
        ours.spurious = 1;
        ours.settled = false;
        let more = ours.memory[0].clone();
        ours.memory[0].extend(more);
        assert_eq!(of_runs(&[run(Speaker::Keepalived), ours]).len(), 5);
    }
}
