//! Groups of real routers: what one does, all do.

mod lan;

use alloc::{vec, vec::Vec};
use core::{net::IpAddr, time::Duration};

use proptest::prelude::*;
use vrrp_proto::{Family, Priority, Version, Vrid};

use crate::{
    Action, Attachment, Event, FaultKind, FaultReason, GroupTransition, Instant, Object, Reason,
    RouterConfig, RouterId, RouterSet, StateKind,
    track::{Health, Track},
};

const SECOND: Duration = Duration::from_secs(1);
const MEMBERS: u8 = 3;
/// More than the longest Active_Down_Interval.
const ELECTION: Duration = Duration::from_secs(4);

/// Member `member` on host `host`, each on an interface of its own.
fn config(host: u8, member: u8, priority: u8) -> RouterConfig {
    let vrid = Vrid::new(51 + member).unwrap();
    let address = IpAddr::from([192, 0, 2 + member, 100]);
    let mut config = RouterConfig::new(vrid, Family::Ipv4, Version::V3, vec![address]);
    config.primary = Some(IpAddr::from([192, 0, 2 + member, host + 1]));
    config.priority = Priority::new(priority);
    config
}

fn interface(member: u8) -> u32 {
    u32::from(member) + 1
}

fn ids() -> Vec<RouterId> {
    (0..MEMBERS).map(|n| RouterId::new(n.into())).collect()
}

/// A host whose members have these priorities, bound into one group.
fn grouped(host: u8, priorities: [u8; 3]) -> RouterSet {
    let mut set = RouterSet::new();
    for (member, priority) in (0..MEMBERS).zip(priorities) {
        let attachment = Attachment::new(interface(member), Family::Ipv4);
        set.insert(attachment, config(host, member, priority))
            .unwrap();
    }
    set.form_group(Instant::ZERO, ids());
    set
}

fn states(set: &RouterSet) -> Vec<StateKind> {
    let all = ids().into_iter().filter_map(|id| set.router(id));
    all.map(|router| router.state().kind()).collect()
}

fn drain(set: &mut RouterSet) -> Vec<(RouterId, Action)> {
    core::iter::from_fn(|| set.poll_action()).collect()
}

fn group_changes(actions: &[(RouterId, Action)]) -> Vec<(StateKind, StateKind)> {
    let pick = |(_, action): &(RouterId, Action)| match action {
        Action::Group(GroupTransition { from, to, .. }) => Some((*from, *to)),
        _ => None,
    };
    actions.iter().filter_map(pick).collect()
}

/// A group alone on its links, Active.
fn active() -> (RouterSet, Instant) {
    let mut set = grouped(1, [100; 3]);
    let mut now = Instant::ZERO + SECOND;
    set.handle_all(now, Event::Startup);
    drain(&mut set);
    now += ELECTION;
    set.timeout(now);
    drain(&mut set);
    assert_eq!(states(&set), [StateKind::Active; 3]);
    (set, now)
}

#[test]
fn all_become_active_at_once_when_the_last_of_them_could() {
    let mut set = grouped(1, [200, 100, 150]);
    set.handle_all(Instant::ZERO, Event::Startup);
    let begun = drain(&mut set);
    assert_eq!(
        group_changes(&begun),
        [(StateKind::Initialize, StateKind::Backup)]
    );
    // Active_Down_Interval is 3.22 s, 3.61 s and 3.41 s.
    for (millis, expected) in [(3300, StateKind::Backup), (3500, StateKind::Backup)] {
        set.timeout(Instant::ZERO + Duration::from_millis(millis));
        assert!(drain(&mut set).is_empty());
        assert_eq!(states(&set), [expected; 3]);
    }
    assert!(set.status(RouterId::new(0)).unwrap().ready);
    set.timeout(Instant::ZERO + Duration::from_millis(3700));
    let actions = drain(&mut set);
    assert_eq!(states(&set), [StateKind::Active; 3]);
    let adverts = actions
        .iter()
        .filter(|(_, action)| matches!(action, Action::Send { .. }));
    assert_eq!(adverts.count(), 3);
    let last = (actions.len() - 1, group_changes(&actions));
    assert_eq!(last.1, [(StateKind::Backup, StateKind::Active)]);
    assert!(
        matches!(actions[last.0].1, Action::Group(_)),
        "after its members"
    );
}

