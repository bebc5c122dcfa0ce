//! The one place of the crate that reads clocks.

use std::time::{Instant, SystemTime};

/// Monotonic time.
#[expect(
    clippy::disallowed_methods,
    reason = "the data plane's only clock; cores are given the time"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Wall-clock time, for log lines only.
#[expect(
    clippy::disallowed_methods,
    reason = "the data plane's only clock; cores are given the time"
)]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
