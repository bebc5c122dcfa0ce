use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{CLIENT, assert_idle, backend, down, each, index, leased, s, take, up};
use crate::{
    backend::{
        AdminAction, AfterFailure, AssignKey, Assignment, Backend, Outcome, Persistence, Refusal,
    },
    balance::{Algorithm, HashLayout},
    config::{BackendConfig, CookieConfig, Mode, ProxyConfig, ServerIdentity},
    stick_table::Remembered,
};

#[test]
fn streams_go_round_and_leases_come_back() {
    let (backend, now) = backend(3, |_| ());
    let leases: Vec<_> = (0..6).map(|_| take(&backend, now)).collect();
    assert_eq!(
        leases.iter().map(index).collect::<Vec<_>>(),
        [0, 1, 2, 0, 1, 2]
    );
    assert_eq!(backend.servers()[0].served(), 2);
    assert_eq!(backend.counters().sessions.max(), 6);
    drop(leases);
    assert_idle(&backend);
    let total = |server: usize| {
        let traffic = &backend.servers()[server].counters().traffic;
        (traffic.total(|c| &c.sessions), traffic.total(|c| &c.chosen))
    };
    assert_eq!(total(0), (2, 2));
    assert_eq!(backend.counters().traffic.total(|c| &c.sessions), 6);
}

#[test]
fn without_a_server_streams_are_refused() {
    let (empty, now) = backend(0, |_| ());
    assert!(empty.is_up());
    let answer = empty.assign(now, &AssignKey::new(CLIENT));
    assert!(matches!(answer, Assignment::Refused(Refusal::NoServer)));
    let (backend, now) = backend(1, |_| ());
    backend.apply_check(now, s(0), &down());
    let answer = backend.assign(now, &AssignKey::new(CLIENT));
    assert!(matches!(answer, Assignment::Refused(Refusal::NoServer)));
    assert_idle(&backend);
}

#[test]
fn least_connections_counts_at_assignment() {
    let (backend, now) = backend(3, |c| c.balance = Algorithm::LeastConn);
    let mut leases: Vec<_> = (0..6).map(|_| take(&backend, now)).collect();
    assert_eq!(
        leases.iter().map(index).collect::<Vec<_>>(),
        [0, 1, 2, 0, 1, 2]
    );
    // Server 1 loses both: it gets the next two.
    leases.retain(|lease| index(lease) != 1);
    assert_eq!(
        [take(&backend, now), take(&backend, now)].map(|l| index(&l)),
        [1, 1]
    );
}

#[test]
fn a_client_stays_with_its_server() {
    let (by_hash, now) = backend(3, |c| c.balance = Algorithm::Source);
    let first = index(&take(&by_hash, now));
    assert!((0..9).all(|_| index(&take(&by_hash, now)) == first));

    let (sticky, now) = backend(3, |c| c.stick_on_source = Some(Duration::from_secs(1800)));
    let first = index(&take(&sticky, now));
    let at = |secs| now + Duration::from_secs(secs);
    assert_eq!(index(&take(&sticky, at(1000))), first);
    // Use begins the time anew.
    assert_eq!(index(&take(&sticky, at(2700))), first);
    assert_ne!(index(&take(&sticky, at(5000))), first);
    // A dead server's clients move and stay with the new one.
    let (sticky, now) = backend(2, |c| c.stick_on_source = Some(Duration::from_secs(1800)));
    assert_eq!(index(&take(&sticky, now)), 0);
    sticky.apply_check(now, s(0), &down());
    assert_eq!(index(&take(&sticky, now)), 1);
    sticky.apply_check(now, s(0), &up());
    assert_eq!(index(&take(&sticky, now)), 1);
}

