//! Numbers that a seed replays.

#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub(super) fn octet(&mut self) -> u8 {
        let [first, ..] = self.next().to_be_bytes();
        first
    }

    pub(super) const fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 8) % limit
    }

    pub(super) fn pick(&mut self, among: &[u8; 8]) -> u8 {
        let chosen = usize::from(self.octet()) % among.len();
        among.get(chosen).copied().unwrap_or_default()
    }

    /// xorshift64*.
    const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
