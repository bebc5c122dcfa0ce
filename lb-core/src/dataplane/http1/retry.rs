//! `retry-on`: requests that go out again because their server did not answer them as it should.
//!
//! What has been sent of a request is kept as long as it fits a buffer, so that it can be sent again, to the same server or
//! to another one; a request of which more has gone is not repeated.

use std::time::Instant;

use super::{Exchange, wait::Step};
use crate::{
    config::{ProxyConfig, RetryEvent, RetryOn},
    dataplane::{
        clock,
        connect::{self, Dialed, First, Terms},
        session::Connection,
    },
    http1::{Framing, RequestSummary, ResponseSummary},
    server::Seen,
};

/// Keeps what is sent of the request in `x` from now on, if it may have to be sent again.
pub(super) fn prepare(
    connection: &Connection,
    x: &mut Exchange,
    summary: &RequestSummary,
    proxy: &ProxyConfig,
) {
    let backend = proxy.backend.as_ref();
    let wanted = backend.map_or(RetryOn::NONE, |backend| backend.retry_on);
    let may = wanted.repeats_requests()
        && summary.framing != Framing::Tunnel
        && !connection.state.forbids_retries();
    x.retry_on = if may { wanted } else { RetryOn::NONE };
    if may {
        x.up.keep_to_repeat(connection.sizes().buffer());
    }
}

/// Begins the request again from its first byte.
pub(super) fn rewind(x: &mut Exchange) {
    x.up.rewind();
    x.upload_broken = false;
}

/// What became of an attempt.
type Became = Result<ResponseSummary, Step>;

/// Whether the file wants the request to go out again after that. Not after an interim response: the client has heard of
/// this attempt.
pub(super) fn is_wanted(x: &Exchange, became: &Became, dialed: &Dialed) -> bool {
    if x.retry_on == RetryOn::NONE || x.interim {
        return false;
    }
    let wants = |event| x.retry_on.contains(event);
    let nothing = dialed.server.input.is_empty();
    match became {
        Ok(response) => wants(RetryEvent::Status(response.status)),
        // A part of a head is junk by the manual, and an empty response by what HAProxy does.
        Err(Step::ServerGone) => wants(RetryEvent::Empty) || !nothing && wants(RetryEvent::Junk),
        Err(Step::BadResponse) => wants(RetryEvent::Junk),
        Err(Step::ServerTimeout) => wants(RetryEvent::Timeout),
        Err(_) => false,
    }
}

/// Makes the request ready to go out again, and says where; `dialed` if there were enough attempts. The time since
/// `begun` counts as time in which there was no connection, as with HAProxy.
pub(super) fn again(
    x: &mut Exchange,
    summary: &RequestSummary,
    (became, begun): (&Became, Instant),
    dialed: Dialed,
    terms: Terms,
) -> Result<First, Box<Dialed>> {
    // The client does not learn of it, whoever watches the server does.
    let seen = match became {
        Ok(response) => Some(Seen::Status(response.status)),
        Err(step) => step.seen(&dialed.server),
    };
    let next = connect::again(&mut x.trace, dialed, terms, seen)?;
    rewind(x);
    x.answers.reset(x.asked, summary.upgrade);
    x.trace.timers.response = None;
    *x.trace.timers.connect.get_or_insert_default() +=
        clock::recent().saturating_duration_since(begun);
    Ok(next)
}
