use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{assert_idle, backend, checked, down, each, index, report, s, take, up};
use crate::{
    backend::{AdminAction, Backend, Health},
    balance::{Algorithm, HashLayout},
    config::{BackendConfig, Mode, ProxyConfig, Resolution, ServerConfig},
    health::CheckStatus,
    server::{Operation, ServiceRecord},
};

#[test]
fn changes_are_told_in_haproxys_words() {
    let (backend, now) = backend(2, |c| each(c, checked));
    let change = backend.apply_check(now, s(0), &down()).unwrap();
    assert_eq!(
        change.to_string(),
        "Server be/s1 is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", check duration: 0ms. \
         1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
    );
    assert_eq!((change.level(), change.backend_notice()), (1, None));
    let last = backend.apply_check(now, s(1), &down()).unwrap();
    assert_eq!(
        last.backend_notice().as_deref(),
        Some("backend be has no server available!")
    );
    assert!(!backend.is_up());
    assert_eq!(backend.down_transitions(), 1);
    assert_eq!(backend.apply_check(now, s(1), &down()), None);
    let later = now + Duration::from_secs(5);
    let change = backend.apply_check(later, s(0), &up()).unwrap();
    assert_eq!(
        change.to_string(),
        "Server be/s1 is UP, reason: Layer4 check passed, check duration: 0ms. \
         1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue."
    );
    assert_eq!(change.level(), 5);
    assert_eq!(backend.downtime(later), Duration::from_secs(5));
    let server = &backend.servers()[0];
    assert_eq!(server.downtime(later), Duration::from_secs(5));
    assert_eq!(
        server.seconds_since_change(later + Duration::from_secs(2)),
        2
    );
    assert_eq!(server.counters().down_transitions.value(), 1);
    assert_eq!(server.counters().failed_checks.value(), 1);
}

#[test]
fn the_status_column_follows_checks_and_operators() {
    let (backend, now) = backend(2, |c| checked(&mut c.servers[0]));
    let status = |index: usize| backend.servers()[index].status().to_string();
    assert_eq!((status(0), status(1)), ("UP 1/3".into(), "no check".into()));
    backend.apply_check(now, s(0), &up());
    assert_eq!(status(0), "UP");
    backend.apply_check(now, s(0), &report(CheckStatus::L7Status, 3));
    assert_eq!(status(0), "UP 2/3");
    backend.apply_check(now, s(0), &down());
    assert_eq!(status(0), "DOWN");
    backend.apply_check(now, s(0), &report(CheckStatus::L4Ok, 1));
    assert_eq!(status(0), "DOWN 1/2");
    let change = backend
        .set_state(now, s(1), AdminAction::Maintenance)
        .unwrap();
    assert!(!change.up && change.backend_lost);
    assert_eq!(status(1), "MAINT");
    assert_eq!(backend.set_state(now, s(1), AdminAction::Maintenance), None);
    assert!(backend.set_state(now, s(1), AdminAction::Ready).unwrap().up);
    backend.set_state(now, s(1), AdminAction::Drain);
    assert_eq!(status(1), "DRAIN");
    assert_eq!(backend.usable_servers(), (0, 0));
}

#[test]
fn a_server_in_maintenance_stays_there_whatever_its_checks_say() {
    let (backend, now) = backend(1, |c| each(c, checked));
    backend.set_state(now, s(0), AdminAction::Maintenance);
    assert_eq!(backend.apply_check(now, s(0), &up()), None);
    assert_eq!(backend.servers()[0].operation(), Operation::Stopped);
}

#[test]
fn a_server_without_an_address_begins_when_it_is_given_one() {
    let (backend, now) = backend(1, |c| {
        c.servers[0].address = None;
        c.servers[0].fqdn = Some("web.example".to_owned());
    });
    let server = &backend.servers()[0];
    let (first, second) = (
        "192.0.2.1:80".parse().unwrap(),
        "[2001:db8::1]:81".parse().unwrap(),
    );
    assert_eq!(server.status().to_string(), "MAINT (resolution)");
    assert_eq!((backend.is_up(), server.address()), (false, None));
    // An operator's maintenance outlasts it.
    backend.set_state(now, s(0), AdminAction::Maintenance);
    assert_eq!(backend.set_address(now, s(0), first), None);
    assert_eq!(server.status().to_string(), "MAINT");
    let change = backend.set_state(now, s(0), AdminAction::Ready);
    assert!(change.is_some_and(|change| change.up) && backend.is_up());
    // Moving one that serves changes nothing else.
    assert_eq!(backend.set_address(now, s(0), second), None);
    assert_eq!(
        (server.address(), server.moved_to()),
        (Some(second), Some(second))
    );
    assert!(server.is_usable());
}

