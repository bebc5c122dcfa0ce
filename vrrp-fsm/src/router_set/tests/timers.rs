//! Deadlines of many routers.

use super::*;

/// So many routers that have begun and spread their adverts over the interval.
fn spread(routers: u8, interval: Duration, adjust: impl Fn(&mut RouterConfig)) -> RouterSet {
    let mut set = RouterSet::new();
    for vrid in 1..=routers {
        let mut config = config(vrid, 1);
        config.version = Version::V3;
        config.interval = interval;
        config.policy.spread_phases = true;
        adjust(&mut config);
        set.insert(attachment(), config).unwrap();
    }
    set.handle_all(NOW, Event::Startup);
    drain(&mut set);
    set
}

#[test]
fn timers_fire_in_the_order_of_their_deadlines() {
    let mut set = RouterSet::new();
    for (vrid, priority) in [(1, 50), (2, 250), (3, 150)] {
        let mut config = config(vrid, 1);
        config.priority = Priority::new(priority);
        set.insert(attachment(), config).unwrap();
    }
    set.handle_all(NOW, Event::Startup);
    drain(&mut set);
    set.timeout(NOW);
    assert!(drain(&mut set).is_empty(), "nothing is due");
    set.timeout(NOW + Duration::from_secs(4));
    let order: Vec<u32> = drain(&mut set)
        .iter()
        .filter(|(_, action)| *action == Action::Install)
        .map(|(id, _)| id.number())
        .collect();
    assert_eq!(order, [1, 2, 0]);
    assert!(
        set.next_deadline()
            .is_some_and(|at| at > NOW + Duration::from_secs(4))
    );
}

#[test]
fn routers_that_became_active_at_once_spread_their_adverts_over_the_interval() {
    let interval = Duration::from_millis(100);
    let mut set = spread(255, interval, |_| {});
    let mut now = NOW;
    for _ in 0..3 * 255 {
        drain(&mut set);
        now = set.next_deadline().unwrap();
        set.timeout(now);
    }
    // All took over in one tick; since then each fires alone.
    let mut gaps = Vec::new();
    for _ in 0..255 {
        drain(&mut set);
        let next = set.next_deadline().unwrap();
        gaps.push(next.since(now));
        now = next;
        set.timeout(now);
    }
    assert!(
        gaps.iter().all(|gap| *gap >= interval / 256),
        "{:?}",
        gaps.iter().min()
    );
    assert_eq!(gaps.iter().sum::<Duration>(), interval);
}

#[test]
fn adverts_that_go_out_ahead_with_others_keep_their_distance() {
    let interval = Duration::from_millis(100);
    let mut set = spread(255, interval, |_| {});
    let mut rng = crate::simulation::Rng::new(1);
    let mut last: Vec<Option<Instant>> = vec![None; 255];
    let (mut rounds, mut crowd, mut gaps) = (0_u32, 0, Vec::new());
    let steady = NOW + Duration::from_secs(1);
    let end = steady + interval * 50;
    while let Some(at) = set.next_deadline().filter(|at| *at < end) {
        // A driver wakes a little late.
        let due = at + Duration::from_micros(rng.below(1500));
        rounds += u32::from(due > steady);
        let (mut awake, mut together) = (false, 0);
        while set.timeout_next(due) || (awake && set.advert_ahead(due)) {
            awake = true;
            for (id, action) in drain(&mut set) {
                if let Action::Send { .. } = action {
                    together += 1;
                    let before = last[id.index()].replace(due);
                    gaps.extend(before.filter(|_| due > steady).map(|one| due.since(one)));
                }
            }
        }
        if due > steady {
            crowd = crowd.max(together);
        }
    }
    assert!(gaps.len() > 255 * 49);
    // Eight wake-ups for each interval, and an eighth of the routers at once with those that a late driver finds due;
    // nobody is heard more seldom for it.
    assert!(rounds <= 8 * 51, "{rounds} wake-ups");
    assert!(crowd <= 255 / 8 + 5, "{crowd} in one tick");
    let longest = gaps.iter().max().unwrap();
    assert!(
        *longest < interval + Duration::from_millis(3),
        "{longest:?}"
    );
}

#[test]
fn silence_is_counted_from_when_a_router_really_spoke() {
    let interval = Duration::from_millis(100);
    let mut set = spread(250, interval, |_| {});
    let steady = NOW + Duration::from_secs(1);
    let mut due = NOW;
    while let Some(at) = set.next_deadline().filter(|_| due < steady) {
        due = at;
        while set.timeout_next(due) || set.advert_ahead(due) {
            drain(&mut set);
        }
    }
    let spoke = set.ids().filter(|id| {
        let crate::State::Active(active) = set.router(*id).unwrap().state() else {
            panic!("{id} is not Active");
        };
        assert!(active.sent_at <= due, "{id}");
        // Some of these went out before their time, but no interval is shortened by it.
        active.sent_at == due && active.adver_at > due + interval
    });
    assert!(spoke.count() > 10);
    // Three intervals and the shortest Skew_Time after that a Backup of priority 254 has taken over.
    let late = due + interval * 3 + Duration::from_millis(1);
    set.timeout(late);
    let stepped_back = drain(&mut set);
    assert!(stepped_back.len() >= 250);
    let stays = |id: &RouterId| set.router(*id).unwrap().state().kind() == StateKind::Active;
    assert_eq!(set.ids().filter(stays).count(), 0);
}

#[test]
fn routers_that_nobody_waits_long_for_go_at_their_own_time() {
    let interval = Duration::from_millis(100);
    for adverts in [1, 2] {
        let few = |config: &mut RouterConfig| config.policy.down_timer_adverts = adverts;
        let mut set = spread(50, interval, few);
        let steady = NOW + Duration::from_secs(1);
        let mut due = NOW;
        while let Some(at) = set.next_deadline().filter(|_| due < steady) {
            due = at;
            while set.timeout_next(due) {
                drain(&mut set);
            }
            assert!(!set.advert_ahead(due));
        }
    }
}

#[test]
fn another_interval_of_a_peer_is_told_once() {
    let mut set = RouterSet::new();
    let v3 = |last: u8, millis: u64| {
        let mut config = config(1, last);
        config.version = Version::V3;
        config.interval = Duration::from_millis(millis);
        config
    };
    set.insert(attachment(), v3(1, 1000)).unwrap();
    set.handle_all(NOW, Event::Startup);
    drain(&mut set);
    assert!(!set.has_learned());
    for (millis, told) in [(1000, true), (1000, false), (100, true), (100, false)] {
        let advert = packets(attachment(), v3(2, millis)).remove(0);
        receive(&mut set, &advert).unwrap();
        assert_eq!(set.has_learned(), told, "{millis} ms");
        assert!(!set.has_learned());
    }
}
