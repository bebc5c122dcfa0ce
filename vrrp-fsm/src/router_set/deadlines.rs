//! The earliest deadline of many routers: a binary heap in which each router knows its place, so that
//! a deadline that moves (each advert that a Backup hears moves one) costs O(log n) and no allocation.

use alloc::vec::Vec;

use super::RouterId;
use crate::Instant;

/// Deadlines of routers, at most one of each.
#[derive(Debug, Clone, Default)]
pub(super) struct Deadlines {
    /// Each entry is not later than those at twice its place plus one and two.
    heap: Vec<(Instant, RouterId)>,
    /// The place of each router in the heap.
    places: Vec<Option<u32>>,
}

impl Deadlines {
    pub(super) fn with_capacity(routers: usize) -> Self {
        Self {
            heap: Vec::with_capacity(routers),
            places: Vec::with_capacity(routers),
        }
    }

    /// Makes room for one router more.
    pub(super) fn admit(&mut self) {
        self.places.push(None);
        if self.heap.capacity() < self.places.len() {
            self.heap.reserve(self.places.len() - self.heap.len());
        }
    }

    /// The earliest; of equal ones that of the router that was inserted first.
    pub(super) fn first(&self) -> Option<(Instant, RouterId)> {
        self.heap.first().copied()
    }

    /// Another deadline for a router, or none.
    pub(super) fn set(&mut self, id: RouterId, at: Option<Instant>) {
        let place = self.places.get(id.index()).copied().flatten();
        match (place.map(index), at) {
            (None, None) => {}
            (None, Some(at)) => {
                self.heap.push((at, id));
                self.settle(self.heap.len() - 1);
            }
            (Some(place), Some(at)) => {
                if let Some(entry) = self.heap.get_mut(place) {
                    entry.0 = at;
                }
                self.settle(place);
            }
            (Some(place), None) => {
                self.heap.swap_remove(place);
                self.remember(id, None);
                if place < self.heap.len() {
                    self.settle(place);
                }
            }
        }
    }

    /// Moves the entry at that place up or down to where it belongs.
    fn settle(&mut self, mut place: usize) {
        while let Some(parent) = place.checked_sub(1).map(|above| above / 2)
            && self.before(place, parent)
        {
            self.exchange(place, parent);
            place = parent;
        }
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let child = if self.before(right, left) {
                right
            } else {
                left
            };
            if !self.before(child, place) {
                break;
            }
            self.exchange(place, child);
            place = child;
        }
        if let Some((_, id)) = self.heap.get(place).copied() {
            self.remember(id, Some(place));
        }
    }

    /// Whether there is an entry at `one` and it comes before that at `other`.
    fn before(&self, one: usize, other: usize) -> bool {
        match (self.heap.get(one), self.heap.get(other)) {
            (Some(one), Some(other)) => one < other,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    fn exchange(&mut self, moving: usize, with: usize) {
        self.heap.swap(moving, with);
        if let Some((_, id)) = self.heap.get(moving).copied() {
            self.remember(id, Some(moving));
        }
    }

    fn remember(&mut self, id: RouterId, place: Option<usize>) {
        if let Some(known) = self.places.get_mut(id.index()) {
            *known = place.and_then(|place| u32::try_from(place).ok());
        }
    }
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;
    use crate::simulation::Rng;

    #[test]
    fn the_earliest_is_first_whatever_was_set_moved_and_taken_away() {
        let mut rng = Rng::new(1);
        let mut deadlines = Deadlines::default();
        let mut model = BTreeSet::new();
        let mut known = [None; 60];
        for _ in 0..known.len() {
            deadlines.admit();
        }
        for _ in 0..20_000 {
            let number = rng.index(known.len());
            let id = RouterId::new(u32::try_from(number).unwrap());
            let at = rng.chance(800).then(|| Instant::from_nanos(rng.below(200)));
            if let Some(old) = known[number] {
                model.remove(&(old, id));
            }
            if let Some(new) = at {
                model.insert((new, id));
            }
            known[number] = at;
            deadlines.set(id, at);
            assert_eq!(deadlines.first(), model.first().copied());
        }
    }
}
