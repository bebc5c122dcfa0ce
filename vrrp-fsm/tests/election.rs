//! Properties: whatever happens in whatever order, the machine keeps its invariants, and of two
//! Active routers exactly one gives way.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{net::IpAddr, time::Duration};

use proptest::prelude::*;
use vrrp_fsm::{
    Action, Event, FaultKind, FaultReason, Instant, Object, Received, Router, RouterConfig,
    RouterId, State, StateKind,
};
use vrrp_proto::{Family, Priority, Version, Vrid};

fn config(version: Version, priority: u8, last: u8) -> RouterConfig {
    let addresses = vec![IpAddr::from([192, 0, 2, 100])];
    let mut config = RouterConfig::new(Vrid::new(9).unwrap(), Family::Ipv4, version, addresses);
    config.priority = Priority::new(priority);
    // RFC 3768's owner hears nobody.
    config.policy.owner_ignore_adverts = false;
    config.primary = Some(IpAddr::from([192, 0, 2, last]));
    config
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V2), Just(Version::V3)]
}

prop_compose! {
    fn any_config()(
        version in version(),
        priority in 1_u8..=255,
        preempt in any::<bool>(),
        delay in prop_oneof![Just(0_u64), 1_u64..10_000],
        interval in 1_u64..=3,
        refresh in prop_oneof![Just(None), (0_u64..5).prop_map(|s| Some(Duration::from_secs(s)))],
        answers in any::<bool>(),
        polite in any::<bool>(),
        deaf in any::<bool>(),
        (spread, yields) in any::<(bool, bool)>(),
        startup_delay in prop_oneof![3 => Just(0_u64), 1 => 1_u64..10_000],
        down_timer_adverts in prop_oneof![3 => Just(3_u8), 1 => 1_u8..=100],
    ) -> RouterConfig {
        let mut config = config(version, priority, 5);
        config.preempt = preempt;
        config.preempt_delay = Duration::from_millis(delay);
        config.interval = Duration::from_secs(interval);
        config.announcements.refresh = refresh;
        config.policy.lower_priority_no_advert = !answers;
        config.policy.higher_priority_send_advert = polite;
        config.policy.owner_ignore_adverts = deaf;
        config.policy.resign_at_once = polite != deaf;
        config.policy.spread_phases = spread;
        config.policy.contested_owner_yields = yields;
        config.policy.startup_delay = Duration::from_millis(startup_delay);
        config.policy.down_timer_adverts = down_timer_adverts;
        config
    }
}

