//! Events a second, as HAProxy counts them: the present second plus what the last one weighs in the sliding
//! window.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// A frequency over one second and its maximum.
#[derive(Debug)]
pub struct Rate {
    epoch: Instant,
    /// Number of the second (high half) and events in it (low half).
    current: AtomicU64,
    /// The same of the second before.
    previous: AtomicU64,
    max: AtomicU32,
}

fn pack(second: u32, events: u32) -> u64 {
    u64::from(second) << 32 | u64::from(events)
}

fn unpack(packed: u64) -> (u32, u32) {
    ((packed >> 32) as u32, (packed & 0xffff_ffff) as u32)
}

impl Rate {
    /// Nothing counted; seconds begin at `epoch`.
    pub fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            current: AtomicU64::new(0),
            previous: AtomicU64::new(0),
            max: AtomicU32::new(0),
        }
    }

    /// One event.
    pub fn count(&self, now: Instant) {
        let second = second(now.saturating_duration_since(self.epoch));
        loop {
            let seen = self.current.load(Relaxed);
            let (counted, events) = unpack(seen);
            if counted >= second {
                // Another thread's later second takes it too: a microsecond's difference.
                let (_, events) = unpack(self.current.fetch_add(1, Relaxed));
                self.raise_max(events.saturating_add(1));
                return;
            }
            if self
                .current
                .compare_exchange(seen, pack(second, 1), Relaxed, Relaxed)
                .is_ok()
            {
                self.previous.store(pack(counted, events), Relaxed);
                self.raise_max(1);
                return;
            }
        }
    }

    /// Events a second at `now`.
    pub fn per_second(&self, now: Instant) -> u32 {
        let since = now.saturating_duration_since(self.epoch);
        let (second, into_ms) = (second(since), since.subsec_millis());
        let (counted, events) = unpack(self.current.load(Relaxed));
        let (before, before_events) = unpack(self.previous.load(Relaxed));
        let (present, last) = if counted >= second {
            let last = if before.wrapping_add(1) == counted {
                before_events
            } else {
                0
            };
            (events, last)
        } else if counted + 1 == second {
            (0, events)
        } else {
            (0, 0)
        };
        let slid = u64::from(last) * u64::from(1000 - into_ms) / 1000;
        present.saturating_add(u32::try_from(slid).unwrap_or(u32::MAX))
    }

    /// The most events in one second.
    pub fn max(&self) -> u32 {
        self.max.load(Relaxed)
    }

    /// The maximum starts anew (`clear counters`).
    pub fn clear_max(&self) {
        self.max.store(0, Relaxed);
    }

    fn raise_max(&self, events: u32) {
        if events > self.max.load(Relaxed) {
            self.max.fetch_max(events, Relaxed);
        }
    }
}

/// Number of the second, from 1: 0 is "nothing counted yet".
fn second(since: Duration) -> u32 {
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX - 1) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_second_fades_and_the_maximum_stays() {
        let start = crate::test_clock::now();
        let rate = Rate::new(start);
        for _ in 0..10 {
            rate.count(start + Duration::from_millis(100));
        }
        let at = |ms| rate.per_second(start + Duration::from_millis(ms));
        assert_eq!(at(900), 10);
        assert_eq!(at(1000), 10);
        assert_eq!(at(1500), 5);
        assert_eq!(at(2000), 0);
        rate.count(start + Duration::from_millis(1500));
        assert_eq!(at(1500), 6);
        assert_eq!(rate.max(), 10);
    }

    #[test]
    fn a_pause_empties_the_window() {
        let start = crate::test_clock::now();
        let rate = Rate::new(start);
        rate.count(start);
        rate.count(start + Duration::from_secs(5));
        assert_eq!(rate.per_second(start + Duration::from_secs(5)), 1);
    }
}
