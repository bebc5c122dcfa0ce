//! Leases, queues, persistence and state changes, alone and under threads.

mod assigning;
mod changing;
mod property;
mod queueing;

use std::{
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use super::{AssignKey, Assignment, Backend, Lease, Ticket};
use crate::{
    config::{BackendConfig, CheckConfig, Mode, ProxyConfig, ServerConfig},
    health::{CheckReport, CheckStatus, ProbeResult},
    id::ServerIndex,
};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// A backend of `count` servers, changed by `change` before it is made.
fn backend(count: u32, change: impl FnOnce(&mut BackendConfig)) -> (Arc<Backend>, Instant) {
    let mut config = BackendConfig {
        servers: (1..=count)
            .map(|id| ServerConfig::new(format!("s{id}"), id, Some(([127, 0, 0, 1], 80).into())))
            .collect(),
        retries: 3,
        ..BackendConfig::default()
    };
    change(&mut config);
    let now = crate::test_clock::now();
    let mut proxy = ProxyConfig::new("be", 2, Mode::Http);
    proxy.backend = Some(config);
    (Backend::new(&proxy, now), now)
}

fn each(config: &mut BackendConfig, change: impl Fn(&mut ServerConfig)) {
    config.servers.iter_mut().for_each(change);
}

fn leased(assignment: Assignment) -> Lease {
    match assignment {
        Assignment::Leased(lease) => lease,
        other => panic!("{other:?}"),
    }
}

fn queued(assignment: Assignment) -> Ticket {
    match assignment {
        Assignment::Queued(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

fn take(backend: &Arc<Backend>, now: Instant) -> Lease {
    leased(backend.assign(now, &AssignKey::new(CLIENT)))
}

fn index(lease: &Lease) -> usize {
    lease.server_index().index()
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll(ticket: &mut Ticket, woken: &Arc<Woken>) -> Poll<Lease> {
    let waker = Waker::from(Arc::clone(woken));
    Future::poll(Pin::new(ticket), &mut Context::from_waker(&waker))
}

fn report(status: CheckStatus, health: u32) -> CheckReport {
    CheckReport {
        result: ProbeResult {
            status,
            code: None,
            duration: Duration::ZERO,
            detail: Arc::from(if status == CheckStatus::L4Connection {
                "Connection refused"
            } else {
                ""
            }),
        },
        health,
        rise: 2,
        fall: 3,
    }
}

fn down() -> CheckReport {
    report(CheckStatus::L4Connection, 0)
}

fn up() -> CheckReport {
    report(CheckStatus::L4Ok, 4)
}

fn checked(server: &mut ServerConfig) {
    server.check = Some(CheckConfig::default());
}

/// Nothing is out and nobody waits.
fn assert_idle(backend: &Backend) {
    assert_eq!(backend.counters().sessions.value(), 0, "backend sessions");
    assert_eq!(backend.waiting(), 0, "waiting");
    for server in backend.servers() {
        assert_eq!(server.served(), 0, "{}", server.name());
    }
}

fn s(index: usize) -> ServerIndex {
    ServerIndex::new(index)
}
