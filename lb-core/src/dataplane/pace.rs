//! How many connections are let in during a second, over all threads and configurations.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

const SECOND: Duration = Duration::from_secs(1);

/// The present second, and how many came in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace(Arc<Mutex<Option<(Instant, u32)>>>);

impl Pace {
    /// Counts one more; when to try again if `limit` have come in this second.
    pub(super) fn step(&self, limit: Option<u32>, now: Instant) -> Result<(), Instant> {
        let Some(limit) = limit else {
            return Ok(());
        };
        let mut second = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *second {
            Some((start, count)) if now.saturating_duration_since(*start) < SECOND => {
                if *count >= limit {
                    return Err(*start + SECOND);
                }
                *count += 1;
            }
            other => *other = Some((now, 1)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_too_many_in_a_second_comes_in_the_next() {
        let (pace, start) = (Pace::default(), crate::test_clock::now());
        let half = start + SECOND / 2;
        assert_eq!(pace.step(Some(2), start), Ok(()));
        assert_eq!(pace.clone().step(Some(2), half), Ok(()));
        assert_eq!(pace.step(Some(2), half), Err(start + SECOND));
        assert_eq!(pace.step(None, half), Ok(()));
        assert_eq!(pace.step(Some(2), start + SECOND), Ok(()));
    }
}
