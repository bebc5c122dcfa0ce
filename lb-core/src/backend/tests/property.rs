//! Any history keeps the books: leases out are the connections counted, limits hold, the queue is fair.

use std::{collections::VecDeque, sync::Arc, task::Poll, time::Duration};

use proptest::prelude::*;

use super::{Woken, backend, down, each, poll, s, up};
use crate::{
    backend::{AdminAction, AssignKey, Assignment, Backend, Lease, Ticket},
    balance::Algorithm,
};

#[derive(Debug, Clone)]
enum Step {
    Assign {
        client: u8,
        cookie: Option<u8>,
        exclude: Option<usize>,
    },
    Finish(usize),
    Abandon(usize),
    Down(usize),
    Up(usize),
    State(usize, AdminAction),
    Weight(usize, u16),
    MaxConn(usize, u32),
    Pass(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let server = 0usize..3;
    prop_oneof![
        8 => (any::<u8>(), prop::option::of(1u8..5), prop::option::of(server.clone()))
            .prop_map(|(client, cookie, exclude)| Step::Assign { client, cookie, exclude }),
        6 => any::<usize>().prop_map(Step::Finish),
        2 => any::<usize>().prop_map(Step::Abandon),
        1 => server.clone().prop_map(Step::Down),
        2 => server.clone().prop_map(Step::Up),
        1 => (server.clone(), prop::sample::select(vec![
            AdminAction::Ready, AdminAction::Drain, AdminAction::Maintenance,
        ])).prop_map(|(s, a)| Step::State(s, a)),
        1 => (server.clone(), 0u16..20).prop_map(|(s, w)| Step::Weight(s, w)),
        1 => (server, 0u32..4).prop_map(|(s, m)| Step::MaxConn(s, m)),
        1 => (0u16..5000).prop_map(Step::Pass),
    ]
}

fn check(backend: &Backend, leases: &[Lease], waiting: usize) -> Result<(), TestCaseError> {
    for server in backend.servers() {
        let out = leases
            .iter()
            .filter(|l| l.server_index() == server.index())
            .count();
        prop_assert_eq!(server.served() as usize, out, "{}", server.name());
    }
    prop_assert_eq!(
        backend.counters().sessions.value() as usize,
        leases.len() + waiting
    );
    prop_assert_eq!(backend.waiting() as usize, waiting);
    Ok(())
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(vec![
        Algorithm::RoundRobin,
        Algorithm::StaticRr,
        Algorithm::LeastConn,
        Algorithm::Source,
        Algorithm::First,
        Algorithm::Random(2),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn leases_out_are_the_connections_counted(
        algorithm in algorithm(),
        slow in any::<bool>(),
        elastic in any::<bool>(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let (backend, start) = backend(3, |config| {
            config.balance = algorithm;
            config.fullconn = elastic.then_some(6);
            each(config, |server| {
                server.maxconn = Some(2);
                server.minconn = elastic.then_some(1);
                server.slowstart = slow.then(|| Duration::from_secs(10));
                server.cookie = Some(format!("c{}", server.id));
            });
        });
        let mut now = start;
        let mut leases: Vec<Lease> = Vec::new();
        let mut waiting: VecDeque<Ticket> = VecDeque::new();
        let woken = Arc::new(Woken::default());
        for step in steps {
            match step {
                Step::Assign { client, cookie, exclude } => {
                    let cookie = cookie.map(|n| format!("c{n}"));
                    let key = AssignKey {
                        cookie: cookie.as_deref().map(str::as_bytes),
                        exclude: exclude.map(s),
                        ..AssignKey::new([10, 0, 0, client].into())
                    };
                    match backend.assign(now, &key) {
                        Assignment::Leased(lease) => {
                            let server = lease.server().unwrap();
                            prop_assert!(server.accepts_persistent());
                            let limit = server.maxconn();
                            prop_assert!(limit == 0 || server.served() <= limit);
                            leases.push(lease);
                        }
                        Assignment::Queued(ticket) => waiting.push_back(ticket),
                        Assignment::Refused(_) => prop_assert_eq!(backend.usable_servers(), (0, 0)),
                    }
                }
                Step::Finish(n) if !leases.is_empty() => drop(leases.swap_remove(n % leases.len())),
                Step::Abandon(n) if !waiting.is_empty() => drop(waiting.remove(n % waiting.len())),
                Step::Finish(_) | Step::Abandon(_) => {}
                Step::Down(n) => drop(backend.apply_check(now, s(n), &down())),
                Step::Up(n) => drop(backend.apply_check(now, s(n), &up())),
                Step::State(n, action) => drop(backend.set_state(now, s(n), action)),
                Step::Weight(n, weight) => drop(backend.set_weight(now, s(n), weight)),
                Step::MaxConn(n, most) => backend.set_maxconn(s(n), most),
                Step::Pass(ms) => now += Duration::from_millis(u64::from(ms)),
            }
            // Everyone whose turn has come takes it.
            let mut still = VecDeque::new();
            for mut ticket in waiting.drain(..) {
                match poll(&mut ticket, &woken) {
                    Poll::Ready(lease) => leases.push(lease),
                    Poll::Pending => still.push_back(ticket),
                }
            }
            waiting = still;
            check(&backend, &leases, waiting.len())?;
        }
        drop(leases);
        let idle = backend.usable_servers() == (0, 0);
        for mut ticket in waiting {
            let served = poll(&mut ticket, &woken).is_ready();
            prop_assert!(served || idle || ticket.server_index().is_some(), "left waiting");
            drop(ticket);
        }
        check(&backend, &[], 0)?;
    }
}
