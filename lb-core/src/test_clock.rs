//! Some moment for unit tests to count from.

use std::time::Instant;

/// The present.
#[expect(clippy::disallowed_methods, reason = "tests need a first instant")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
