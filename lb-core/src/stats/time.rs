//! Moments that any thread may set, and averages that forget.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Instant,
};

/// The last time something happened, to the second.
#[derive(Debug)]
pub struct Moment {
    epoch: Instant,
    /// Seconds since the epoch plus one; 0 is never.
    at: AtomicU64,
}

impl Moment {
    /// Never.
    pub fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            at: AtomicU64::new(0),
        }
    }

    /// It happened at `now`.
    pub fn mark(&self, now: Instant) {
        let at = now.saturating_duration_since(self.epoch).as_secs() + 1;
        // Once a second is enough: do not take the cache line for the same value.
        if self.at.load(Relaxed) != at {
            self.at.store(at, Relaxed);
        }
    }

    /// Seconds since it happened (`lastsess`), `None` for never.
    pub fn seconds_ago(&self, now: Instant) -> Option<u64> {
        let at = self.at.load(Relaxed).checked_sub(1)?;
        let seconds = now.saturating_duration_since(self.epoch).as_secs();
        Some(seconds.saturating_sub(at))
    }
}

/// Number of values that [`Sliding`] remembers.
const WINDOW: u64 = 1024;

/// The average of about the last 1024 values and the greatest one, in milliseconds.
#[derive(Debug, Default)]
pub struct Sliding {
    sum: AtomicU64,
    max: AtomicU32,
}

impl Sliding {
    /// Adds a value; `count` is how many there are with it. One thread writes at a time, or a value gets lost.
    pub fn record(&self, value: u32, count: u64) {
        let sum = self.sum.load(Relaxed);
        if sum == 0 && value == 0 {
            return;
        }
        let share = match count {
            // A shift, where the other is a division.
            WINDOW.. => sum.div_ceil(WINDOW),
            _ => sum.div_ceil(count.max(1)),
        };
        let kept = sum.saturating_sub(share);
        self.sum.store(kept + u64::from(value), Relaxed);
        if value > self.max.load(Relaxed) {
            self.max.fetch_max(value, Relaxed);
        }
    }

    /// The average after `count` values.
    pub fn average(&self, count: u64) -> u32 {
        let average = self.sum.load(Relaxed).div_ceil(count.clamp(1, WINDOW));
        u32::try_from(average).unwrap_or(u32::MAX)
    }

    /// The greatest value.
    pub fn max(&self) -> u32 {
        self.max.load(Relaxed)
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.sum.store(0, Relaxed);
        self.max.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_average_of_few_values_is_exact_and_that_of_many_forgets() {
        let sliding = Sliding::default();
        sliding.record(0, 1);
        sliding.record(18, 2);
        assert_eq!((sliding.average(2), sliding.max()), (9, 18));
        for n in 3..10_000 {
            sliding.record(100, n);
        }
        assert!((99..=101).contains(&sliding.average(10_000)));
    }

    #[test]
    fn a_moment_counts_seconds() {
        let start = crate::test_clock::now();
        let moment = Moment::new(start);
        assert_eq!(moment.seconds_ago(start), None);
        moment.mark(start);
        assert_eq!(
            moment.seconds_ago(start + Duration::from_millis(2999)),
            Some(2)
        );
    }
}
