//! Other times for a router that is Active, and other peers.

use super::*;

#[test]
fn an_active_router_with_other_times_stays_active_and_tells_them_at_once() {
    let times = |seconds, down_timer_adverts| {
        let mut config = config(1, 1);
        config.version = Version::V3;
        config.interval = Duration::from_secs(seconds);
        config.policy.down_timer_adverts = down_timer_adverts;
        config.announcements.delay = Duration::ZERO;
        config
    };
    let id = RouterId::new(0);
    let active = |before| {
        let mut set = RouterSet::new();
        set.insert(attachment(), before).unwrap();
        set.handle_all(NOW, Event::Startup);
        drain(&mut set);
        let taken_over = set.next_deadline().unwrap();
        set.timeout(taken_over);
        drain(&mut set);
        (set, taken_over)
    };
    let send = Action::Send {
        priority: Priority::new(100),
    };
    // The silence is one that only the new times would call late.
    for (before, after, silence) in [
        (times(10, 3), times(1, 3), 9),
        (times(2, 5), times(2, 2), 6),
    ] {
        let (mut set, mut now) = active(before);
        now += Duration::from_secs(silence);
        let interval = after.interval;
        set.reconfigure(now, id, attachment(), after, |_| None)
            .unwrap();
        assert_eq!(drain(&mut set), [(id, send)]);
        assert_eq!(set.next_deadline(), Some(now + interval));
        set.timeout(now + interval);
        assert_eq!(drain(&mut set), [(id, send)], "still Active");
    }
    // One that is late by the old ones is not made good by the new.
    let (mut set, mut now) = active(times(1, 3));
    now += Duration::from_secs(9);
    set.reconfigure(now, id, attachment(), times(10, 3), |_| None)
        .unwrap();
    let actions = drain(&mut set);
    assert!(actions.contains(&(id, Action::Remove)), "{actions:?}");
    assert!(!actions.contains(&(id, send)), "{actions:?}");
}

#[test]
fn a_router_without_unicast_peers_is_in_fault_until_it_has_one() {
    let to = |peers: &[u8]| Attachment {
        transport: Transport::unicast(peers.iter().map(|last| address(*last)).collect()),
        ..attachment()
    };
    let mut set = listener(to(&[]));
    let id = RouterId::new(0);
    let fault = |set: &RouterSet| set.router(id).and_then(|router| router.faults().first());
    assert_eq!(fault(&set), Some(FaultReason::NoPeers));
    assert_eq!(set.next_deadline(), None, "it would elect itself");
    for (peers, expected) in [
        (&[2][..], None),
        (&[], Some(FaultReason::NoPeers)),
        (&[2, 3], None),
    ] {
        set.reconfigure(NOW, id, to(peers), config(1, 1), |_| None)
            .unwrap();
        drain(&mut set);
        assert_eq!(fault(&set), expected);
        assert_eq!(set.next_deadline().is_some(), expected.is_none());
    }
}