fn any_advert() -> impl Strategy<Value = Event> {
    let priority = prop_oneof![Just(0), Just(255), any::<u8>()];
    let parts = (4_u8..=6, priority, 1_u64..=3, version());
    parts.prop_map(|(last, priority, interval, version)| {
        Event::Advertisement(Received {
            source: IpAddr::from([192, 0, 2, last]),
            priority: Priority::new(priority),
            interval: Duration::from_secs(interval),
            version,
        })
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    let faults = prop_oneof![
        Just(FaultReason::InterfaceDown),
        Just(FaultReason::Unwatched),
        Just(FaultReason::Operator),
        Just(FaultReason::Waiting(Object::Script(1))),
    ];
    let kinds = prop_oneof![
        Just(FaultKind::Interface),
        Just(FaultKind::Watch),
        Just(FaultKind::Operator),
        Just(FaultKind::Tracking),
    ];
    prop_oneof![
        2 => Just(Event::Startup),
        1 => Just(Event::Shutdown),
        8 => Just(Event::Timeout),
        6 => any_advert(),
        1 => any::<u8>().prop_map(|priority| Event::Priority(Priority::new(priority))),
        1 => faults.prop_map(Event::Fault),
        2 => kinds.prop_map(Event::Recovered),
        1 => Just(Event::PrimaryAddress(None)),
        1 => (4_u8..=6).prop_map(|last| Event::PrimaryAddress(Some(IpAddr::from([192, 0, 2, last])))),
        1 => Just(Event::Installed),
        1 => Just(Event::InstallFailed),
        1 => Just(Event::AddressLost),
        1 => Just(Event::LeaseExpired),
        1 => Just(Event::Succeeded),
        1 => Just(Event::Promote),
        1 => Just(Event::StepBack(RouterId::new(1))),
    ]
}

/// When an event comes: after some time, or exactly at the deadline.
fn any_step() -> impl Strategy<Value = (Option<u64>, Event)> {
    let time = prop_oneof![
        3 => Just(None),
        3 => (0_u64..2_000).prop_map(Some),
        1 => (0_u64..20_000).prop_map(Some),
    ];
    (time, any_event())
}

/// Follows the actions of a router as a host would, and checks that they make sense.
struct Follower {
    state: StateKind,
    installed: bool,
}

impl Follower {
    fn follow(&mut self, router: &mut Router, now: Instant, event: Event) {
        while let Some(action) = router.poll_action() {
            match action {
                Action::Install => {
                    assert!(!self.installed, "installed twice");
                    self.installed = true;
                }
                Action::Remove => {
                    assert!(self.installed, "removed twice");
                    self.installed = false;
                }
                Action::Announce { repeat } => {
                    assert!(
                        self.installed && repeat > 0,
                        "announced without the addresses"
                    );
                }
                Action::Group(group) => unreachable!("{group}: a router alone is in none"),
                Action::Repair => assert!(self.installed, "repaired without the addresses"),
                Action::Send { priority } => {
                    let resigning = priority == Priority::RESIGN;
                    let for_predecessor = event == Event::Succeeded;
                    assert!(
                        !resigning || self.installed || for_predecessor,
                        "only an Active router resigns, or one for its predecessor"
                    );
                }
                Action::Transition(transition) => {
                    assert_eq!(transition.from, self.state);
                    assert!(
                        transition.from != transition.to || transition.to == StateKind::Fault,
                        "only another fault is told without a change of state"
                    );
                    self.state = transition.to;
                }
                Action::Priority(_) | Action::Warn(_) => {}
            }
        }
        let kind = router.state().kind();
        assert_eq!(kind, self.state, "every change is told");
        assert_eq!(self.installed, kind == StateKind::Active);
        let idle = matches!(router.state(), State::Initialize { .. });
        assert_eq!(idle, router.next_deadline().is_none());
        if kind != StateKind::Initialize {
            let faulty = router.faults().first().is_some();
            assert_eq!(
                faulty,
                kind == StateKind::Fault,
                "a fault holds exactly while there is one"
            );
        }
        if event == Event::Timeout {
            assert!(router.next_deadline().is_none_or(|at| at > now));
        }
    }
}

proptest! {
    #[test]
    fn any_list_of_events_keeps_the_invariants(
        config in any_config(),
        steps in prop::collection::vec(any_step(), 1..120),
    ) {
        let mut router = Router::new(config).unwrap();
        let mut follower = Follower { state: StateKind::Initialize, installed: false };
        let mut now = Instant::from_nanos(1_000_000_000);
        for (time, event) in steps {
            now = match time {
                Some(millis) => now + Duration::from_millis(millis),
                None => router.next_deadline().unwrap_or(now).max(now),
            };
            router.handle(now, event);
            follower.follow(&mut router, now, event);
        }
    }

    /// An advert that is discarded is as if it had never come.
    #[test]
    fn what_is_discarded_changes_no_timer(config in any_config(), event in any_advert(), millis in 0_u64..3000) {
        let Event::Advertisement(advert) = event else { return Ok(()) };
        let mut router = Router::new(config).unwrap();
        let start = Instant::from_nanos(1_000_000_000);
        router.handle(start, Event::Startup);
        while router.poll_action().is_some() {}
        if router.check(&advert).is_ok() {
            return Ok(());
        }
        let before = router.next_deadline();
        router.handle(start + Duration::from_millis(millis), event);
        prop_assert_eq!(router.next_deadline(), before);
    }

    /// RFC 9568 §6.4.3: the order of (priority, address) is total, and both sides see it alike.
    #[test]
    fn of_two_active_routers_exactly_one_gives_way(
        version in version(),
        (a, b) in ((1_u8..=255, 1_u8..=99), (1_u8..=255, 1_u8..=99)),
    ) {
        prop_assume!(a.1 != b.1);
        let active = |(priority, last)| {
            let mut router = Router::new(config(version, priority, last)).unwrap();
            let start = Instant::from_nanos(1_000_000_000);
            router.handle(start, Event::Startup);
            while router.poll_action().is_some() {}
            // The owner is Active already.
            if router.state().kind() == StateKind::Backup {
                router.handle(start + Duration::from_secs(5), Event::Timeout);
                while router.poll_action().is_some() {}
            }
            router
        };
        let survives = |own, (priority, last): (u8, u8)| {
            let mut router = active(own);
            let now = router.next_deadline().unwrap();
            let heard = Received {
                source: IpAddr::from([192, 0, 2, last]),
                priority: Priority::new(priority),
                interval: Duration::from_secs(1),
                version,
            };
            router.handle(now, Event::Advertisement(heard));
            router.state().kind() == StateKind::Active
        };
        prop_assert_eq!(survives(a, b), a > b);
        prop_assert_eq!(survives(b, a), b > a);
    }
}
