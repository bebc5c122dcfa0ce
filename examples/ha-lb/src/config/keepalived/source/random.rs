//! `${_RANDOM}`: numbers that are the same for all processes that read one configuration.

use std::num::Wrapping;

use crate::config::files::Files;

/// The variable that holds the seed of this start.
pub(in crate::config) const SEED: &str = "_RANDOM_SEED";

/// splitmix64.
#[derive(Debug)]
pub(super) struct Random(Wrapping<u64>);

impl Random {
    /// With the seed of this start, which is recorded with the files.
    pub(super) fn of(files: &dyn Files) -> Self {
        let seed = files.variable(SEED).and_then(|seed| seed.parse().ok());
        Self::seeded(seed.unwrap_or_default())
    }

    /// `random_seed`: the same numbers each time.
    pub(super) fn seeded(seed: u64) -> Self {
        Self(Wrapping(seed))
    }

    /// A number from `least` to `most`.
    pub(super) fn between(&mut self, least: u32, most: u32) -> u64 {
        self.0 += 0x9E37_79B9_7F4A_7C15;
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)) * Wrapping(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)) * Wrapping(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        let count = u64::from(most.saturating_sub(least)) + 1;
        u64::from(least) + mixed.0 % count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_within_their_bounds_and_repeat_with_the_seed() {
        let draw = |seed| {
            let mut random = Random::seeded(seed);
            (0..100).map(|_| random.between(5, 8)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!((5..=8).all(|n| draw(3).contains(&n)));
        assert!(draw(3).iter().all(|n| (5..=8).contains(n)));
        assert_eq!(Random::seeded(0).between(7, 3), 7);
    }
}