#[test]
fn one_that_gives_way_takes_the_others_along_by_priority_0() {
    let (mut set, now) = active();
    set.handle(now, RouterId::new(1), Event::LeaseExpired);
    let actions = drain(&mut set);
    assert_eq!(states(&set), [StateKind::Backup; 3]);
    for id in [RouterId::new(0), RouterId::new(2)] {
        let of = |action| actions.contains(&(id, action));
        assert!(of(Action::Send {
            priority: Priority::RESIGN
        }));
        assert!(of(Action::Remove));
        let why = |(whose, action): &(RouterId, Action)| {
            *whose == id
                && matches!(action, Action::Transition(t) if t.reason == Reason::Sibling(RouterId::new(1)))
        };
        assert!(actions.iter().any(why));
    }
    assert_eq!(
        group_changes(&actions),
        [(StateKind::Active, StateKind::Backup)]
    );
}

#[test]
fn a_fault_of_one_is_the_fault_of_all_until_the_last_is_gone() {
    let (mut set, now) = active();
    set.link(now, interface(0), false);
    let actions = drain(&mut set);
    assert_eq!(states(&set), [StateKind::Fault; 3]);
    assert_eq!(
        group_changes(&actions),
        [(StateKind::Active, StateKind::Fault)]
    );
    let resigned = actions.iter().filter(|(_, action)| {
        *action
            == Action::Send {
                priority: Priority::RESIGN,
            }
    });
    assert_eq!(resigned.count(), 3);
    set.link(now, interface(1), false);
    set.link_and_drain(now, interface(0), true);
    assert_eq!(states(&set), [StateKind::Fault; 3], "another is there");
    set.link(now, interface(1), true);
    let actions = drain(&mut set);
    assert_eq!(states(&set), [StateKind::Backup; 3]);
    assert_eq!(
        group_changes(&actions),
        [(StateKind::Fault, StateKind::Backup)]
    );
}

impl RouterSet {
    fn link_and_drain(&mut self, now: Instant, interface: u32, up: bool) {
        drain(self);
        self.link(now, interface, up);
        drain(self);
    }
}

#[test]
fn a_group_that_waits_for_a_first_result_has_not_begun_and_is_not_in_fault() {
    let script = Object::Script(7);
    let track = Track {
        object: script,
        weight: 0,
        reverse: false,
    };
    for (health, expected) in [
        (Health::Up, StateKind::Backup),
        (Health::Down, StateKind::Fault),
    ] {
        let mut set = RouterSet::new();
        for member in 0..MEMBERS {
            let mut attachment = Attachment::new(interface(member), Family::Ipv4);
            attachment.tracks.extend((member == 2).then_some(track));
            set.insert(attachment, config(1, member, 100)).unwrap();
        }
        set.form_group(Instant::ZERO, ids());
        set.handle_all(Instant::ZERO, Event::Startup);
        let begun = drain(&mut set);
        assert_eq!(group_changes(&begun), []);
        for (_, action) in begun {
            let Action::Transition(transition) = action else {
                panic!("{action:?}")
            };
            let Reason::Fault(fault) = transition.reason else {
                panic!("{transition}")
            };
            assert!(fault.is_waiting());
        }
        set.track(Instant::ZERO, script, health);
        assert_eq!(
            group_changes(&drain(&mut set)),
            [(StateKind::Initialize, expected)]
        );
    }
}

