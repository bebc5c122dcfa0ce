//! A number that only grows, and one that rises and falls.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// The value now.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Back to zero (`clear counters all`).
    pub fn clear(&self) {
        self.0.store(0, Relaxed);
    }
}

/// A number that rises and falls, and the most it ever was.
#[derive(Debug, Default)]
pub struct Gauge {
    current: AtomicU32,
    max: AtomicU32,
}

impl Gauge {
    /// One more; returns the new value.
    pub fn enter(&self) -> u32 {
        let value = self.current.fetch_add(1, SeqCst).wrapping_add(1);
        // The maximum is seldom beaten: look before writing to a shared line.
        if value > self.max.load(Relaxed) {
            self.max.fetch_max(value, Relaxed);
        }
        value
    }

    /// One less; returns the new value.
    pub fn leave(&self) -> u32 {
        let before = self.current.fetch_sub(1, SeqCst);
        debug_assert!(before > 0, "left more often than entered");
        before.wrapping_sub(1)
    }

    /// One more unless that would exceed `limit` (0 is no limit); exact under any number of threads.
    pub fn enter_below(&self, limit: u32) -> bool {
        if limit == 0 {
            self.enter();
            return true;
        }
        let entered = self
            .current
            .fetch_update(SeqCst, Relaxed, |n| (n < limit).then_some(n + 1));
        match entered {
            Ok(before) => {
                self.max.fetch_max(before + 1, Relaxed);
                true
            }
            Err(_) => false,
        }
    }

    /// The value now.
    pub fn value(&self) -> u32 {
        self.current.load(SeqCst)
    }

    /// The most it was.
    pub fn max(&self) -> u32 {
        self.max.load(Relaxed)
    }

    /// The maximum starts anew from the present value (`clear counters`).
    pub fn clear_max(&self) {
        self.max.store(self.value(), Relaxed);
    }
}
