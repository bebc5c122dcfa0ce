//! Latencies in a table of fixed size: 64 steps to each power of two, so at most 1.6 % off.

use std::time::Duration;

const STEPS: usize = 64;

/// Counts of latencies.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; STEPS * 60],
            total: 0,
        }
    }
}

/// The row of a latency in nanoseconds.
fn row(nanos: u64) -> usize {
    let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(7) as usize;
    let step = usize::try_from(nanos >> shift).unwrap_or(0);
    shift * STEPS + step
}

/// The smallest latency of a row.
fn least(row: usize) -> u64 {
    if row < 2 * STEPS {
        return row as u64;
    }
    let shift = row / STEPS - 1;
    ((row - shift * STEPS) as u64) << shift
}

impl Histogram {
    /// Counts one.
    pub(crate) fn add(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(row(nanos)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// The latency that `share` (0 to 1) of all do not exceed.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let mut left = share * self.total as f64;
        for (row, count) in self.counts.iter().enumerate() {
            left -= *count as f64;
            if *count > 0 && left <= 0.0 {
                return Duration::from_nanos(least(row));
            }
        }
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_close_to_what_they_hold() {
        let mut last = 0;
        for nanos in [
            0,
            1,
            63,
            64,
            127,
            128,
            129,
            1_000,
            65_535,
            1_000_000,
            20_000_000_000,
        ] {
            let row = row(nanos);
            assert!(row >= last, "{nanos}");
            last = row;
            let error = nanos - least(row);
            assert!(error * 64 <= nanos.max(64), "{nanos} became {}", least(row));
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        for micros in 1..=100 {
            histogram.add(Duration::from_micros(micros));
        }
        let near = |share, micros: f64| {
            let got = histogram.quantile(share).as_secs_f64() * 1e6;
            assert!((got - micros).abs() < 2.0, "{share}: {got}");
        };
        near(0.5, 50.0);
        near(0.99, 99.0);
        assert_eq!(Histogram::default().quantile(0.5), Duration::ZERO);
    }
}