fn record(weight: u16) -> ServiceRecord {
    ServiceRecord {
        host: "a.example".into(),
        port: 80,
        weight,
        address: None,
    }
}

/// The only server of `config` has no address and follows a service.
fn follow(config: &mut BackendConfig, ignores_weights: bool) {
    let server = &mut config.servers[0];
    server.address = None;
    server.fqdn = Some("_http._tcp.web.example".to_owned());
    server.resolution = Some(Resolution {
        resolvers: "dns".into(),
        prefer_v4: true,
        networks: Vec::new(),
        shares: false,
        of_service: true,
        ignores_weights,
    });
}

/// What a reload makes of it.
fn reloaded(
    old: &Arc<Backend>,
    now: Instant,
    change: impl FnOnce(&mut BackendConfig),
) -> Arc<Backend> {
    let mut config = old.config().clone();
    change(&mut config);
    let mut proxy = ProxyConfig::new("be", 2, Mode::Http);
    proxy.backend = Some(config);
    let new = old.renewed(&proxy, now);
    new.take_over(old, &proxy, now);
    new
}

#[test]
fn a_record_says_the_weight_once_if_it_is_heeded() {
    let following = |ignores_weights| backend(1, |c| follow(c, ignores_weights));
    let (backend, now) = following(false);
    let server = &backend.servers()[0];
    assert_eq!(server.host(), None);
    for (said, weight) in [(0, 0), (1, 1), (256, 1), (257, 2), (65_535, 256)] {
        backend.set_record(now, s(0), Some(record(said)));
        assert_eq!(server.weight(), weight, "{said}");
    }
    assert_eq!(
        (server.host().as_deref(), server.port()),
        (Some("a.example"), 80)
    );
    // An operator's word stays until the record says something else.
    backend.set_weight(now, s(0), 5);
    backend.set_record(now, s(0), Some(record(65_534)));
    assert_eq!(server.weight(), 5);
    backend.set_record(now, s(0), Some(record(512)));
    assert_eq!(server.weight(), 2);
    let (backend, now) = following(true);
    backend.set_record(now, s(0), Some(record(512)));
    assert_eq!(backend.servers()[0].weight(), 1);
}

#[test]
fn a_record_outlasts_a_reload_as_long_as_its_service_is_followed() {
    let (old, now) = backend(1, |c| follow(c, false));
    let at = "192.0.2.1:80".parse().unwrap();
    old.set_record(now, s(0), Some(record(512)));
    old.set_address(now, s(0), at);
    let kept = reloaded(&old, now, |c| c.retries = 1);
    let server = &kept.servers()[0];
    assert!(server.record().is_some() && server.was_named());
    assert_eq!(server.address(), Some(at));
    let gone = |change: fn(&mut ServerConfig)| {
        let new = reloaded(&kept, now, |c| change(&mut c.servers[0]));
        let server = &new.servers()[0];
        assert_eq!((server.record(), server.was_named()), (None, false));
        // Where that led, the other name need not.
        assert_eq!((server.address(), server.is_resolved()), (None, false));
        (server.port(), server.host().map(|host| host.to_string()))
    };
    let another = gone(|server| server.fqdn = Some("_other._tcp.web.example".to_owned()));
    assert_eq!(another, (kept.config().servers[0].port, None));
    let host = gone(|server| {
        server.fqdn = Some("web.example".to_owned());
        server.port = 8080;
        server.resolution.as_mut().unwrap().of_service = false;
    });
    assert_eq!(host, (8080, Some("web.example".to_owned())));
}

#[test]
fn a_reload_gives_a_name_without_an_address_its_new_port() {
    let (old, now) = backend(1, |c| {
        follow(c, false);
        c.servers[0].resolution.as_mut().unwrap().of_service = false;
    });
    old.set_address(now, s(0), "192.0.2.1:80".parse().unwrap());
    let new = reloaded(&old, now, |c| c.servers[0].port = 8080);
    let server = &new.servers()[0];
    assert_eq!((server.address(), server.port()), (None, 8080));
}

