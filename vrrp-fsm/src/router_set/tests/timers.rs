//! Deadlines of many routers.

use super::*;

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
    let mut set = RouterSet::new();
    for vrid in 1..=255 {
        let mut config = config(vrid, 1);
        config.version = Version::V3;
        config.interval = Duration::from_millis(100);
        config.policy.spread_phases = true;
        set.insert(attachment(), config).unwrap();
    }
    set.handle_all(NOW, Event::Startup);
    let mut now = NOW;
    for _ in 0..3 * 255 {
        drain(&mut set);
        now = set.next_deadline().unwrap();
        set.timeout(now);
    }
    // All took over in one tick; since then each fires alone.
    let interval = Duration::from_millis(100);
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
