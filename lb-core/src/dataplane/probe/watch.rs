//! The checks of one server, one after another, and what traffic says of it meanwhile.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use super::{
    Place,
    once::{self, Found, Method},
    program,
    shared::Shared,
};
use crate::{
    config::{CheckKind, OnError},
    dataplane::{clock, destination::Destination, rt, tls::Connector},
    health::{
        self, CheckReport, CheckStatus, Monitor, ProbeResult,
        script::{Around, Known},
    },
    request::World,
    server::Server,
};

/// Checks one server until it is told otherwise.
pub(super) async fn watch(
    shared: Rc<Shared>,
    place: Rc<RefCell<Place>>,
    method: Rc<Method>,
    tls: Option<Connector>,
    mut monitor: Monitor,
) {
    loop {
        if let Some(deadline) = monitor.next_deadline() {
            if let Some(told) = rt::timeout_at(deadline, alarm(&place)).await {
                suffer(&shared, &place, &mut monitor, told);
                continue;
            }
            monitor.handle(clock::now(), health::Event::Timeout);
        }
        let Some(probe) = monitor.poll_probe() else {
            rt::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let begun = clock::now();
        let found = if place.borrow().is_paused() {
            Found::unknown()
        } else if let CheckKind::External(_) = &method.kind {
            program::run(&shared, &place, probe).await
        } else {
            let (state, backend, server) = {
                let place = place.borrow();
                let backend = Arc::clone(&place.backend);
                let server = backend.server(place.server).map(|s| s.name().to_owned());
                (place.state(&shared, &method), backend, server)
            };
            let world: Arc<dyn World> = shared.balancer.borrow().clone();
            let known = Known {
                secure: method.check.tls.is_some(),
                is_down: !monitor.report().is_up(),
                state: state.as_deref(),
                around: Some(Around {
                    now: begun,
                    date: clock::wall(),
                    backend: backend.name(),
                    server: server.as_deref().unwrap_or_default(),
                    world: Some(&world),
                }),
            };
            once::run(&method, known, tls.as_ref(), probe).await
        };
        let now = clock::now();
        // It says nothing of the server.
        let is_empty = found.status == CheckStatus::Unknown;
        let result = ProbeResult {
            status: found.status,
            code: found.code,
            duration: now.saturating_duration_since(begun),
            detail: found.detail,
        };
        restore(&place, &mut monitor);
        let before = monitor.report().clone();
        monitor.handle(now, health::Event::ProbeDone(result));
        if !is_empty {
            apply(&shared, &place, &before, &monitor);
        }
    }
}

/// Too many errors in a row, in words.
async fn alarm(place: &RefCell<Place>) -> String {
    std::future::poll_fn(|cx| {
        let place = place.borrow();
        let server = place.backend.server(place.server);
        server.map_or(std::task::Poll::Pending, |server| server.poll_alarm(cx))
    })
    .await
}

/// Carries out `on-error`.
fn suffer(shared: &Shared, place: &RefCell<Place>, monitor: &mut Monitor, alarm: String) {
    if place.borrow().is_paused() {
        return;
    }
    let then = {
        let place = place.borrow();
        let Some(server) = place.backend.server(place.server) else {
            return;
        };
        server.counters().alarms.increment();
        let observe = server.config().observe;
        observe.map_or(OnError::Fastinter, |observe| observe.then)
    };
    restore(place, monitor);
    let before = monitor.report().clone();
    let event = health::Event::Errors(then, Arc::from(alarm));
    monitor.handle(clock::now(), event);
    if then != OnError::Fastinter {
        apply(shared, place, &before, monitor);
    }
}

/// Somebody may have forced its health since the last probe.
fn restore(place: &RefCell<Place>, monitor: &mut Monitor) {
    let known = place.borrow().report();
    if let Some(known) = known.filter(|known| known.health != monitor.report().health) {
        monitor.handle(clock::now(), health::Event::Restore(known));
    }
}

/// What follows from a result.
fn apply(shared: &Shared, place: &RefCell<Place>, before: &CheckReport, monitor: &Monitor) {
    let place = place.borrow();
    shared.log_result(&place, "Health check", before, monitor.report());
    let report = monitor.report();
    let change = place
        .backend
        .apply_check(clock::now(), place.server, report);
    if let Some(change) = &change {
        shared.tell(&place.backend, change);
    }
    if let Some(server) = place.backend.server(place.server) {
        shared.lead(&place.backend, server);
    }
}

impl Place {
    fn is_paused(&self) -> bool {
        self.backend
            .server(self.server)
            .is_none_or(|server| server.admin().is_maintenance() || !server.is_checked())
    }

    fn report(&self) -> Option<CheckReport> {
        self.backend.server(self.server)?.check_report()
    }

    /// What a server is told of itself by `http-check send-state`.
    fn state(&self, shared: &Shared, method: &Method) -> Option<String> {
        let CheckKind::Script(script) = &method.kind else {
            return None;
        };
        let wants = |_: &&Server| script.send_state;
        let server = self.backend.server(self.server).filter(wants)?;
        let balancer = shared.balancer.borrow();
        let (address, port) = match &method.destination {
            Destination::Ip(at) => (at.ip().to_string(), at.port()),
            Destination::Unix(_) => ("unix".to_owned(), 0),
        };
        let (own, all) = (server.counters(), self.backend.counters());
        Some(format!(
            "{}; address={address}; port={port}; name={}/{}; node={}; weight={}/{}; scur={}/{}; qcur={}",
            server.status(),
            self.backend.name(),
            server.name(),
            balancer.node(),
            server.weight(),
            self.backend.total_weight(),
            own.sessions.value(),
            all.sessions.value(),
            own.queue.value(),
        ))
    }
}