#[test]
fn a_reload_gives_the_weight_of_the_record_where_that_counts() {
    let (old, now) = backend(1, |c| follow(c, false));
    let weight = |backend: &Arc<Backend>| backend.servers()[0].weight();
    old.set_record(now, s(0), Some(record(512)));
    let other = reloaded(&old, now, |c| c.servers[0].weight = 7);
    assert_eq!(weight(&other), 2);
    let ignores = |backend, ignores| {
        reloaded(backend, now, |c| {
            c.servers[0].resolution.as_mut().unwrap().ignores_weights = ignores;
        })
    };
    let ignoring = ignores(&other, true);
    assert_eq!(weight(&ignoring), 7);
    let heeding = ignores(&ignoring, false);
    assert_eq!(weight(&heeding), 2);
    // An operator's word stays where nothing is said of it.
    heeding.set_weight(now, s(0), 5);
    assert_eq!(weight(&reloaded(&heeding, now, |c| c.retries = 1)), 5);
}

#[test]
fn static_algorithms_know_a_server_with_its_own_weight_or_without_any() {
    let (fixed, _) = backend(2, |c| {
        c.balance = Algorithm::Source;
        each(c, |server| server.weight = 10);
    });
    assert_eq!(
        [0, 10, 5, 256].map(|weight| fixed.allows_weight(s(0), weight)),
        [true, true, false, false]
    );
    for layout in [HashLayout::Ring, HashLayout::Maglev] {
        let (follows, _) = backend(2, |c| {
            c.balance = Algorithm::Source;
            c.hash.layout = layout;
        });
        assert!(follows.allows_weight(s(0), 5));
    }
}

#[test]
fn back_from_maintenance_one_failed_check_is_enough() {
    let (backend, now) = backend(1, |c| each(c, checked));
    backend.apply_check(now, s(0), &up());
    backend.set_state(now, s(0), AdminAction::Maintenance);
    backend.set_state(now, s(0), AdminAction::Ready);
    let report = backend.servers()[0].check_report().unwrap();
    assert_eq!((report.is_up(), report.health), (true, report.rise));
}

#[test]
fn weights_change_at_run_time() {
    let (backend, now) = backend(2, |_| ());
    backend.set_weight(now, s(0), 3);
    let mut counts = [0; 2];
    for _ in 0..8 {
        counts[index(&take(&backend, now))] += 1;
    }
    assert_eq!(counts, [6, 2]);
    assert_eq!(backend.total_weight(), 4);
    assert_eq!(backend.set_weight(now, s(0), 0), None);
    // HAProxy 2.6 shows such a server as it is, with its weight beside.
    assert_eq!(backend.servers()[0].status().to_string(), "no check");
    assert_eq!([0; 3].map(|_| index(&take(&backend, now))), [1, 1, 1]);
    let last = backend.set_weight(now, s(1), 0).unwrap();
    // HAProxy 2.6 has no sentence for the server, and counts the backend as down.
    assert_eq!(last.to_string(), "");
    assert_eq!(
        last.backend_notice().as_deref(),
        Some("backend be has no server available!")
    );
    assert_eq!(backend.down_transitions(), 1);
    assert_eq!(backend.set_weight(now, s(1), 0), None);
}

#[test]
fn slow_start_after_a_return_and_not_at_the_beginning() {
    let (backend, now) = backend(2, |c| {
        each(c, |server| {
            server.slowstart = Some(Duration::from_secs(100));
            server.maxconn = Some(100);
        });
    });
    let server = &backend.servers()[0];
    assert_eq!(
        (server.operation(), server.throttle()),
        (Operation::Running, None)
    );
    backend.apply_check(now, s(0), &down());
    backend.apply_check(now, s(0), &up());
    assert_eq!(server.operation(), Operation::Starting);
    assert_eq!(backend.limit_of(server), 1);
    let share_at = |secs| {
        let at = now + Duration::from_secs(secs);
        let picked: Vec<_> = (0..160).map(|_| index(&take(&backend, at))).collect();
        picked.iter().filter(|server| **server == 0).count()
    };
    let (early, middle) = (share_at(10), share_at(50));
    assert!((4..=20).contains(&early), "{early}");
    assert!((45..=60).contains(&middle), "{middle}");
    assert!((48..=53).contains(&server.throttle().unwrap()));
    let after = share_at(101);
    assert!((78..=82).contains(&after), "{after}");
    assert_eq!(server.operation(), Operation::Running);
    assert_eq!(backend.limit_of(server), 100);
    assert_idle(&backend);
}

