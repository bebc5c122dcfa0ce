//! What outlives a balancer: the supervisor keeps the last state of each server and gives it to the next balancer,
//! which then does not try dead servers first and keeps what an operator set.

use std::time::{Duration, Instant};

use lb_core::{
    backend::{AdminAction, Backend},
    dataplane::Balancer,
    health::CheckReport,
    server::Server,
};

use crate::{admin::status::Admin, ipc::message::ServerState};

/// What is to be kept of a server: nothing of one that was added on the command line, which the next balancer would
/// not know.
fn state_of(backend: &Backend, server: &Server) -> Option<ServerState> {
    server.config().origin.as_ref()?;
    let admin = server.admin();
    let configured = u32::from(server.config().weight);
    Some(ServerState {
        backend: backend.name().to_owned(),
        server: server.name().to_owned(),
        up: server.check_report().is_none_or(|report| report.is_up()),
        admin: if admin.is_maintenance() {
            Admin::Maint
        } else if admin.is_draining() {
            Admin::Drain
        } else {
            Admin::Ready
        },
        weight: Some(server.weight())
            .filter(|weight| *weight != configured)
            .and_then(|weight| u16::try_from(weight).ok()),
        address: server.moved_to(),
    })
}

/// What is to be kept of a server by these names, of its backend and its own.
pub(super) fn of((backend, server): &(String, String), balancer: &Balancer) -> Option<ServerState> {
    let backend = balancer.backends.get(balancer.backend_named(backend)?)?;
    state_of(backend, backend.server_named(server)?)
}

/// Gives servers the state of the files that the configuration names; those in `known` have a newer one.
pub(super) fn restore_saved(balancer: &Balancer, known: &[ServerState]) {
    let saved = balancer.config.saved_servers.iter().filter(|saved| {
        let same = |state: &ServerState| {
            *state.backend == *saved.backend && *state.server == *saved.server
        };
        !known.iter().any(same)
    });
    let states: Vec<ServerState> = saved
        .map(|saved| ServerState {
            backend: saved.backend.to_string(),
            server: saved.server.to_string(),
            up: saved.up,
            admin: match (saved.maintenance, saved.drain) {
                (true, _) => Admin::Maint,
                (false, true) => Admin::Drain,
                (false, false) => Admin::Ready,
            },
            weight: saved.weight,
            address: saved.address,
        })
        .collect();
    restore(balancer, &states);
}

/// Gives the servers that are still configured the state that they had.
pub(super) fn restore(balancer: &Balancer, states: &[ServerState]) {
    let now = Instant::now();
    for state in states {
        let mut named = balancer
            .backends
            .iter()
            .filter(|b| b.name() == state.backend);
        let Some((backend, server)) = named.find_map(|b| Some((b, b.server_named(&state.server)?)))
        else {
            continue;
        };
        let index = server.index();
        if let Some(address) = state.address {
            backend.set_address(now, index, address);
        }
        if !state.up
            && let Some(report) = server.check_report()
        {
            backend.restore(now, index, &down(report));
        }
        if let Some(weight) = state.weight {
            backend.set_weight(now, index, weight);
        }
        let action = match state.admin {
            Admin::Ready => continue,
            Admin::Drain => AdminAction::Drain,
            Admin::Maint => AdminAction::Maintenance,
        };
        backend.set_state(now, index, action);
    }
}

fn down(report: CheckReport) -> CheckReport {
    let mut report = report;
    report.health = 0;
    report.result.duration = Duration::ZERO;
    report
}
