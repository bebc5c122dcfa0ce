//! The one place of the crate that reads clocks.

use std::{
    cell::Cell,
    time::{Duration, Instant, SystemTime},
};

thread_local! {
    static RECENT: Cell<Option<Instant>> = const { Cell::new(None) };
    /// A moment by both clocks.
    static DATED: Cell<Option<(Instant, SystemTime)>> = const { Cell::new(None) };
}

/// How long dates are reckoned from one look at the wall clock, which somebody may set.
const TRUSTED: Duration = Duration::from_secs(1);

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

/// The wall clock's time at a moment that was just now.
pub(crate) fn date(moment: Instant) -> SystemTime {
    let known = DATED.get();
    let known = known.filter(|(at, _)| moment.saturating_duration_since(*at) < TRUSTED);
    let (at, date) = known.unwrap_or_else(|| {
        let looked = (now(), wall());
        DATED.set(Some(looked));
        looked
    });
    let before = || date.checked_sub(at.saturating_duration_since(moment));
    match moment.checked_duration_since(at) {
        Some(since) => date + since,
        None => before().unwrap_or(date),
    }
}

/// Wall-clock time, for log lines.
#[expect(
    clippy::disallowed_methods,
    reason = "the data plane's only clock; cores are given the time"
)]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
