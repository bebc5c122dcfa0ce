//! Clocks that differ from host to host.

use core::time::Duration;

use crate::Instant;

/// A host's clock: it began at another time than the others and runs faster or slower.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// What it showed when the simulation began.
    pub begin: Duration,
    /// Parts per million that it is fast, or slow if negative.
    pub drift_ppm: i32,
}

impl Clock {
    /// What the clock shows at a time of the simulation.
    pub(super) fn local(&self, global: Duration) -> Instant {
        let nanos = i128::try_from(global.as_nanos()).unwrap_or(i128::MAX);
        let drift = nanos * i128::from(self.drift_ppm) / 1_000_000;
        let elapsed = u64::try_from(nanos + drift).unwrap_or(0);
        Instant::ZERO + self.begin + Duration::from_nanos(elapsed)
    }

    /// The first time of the simulation at which the clock shows that much.
    pub(super) fn global(&self, local: Instant) -> Duration {
        let shown = local.since_epoch().saturating_sub(self.begin).as_nanos();
        let rate = u128::from(
            (1_000_000 + i64::from(self.drift_ppm))
                .unsigned_abs()
                .max(1),
        );
        let nanos = u64::try_from(shown * 1_000_000 / rate).unwrap_or(u64::MAX);
        let mut global = Duration::from_nanos(nanos);
        while self.local(global) < local {
            global += Duration::from_nanos(1);
        }
        global
    }
}