#[test]
fn who_is_stopped_or_leaves_does_not_take_the_others_along() {
    let (mut set, now) = active();
    set.retire(now, RouterId::new(0));
    drain(&mut set);
    assert_eq!(
        states(&set)[1..],
        [StateKind::Active, StateKind::Active],
        "they go on"
    );
    set.handle_all(now, Event::Shutdown);
    let actions = drain(&mut set);
    let resigned = actions.iter().filter(|(_, action)| {
        *action
            == Action::Send {
                priority: Priority::RESIGN,
            }
    });
    assert_eq!(resigned.count(), 2, "each for itself");
    assert_eq!(
        group_changes(&actions),
        [(StateKind::Active, StateKind::Initialize)]
    );
}

#[test]
fn one_whose_address_the_host_has_not_told_yet_does_not_end_the_group_that_it_joins() {
    let (mut set, now) = active();
    let (interface, primary) = {
        let one = RouterId::new(0);
        let primary = set.router(one).unwrap().config().primary;
        (set.attachment(one).unwrap().interface, primary)
    };
    let mut comer = config(200, 9, 100);
    comer.primary = None;
    let new = set
        .insert(Attachment::new(interface, Family::Ipv4), comer)
        .unwrap();
    set.handle(now, new, Event::Startup);
    drain(&mut set);
    let mut members = ids();
    members.push(new);
    set.reform_group(now, crate::GroupId::new(0), members);
    assert_eq!(group_changes(&drain(&mut set)), []);
    set.primary_address(now, new, primary);
    assert_eq!(group_changes(&drain(&mut set)), []);
    assert_eq!(states(&set)[..3], [StateKind::Active; 3]);
    // Nobody else is on that interface: it is not known.
    let mut stranger = config(201, 9, 100);
    stranger.primary = None;
    let stranger = set
        .insert(Attachment::new(77, Family::Ipv4), stranger)
        .unwrap();
    assert_eq!(set.router(stranger).unwrap().config().primary, None);
}

#[test]
fn one_that_joins_an_active_group_follows_without_disturbing_it() {
    let (mut set, now) = active();
    let attachment = Attachment::new(9, Family::Ipv4);
    let new = set.insert(attachment, config(1, 9, 100)).unwrap();
    let mut members = ids();
    members.push(new);
    set.reform_group(now, crate::GroupId::new(0), members);
    set.handle(now, new, Event::Startup);
    assert_eq!(group_changes(&drain(&mut set)), []);
    let later = now + ELECTION;
    // The others go on sending meanwhile.
    let mut at = now;
    while at < later {
        at += SECOND / 2;
        set.timeout(at);
        drain(&mut set);
    }
    let state = |id| set.router(id).unwrap().state().kind();
    assert_eq!(state(new), StateKind::Active);
    assert_eq!(states(&set), [StateKind::Active; 3]);
}

#[test]
fn a_weakened_member_that_resigns_and_finds_nobody_better_has_all_back_after_skew_time() {
    let mut set = RouterSet::new();
    for member in 0..MEMBERS {
        let mut config = config(1, member, 100);
        config.policy.resign_at_once = true;
        let attachment = Attachment::new(interface(member), Family::Ipv4);
        set.insert(attachment, config).unwrap();
    }
    set.form_group(Instant::ZERO, ids());
    set.handle_all(Instant::ZERO, Event::Startup);
    drain(&mut set);
    let mut now = Instant::ZERO + ELECTION;
    set.timeout(now);
    drain(&mut set);
    set.handle(now, RouterId::new(1), Event::Priority(Priority::new(80)));
    drain(&mut set);
    assert_eq!(states(&set), [StateKind::Backup; 3]);
    // The longest Skew_Time is that of priority 80.
    now += Duration::from_micros(687_500);
    set.timeout(now);
    drain(&mut set);
    assert_eq!(states(&set), [StateKind::Active; 3]);
}

