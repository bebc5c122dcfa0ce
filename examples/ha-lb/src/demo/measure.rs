//! What clients saw of an event, beside what they may see.

use std::time::{Duration, Instant};

use super::{
    client::Seen,
    cluster::Cluster,
    deed::Deed,
    message::{Event, Failure},
    teller::Teller,
};

/// What a machine with both cores busy adds: the client's 10 ms, the turn of every process that takes part.
pub(super) const SLACK: Duration = Duration::from_millis(250);
/// Processes that a request needs: client, balancer, origin. A machine that keeps one waiting for its turn keeps all.
const TURNS: u32 = 3;
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

    /// Whether clients saw no more than that.
    fn held(self, seen: &Seen) -> bool {
        let in_time = self
            .allowed
            .is_none_or(|allowed| seen.longest_wait <= allowed + slack(seen));
        let refused = seen.failures.contains_key(&Failure::Refused);
        let few = self
            .may_fail
            .is_none_or(|most| seen.failures.values().sum::<u64>() <= most && !refused);
        in_time && few
    }
}

fn slack(seen: &Seen) -> Duration {
    SLACK + seen.stall * TURNS
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
        let answers: u64 = seen.by_origin.values().sum();
        Event {
            at_ms: teller.now_ms(),
            kind: deed.kind().to_owned(),
            what: deed.what(),
            gap_ms: millis(seen.longest_wait),
            allowed_ms: bounds.allowed.map(millis),
            slack_ms: millis(slack(&seen)),
            held: bounds.held(&seen),
            requests_per_second: answers * 1000 / millis(self.at.elapsed()).max(1),
            by_origin: seen.by_origin,
            failed: seen.failures.values().sum(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(longest_wait: u64, stall: u64, failures: &[(Failure, u64)]) -> Seen {
        Seen {
            longest_wait: Duration::from_millis(longest_wait),
            stall: Duration::from_millis(stall),
            failures: failures.iter().copied().collect(),
            ..Seen::default()
        }
    }

    #[test]
    fn a_wait_holds_with_the_slack_of_this_machine_and_no_longer() {
        let bounds = Bounds::takeover(Some(Duration::from_millis(1787)));
        assert!(bounds.held(&seen(2037, 0, &[(Failure::Silent, 170)])));
        assert!(!bounds.held(&seen(2038, 0, &[])));
        assert!(bounds.held(&seen(2187, 50, &[])));
        assert!(Bounds::nobody_left().held(&seen(60_000, 0, &[])));
    }

    #[test]
    fn who_may_not_fail_may_not_and_nobody_is_refused_by_a_dead_balancer() {
        let one = [(Failure::Cut, 1)];
        assert!(!Bounds::none_fails().held(&seen(0, 0, &one)));
        let balancer = Bounds::in_flight(Duration::from_millis(200));
        assert!(balancer.held(&seen(0, 0, &one)));
        assert!(!balancer.held(&seen(0, 0, &[(Failure::Cut, IN_FLIGHT + 1)])));
        assert!(!balancer.held(&seen(0, 0, &[(Failure::Refused, 1)])));
    }
}
