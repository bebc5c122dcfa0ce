//! Elections on a simulated segment. A failure names its seed; `VRRP_SEED=N` replays that one,
//! `VRRP_SEEDS=N` tries the first N.

use std::{env, format, println, string::String, vec, vec::Vec};

#[cfg(feature = "auth")]
use vrrp_proto::Password;
use vrrp_proto::{Family, Priority, Version};

use super::*;
#[cfg(feature = "auth")]
use crate::Authentication;
use crate::{Reason, Transition, Warning, timing};

const DEFAULT_SEEDS: u64 = 1000;

fn primary(number: usize) -> IpAddr {
    trial::primary(Family::Ipv4, number)
}

fn config(version: Version, number: usize, priority: u8) -> RouterConfig {
    trial::config(version, Family::Ipv4, number, priority).unwrap()
}

fn seeds() -> Vec<u64> {
    let number = |name| {
        env::var(name)
            .ok()
            .and_then(|text: String| text.parse().ok())
    };
    match number("VRRP_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("VRRP_SEEDS").unwrap_or(DEFAULT_SEEDS)).collect(),
    }
}

#[test]
fn once_healed_and_quiet_exactly_one_router_is_active_and_stays() {
    let seeds = seeds();
    let replay = seeds.len() == 1;
    for seed in seeds {
        let mut trial = Trial::draw(seed);
        trial.misfortune(60);
        trial.heal();
        if replay {
            for moment in trial.segment.history() {
                println!("{moment:?}");
            }
        }
        let stays = trial.calm(trial.interval() * 20);
        stays.unwrap_or_else(|broken| panic!("VRRP_SEED={seed}: {broken}"));
    }
}

#[test]
fn the_same_seed_gives_the_same_history_and_another_gives_another() {
    let history = |seed| {
        let mut trial = Trial::draw(seed);
        trial.misfortune(40);
        trial.segment.history().to_vec()
    };
    assert_eq!(history(7), history(7));
    assert_ne!(history(7), history(8));
}

/// Two routers or more, everything fine, until one is Active.
fn quiet(version: Version, priorities: &[u8]) -> Segment {
    let mut segment = Segment::new(1);
    for (number, priority) in priorities.iter().enumerate() {
        let config = config(version, number, *priority);
        let attachment = Attachment::new(1, Family::Ipv4);
        segment.add(attachment, config, Clock::default()).unwrap();
    }
    segment.run_for(Duration::from_secs(10));
    segment
}

fn transitions(segment: &Segment) -> Vec<(Duration, usize, Transition)> {
    let pick = |moment: &Moment| match moment.what {
        Happening::Transition(number, transition) => Some((moment.at, number, transition)),
        _ => None,
    };
    segment.history().iter().filter_map(pick).collect()
}

#[test]
fn the_highest_priority_becomes_active_and_nobody_else_ever_is() {
    for version in [Version::V2, Version::V3] {
        let segment = quiet(version, &[100, 150, 149]);
        let actives: Vec<usize> = transitions(&segment)
            .iter()
            .filter(|(_, _, transition)| transition.to == StateKind::Active)
            .map(|(_, number, _)| *number)
            .collect();
        assert_eq!(actives, [1]);
    }
}

#[test]
fn of_equals_started_together_the_highest_address_wins_and_one_started_later_stays_backup() {
    let mut segment = quiet(Version::V3, &[100, 100, 100]);
    assert_eq!(segment.holders(), [2]);
    segment.apply(Fault::Crash(2));
    segment.run_for(Duration::from_secs(10));
    assert_eq!(segment.holders(), [1]);
    segment.apply(Fault::Boot(2));
    segment.run_for(Duration::from_secs(10));
    assert_eq!(segment.holders(), [1], "an equal does not preempt");
}

/// Seed 2016 found it: both count in step, so that neither number is higher than the other's.
#[cfg(feature = "auth")]
#[test]
fn two_routers_with_authentication_header_that_started_together_hear_each_other() {
    let mut segment = Segment::new(1);
    for number in 0..2 {
        let config = config(Version::V2, number, 100);
        let mut attachment = Attachment::new(1, Family::Ipv4);
        attachment.authentication = Authentication::Header(vrrp_proto::ah::Authenticator::new(
            Password::truncated(b"viettq"),
        ));
        segment.add(attachment, config, Clock::default()).unwrap();
    }
    segment.run_for(Duration::from_secs(10));
    assert_eq!(segment.holders(), [1]);
}

