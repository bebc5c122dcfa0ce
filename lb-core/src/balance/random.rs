//! Least loaded of a few servers drawn by weight (the power of two choices).

/// State of `balance random(draws)`.
#[derive(Debug, Clone)]
pub(super) struct Random {
    draws: u8,
    seed: u64,
    slots: Vec<(u32, u32, bool)>,
    /// Sums of the weights up to and with each server; 0 for full ones.
    sums: Vec<u64>,
    stale: bool,
}

impl Random {
    pub(super) fn new(servers: usize, draws: u8, seed: u64) -> Self {
        Self {
            draws: draws.max(1),
            seed,
            slots: vec![(0, 0, false); servers],
            sums: vec![0; servers],
            stale: true,
        }
    }

    pub(super) fn set_weight(&mut self, server: usize, weight: u32) {
        self.change(server, |slot| slot.0 = weight);
    }

    pub(super) fn set_load(&mut self, server: usize, load: u32) {
        if let Some(slot) = self.slots.get_mut(server) {
            slot.1 = load;
        }
    }

    pub(super) fn set_parked(&mut self, server: usize, parked: bool) {
        self.change(server, |slot| slot.2 = parked);
    }

    pub(super) fn pick(&mut self, except: Option<usize>) -> Option<usize> {
        self.refresh();
        let total = self.sums.last().copied().filter(|t| *t > 0)?;
        let mut best: Option<(u64, usize)> = None;
        for _ in 0..self.draws {
            let point = self.next_random() % total;
            let server = self.sums.partition_point(|sum| *sum <= point);
            if Some(server) == except {
                continue;
            }
            let load = self.load_of(server);
            if best.is_none_or(|(least, _)| load < least) {
                best = Some((load, server));
            }
        }
        // Every draw hit the excluded one: any other will do.
        best.map(|(_, server)| server).or_else(|| {
            let usable = |&(server, slot): &(usize, &(u32, u32, bool))| {
                slot.0 > 0 && !slot.2 && Some(server) != except
            };
            self.slots
                .iter()
                .enumerate()
                .find(usable)
                .map(|(server, _)| server)
        })
    }

    fn load_of(&self, server: usize) -> u64 {
        let (weight, load, _) = self.slots.get(server).copied().unwrap_or_default();
        u64::from(load) * 65536 / u64::from(weight.max(1))
    }

    fn change(&mut self, server: usize, change: impl FnOnce(&mut (u32, u32, bool))) {
        if let Some(slot) = self.slots.get_mut(server) {
            let before = *slot;
            change(slot);
            self.stale |= before != *slot;
        }
    }

    fn refresh(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        let mut sum = 0;
        for (slot, total) in self.slots.iter().zip(&mut self.sums) {
            sum += if slot.2 { 0 } else { u64::from(slot.0) };
            *total = sum;
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