#[test]
fn the_layout_says_how_many_keys_a_server_that_goes_moves() {
    for (layout, most) in [
        (HashLayout::Map, 1000),
        (HashLayout::Ring, 0),
        (HashLayout::Maglev, 20),
    ] {
        let (backend, now) = backend(4, |c| {
            c.balance = Algorithm::Uri;
            c.hash.layout = layout;
        });
        let at = |n: u32| {
            let key = AssignKey {
                hash: Some(n.wrapping_mul(2_147_000_001)),
                ..AssignKey::new(CLIENT)
            };
            index(&leased(backend.assign(now, &key)))
        };
        let before: Vec<usize> = (0..1000).map(at).collect();
        backend.set_state(now, s(3), AdminAction::Maintenance);
        let after = (0..1000).map(at);
        let pairs = before.iter().zip(after);
        let moved = pairs.filter(|(then, now)| **then != 3 && *then != now);
        let moved = moved.count();
        assert!(moved <= most, "{layout:?}: {moved}");
        assert_eq!(
            layout == HashLayout::Map,
            moved > 300,
            "{layout:?}: {moved}"
        );
    }
}

/// One host of a pair has reloaded its file, the other one was started with it.
#[test]
fn the_same_file_sends_a_key_to_the_same_server_whatever_was_before_it() {
    let by_table = |c: &mut BackendConfig| {
        c.balance = Algorithm::Uri;
        c.hash.layout = HashLayout::Maglev;
    };
    let (before, now) = backend(4, by_table);
    let mut config = before.config().clone();
    config.servers.remove(0);
    let mut proxy = ProxyConfig::new("be", 2, Mode::Http);
    proxy.backend = Some(config);
    let reloaded = before.renewed(&proxy, now);
    reloaded.take_over(&before, &proxy, now);
    let (started, now) = backend(4, |c| {
        by_table(c);
        c.servers.remove(0);
        (1..)
            .zip(&mut c.servers)
            .for_each(|(id, server)| server.id = id);
    });
    let numbers = |backend: &Backend| backend.servers()[0].number();
    assert_ne!(numbers(&reloaded), numbers(&started));
    let at = |backend: &Arc<Backend>, n: u32| {
        let key = AssignKey {
            hash: Some(n.wrapping_mul(2_147_000_001)),
            ..AssignKey::new(CLIENT)
        };
        index(&leased(backend.assign(now, &key)))
    };
    for n in 0..1000 {
        assert_eq!(at(&reloaded, n), at(&started, n), "{n}");
    }
}

#[test]
fn a_cookie_chooses_while_its_server_lives() {
    let (backend, now) = backend(3, |c| {
        each(c, |server| server.cookie = Some(format!("c{}", server.id)));
    });
    let ask = |cookie: &'static [u8]| {
        let lease = leased(backend.assign(
            now,
            &AssignKey {
                cookie: Some(cookie),
                ..AssignKey::new(CLIENT)
            },
        ));
        (index(&lease), lease.persistence().letter())
    };
    assert_eq!(ask(b"c2"), (1, 'V'));
    assert_eq!(ask(b"c2"), (1, 'V'));
    assert_eq!(ask(b"nobody").1, 'I');
    backend.set_state(now, s(1), AdminAction::Drain);
    assert_eq!(ask(b"c2"), (1, 'V'));
    backend.apply_check(now, s(1), &down());
    let (server, letter) = ask(b"c2");
    assert!(server != 1 && letter == 'D');
    // Chosen by cookie is not chosen by the balancing.
    assert_eq!(
        backend.servers()[1].counters().traffic.total(|c| &c.chosen),
        0
    );
}

/// `cookie ... dynamic`.
fn dynamic(config: &mut BackendConfig) {
    config.dynamic_cookie_key = Some("key".into());
    config.cookie = Some(CookieConfig {
        name: "SRV".to_owned(),
        insert: true,
        dynamic: true,
        ..CookieConfig::default()
    });
}

/// Who gets a request with this cookie, and what is said of that.
fn named(backend: &Arc<Backend>, now: Instant, cookie: &str) -> (usize, char) {
    let key = AssignKey {
        cookie: Some(cookie.as_bytes()),
        ..AssignKey::new(CLIENT)
    };
    let lease = leased(backend.assign(now, &key));
    (index(&lease), lease.persistence().letter())
}

