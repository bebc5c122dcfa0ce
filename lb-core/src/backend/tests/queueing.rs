use std::{
    sync::{Arc, atomic::Ordering},
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use super::{
    CLIENT, Woken, assert_idle, backend, down, each, index, leased, poll, queued, s, take, up,
};
use crate::{
    backend::{AdminAction, AssignKey, Assignment, Backend, Persistence, Refusal, Ticket},
    balance::Algorithm,
    config::{Mode, ProxyConfig},
};

fn wait(backend: &Arc<Backend>, now: Instant) -> Ticket {
    queued(backend.assign(now, &AssignKey::new(CLIENT)))
}

fn granted(ticket: &mut Ticket, woken: &Arc<Woken>) -> usize {
    match poll(ticket, woken) {
        Poll::Ready(lease) => index(&lease),
        other => panic!("{other:?}"),
    }
}

#[test]
fn slots_are_handed_on_first_come_first_served() {
    let (backend, now) = backend(1, |c| each(c, |server| server.maxconn = Some(1)));
    let lease = take(&backend, now);
    let mut tickets = [
        wait(&backend, now),
        wait(&backend, now),
        wait(&backend, now),
    ];
    let woken = [0; 3].map(|_| Arc::new(Woken::default()));
    for (ticket, woken) in tickets.iter_mut().zip(&woken) {
        assert!(poll(ticket, woken).is_pending());
    }
    assert_eq!((backend.waiting(), backend.counters().queue.max()), (3, 3));
    drop(lease);
    assert_eq!(
        woken.each_ref().map(|w| w.0.load(Ordering::SeqCst)),
        [1, 0, 0]
    );
    // The slot is taken for the first one already: a newcomer waits.
    let mut newcomer = wait(&backend, now);
    assert!(poll(&mut newcomer, &woken[0]).is_pending());
    let Poll::Ready(first) = poll(&mut tickets[0], &woken[0]) else {
        panic!()
    };
    let ahead = |ticket: &Ticket| (ticket.ahead().server, ticket.ahead().backend);
    let before = [(None, Some(0)), (None, Some(1)), (None, Some(1))];
    assert_eq!(tickets.each_ref().map(ahead), before);
    assert!(poll(&mut tickets[1], &woken[1]).is_pending());
    drop(first);
    // One that was granted but never polled gives its slot on.
    let [_, second, mut third] = tickets;
    drop(second);
    assert_eq!(granted(&mut third, &woken[2]), 0);
    assert_eq!(granted(&mut newcomer, &woken[0]), 0);
    assert_idle(&backend);
}

#[test]
fn who_leaves_the_queue_is_passed_over() {
    let (backend, now) = backend(1, |c| each(c, |server| server.maxconn = Some(1)));
    let lease = take(&backend, now);
    let (first, mut second) = (wait(&backend, now), wait(&backend, now));
    drop(first);
    drop(lease);
    assert_eq!(granted(&mut second, &Arc::default()), 0);
    assert_idle(&backend);
}

#[test]
fn the_older_of_the_two_queues_is_served_first() {
    let (backend, now) = backend(2, |c| {
        each(c, |server| {
            server.maxconn = Some(1);
            server.cookie = Some(format!("c{}", server.id));
        });
    });
    let (zero, one) = (take(&backend, now), take(&backend, now));
    let mut any = wait(&backend, now);
    let key = AssignKey {
        cookie: Some(b"c1"),
        ..AssignKey::new(CLIENT)
    };
    let mut bound = queued(backend.assign(now, &key));
    assert_eq!(
        (bound.server_index(), any.server_index()),
        (Some(s(0)), None)
    );
    let woken = Arc::default();
    drop(zero);
    assert!(poll(&mut bound, &woken).is_pending());
    let Poll::Ready(lease) = poll(&mut any, &woken) else {
        panic!()
    };
    assert_eq!(index(&lease), 0);
    // Server 1's slot is not for the one that belongs to server 0.
    drop(one);
    assert!(poll(&mut bound, &woken).is_pending());
    drop(lease);
    assert_eq!(granted(&mut bound, &woken), 0);
    assert_idle(&backend);
}

#[test]
fn a_server_that_goes_down_sends_its_queue_to_the_others() {
    let (backend, now) = backend(2, |c| {
        each(c, |server| {
            server.maxconn = Some(1);
            server.cookie = Some(format!("c{}", server.id));
        });
    });
    let held = take(&backend, now);
    let key = AssignKey {
        cookie: Some(b"c1"),
        ..AssignKey::new(CLIENT)
    };
    let mut bound = queued(backend.assign(now, &key));
    let woken = Arc::new(Woken::default());
    assert!(poll(&mut bound, &woken).is_pending());
    let change = backend.apply_check(now, s(0), &down()).unwrap();
    assert_eq!((change.requeued, change.remaining), (1, 0));
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    let Poll::Ready(lease) = poll(&mut bound, &woken) else {
        panic!()
    };
    assert_eq!((index(&lease), lease.persistence()), (1, Persistence::Down));
    drop((held, lease));
    assert_idle(&backend);
}

#[test]
fn when_the_last_server_goes_those_in_line_wait_for_its_return() {
    let (backend, now) = backend(1, |c| {
        each(c, |server| {
            server.maxconn = Some(1);
            server.cookie = Some("c1".to_owned());
        });
    });
    let held = take(&backend, now);
    let key = AssignKey {
        cookie: Some(b"c1"),
        ..AssignKey::new(CLIENT)
    };
    let mut bound = queued(backend.assign(now, &key));
    let mut any = wait(&backend, now);
    let woken = Arc::new(Woken::default());
    let change = backend.apply_check(now, s(0), &down()).unwrap();
    assert_eq!((change.requeued, change.remaining), (0, 1));
    drop(held);
    for ticket in [&mut bound, &mut any] {
        assert!(poll(ticket, &woken).is_pending());
    }
    let newcomer = backend.assign(now, &AssignKey::new(CLIENT));
    assert!(matches!(newcomer, Assignment::Refused(Refusal::NoServer)));
    backend.apply_check(now, s(0), &up());
    for ticket in [&mut bound, &mut any] {
        assert_eq!(granted(ticket, &woken), 0);
    }
    drop((bound, any));
    assert_idle(&backend);
}

#[test]
fn another_server_that_comes_back_serves_those_who_wait_for_a_lost_one() {
    let (backend, now) = backend(2, |c| each(c, |server| server.maxconn = Some(1)));
    backend.apply_check(now, s(1), &down());
    let held = take(&backend, now);
    let key = AssignKey {
        forced: Some(s(0)),
        ..AssignKey::new(CLIENT)
    };
    let mut bound = queued(backend.assign(now, &key));
    backend.apply_check(now, s(0), &down());
    let change = backend.apply_check(now, s(1), &up()).unwrap();
    assert_eq!(change.requeued, 1);
    assert_eq!(granted(&mut bound, &Arc::default()), 1);
    drop((held, bound));
    assert_idle(&backend);
}

#[test]
fn limits_and_states_that_change_wake_those_who_wait() {
    let (backend, now) = backend(2, |c| {
        each(c, |server| server.maxconn = Some(1));
        c.servers[1].disabled = true;
    });
    let held = take(&backend, now);
    let woken = Arc::default();
    let (mut first, mut second) = (wait(&backend, now), wait(&backend, now));
    backend.set_maxconn(s(0), 2);
    let Poll::Ready(lease) = poll(&mut first, &woken) else {
        panic!()
    };
    assert_eq!(index(&lease), 0);
    assert!(poll(&mut second, &woken).is_pending());
    backend.set_state(now, s(1), AdminAction::Ready);
    assert_eq!(granted(&mut second, &woken), 1);
    drop((held, lease));
    assert_idle(&backend);
}

#[test]
fn a_full_queue_of_a_server_ends_persistence_with_redispatch_alone() {
    for redispatch in [Some(-1), None] {
        let (backend, now) = backend(2, |c| {
            c.redispatch = redispatch;
            each(c, |server| {
                server.maxconn = Some(1);
                server.maxqueue = Some(1);
                server.cookie = Some(format!("c{}", server.id));
            });
        });
        let key = AssignKey {
            cookie: Some(b"c1"),
            ..AssignKey::new(CLIENT)
        };
        let first = leased(backend.assign(now, &key));
        let second = queued(backend.assign(now, &key));
        let third = backend.assign(now, &key);
        match redispatch {
            Some(_) => assert_eq!(index(&leased(third)), 1),
            None => assert!(matches!(
                third,
                Assignment::Refused(Refusal::QueueFull(server)) if server == s(0)
            )),
        }
        drop((first, second));
        assert_idle(&backend);
    }
}

#[test]
fn maxqueue_also_bounds_the_queue_of_a_server_that_a_hash_chooses() {
    let (backend, now) = backend(1, |c| {
        c.balance = Algorithm::Source;
        each(c, |server| {
            server.maxconn = Some(1);
            server.maxqueue = Some(2);
        });
    });
    let held = take(&backend, now);
    let tickets = [wait(&backend, now), wait(&backend, now)];
    assert!(matches!(
        backend.assign(now, &AssignKey::new(CLIENT)),
        Assignment::Refused(Refusal::QueueFull(server)) if server == s(0)
    ));
    drop((tickets, held));
    assert_idle(&backend);
}

#[test]
fn minconn_lets_the_limit_grow_with_the_load() {
    let (backend, now) = backend(1, |c| {
        c.fullconn = Some(10);
        each(c, |server| {
            server.minconn = Some(1);
            server.maxconn = Some(5);
        });
    });
    let mut leases = vec![take(&backend, now)];
    let woken = Arc::default();
    let mut waiting = Vec::new();
    for _ in 0..9 {
        waiting.push(wait(&backend, now));
        waiting.retain_mut(|ticket| match poll(ticket, &woken) {
            Poll::Ready(lease) => {
                leases.push(lease);
                false
            }
            Poll::Pending => true,
        });
    }
    assert_eq!((leases.len(), waiting.len()), (5, 5));
    drop((leases, waiting));
    assert_idle(&backend);
}

#[test]
fn a_limit_that_follows_the_load_does_so_both_ways() {
    let (backend, now) = backend(2, |c| {
        c.balance = Algorithm::First;
        c.fullconn = Some(10);
        each(c, |server| {
            server.minconn = Some(1);
            server.maxconn = Some(10);
        });
    });
    // The limit is the load: the second server serves only while the first one has all of it.
    let mut leases: Vec<_> = (0..6).map(|_| take(&backend, now)).collect();
    let served = leases.iter().map(index).collect::<Vec<_>>();
    assert_eq!(served, [0, 1, 0, 0, 0, 0]);
    drop(leases.remove(1));
    // Five, and all on the first: it has no room until there are more.
    leases.push(take(&backend, now));
    assert_eq!(leases.last().map(index), Some(1));
    leases.push(take(&backend, now));
    assert_eq!(leases.last().map(index), Some(0));
    drop(leases);
    assert_idle(&backend);
}

/// Cold servers have one slot, whatever the load would make of their limit.
#[test]
fn a_cold_server_has_one_slot_under_load_and_more_when_it_is_warmer() {
    let (backend, now) = backend(1, |c| {
        c.fullconn = Some(4);
        each(c, |server| {
            server.minconn = Some(1);
            server.maxconn = Some(4000);
            server.slowstart = Some(Duration::from_secs(20));
        });
    });
    backend.set_state(now, s(0), AdminAction::Maintenance);
    backend.set_state(now, s(0), AdminAction::Ready);
    let lease = take(&backend, now);
    let mut waiting: Vec<_> = (0..3).map(|_| wait(&backend, now)).collect();
    backend.warm_up(now + Duration::from_secs(10));
    for ticket in &mut waiting {
        assert_eq!(granted(ticket, &Arc::default()), 0);
    }
    drop((lease, waiting));
    assert_idle(&backend);
}

/// Where nothing had a limit before a reload, a slot that is given back after it is noticed.
#[test]
fn limits_that_come_with_a_reload_hold_and_let_everybody_through() {
    let (old, now) = backend(1, |_| {});
    let mut proxy = ProxyConfig::new("be", 2, Mode::Http);
    let mut config = old.config().clone();
    each(&mut config, |server| server.maxconn = Some(1));
    proxy.backend = Some(config);
    let new = old.renewed(&proxy, now);
    new.take_over(&old, &proxy, now);
    drop(old);
    for _ in 0..3 {
        let lease = take(&new, now);
        let mut ticket = wait(&new, now);
        drop(lease);
        assert_eq!(granted(&mut ticket, &Arc::default()), 0);
    }
    assert_idle(&new);
}

/// Requests of connections that were there before a reload are given slots by the backend of before.
#[test]
fn a_slot_that_the_old_backend_gave_out_is_taken_in_the_new_one() {
    let (old, now) = backend(1, |c| each(c, |server| server.maxconn = Some(1)));
    let mut proxy = ProxyConfig::new("be", 2, Mode::Http);
    let mut config = old.config().clone();
    config.retries = 1;
    proxy.backend = Some(config);
    let new = old.renewed(&proxy, now);
    new.take_over(&old, &proxy, now);
    let lease = take(&old, now);
    let mut ticket = wait(&new, now);
    assert_eq!(new.servers()[0].served(), 1);
    drop(lease);
    assert_eq!(granted(&mut ticket, &Arc::default()), 0);
    assert_idle(&new);
}

/// Half of them are still with the backend from before a reload.
#[test]
fn two_workers_never_exceed_the_limit_and_lose_nobody() {
    let (old, now) = backend(2, |c| each(c, |server| server.maxconn = Some(2)));
    let mut proxy = ProxyConfig::new("be", 2, Mode::Http);
    let mut config = old.config().clone();
    config.retries = 1;
    proxy.backend = Some(config);
    let backend = old.renewed(&proxy, now);
    backend.take_over(&old, &proxy, now);
    let turns = 3000;
    thread::scope(|scope| {
        for worker in 0..4 {
            let backend = [&backend, &old][worker % 2];
            scope.spawn(move || {
                crate::stats::set_worker(worker);
                for turn in 0..turns {
                    let lease = match backend.assign(now, &AssignKey::new(CLIENT)) {
                        Assignment::Leased(lease) => lease,
                        Assignment::Queued(ticket) if turn % 7 == 0 => {
                            drop(ticket);
                            continue;
                        }
                        Assignment::Queued(ticket) => block_on(ticket),
                        Assignment::Refused(refusal) => panic!("{refusal}"),
                    };
                    assert!(lease.server().unwrap().served() <= 2);
                    if turn % 16 == 0 {
                        thread::yield_now();
                    }
                }
            });
        }
    });
    assert_idle(&backend);
    let total: u64 = backend
        .servers()
        .iter()
        .map(|s| s.counters().traffic.total(|c| &c.sessions))
        .sum();
    assert!(total <= 4 * turns && total > 3 * turns, "{total}");
    assert!(
        backend
            .servers()
            .iter()
            .all(|s| s.counters().sessions.max() <= 2)
    );
}

#[test]
fn servers_flap_under_load_and_everyone_gets_an_answer() {
    let (backend, now) = backend(2, |c| each(c, |server| server.maxconn = Some(1)));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        match backend.assign(now, &AssignKey::new(CLIENT)) {
                            Assignment::Leased(lease) => drop(lease),
                            Assignment::Queued(ticket) => drop(block_on(ticket)),
                            Assignment::Refused(_) => {}
                        }
                    }
                })
            })
            .collect();
        let mut turn = 0;
        while !workers.iter().all(|worker| worker.is_finished()) {
            let server = s(turn % 2);
            turn += 1;
            backend.apply_check(now, server, &down());
            backend.apply_check(now, server, &up());
        }
    });
    assert_idle(&backend);
}

/// Parks the thread until the ticket is done.
fn block_on(ticket: Ticket) -> crate::backend::Lease {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::task::Waker::from(Arc::new(Unpark(thread::current())));
    let mut ticket = std::pin::pin!(ticket);
    loop {
        let mut cx = std::task::Context::from_waker(&waker);
        match ticket.as_mut().poll(&mut cx) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn a_limit_set_under_load_holds_and_lets_everyone_through() {
    let (backend, now) = backend(1, |_| ());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        match backend.assign(now, &AssignKey::new(CLIENT)) {
                            Assignment::Leased(lease) => drop(lease),
                            Assignment::Queued(ticket) => drop(block_on(ticket)),
                            Assignment::Refused(refusal) => panic!("{refusal}"),
                        }
                    }
                })
            })
            .collect();
        let mut limit = 0;
        while !workers.iter().all(|worker| worker.is_finished()) {
            limit = 1 - limit;
            backend.set_maxconn(s(0), limit);
        }
        backend.set_maxconn(s(0), 1);
    });
    assert_idle(&backend);
}
