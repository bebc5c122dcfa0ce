//! Least loaded of a few servers drawn by weight (the power of two choices).

/// State of `balance random(draws)`.
#[derive(Debug, Clone)]
pub(super) struct Random {
    draws: u8,
    seed: u64,
    slots: Vec<Slot>,
    shares: Shares,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    weight: u32,
    load: u32,
    parked: bool,
}

impl Slot {
    /// Its share of the draws: none while it is full.
    fn share(self) -> u64 {
        if self.parked {
            0
        } else {
            u64::from(self.weight)
        }
    }
}

impl Random {
    pub(super) fn new(servers: usize, draws: u8, seed: u64) -> Self {
        Self {
            draws: draws.max(1),
            seed,
            slots: vec![Slot::default(); servers],
            shares: Shares::new(servers),
        }
    }

    pub(super) fn set_weight(&mut self, server: usize, weight: u32) {
        self.change(server, |slot| slot.weight = weight);
    }

    pub(super) fn set_load(&mut self, server: usize, load: u32) {
        self.change(server, |slot| slot.load = load);
    }

    pub(super) fn set_parked(&mut self, server: usize, parked: bool) {
        self.change(server, |slot| slot.parked = parked);
    }

    pub(super) fn pick(&mut self, except: Option<usize>) -> Option<usize> {
        // The draws go over the shares of the others, as if its own were cut out.
        let slot = except.and_then(|server| self.slots.get(server));
        let cut = slot.map_or(0, |slot| slot.share());
        let begin = except.map_or(u64::MAX, |server| self.shares.before(server));
        let total = self.shares.total - cut;
        let mut best: Option<(u64, usize)> = None;
        for _ in 0..self.draws {
            let point = self.next_random().checked_rem(total)?;
            let point = if point < begin { point } else { point + cut };
            let server = self.shares.at(point);
            let load = self.load_of(server);
            if best.is_none_or(|(least, _)| load < least) {
                best = Some((load, server));
            }
        }
        best.map(|(_, server)| server)
    }

    fn load_of(&self, server: usize) -> u64 {
        let slot = self.slots.get(server).copied().unwrap_or_default();
        u64::from(slot.load) * 65536 / u64::from(slot.weight.max(1))
    }

    fn change(&mut self, server: usize, change: impl FnOnce(&mut Slot)) {
        if let Some(slot) = self.slots.get_mut(server) {
            let before = slot.share();
            change(slot);
            self.shares.change(server, before, slot.share());
        }
    }

    /// SplitMix64.
    fn next_random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The shares of the servers one after the other on a line: a Fenwick tree, in which a server that gets full or free costs
/// O(log n), as does finding whose share a point is in.
#[derive(Debug, Clone)]
struct Shares {
    /// Entry `i - 1` is the sum of the last `lowest bit of i` shares up to and with the `i`th.
    sums: Vec<u64>,
    total: u64,
}

impl Shares {
    /// So many shares, all empty.
    fn new(count: usize) -> Self {
        Self {
            sums: vec![0; count],
            total: 0,
        }
    }

    fn change(&mut self, index: usize, from: u64, to: u64) {
        if from == to {
            return;
        }
        self.total = self.total - from + to;
        let mut nth = index + 1;
        while let Some(sum) = self.sums.get_mut(nth - 1) {
            *sum = *sum - from + to;
            nth += lowest_bit(nth);
        }
    }

    /// The sum of the shares before this one: where it begins.
    fn before(&self, index: usize) -> u64 {
        let mut sum = 0;
        let mut nth = index;
        while nth > 0 {
            sum += self.sums.get(nth - 1).copied().unwrap_or(0);
            nth -= lowest_bit(nth);
        }
        sum
    }

    /// The share that a point before `total` is in.
    fn at(&self, mut point: u64) -> usize {
        let mut passed = 0;
        let mut step = self.sums.len().checked_ilog2().map_or(0, |log| 1 << log);
        while step > 0 {
            if let Some(&sum) = self.sums.get(passed + step - 1)
                && sum <= point
            {
                point -= sum;
                passed += step;
            }
            step >>= 1;
        }
        passed
    }
}

fn lowest_bit(number: usize) -> usize {
    number & number.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_point_is_in_the_share_that_a_walk_finds(
            changes in prop::collection::vec((0_usize..20, 0_u64..5), 0..60),
            servers in 1_usize..20,
        ) {
            let (mut shares, mut line) = (Shares::new(servers), vec![0; servers]);
            for (server, share) in changes.into_iter().filter(|(server, _)| *server < servers) {
                shares.change(server, line[server], share);
                line[server] = share;
            }
            prop_assert_eq!(shares.total, line.iter().sum::<u64>());
            let mut begin = 0;
            for (server, share) in line.iter().enumerate() {
                prop_assert_eq!(shares.before(server), begin);
                for point in begin..begin + share {
                    prop_assert_eq!(shares.at(point), server);
                }
                begin += share;
            }
        }
    }
}
