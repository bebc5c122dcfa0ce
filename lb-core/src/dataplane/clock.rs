//! The one place of the crate that reads clocks.

use std::{
    cell::Cell,
    time::{Duration, Instant, SystemTime},
};

thread_local! {
    static RECENT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Monotonic time.
#[expect(
    clippy::disallowed_methods,
    reason = "the data plane's only clock; cores are given the time"
)]
pub(crate) fn now() -> Instant {
    let now = Instant::now();
    RECENT.set(Some(now));
    now
}

/// What this thread last read from the clock: for everything that happens in the same turn of the event loop as
/// a [`now`], which every wait takes when it ends.
pub(crate) fn recent() -> Instant {
    RECENT.get().unwrap_or_else(now)
}

/// Unix time, for what clients keep.
pub(crate) fn unix() -> Duration {
    let since = wall().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default()
}

/// Wall-clock time, for log lines.
#[expect(
    clippy::disallowed_methods,
    reason = "the data plane's only clock; cores are given the time"
)]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