#[test]
fn an_orderly_stop_is_answered_within_skew_time_and_the_delay_of_the_wire() {
    for version in [Version::V2, Version::V3] {
        let mut segment = quiet(version, &[200, 100, 50]);
        assert_eq!(segment.holders(), [0]);
        let stopped = segment.now();
        segment.apply(Fault::Stop(0));
        assert!(
            segment.holders().is_empty(),
            "the addresses are gone at once"
        );
        segment.run_for(Duration::from_secs(2));
        let (at, number, transition) = *transitions(&segment).last().unwrap();
        let skew = timing::skew_time(version, Duration::from_secs(1), Priority::new(100));
        let weather = Weather::default();
        assert!(
            at - stopped <= skew + weather.delay + weather.jitter,
            "{:?}",
            at - stopped
        );
        assert_eq!((number, transition.to), (1, StateKind::Active));
        let source = primary(0);
        assert_eq!(transition.reason, Reason::Resigned { source });
        assert_eq!(segment.holders(), [1]);
    }
}

#[test]
fn a_silent_death_is_answered_within_active_down_interval() {
    let mut segment = quiet(Version::V3, &[200, 100]);
    segment.apply(Fault::Crash(0));
    let died = segment.now();
    segment.run_for(Duration::from_secs(5));
    let (at, number, transition) = *transitions(&segment).last().unwrap();
    assert_eq!(number, 1);
    assert!(at - died <= Duration::from_micros(3_609_375 + 200));
    let text = format!("{transition}");
    assert_eq!(
        text,
        "Backup -> Active: no advert from 192.0.2.1 for 3.61 s"
    );
}

#[test]
fn a_stalled_active_steps_back_when_it_wakes_and_wins_the_next_election() {
    let mut segment = quiet(Version::V3, &[200, 100]);
    segment.apply(Fault::Stall(0, Duration::from_secs(6)));
    segment.run_for(Duration::from_millis(6001));
    let (_, number, transition) = *transitions(&segment).last().unwrap();
    assert_eq!((number, transition.to), (0, StateKind::Backup));
    assert!(
        matches!(transition.reason, Reason::Late { .. }),
        "{transition}"
    );
    assert_eq!(segment.holders(), [1], "the address stays where it went");
    segment.run_for(Duration::from_secs(5));
    assert_eq!(segment.holders(), [0], "preempted in order");
}

#[test]
fn a_stalled_backup_hears_the_living_active_before_its_timer_fires() {
    let mut segment = quiet(Version::V3, &[200, 100]);
    let before = transitions(&segment).len();
    segment.apply(Fault::Stall(1, Duration::from_secs(30)));
    segment.run_for(Duration::from_secs(40));
    assert_eq!(transitions(&segment).len(), before, "nothing happened");
}

#[test]
fn a_one_way_cut_makes_two_actives_only_as_long_as_it_lasts() {
    let mut segment = quiet(Version::V3, &[200, 100]);
    segment.apply(Fault::Cut { from: 0, to: 1 });
    segment.run_for(Duration::from_secs(10));
    assert_eq!(segment.holders(), [0, 1]);
    segment.apply(Fault::Mend);
    segment.run_for(Duration::from_millis(1100));
    assert_eq!(segment.holders(), [0]);
    let warned = |moment: &Moment| {
        matches!(
            moment.what,
            Happening::Warning(0, Warning::TwoActives { .. })
        )
    };
    assert_eq!(
        segment
            .history()
            .iter()
            .filter(|moment| warned(moment))
            .count(),
        1
    );
}

/// The hypervisor stops the machine, and no clock of the guest tells it so: it goes on as Active where another one
/// has taken over, and only the first advert of either ends that.
#[test]
fn a_paused_machine_that_cannot_know_is_corrected_by_the_next_advert() {
    for (priorities, winner) in [([200, 100], 0), ([100, 100], 1)] {
        let mut segment = quiet(Version::V3, &priorities);
        let active = segment.holders();
        segment.apply(Fault::Pause(active[0], Duration::from_secs(60)));
        segment.run_for(Duration::from_secs(59));
        assert_eq!(segment.holders().len(), 2, "the other took over");
        let before = segment.now();
        segment.run_for(Duration::from_secs(1) + Duration::from_millis(1001));
        assert_eq!(segment.holders(), [winner], "within an interval of waking");
        let late = |(at, _, transition): &(Duration, usize, Transition)| {
            *at > before && matches!(transition.reason, Reason::Late { .. })
        };
        assert!(!transitions(&segment).iter().any(late), "it does not know");
    }
}

/// A suspended machine's clock goes on (CLOCK_BOOTTIME): it knows, and does not answer for an address that has moved.
#[test]
fn a_suspended_machine_wakes_as_backup_whatever_its_priority() {
    for priority in [200, 254, 255] {
        let mut segment = quiet(Version::V3, &[priority, 100]);
        segment.apply(Fault::Stall(0, Duration::from_secs(86_400)));
        segment.run_for(Duration::from_secs(86_399));
        assert_eq!(segment.holders(), [0, 1], "asleep, and fenced");
        segment.run_for(Duration::from_millis(1001));
        assert_eq!(segment.holders(), [1], "the very first thing that it does");
        segment.run_for(Duration::from_secs(5));
        assert_eq!(segment.holders(), [0], "preempted in order");
    }
}
