//! What is counted of connections and streams, in the pure counters of `stats`.

use std::{sync::Arc, time::Instant};

use super::{
    clock,
    connect::count,
    listener::Listener,
    session::Connection,
    trace::{Answerer, Trace},
    worker::Worker,
};
use crate::{
    backend::Lease,
    stats::{Cell, FrontendCounters, ListenerCounters, ProcessCounters, Samples, Times},
    stick_table::Event,
};

impl Connection {
    /// Counters of the frontend.
    pub(super) fn frontend_counters(&self) -> Option<&FrontendCounters> {
        Some(&self.listener.counters)
    }

    fn frontend_cell(&self) -> Option<&Cell> {
        Some(self.frontend_counters()?.traffic.cell())
    }

    fn listener_counters(&self) -> Option<&ListenerCounters> {
        self.listener.own_counters.as_deref()
    }

    fn listener_cell(&self) -> Option<&Cell> {
        Some(self.listener_counters()?.traffic.cell())
    }

    fn backend_cell(&self, backend: Option<usize>) -> Option<&Cell> {
        let backend = self.listener.balancer.backends.get(backend?)?;
        Some(backend.counters().traffic.cell())
    }

    /// Rules on connections and sessions let it in, and PROXY header and TLS were as they should be.
    pub(super) fn count_session(&self) {
        let now = clock::recent();
        self.worker.process.session_rate.count(now);
        self.listener.counters.session_rate.count(now);
        let cells = [self.frontend_cell(), self.listener_cell()];
        for cell in cells.into_iter().flatten() {
            cell.sessions.increment();
        }
    }

    /// A valid request came.
    pub(super) fn count_request(&self, now: Instant) {
        self.worker.process.requests.increment();
        if let Some(counters) = self.frontend_counters() {
            counters.request_rate.count(now);
            counters.traffic.cell().requests.increment();
        }
    }

    /// Something came that is no request.
    pub(super) fn count_bad_request(&self) {
        self.listener.count_bad_request();
    }

    /// A rule refused a connection.
    pub(super) fn count_denied_connection(&self) {
        if let Some(counters) = self.frontend_counters() {
            counters.denied_connections.increment();
        }
        if let Some(counters) = self.listener_counters() {
            counters.denied_connections.increment();
        }
    }

    /// A rule refused a session.
    pub(super) fn count_denied_session(&self) {
        if let Some(counters) = self.frontend_counters() {
            counters.denied_sessions.increment();
        }
        if let Some(counters) = self.listener_counters() {
            counters.denied_sessions.increment();
        }
    }

    /// A rule refused a request.
    pub(super) fn count_denied(&self, backend: Option<usize>) {
        let cells = [
            self.frontend_cell(),
            self.listener_cell(),
            self.backend_cell(backend),
        ];
        for cell in cells.into_iter().flatten() {
            cell.denied_requests.increment();
        }
    }

    /// A request could not be treated as the rules say.
    pub(super) fn count_internal_error(&self, backend: Option<usize>) {
        let cells = [
            self.frontend_cell(),
            self.listener_cell(),
            self.backend_cell(backend),
        ];
        for cell in cells.into_iter().flatten() {
            cell.internal_errors.increment();
        }
    }

    /// A rule refused the response of a server.
    pub(super) fn count_denied_response(&self, lease: &Lease) {
        self.count_denied_hit(None);
        count(lease, |cell| &cell.denied_responses);
    }

    /// A rule refused what was found in a cache.
    pub(super) fn count_denied_hit(&self, backend: Option<usize>) {
        let cells = [
            self.frontend_cell(),
            self.listener_cell(),
            self.backend_cell(backend),
        ];
        for cell in cells.into_iter().flatten() {
            cell.denied_responses.increment();
        }
    }

    /// The proxy answered a request itself.
    pub(super) fn count_intercepted(&self) {
        if let Some(cell) = self.frontend_cell() {
            cell.intercepted.increment();
        }
    }