#[test]
fn a_dynamic_cookie_names_whoever_is_at_its_address() {
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let (old, now) = backend(2, |c| {
        dynamic(c);
        for (server, port) in c.servers.iter_mut().zip(1..) {
            server.address = Some(at(port));
        }
    });
    let value = |backend: &Backend, index: usize| {
        let server = &backend.servers()[index];
        backend.cookie_of(server).unwrap().into_owned()
    };
    let home = [value(&old, 0), value(&old, 1)];
    old.set_address(now, s(0), at(9));
    let away = value(&old, 0);
    assert_eq!(named(&old, now, &away), (0, 'V'));
    assert_eq!(named(&old, now, &home[0]).1, 'I');
    assert_eq!(named(&old, now, &home[1]), (1, 'V'));

    // A reload while it is away, and back: for those who still serve by the old file, too.
    let mut proxy = ProxyConfig::new("be", 2, Mode::Http);
    let mut config = old.config().clone();
    config.fullconn = Some(1000);
    proxy.backend = Some(config);
    let new = old.renewed(&proxy, now);
    new.take_over(&old, &proxy, now);
    assert_eq!(named(&new, now, &away), (0, 'V'));
    new.set_address(now, s(0), at(1));
    for backend in [&old, &new] {
        assert_eq!(named(backend, now, &home[0]), (0, 'V'));
        assert_eq!(named(backend, now, &away).1, 'I');
    }

    // One goes where another was.
    new.set_address(now, s(1), at(9));
    new.set_address(now, s(0), at(2));
    for backend in [&old, &new] {
        assert_eq!(named(backend, now, &home[1]), (0, 'V'));
        assert_eq!(named(backend, now, &away), (1, 'V'));
        assert_eq!(named(backend, now, &home[0]).1, 'I');
    }
}

/// `srvkey addr`: an entry of a stick table stands for whoever is at that address.
#[test]
fn a_remembered_address_is_that_of_the_server_that_is_there_now() {
    let at = |port: u16| SocketAddr::from(([10, 0, 0, 1], port));
    let (backend, now) = backend(3, |c| {
        let ports = (1..).map(at);
        let servers = c.servers.iter_mut().zip(ports);
        servers.for_each(|(server, at)| server.address = Some(at));
    });
    let found = |identity, text: &str| {
        backend.number_of(&Remembered {
            number: None,
            key: Some((identity, text.into())),
        })
    };
    let at_address = |port| found(ServerIdentity::Address, &at(port).to_string());
    assert_eq!(
        [1, 2, 3, 9].map(at_address),
        [Some(1), Some(2), Some(3), None]
    );
    backend.set_address(now, s(1), at(9));
    assert_eq!(
        [1, 2, 3, 9].map(at_address),
        [Some(1), None, Some(3), Some(2)]
    );
    // Of two at one address the first counts, and the table's number where it knows no other name.
    backend.set_address(now, s(2), at(1));
    assert_eq!(at_address(1), Some(1));
    assert_eq!(found(ServerIdentity::Address, "nowhere"), None);
    assert_eq!(found(ServerIdentity::Name, "s3"), Some(3));
    assert_eq!(found(ServerIdentity::Name, "s4"), None);
}

