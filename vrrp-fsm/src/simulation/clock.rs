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

/// A clock that stands still while its machine is paused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pausable {
    clock: Clock,
    /// What it has missed by pauses that are over.
    lost: Duration,
    /// From when until when it stands still.
    pause: (Duration, Duration),
}

impl Pausable {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            lost: Duration::ZERO,
            pause: (Duration::ZERO, Duration::ZERO),
        }
    }

    /// It stands still until that time of the simulation.
    pub(super) fn pause(&mut self, now: Duration, until: Duration) {
        let (from, end) = self.pause;
        if now < end {
            self.pause = (from, until.max(end));
        } else {
            self.lost = self.missed();
            self.pause = (now, until);
        }
    }

    /// What the clock shows at a time of the simulation.
    pub(super) fn local(&self, global: Duration) -> Instant {
        let (from, until) = self.pause;
        if global < until && global >= from {
            self.clock.local(from).before(self.lost)
        } else {
            self.clock.local(global).before(self.missed())
        }
    }

    /// The first time of the simulation at which the clock shows that much, no pause being ahead.
    pub(super) fn global(&self, local: Instant) -> Duration {
        self.clock.global(local + self.missed())
    }

    /// What it has missed once the present pause is over.
    fn missed(&self) -> Duration {
        let (from, until) = self.pause;
        self.lost + self.clock.local(until).since(self.clock.local(from))
    }
}

/// Parts of which the drift counts so many.
const MILLION: u64 = 1_000_000;

impl Clock {
    /// What the clock shows at a time of the simulation.
    pub(super) fn local(&self, global: Duration) -> Instant {
        let nanos = nanos(global);
        let drift = i64::from(self.drift_ppm);
        let signed = |part: u64| i64::try_from(part).unwrap_or(i64::MAX);
        let whole = signed(nanos / MILLION).saturating_mul(drift);
        let rest = signed(nanos % MILLION) * drift / signed(MILLION);
        let elapsed = nanos.saturating_add_signed(whole.saturating_add(rest));
        Instant::ZERO + self.begin + Duration::from_nanos(elapsed)
    }

    /// The first time of the simulation at which the clock shows that much.
    pub(super) fn global(&self, local: Instant) -> Duration {
        let shown = nanos(local.since_epoch().saturating_sub(self.begin));
        let rate = MILLION.saturating_add_signed(self.drift_ppm.into()).max(1);
        let whole = (shown / rate).saturating_mul(MILLION);
        let rest = (shown % rate) * MILLION / rate;
        let mut global = Duration::from_nanos(whole.saturating_add(rest));
        while self.local(global) < local {
            global += Duration::from_nanos(1);
        }
        global
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
