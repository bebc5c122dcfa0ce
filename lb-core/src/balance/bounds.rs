//! What the least loaded server of each part of a ring has at least: finds the next part where somebody may have room, past
//! any number of parts where all have too much, in O(log n).
//!
//! A bound may be too low, which costs a look at its part, and is never too high. So a server that gets more to do changes
//! nothing here; who looks at a part in vain raises its bound; and who has less to do lowers those that were raised.

use std::ops::RangeInclusive;

/// The load of a server for its weight. Points of no server at all: [`Load::NOBODY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) load: u32,
    pub(super) weight: u32,
}

impl Load {
    const NONE: Self = Self { load: 0, weight: 1 };
    /// More than any.
    pub(super) const NOBODY: Self = Self { load: 1, weight: 0 };

    pub(super) fn is_less(self, other: Self) -> bool {
        let [own, others] = [(self, other), (other, self)]
            .map(|(of, by)| u64::from(of.load) * u64::from(by.weight));
        own < others
    }

    pub(super) fn min(self, other: Self) -> Self {
        if other.is_less(self) { other } else { self }
    }
}

/// Bounds of a power of two of equal parts of the ring.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    /// A binary tree: entry 1 is the least bound of all, those below entry `i` are `2i` and `2i + 1`, the second half are the
    /// parts.
    tree: Vec<Load>,
    /// Bits of a hash that say in which part it is.
    bits: u32,
}

impl Bounds {
    /// For about so many points.
    pub(super) fn new(points: usize) -> Self {
        let bits = (points / 4).max(1).ilog2();
        Self {
            tree: vec![Load::NONE; 2 << bits],
            bits,
        }
    }

    /// Whether there are far more points in each part than there should be.
    pub(super) fn is_small_for(&self, points: usize) -> bool {
        points > self.parts() * 16
    }

    /// The part that a hash is in.
    pub(super) fn part_of(&self, hash: u32) -> usize {
        hash.checked_shr(u32::BITS - self.bits).unwrap_or(0) as usize
    }

    /// The hashes of a part.
    pub(super) fn hashes(&self, part: usize) -> RangeInclusive<u32> {
        let width = u32::BITS - self.bits;
        let most = u32::MAX.checked_shr(self.bits).unwrap_or(0);
        let first = u32::try_from(part).ok().and_then(|p| p.checked_shl(width));
        let first = first.unwrap_or(0);
        first..=first | most
    }

    /// The first of these parts whose bound is `wanted`; wanted are all below some load.
    pub(super) fn find(
        &self,
        parts: RangeInclusive<usize>,
        wanted: impl Fn(Load) -> bool,
    ) -> Option<usize> {
        if *parts.start() >= self.parts() {
            return None;
        }
        let wanted = |at: usize| self.tree.get(at).is_some_and(|load| wanted(*load));
        let mut at = self.parts() + parts.start();
        // Upwards, until a tree to the right has one.
        while !wanted(at) {
            at = (at + 1) >> (at + 1).trailing_zeros();
            if at <= 1 {
                return None;
            }
        }
        while at < self.parts() {
            at *= 2;
            at += usize::from(!wanted(at));
        }
        Some(at - self.parts()).filter(|part| parts.contains(part))
    }

    /// The servers of a part turned out to have at least this.
    pub(super) fn raise(&mut self, part: usize, bound: Load) {
        let mut at = self.parts() + part;
        let mut bound = bound;
        while at > 0
            && let Some(known) = self.tree.get_mut(at)
            && *known != bound
        {
            *known = bound;
            let beside = self.tree.get(at ^ 1).copied();
            bound = beside.map_or(bound, |beside| bound.min(beside));
            at /= 2;
        }
    }

    /// A server of a part has no more than this.
    pub(super) fn lower(&mut self, part: usize, bound: Load) {
        let mut at = self.parts() + part;
        while at > 0
            && let Some(known) = self.tree.get_mut(at)
            && bound.is_less(*known)
        {
            *known = bound;
            at /= 2;
        }
    }

    fn parts(&self) -> usize {
        self.tree.len() / 2
    }
}
