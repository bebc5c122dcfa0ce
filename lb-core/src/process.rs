//! The number that this process goes by in log lines, `%pid` and statistics.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// 0 is the process's own.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The number of the process that operators know: its own unless [`go_by`] said another.
pub fn id() -> u32 {
    match NUMBER.load(Relaxed) {
        0 => std::process::id(),
        number => number,
    }
}

/// A program of several processes that stands for one: they go by the number of the one that was started.
pub fn go_by(number: u32) {
    NUMBER.store(number, Relaxed);
}