/// All of a `server-template`: none of them is where its line says.
#[test]
fn a_dynamic_cookie_costs_the_same_whoever_and_wherever_servers_are() {
    const SERVERS: u32 = 1000;
    let (backend, now) = backend(SERVERS, |c| {
        dynamic(c);
        each(c, |server| {
            server.address = None;
            server.fqdn = Some("web.example".to_owned());
        });
    });
    for (index, address) in (0..).zip(0x0a00_0001..0x0a00_0001 + SERVERS) {
        backend.set_address(
            now,
            s(index),
            (std::net::Ipv4Addr::from(address), 80).into(),
        );
    }
    let servers = backend.servers().iter();
    let values: Vec<_> = servers.filter_map(|s| backend.cookie_of(s)).collect();
    let begun = crate::test_clock::now();
    for _ in 0..10 {
        for (index, value) in values.iter().enumerate() {
            assert_eq!(named(&backend, now, value), (index, 'V'));
            assert_eq!(named(&backend, now, "forged").1, 'I');
        }
    }
    let took = begun.elapsed();
    println!("{} requests: {took:?}", 20 * SERVERS);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_failed_server_is_avoided_if_there_is_another() {
    let (two, now) = backend(2, |_| ());
    let avoid = |backend: &Arc<Backend>| {
        let key = AssignKey {
            exclude: Some(s(0)),
            ..AssignKey::new(CLIENT)
        };
        index(&leased(backend.assign(now, &key)))
    };
    assert_eq!([avoid(&two), avoid(&two)], [1, 1]);
    let (one, _) = backend(1, |_| ());
    assert_eq!(avoid(&one), 0);
}

#[test]
fn backups_serve_when_no_active_server_is_left() {
    let (first_only, now) = backend(4, |c| {
        c.servers[2].backup = true;
        c.servers[3].backup = true;
    });
    assert_eq!(first_only.usable_servers(), (2, 2));
    first_only.apply_check(now, s(0), &down());
    assert_eq!(index(&take(&first_only, now)), 1);
    let last = first_only.apply_check(now, s(1), &down()).unwrap();
    assert!(
        last.to_string()
            .contains("0 active and 2 backup servers left. Running on backup. 0 sessions")
    );
    assert_eq!([0; 3].map(|_| index(&take(&first_only, now))), [2, 2, 2]);
    let backup = first_only.apply_check(now, s(2), &down()).unwrap();
    assert!(
        backup
            .to_string()
            .starts_with("Backup Server be/s3 is DOWN")
    );
    assert_eq!(index(&take(&first_only, now)), 3);
    first_only.apply_check(now, s(1), &up());
    assert_eq!(index(&take(&first_only, now)), 1);

    let (all, now) = backend(3, |c| {
        c.all_backups = true;
        c.servers[1].backup = true;
        c.servers[2].backup = true;
    });
    all.apply_check(now, s(0), &down());
    assert_eq!([0; 2].map(|_| index(&take(&all, now))), [1, 2]);
}

#[test]
fn what_follows_a_failed_connection() {
    let second = Duration::from_secs(1);
    let none = Persistence::None;
    let (fixed, _) = backend(1, |_| ());
    let steps = [1, 2, 3, 4].map(|n| fixed.after_failure(n, none, Some(10 * second)));
    use AfterFailure::{GiveUp, Redispatch, Retry};
    assert_eq!(steps, [Retry(second), Retry(second), Retry(second), GiveUp]);
    // `option redispatch`: on the last retry for those who belong to the server, at once for others.
    let (moving, _) = backend(3, |c| c.redispatch = Some(-1));
    let bound = [1, 2, 3, 4].map(|n| moving.after_failure(n, Persistence::Valid, None));
    assert_eq!(bound, [Retry(second), Retry(second), Redispatch, GiveUp]);
    assert_eq!(moving.after_failure(1, none, None), Redispatch);
    let short = Some(Duration::from_millis(50));
    assert_eq!(
        fixed.after_failure(1, none, short),
        Retry(Duration::from_millis(50))
    );
}

#[test]
fn outcomes_are_counted_on_both_sides() {
    let (backend, now) = backend(1, |_| ());
    take(&backend, now).finish(Outcome::ConnectFailed);
    take(&backend, now).finish(Outcome::ClientAborted);
    take(&backend, now).finish(Outcome::Completed);
    for traffic in [
        &backend.counters().traffic,
        &backend.servers()[0].counters().traffic,
    ] {
        assert_eq!(traffic.total(|c| &c.connect_errors), 1);
        assert_eq!(traffic.total(|c| &c.client_aborts), 1);
        assert_eq!(traffic.total(|c| &c.response_errors), 0);
    }
    assert_idle(&backend);
}
