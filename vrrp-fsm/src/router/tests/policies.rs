//! Policies that take several events to show: two owners, a startup delay, spread phases, clocks that
//! jump.

use std::{collections::BTreeSet, vec::Vec};

use super::*;
use crate::Policy;

const OWNER: u8 = 255;
const LOWER: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 4));

fn owner(policy: Policy) -> RouterConfig {
    RouterConfig {
        priority: Priority::OWNER,
        policy,
        ..config()
    }
}

impl Subject {
    /// An advert from the address below ours.
    fn hears_lower(&mut self, priority: u8) -> Vec<Action> {
        self.gets(Event::Advertisement(Received {
            source: LOWER,
            priority: Priority::new(priority),
            interval: SECOND,
            version: Version::V3,
        }))
    }

    /// For so many seconds another owner advertises, half a second after us.
    fn contested(&mut self, seconds: u32) -> Vec<Action> {
        let mut all = Vec::new();
        for _ in 0..seconds {
            if self.router.kind() == StateKind::Active {
                let speaks = |action: &Action| matches!(action, Action::Send { .. });
                while {
                    let fired = self.fires();
                    all.extend(&fired);
                    !fired.iter().any(speaks)
                } {}
                self.after(SECOND / 2);
            } else {
                self.after(SECOND);
            }
            all.extend(self.hears_lower(OWNER));
        }
        all
    }
}

#[test]
fn of_two_owners_the_one_with_the_lower_address_gives_way() {
    for policy in [Policy::default(), Policy::keepalived()] {
        let mut subject = Subject::backup(owner(policy));
        assert_eq!(subject.router.kind(), StateKind::Active);
        let actions = subject.after(SECOND / 2).hears(OWNER);
        assert_eq!(
            told(&actions),
            ["Active -> Backup: 192.0.2.6 has the same priority 255 and the higher address"]
        );
        assert!(actions.contains(&Action::Warn(Warning::TwoOwners { source: OTHER })));
        assert_eq!(subject.router.priority(), Priority::OWNER);
    }
}

#[test]
fn an_owner_with_the_higher_address_yields_to_a_deaf_one_after_two_adverts_and_owns_again() {
    let mut subject = Subject::backup(owner(Policy::keepalived()));
    let actions = subject.contested(2);
    assert_eq!(told(&actions), Vec::<std::string::String>::new());
    let actions = subject.contested(3);
    let warning = Warning::OwnerYields { source: LOWER };
    assert!(actions.contains(&Action::Warn(warning)), "{actions:?}");
    assert_eq!(
        told(&actions),
        ["Active -> Backup: 192.0.2.4 has priority 255, higher than own 254"]
    );
    assert_eq!(subject.router.priority(), Priority::new(254));

    // Silence: it is the owner again, and takes over as one.
    let send = Action::Send {
        priority: Priority::OWNER,
    };
    assert_eq!(subject.fires()[0], send);
    assert_eq!(subject.router.priority(), Priority::OWNER);
    // It comes back.
    let actions = subject.contested(5);
    assert!(actions.contains(&Action::Warn(warning)), "{actions:?}");

    // It resigns, or its file was mended: the owner need not wait for long.
    subject.hears_lower(0);
    assert_eq!(subject.left(), SECOND / 256);
    assert_eq!(subject.fires()[0], send);
}

#[test]
fn an_owner_does_not_yield_to_one_that_falls_silent_in_time_nor_without_the_policy() {
    let mut subject = Subject::backup(owner(Policy::keepalived()));
    subject.contested(2);
    for _ in 0..10 {
        subject.fires();
    }
    subject.contested(2);
    assert_eq!(subject.router.kind(), StateKind::Active, "begun anew");

    let mut subject = Subject::backup(owner(Policy::default()));
    let actions = subject.contested(20);
    assert_eq!(told(&actions), Vec::<std::string::String>::new());
    assert_eq!(subject.router.kind(), StateKind::Active);
}

