//! What follows an attempt that failed: to connect, or (`retry-on`) to have a request answered.

use std::time::Duration;

use super::{super::trace::Trace, Dialed, count, note};
use crate::{
    backend::{AfterFailure, Backend, Lease},
    id::ServerIndex,
    server::Seen,
};

/// Where the first attempt goes.
#[derive(Debug)]
pub(in super::super) enum First {
    /// To the server that the backend chooses.
    Any,
    /// To the one that has failed, where the place was kept.
    Same(Lease),
    /// To another than the one that has failed.
    Another(ServerIndex),
}

/// On what terms an attempt follows another one.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Terms {
    /// `timeout connect` of the backend.
    pub(in super::super) connect: Option<Duration>,
    /// No other server will do (`force-persist`).
    pub(in super::super) insists: bool,
}

/// What follows an attempt that failed.
pub(super) enum Attempt {
    /// Another one at the same server, after a pause.
    Again(Duration),
    /// One at another server.
    Elsewhere,
    /// None.
    NoMore,
}

/// Decides what follows the last of so many failures, and notes it in `trace` and on the server.
pub(super) fn next_attempt(
    trace: &mut Trace,
    lease: &Lease,
    terms: Terms,
    failures: u32,
) -> Attempt {
    let backend = lease.backend();
    let mut next = backend.after_failure(failures, lease.persistence(), terms.connect);
    if terms.insists && next == AfterFailure::Redispatch {
        next = AfterFailure::Retry(Backend::turn_around(terms.connect));
    }
    // Nobody goes back to a server that is down where others will do.
    let down = lease.server().is_some_and(|s| !s.accepts_persistent());
    let may_move = backend.config().redispatch.is_some_and(|every| every != 0) && !terms.insists;
    if down && may_move && matches!(next, AfterFailure::Retry(_)) {
        next = AfterFailure::Redispatch;
    }
    match next {
        AfterFailure::Retry(pause) => {
            trace.retries += 1;
            count(lease, |c| &c.retries);
            Attempt::Again(pause)
        }
        AfterFailure::Redispatch => {
            trace.retries += 1;
            trace.redispatched = true;
            count(lease, |c| &c.redispatches);
            Attempt::Elsewhere
        }
        AfterFailure::GiveUp => Attempt::NoMore,
    }
}

/// Where a request goes again that was sent and not answered as it should be; `dialed` if it does not. That counts as
/// a failed connection does, but nothing is waited for: the server was there. `seen` is what the server did.
pub(in super::super) fn again(
    trace: &mut Trace,
    mut dialed: Dialed,
    terms: Terms,
    seen: Option<Seen>,
) -> Result<First, Box<Dialed>> {
    let failures = trace.failures() + 1;
    let first = next_attempt(trace, &dialed.lease, terms, failures);
    if matches!(first, Attempt::NoMore) {
        return Err(Box::new(dialed));
    }
    if let Some(seen) = seen {
        note(&dialed.lease, seen);
    }
    // Whatever it may still say is not for anybody.
    dialed.server.stream.reset_on_close();
    Ok(match first {
        Attempt::Elsewhere => First::Another(dialed.lease.server_index()),
        _ => First::Same(dialed.lease),
    })
}
