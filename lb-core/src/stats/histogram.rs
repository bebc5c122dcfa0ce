//! How long things took: counts in buckets whose bounds are the same everywhere, so that they can be added up.

use std::time::Duration;

use super::Tally;

/// Upper bounds of the buckets in microseconds; what is longer is in none of them.
pub const BOUNDS_US: [u32; 15] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

/// Counts of one duration. Most are short, so those below the first bound are not counted here: they are what is
/// missing to the number of all, which their owner counts anyway.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    longer: [Tally; BOUNDS_US.len()],
    sum_us: Tally,
}

/// The counts of a histogram at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Buckets {
    /// How many were at most as long as each bound of [`BOUNDS_US`]; each counts those before it too.
    pub at_most: [u64; BOUNDS_US.len()],
    /// How many there were.
    pub count: u64,
    /// All together in microseconds.
    pub sum_us: u64,
}

/// A duration, and the last of the bounds that it is beyond: worked out once for all the cells that count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sample {
    us: u64,
    beyond: Option<usize>,
}

impl Sample {
    pub(super) fn new(duration: Duration) -> Self {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        // One after the other: most are short.
        let beyond = BOUNDS_US.iter().take_while(|bound| u64::from(**bound) < us);
        Self {
            us,
            beyond: beyond.count().checked_sub(1),
        }
    }

    pub(super) fn ms(self) -> u32 {
        u32::try_from(self.us / 1000).unwrap_or(u32::MAX)
    }
}

impl Histogram {
    pub(super) fn record(&self, sample: Sample) {
        if sample.us == 0 {
            return;
        }
        self.sum_us.add(sample.us);
        if let Some(counter) = sample.beyond.and_then(|at| self.longer.get(at)) {
            counter.increment();
        }
    }

    /// Adds what was counted here to `buckets`; `count` is the number of all.
    pub(super) fn add_to(&self, buckets: &mut Buckets, count: u64) {
        let longer: Vec<u64> = self.longer.iter().map(Tally::value).collect();
        // Read one after the other while others count: never less than the parts.
        let count = count.max(longer.iter().sum());
        let mut left = count - longer.iter().sum::<u64>();
        for (at_most, longer) in buckets.at_most.iter_mut().zip(longer) {
            *at_most += left;
            left += longer;
        }
        buckets.count += count;
        buckets.sum_us += self.sum_us.value();
    }

    pub(super) fn clear(&self) {
        self.longer.iter().for_each(Tally::clear);
        self.sum_us.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_every_bucket_from_its_own_on() {
        let histogram = Histogram::default();
        for us in [0, 1, 500, 501, 30_000_000, 30_000_001] {
            histogram.record(Sample::new(Duration::from_micros(us)));
        }
        let mut buckets = Buckets::default();
        histogram.add_to(&mut buckets, 6);
        assert_eq!(buckets.at_most[..2], [3, 4]);
        assert_eq!(buckets.at_most[13..], [4, 5]);
        assert_eq!((buckets.count, buckets.sum_us), (6, 60_001_003));
        histogram.add_to(&mut buckets, 6);
        assert_eq!((buckets.at_most[1], buckets.count), (8, 12));
        histogram.clear();
        let mut cleared = Buckets::default();
        histogram.add_to(&mut cleared, 0);
        assert_eq!(cleared, Buckets::default());
    }
}
