//! The number that this process goes by in log lines, `%pid` and statistics.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// 0 is not known yet.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The number of the process that operators know: its own unless [`go_by`] said another. Each log line has it: it is looked
/// up once.
pub fn id() -> u32 {
    let own = || {
        let own = std::process::id();
        // Somebody may have said another meanwhile.
        match NUMBER.compare_exchange(0, own, Relaxed, Relaxed) {
            Ok(_) => own,
            Err(number) => number,
        }
    };
    match NUMBER.load(Relaxed) {
        0 => own(),
        number => number,
    }
}

/// A program of several processes that stands for one: they go by the number of the one that was started.
pub fn go_by(number: u32) {
    NUMBER.store(number, Relaxed);
}
