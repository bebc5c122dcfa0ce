//! What is answered here in place of servers: from a cache, by the statistics page, by a service.

use std::{sync::Arc, task::Poll, time::Duration};

use super::{Exchange, answer::Answer, prepare::Prepared};
use crate::{
    cache::Found,
    config::ProxyConfig,
    dataplane::{StatsOutcome, buffer, clock, session::Connection, trace::Answerer},
    head::HeadRef,
    http1::{Body, RequestSummary},
    request::RequestView,
    rules::Service,
};

/// What `cache-use` has found.
pub(super) fn cached(
    connection: &mut Connection,
    x: &mut Exchange,
    proxy: &ProxyConfig,
) -> Option<Found> {
    let visit = connection.state.visited()?;
    let (found, lookups) = (visit.found().cloned(), visit.take_lookups());
    connection.count_lookups(x.trace.backend, lookups, found.is_some());
    let found = found?;
    answers_here(connection, x, proxy);
    note_interception(x, Answerer::Cache, 200);
    Some(found)
}

/// A proxy answers itself in place of its servers.
fn answers_here(connection: &Connection, x: &mut Exchange, proxy: &ProxyConfig) {
    let own = || connection.listener.balancer.backend_named(&proxy.name);
    x.trace.backend = x.trace.backend.or_else(own);
    // What a backend answers is not counted as the frontend's.
    if proxy.name == connection.frontend().name {
        connection.count_intercepted();
    }
}

/// The stats page, for `GET`, `HEAD` and `POST` of targets that begin with its `uri`. What else is asked there is for the servers.
pub(super) async fn stats(
    connection: &mut Connection,
    x: &mut Exchange,
    proxy: &ProxyConfig,
    summary: &RequestSummary,
) -> Option<Prepared> {
    let page = proxy.stats.as_ref()?;
    let service = Arc::clone(connection.worker.stats.as_ref()?);
    let head = HeadRef::new(&x.request, connection.client.input.kept());
    let asks = matches!(head.method(), b"GET" | b"HEAD" | b"POST");
    if !asks || !head.target().starts_with(page.uri.as_bytes()) {
        return None;
    }
    let length = gather_body(connection, summary).await;
    let input = &connection.client.input;
    let body = input.bytes().get(..length).unwrap_or_default();
    let mut out = Vec::new();
    let head = HeadRef::new(&x.request, input.kept());
    let mut view =
        RequestView::new(clock::recent(), &connection.info, &connection.state).with_request(head);
    view.payload = body;
    let (status, answer) = match service.respond(proxy, &view, &mut out) {
        StatsOutcome::NotMine => return None,
        StatsOutcome::Denied => {
            connection.count_denied(x.trace.backend);
            answers_here(connection, x, proxy);
            return Some(denied(x, Answerer::Stats));
        }
        StatsOutcome::Responded { status } => (status, Answer::Written(status, out)),
        StatsOutcome::Streams { status, body } => (status, Answer::Streamed(status, out, body)),
    };
    answers_here(connection, x, proxy);
    Some(intercepted(x, Answerer::Stats, status, answer))
}

/// `use-service`. Without anybody who offers it: 503.
pub(super) fn serve(connection: &mut Connection, x: &mut Exchange, service: Service) -> Prepared {
    let mut out = Vec::new();
    let head = HeadRef::new(&x.request, connection.client.input.kept());
    let view =
        RequestView::new(clock::recent(), &connection.info, &connection.state).with_request(head);
    let offered = connection.worker.stats.as_ref();
    let outcome = offered.map(|offered| offered.serve(service, &view, &mut out));
    let (status, answer) = match outcome {
        None | Some(StatsOutcome::NotMine) => {
            x.trace.end_with(b'L', b'R');
            return Prepared::Answer(Answer::Page(503));
        }
        Some(StatsOutcome::Denied) => {
            connection.count_denied(x.trace.backend);
            connection.count_intercepted();
            return denied(x, Answerer::Metrics);
        }
        Some(StatsOutcome::Responded { status }) => (status, Answer::Written(status, out)),
        Some(StatsOutcome::Streams { status, body }) => {
            (status, Answer::Streamed(status, out, body))
        }
    };
    connection.count_intercepted();
    intercepted(x, Answerer::Metrics, status, answer)
}

/// The error page for 403 in place of what would have been written here.
fn denied(x: &mut Exchange, answerer: Answerer) -> Prepared {
    note_interception(x, answerer, 403);
    x.trace.end_with(b'P', b'R');
    Prepared::Answer(Answer::Page(403))
}

/// An answer that was written here, in the log.
fn intercepted(x: &mut Exchange, answerer: Answerer, status: u16, answer: Answer) -> Prepared {
    note_interception(x, answerer, status);
    Prepared::Answer(answer)
}

fn note_interception(x: &mut Exchange, answerer: Answerer, status: u16) {
    x.trace.answerer = answerer;
    x.trace.timers.queue = Some(Duration::ZERO);
    x.trace.timers.connect = Some(Duration::ZERO);
    // HAProxy's log has times even for metrics that are refused, but not for a page that is.
    let timed = status < 400 || matches!(answerer, Answerer::Metrics);
    x.trace.timers.response = timed.then_some(Duration::ZERO);
    x.trace.timers.active = x.trace.since_start(clock::recent());
    x.trace.end_with(b'L', b'R');
}

/// Waits until the body, if there is one, lies in the buffer as far as it fits; tells its length there.
async fn gather_body(connection: &mut Connection, summary: &RequestSummary) -> usize {
    let timeout = connection.frontend().timeouts.client;
    connection.timer.after(clock::recent(), timeout);
    let (framing, most) = (summary.framing, connection.sizes().buffer());
    let gathered = connection
        .wait(|client, cx| {
            loop {
                let mut body = Body::new(framing, super::LENIENCY);
                match body.pass(client.input.bytes()) {
                    Ok(p) if !p.done && client.input.makes_room(most) && !client.ended => {}
                    Ok(progress) => return Poll::Ready(progress.consumed),
                    Err(_) => return Poll::Ready(0),
                }
                match client.poll_fill(cx, buffer::SIZE) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(0),
                }
            }
        })
        .await;
    gathered.unwrap_or(0)
}
