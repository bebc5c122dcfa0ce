//! Elections on a simulated segment. A failure names its seed; `VRRP_SEED=N` replays that one,
//! `VRRP_SEEDS=N` tries the first N.

use std::{env, format, println, string::String, vec, vec::Vec};

use vrrp_proto::{Family, Password, Priority, Version, Vrid};

use super::*;
use crate::{Authentication, Reason, Transition, Transport, Warning, timing, track::Track};

const DEFAULT_SEEDS: u64 = 400;

/// A segment drawn from a seed, and what is needed to judge it.
struct Trial {
    segment: Segment,
    rng: Rng,
    /// The longest interval of any router.
    interval: Duration,
    preempt: bool,
    best: u8,
}

fn primary(family: Family, number: usize) -> IpAddr {
    let last = u8::try_from(number + 1).unwrap();
    match family {
        Family::Ipv4 => IpAddr::from([192, 0, 2, last]),
        Family::Ipv6 => format!("fe80::{last}").parse().unwrap(),
    }
}

fn addresses(family: Family) -> Vec<IpAddr> {
    match family {
        Family::Ipv4 => vec!["192.0.2.100".parse().unwrap()],
        Family::Ipv6 => vec![
            "fe80::100".parse().unwrap(),
            "2001:db8::100".parse().unwrap(),
        ],
    }
}

fn config(version: Version, family: Family, number: usize, priority: u8) -> RouterConfig {
    let vrid = Vrid::new(51).unwrap();
    let mut config = RouterConfig::new(vrid, family, version, addresses(family));
    config.primary = Some(primary(family, number));
    config.priority = Priority::new(priority);
    config
}

impl Trial {
    fn draw(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut segment = Segment::new(rng.word());
        let hosts = 2 + rng.index(4);
        let (version, family) = match rng.below(3) {
            0 => (Version::V2, Family::Ipv4),
            1 => (Version::V3, Family::Ipv4),
            _ => (Version::V3, Family::Ipv6),
        };
        let intervals: &[u64] = match version {
            Version::V2 => &[1000, 2000],
            Version::V3 => &[10, 100, 1000],
        };
        let base = Duration::from_millis(intervals[rng.index(intervals.len())]);
        let mixed_intervals = version == Version::V3 && rng.chance(300);
        let preempt = rng.chance(700);
        let authentication = match (version, rng.below(4)) {
            (Version::V2, 0) => Authentication::Password(Password::truncated(b"viettq")),
            #[cfg(feature = "auth")]
            (Version::V2, 1) => Authentication::Header(vrrp_proto::ah::Authenticator::new(
                Password::truncated(b"viettq"),
            )),
            #[cfg(feature = "auth")]
            (_, 2) => hmac(&[1]),
            _ => Authentication::None,
        };
        let unicast = rng.chance(250);
        let mut trial_best = 0;
        let mut longest = base;
        for number in 0..hosts {
            let priority = [100, 100, 101, 150, 200, 254][rng.index(6)];
            trial_best = trial_best.max(priority);
            let mut config = config(version, family, number, priority);
            config.preempt = preempt;
            config.interval = base;
            if mixed_intervals {
                config.interval = base * u32::try_from(1 + rng.below(3)).unwrap();
            }
            longest = longest.max(config.interval);
            let mut attachment = Attachment::new(1, family);
            attachment.authentication = authentication.clone();
            if unicast {
                let others = (0..hosts).filter(|other| *other != number);
                let peers = others.map(|other| primary(family, other)).collect();
                attachment.transport = Transport::unicast(peers);
            }
            if rng.chance(500) {
                attachment.tracks.push(Track {
                    object: SCRIPT,
                    weight: if rng.chance(500) { 0 } else { -60 },
                    reverse: false,
                });
            }
            let clock = Clock {
                begin: Duration::from_secs(rng.below(1_000_000)),
                drift_ppm: i32::try_from(rng.below(401)).unwrap() - 200,
            };
            segment.add(attachment, config, clock).unwrap();
            segment.run_for(rng.up_to(base));
        }
        Self {
            segment,
            rng,
            interval: longest,
            preempt,
            best: trial_best,
        }
    }

    fn misfortune(&mut self, faults: usize) {
        for _ in 0..faults {
            let time = self.rng.up_to(self.interval * 3);
            self.segment.run_for(time);
            let hosts = self.segment.len();
            let fault = Fault::draw(&mut self.rng, hosts, self.interval);
            self.segment.apply(fault);
        }
    }

    /// All faults gone; then time for stalls to end and for two elections.
    fn heal(&mut self) {
        self.segment.apply(Fault::Weather(Weather::default()));
        self.segment.apply(Fault::Mend);
        for number in 0..self.segment.len() {
            for repair in [
                Fault::Boot(number),
                Fault::Start(number),
                Fault::Link(number, true),
                Fault::Script(number, true),
            ] {
                self.segment.apply(repair);
            }
        }
        self.segment.run_for(self.interval * (8 + 2 * 5));
    }

    fn assert_one_active(&self, seed: u64) -> usize {
        let all: Vec<usize> = (0..self.segment.len()).collect();
        let active = |number: &usize| self.segment.state(*number) == Some(StateKind::Active);
        let actives: Vec<usize> = all.iter().copied().filter(active).collect();
        assert_eq!(actives.len(), 1, "VRRP_SEED={seed}: Active are {actives:?}");
        assert_eq!(self.segment.holders(), actives, "VRRP_SEED={seed}");
        let priority = self.segment.priority(actives[0]);
        if self.preempt {
            assert_eq!(
                priority,
                Some(self.best),
                "VRRP_SEED={seed}: the best is Active"
            );
        }
        actives[0]
    }
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
        let before = trial.segment.history().len();
        let active = trial.assert_one_active(seed);
        trial.segment.run_for(trial.interval * 20);
        assert_eq!(trial.assert_one_active(seed), active, "VRRP_SEED={seed}");
        for moment in &trial.segment.history()[before..] {
            assert!(
                !matches!(moment.what, Happening::Transition(..)),
                "VRRP_SEED={seed}: {moment:?}"
            );
        }
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
        let config = config(version, Family::Ipv4, number, *priority);
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

/// `auth_hmac` with these keys, of which the first signs.
#[cfg(feature = "auth")]
fn hmac(keys: &[u8]) -> Authentication {
    use vrrp_proto::auth_hmac::{AntiReplay, Authenticator, Key, Mode, Settings};
    let settings = Settings {
        mode: Mode::Enforce,
        active_key: keys[0],
        anti_replay: AntiReplay::Time(Duration::from_secs(5)),
    };
    let keys = keys.iter().map(|id| Key::new(*id, &[*id; 32]).unwrap());
    Authentication::Hmac(std::boxed::Box::new(
        Authenticator::new(keys.collect(), settings).unwrap(),
    ))
}

/// Seed 2016 found it: both count in step, so that neither number is higher than the other's.
#[cfg(feature = "auth")]
#[test]
fn two_routers_with_authentication_header_that_started_together_hear_each_other() {
    let mut segment = Segment::new(1);
    for number in 0..2 {
        let config = config(Version::V2, Family::Ipv4, number, 100);
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
        let source = primary(Family::Ipv4, 0);
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