#[test]
fn a_slow_start_goes_on_without_clients_and_leaves_a_table_of_keys_alone() {
    for (algorithm, half) in [(Algorithm::RoundRobin, 50), (Algorithm::Source, 100)] {
        let (backend, now) = backend(2, |c| {
            c.balance = algorithm;
            each(c, |server| {
                server.weight = 100;
                server.maxconn = Some(40);
                server.slowstart = Some(Duration::from_secs(100));
            });
        });
        backend.set_state(now, s(0), AdminAction::Maintenance);
        backend.set_state(now, s(0), AdminAction::Ready);
        let server = &backend.servers()[0];
        assert_eq!(backend.limit_of(server), 1, "{algorithm:?}");
        backend.warm_up(now + Duration::from_secs(50));
        assert_eq!(server.throttle(), Some(half), "{algorithm:?}");
        assert_eq!(backend.limit_of(server), 20, "{algorithm:?}");
        backend.warm_up(now + Duration::from_secs(101));
        assert_eq!(
            (server.operation(), server.throttle()),
            (Operation::Running, None)
        );
        assert_eq!(backend.limit_of(server), 40, "{algorithm:?}");
    }
}

#[test]
fn what_an_earlier_process_knew_counts_until_checked() {
    let (backend, now) = backend(2, |c| each(c, checked));
    backend.restore(now, s(0), &down());
    assert_eq!([0; 2].map(|_| index(&take(&backend, now))), [1, 1]);
    assert!(backend.apply_check(now, s(0), &up()).unwrap().up);
}

#[test]
fn forced_health_counts_until_checks_say_otherwise() {
    let (backend, now) = backend(2, |config| each(config, checked));
    let server = s(0);
    let status = || backend.servers()[0].status().to_string();
    backend.apply_check(now, server, &up());
    let change = backend.set_health(now, server, Health::Down).unwrap();
    assert!(!change.up, "{change}");
    assert!(change.to_string().starts_with("Server be/s1 is DOWN"));
    assert_eq!(status(), "DOWN");
    assert_eq!(backend.servers()[0].check_report().unwrap().health, 0);
    assert_eq!(backend.set_health(now, server, Health::Down), None);

    let change = backend.set_health(now, server, Health::Stopping).unwrap();
    assert!(change.up, "{change}");
    assert_eq!(status(), "NOLB");
    assert_eq!(backend.usable_servers(), (1, 0));
    backend.set_health(now, server, Health::Up);
    assert_eq!(
        (status(), backend.usable_servers()),
        ("UP".to_owned(), (2, 0))
    );

    backend.set_health(now, server, Health::Stopping);
    backend.apply_check(now, server, &up());
    assert_eq!(status(), "UP", "a check that passed decides");
}

#[test]
fn a_server_that_wishes_for_no_more_is_said_to_stop() {
    let (backend, now) = backend(2, |config| each(config, checked));
    backend.apply_check(now, s(0), &up());
    let mut wish = up();
    wish.result.status = CheckStatus::L7OkConditional;
    let said = |report| {
        let change = backend.apply_check(now, s(0), report);
        change.map(|change| change.to_string()).unwrap_or_default()
    };
    let stopping = said(&wish);
    assert!(
        stopping.starts_with("Server be/s1 is stopping, reason: Layer7 check conditionally passed"),
        "{stopping}"
    );
    assert!(
        stopping.contains("1 active and 0 backup servers online"),
        "{stopping}"
    );
    assert_eq!([0; 2].map(|_| index(&take(&backend, now))), [1, 1]);
    assert_eq!(said(&wish), "");
    assert!(said(&up()).starts_with("Server be/s1 is UP, reason: "));
}

#[test]
fn a_server_whose_checks_are_off_says_so_and_one_without_checks_has_none_to_switch() {
    let (backend, now) = backend(2, |config| checked(&mut config.servers[0]));
    let (first, second) = (s(0), s(1));
    backend.apply_check(now, first, &up());
    assert!(backend.set_checked(first, false));
    assert_eq!(backend.servers()[0].status().to_string(), "no check");
    assert!(backend.set_checked(first, true));
    assert_eq!(backend.servers()[0].status().to_string(), "UP");
    assert!(!backend.set_checked(second, false));
}

#[test]
fn checks_of_its_own_after_a_reload_run_whatever_it_tracked_before() {
    let (before, now) = backend(2, |config| {
        checked(&mut config.servers[0]);
        config.servers[1].track = Some(("be".into(), "s1".into()));
    });
    let [first, second] = before.servers() else {
        panic!("there are two");
    };
    assert!(before.set_checked(first.index(), false));
    before.follow(now, second.index(), first);
    assert_eq!(second.status().to_string(), "no check");
    let after = reloaded(&before, now, |config| {
        config.servers[1].track = None;
        checked(&mut config.servers[1]);
    });
    assert!(
        !after.servers()[0].is_checked(),
        "an operator's order stays"
    );
    assert!(after.servers()[1].is_checked());
}