    /// Rules of the backend, or of the frontend, looked for the request in caches.
    pub(super) fn count_lookups(&self, backend: Option<usize>, lookups: u32, hit: bool) {
        let cell = match backend {
            Some(_) => self.backend_cell(backend),
            None => self.frontend_cell(),
        };
        if let Some(cell) = cell {
            cell.cache_lookups.add(lookups.into());
            cell.cache_hits.add(hit.into());
        }
    }

    /// Something happened that tracked entries count.
    pub(super) fn count_tracked(&self, event: Event) {
        self.state.trackers.count(clock::recent(), event);
    }

    /// A stream is over: bytes, status and times.
    pub(super) fn count_stream(&self, trace: &Trace) {
        if trace.bytes_uploaded > 0 {
            self.count_tracked(Event::BytesIn(trace.bytes_uploaded));
        }
        if trace.bytes_read > 0 {
            self.count_tracked(Event::BytesOut(trace.bytes_read));
        }
        let balancer = &self.listener.balancer;
        let backend = trace.backend.and_then(|index| balancer.backends.get(index));
        let server = match (backend, trace.answerer) {
            (Some(backend), Answerer::Server(index)) => backend.server(index),
            _ => None,
        };
        let cells = [
            self.frontend_cell(),
            backend.map(|b| b.counters().traffic.cell()),
            server.map(|s| s.counters().traffic.cell()),
        ];
        let failed_rewrites = match &self.state.marks {
            Some(marks) => u64::from(marks.failed_rewrites),
            None => 0,
        };
        if failed_rewrites > 0 {
            for cell in cells.into_iter().chain([self.listener_cell()]).flatten() {
                cell.failed_rewrites.add(failed_rewrites);
            }
        }
        if let Some(cell) = self.listener_cell() {
            cell.bytes_in.add(trace.bytes_uploaded);
            cell.bytes_out.add(trace.bytes_read);
        }
        let to_server = server.map_or(0, |_| trace.bytes_uploaded);
        let process = &self.worker.process;
        process.bytes_out.add(trace.bytes_read + to_server);
        let timers = &trace.timers;
        let times = Samples::from(Times {
            queue: timers.queue.unwrap_or_default(),
            connect: timers.connect.unwrap_or_default(),
            response: timers.response.unwrap_or_default(),
            total: trace.since_start(clock::recent()),
        });
        for (place, cell) in cells.into_iter().enumerate() {
            let Some(cell) = cell else {
                continue;
            };
            cell.bytes_in.add(trace.bytes_uploaded);
            cell.bytes_out.add(trace.bytes_read);
            if let Some(status) = trace.status {
                cell.count_response(status);
                if place > 0 {
                    cell.requests.increment();
                }
            }
            if server.is_none() || trace.termination.cause != b'-' {
                continue;
            }
            // Frontends have no columns for averages.
            if place == 0 {
                cell.record_histograms(times);
            } else {
                cell.record_times(times);
            }
        }
    }
}

impl Listener {
    /// Something came that is no request.
    pub(super) fn count_bad_request(&self) {
        self.counters.traffic.cell().request_errors.increment();
        if let Some(own) = &self.own_counters {
            own.traffic.cell().request_errors.increment();
        }
    }
}

/// One client connection in the gauges; leaves on drop.
#[derive(Debug)]
pub(super) struct Counted {
    process: Arc<ProcessCounters>,
    frontend: Arc<FrontendCounters>,
    listener: Option<Arc<ListenerCounters>>,
}

impl Counted {
    /// A connection was accepted.
    pub(super) fn new(worker: &Worker, listener: &Listener, now: Instant) -> Self {
        let process = &worker.process;
        process.connections.enter();
        process.connections_total.increment();
        process.connection_rate.count(now);
        let counters = &listener.counters;
        counters.connections.enter();
        counters.connections_total.increment();
        counters.connection_rate.count(now);
        if let Some(own) = &listener.own_counters {
            own.connections.enter();
        }
        Self {
            process: Arc::clone(process),
            frontend: Arc::clone(counters),
            listener: listener.own_counters.clone(),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.process.connections.leave();
        self.frontend.connections.leave();
        if let Some(listener) = &self.listener {
            listener.connections.leave();
        }
    }
}
