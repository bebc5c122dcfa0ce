//! What clients saw of an event, beside what they may see.

use std::time::{Duration, Instant};

use super::{
    cluster::Cluster,
    deed::Deed,
    message::{Event, Failure},
    teller::Teller,
};

/// What a busy machine adds: the client's 10 ms, the turn of every process that takes part, an election's packet.
pub(super) const SLACK: Duration = Duration::from_millis(250);
/// Requests that one moment can catch under way, on a busy machine too.
const IN_FLIGHT: u64 = 5;

/// What clients may see.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How long one may wait; none when no host is left to answer.
    allowed: Option<Duration>,
    /// How many requests may fail; none where every one of the gap may.
    may_fail: Option<u64>,
}

impl Bounds {
    /// Nobody notices.
    pub(super) fn none_fails() -> Self {
        Self {
            allowed: Some(Duration::ZERO),
            may_fail: Some(0),
        }
    }

    /// Only requests are lost that were under way at the moment.
    pub(super) fn in_flight(allowed: Duration) -> Self {
        Self {
            allowed: Some(allowed),
            may_fail: Some(IN_FLIGHT),
        }
    }

    /// Nobody answers until another host has taken over.
    pub(super) fn takeover(allowed: Option<Duration>) -> Self {
        Self {
            allowed,
            may_fail: None,
        }
    }

    /// Nobody answered before.
    pub(super) fn nobody_left() -> Self {
        Self::takeover(None)
    }
}

/// When an event began.
pub(super) struct Before {
    pub(super) at: Instant,
}

impl Before {
    pub(super) fn now() -> Self {
        Self { at: Instant::now() }
    }

    /// What clients saw since.
    pub(super) fn measure(
        &self,
        cluster: &Cluster,
        teller: &Teller,
        deed: Deed,
        bounds: Bounds,
    ) -> Event {
        let seen = cluster.client.seen(self.at);
        let failed: u64 = seen.failures.values().sum();
        let refused = seen.failures.contains_key(&Failure::Refused);
        let in_time = bounds
            .allowed
            .is_none_or(|allowed| seen.longest_wait <= allowed + SLACK);
        let few = bounds
            .may_fail
            .is_none_or(|most| failed <= most && !refused);
        let answers: u64 = seen.by_origin.values().sum();
        Event {
            at_ms: teller.now_ms(),
            kind: deed.kind().to_owned(),
            what: deed.what(),
            gap_ms: millis(seen.longest_wait),
            allowed_ms: bounds.allowed.map(millis),
            held: in_time && few,
            requests_per_second: answers * 1000 / millis(self.at.elapsed()).max(1),
            by_origin: seen.by_origin,
            failed,
            failures: seen.failures,
            may_fail: bounds.may_fail,
            active: cluster
                .client
                .answered_by(self.at)
                .unwrap_or_else(|| "nobody".to_owned()),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