#[test]
fn a_startup_delay_is_as_if_it_were_started_later_and_nothing_that_is_heard_before_counts() {
    let mut late = config();
    late.policy.startup_delay = 5 * SECOND;
    let mut subject = Subject::backup(late.clone());
    assert_eq!(subject.router.kind(), StateKind::Initialize);
    assert_eq!(subject.left(), 5 * SECOND);
    assert!(subject.after(SECOND).hears(200).is_empty());
    assert!(subject.gets(Event::Startup).is_empty());
    assert_eq!(subject.left(), 4 * SECOND, "not begun anew");
    assert_eq!(
        told(&subject.fires()),
        ["Initialize -> Backup: started"],
        "and not before"
    );
    assert_eq!(subject.left(), Duration::from_micros(3_609_375));

    // What became known meanwhile counts when it begins.
    let mut subject = Subject::backup(late.clone());
    assert!(
        subject
            .gets(Event::Fault(FaultReason::InterfaceDown))
            .is_empty()
    );
    assert_eq!(
        told(&subject.fires()),
        ["Initialize -> Fault: the interface is down"]
    );
    // Stopped before, it never begins.
    let mut subject = Subject::backup(late);
    assert!(subject.gets(Event::Shutdown).is_empty());
    assert_eq!(subject.router.next_deadline(), None);
}

#[test]
fn a_successor_waits_out_the_startup_delay_of_its_predecessor() {
    let mut late = config();
    late.policy.startup_delay = 5 * SECOND;
    let mut old = Subject::backup(late.clone());
    let mut new = Router::new(late).unwrap();
    new.resume(old.now, *old.router.state());
    assert_eq!(new.next_deadline(), old.router.next_deadline());
    old.fires();
    new.handle(old.now, Event::Timeout);
    assert_eq!(new.kind(), StateKind::Backup);
}

/// When the timers of a router fire in the first seconds after it became Active.
fn beats(vrid: u8, spread: bool, seconds: u32) -> Vec<Instant> {
    let mut config = config();
    config.vrid = Vrid::new(vrid).unwrap();
    config.policy.spread_phases = spread;
    let mut subject = Subject::active(config);
    let end = subject.now + seconds * SECOND;
    let mut beats = Vec::new();
    loop {
        subject.fires();
        if subject.now > end {
            return beats;
        }
        beats.push(subject.now);
    }
}

#[test]
fn the_255_routers_of_a_host_that_became_active_at_once_never_fire_in_one_tick_again() {
    let all = (1..=255).flat_map(|vrid| beats(vrid, true, 10));
    let all: Vec<Instant> = all.collect();
    let ticks: BTreeSet<Instant> = all.iter().copied().collect();
    assert_eq!(ticks.len(), all.len(), "adverts and announcements");
    // And they are far apart: 1/255 of the interval, 3.9 ms, less half for the announcements between.
    let apart = ticks.iter().zip(ticks.iter().skip(1));
    let closest = apart.map(|(one, next)| next.since(*one)).min().unwrap();
    assert!(closest >= Duration::from_micros(1), "{closest:?}");
    // The first advert after that of the takeover is the only one that comes early.
    for vrid in [1, 100, 255] {
        let beats = beats(vrid, true, 4);
        for (one, next) in beats.iter().zip(beats.iter().skip(1)) {
            assert_eq!(next.since(*one), SECOND);
        }
    }
    let together = beats(7, false, 4);
    assert_eq!(together, beats(200, false, 4), "not without the policy");
}

#[test]
fn a_clock_that_jumps_forward_is_lateness_and_one_that_jumps_back_is_borne() {
    // A day of suspend: the clock went on, the router did not.
    let mut subject = Subject::active(config());
    subject.after(Duration::from_secs(86_400));
    let actions = subject.gets(Event::Timeout);
    assert!(actions.contains(&Action::Remove), "{actions:?}");
    assert_eq!(subject.router.kind(), StateKind::Backup);
    assert_eq!(subject.left(), Duration::from_micros(3_609_375), "in full");

    // CLOCK_BOOTTIME never goes back; a driver that gives another clock may.
    for mut subject in [Subject::active(config()), Subject::backup(config())] {
        subject.after(Duration::from_secs(1000));
        subject.gets(Event::Timeout);
        let before = subject.router.next_deadline();
        subject.now = Instant::from_nanos(5);
        subject.gets(Event::Timeout);
        assert_eq!(subject.router.next_deadline(), before);
        subject.hears(200);
        assert_eq!(subject.router.kind(), StateKind::Backup);
        assert_eq!(subject.left(), Duration::from_micros(3_609_375));
    }
}