#[test]
fn a_successor_that_comes_too_late_for_one_member_lets_all_go() {
    for late in ids() {
        let (old, now) = active();
        let mut new = RouterSet::new();
        for id in ids() {
            let member = u8::try_from(id.number()).unwrap();
            let mut config = config(1, member, 100);
            config.interval = if id == late { SECOND } else { 10 * SECOND };
            let attachment = Attachment::new(interface(member), Family::Ipv4);
            new.insert(attachment, config).unwrap();
        }
        new.form_group(Instant::ZERO, ids());
        drain(&mut new);
        for id in ids() {
            new.resume(now + 5 * SECOND, id, old.memory(id).unwrap());
            drain(&mut new);
        }
        assert_eq!(states(&new), [StateKind::Backup; 3], "{late} is late");
    }
}

#[test]
fn a_successor_takes_a_group_over_without_a_word_of_it() {
    let (old, now) = active();
    let mut new = grouped(1, [100; 3]);
    for id in ids() {
        new.resume(now, id, old.memory(id).unwrap());
        let told = drain(&mut new);
        assert_eq!(told, [(id, Action::Install)]);
    }
    assert_eq!(states(&new), [StateKind::Active; 3]);
    new.link(now, interface(2), false);
    assert_eq!(
        group_changes(&drain(&mut new)),
        [(StateKind::Active, StateKind::Fault)]
    );
    // One that was held by another's fault is held on.
    let mut last = grouped(1, [100; 3]);
    last.link(now, interface(2), false);
    drain(&mut last);
    for id in ids() {
        last.resume(now, id, new.memory(id).unwrap());
        assert_eq!(group_changes(&drain(&mut last)), []);
    }
    assert_eq!(states(&last), [StateKind::Fault; 3]);
}

#[test]
fn an_owner_waits_for_the_others_of_its_group() {
    let mut set = grouped(1, [255, 255, 100]);
    set.handle_all(Instant::ZERO, Event::Startup);
    assert_eq!(states(&set), [StateKind::Backup; 3]);
    drain(&mut set);
    let mut set = grouped(1, [255; 3]);
    set.handle_all(Instant::ZERO, Event::Startup);
    assert_eq!(states(&set), [StateKind::Active; 3], "at once");
}

proptest! {
    /// Whatever happens to members, in whatever order, they agree.
    #[test]
    fn members_agree_after_any_events(events in proptest::collection::vec((0u32..3, 0u8..9, 0u64..2000), 0..60)) {
        let mut set = grouped(1, [120, 100, 80]);
        let mut now = Instant::ZERO + SECOND;
        set.handle_all(now, Event::Startup);
        drain(&mut set);
        for (member, kind, millis) in events {
            now += Duration::from_millis(millis);
            let id = RouterId::new(member);
            let heard = |priority| Event::Advertisement(crate::Received {
                source: IpAddr::from([192, 0, 2, 9]),
                priority: Priority::new(priority),
                interval: SECOND,
                version: Version::V3,
            });
            match kind {
                0 | 1 => set.timeout(now),
                2 => set.handle(now, id, heard(200)),
                3 => set.handle(now, id, heard(1)),
                4 => set.handle(now, id, heard(0)),
                5 => set.handle(now, id, Event::Fault(FaultReason::Operator)),
                6 => set.handle(now, id, Event::Recovered(FaultKind::Operator)),
                7 => set.handle(now, id, Event::LeaseExpired),
                _ => set.timeout(now + SECOND),
            }
            let mut installed = 0i32;
            for (_, action) in drain(&mut set) {
                installed += match action {
                    Action::Install => 1,
                    Action::Remove => -1,
                    _ => 0,
                };
            }
            prop_assert!(installed.abs() == 0 || installed.abs() == 3);
            let states = states(&set);
            let count = states.iter().filter(|state| **state == StateKind::Active).count();
            prop_assert!(count == 0 || count == 3, "{:?}", states);
            let faults = states.iter().filter(|state| **state == StateKind::Fault).count();
            prop_assert!(faults == 0 || faults == 3, "{:?}", states);
        }
    }
}
