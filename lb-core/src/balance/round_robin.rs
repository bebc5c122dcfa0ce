//! Smooth weighted round robin.
//!
//! Virtual time runs one [`CYCLE`] per round. A server of weight `w` has `w` turns in it, at equal distances and
//! the first half a distance in; the next turn of all is taken. So turns are spread evenly, exactly `w` fall
//! into each cycle, and weights may change at any moment: what is left until the next turn is stretched.

use super::heap::IndexedHeap;

const CYCLE: u64 = 1 << 32;
/// Positions are moved back to the beginning long before they overflow.
const REBASE: u64 = 1 << 62;

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    weight: u32,
    /// Position of turn 0.
    start: u64,
    /// Number of the next turn; `turn < weight`.
    turn: u32,
    parked: bool,
}

impl Slot {
    fn next(&self) -> u64 {
        self.start + u64::from(self.turn) * CYCLE / u64::from(self.weight.max(1))
    }
}

/// State of `balance roundrobin`.
#[derive(Debug, Clone)]
pub(super) struct RoundRobin {
    slots: Vec<Slot>,
    heap: IndexedHeap<u64>,
    now: u64,
}

impl RoundRobin {
    pub(super) fn new(servers: usize) -> Self {
        Self {
            slots: vec![Slot::default(); servers],
            heap: IndexedHeap::new(servers),
            now: 0,
        }
    }

    /// Servers keep their next turn; others join as new ones do.
    pub(super) fn resume(&mut self, before: &Self, places: &[Option<usize>]) {
        self.now = before.now;
        for (server, place) in places.iter().enumerate() {
            let old = place.and_then(|place| before.slots.get(place)).copied();
            if let (Some(slot), Some(old)) = (self.slots.get_mut(server), old) {
                *slot = Slot {
                    parked: false,
                    ..old
                };
                self.place(server);
            }
        }
    }

    pub(super) fn set_weight(&mut self, server: usize, weight: u32) {
        let now = self.now;
        let Some(slot) = self.slots.get_mut(server) else {
            return;
        };
        if slot.weight == weight {
            return;
        }
        if weight > 0 {
            // A server that joins waits half a distance: it is neither owed anything nor made to wait a cycle.
            slot.start = if slot.weight == 0 {
                now + CYCLE / u64::from(weight) / 2
            } else {
                let wait = u128::from(slot.next().saturating_sub(now));
                let stretched = wait * u128::from(slot.weight) / u128::from(weight);
                now + u64::try_from(stretched).unwrap_or(CYCLE).min(CYCLE)
            };
            slot.turn = 0;
        }
        slot.weight = weight;
        self.place(server);
    }

    /// A parked server is passed over and loses its turns.
    pub(super) fn set_parked(&mut self, server: usize, parked: bool) {
        if let Some(slot) = self.slots.get_mut(server).filter(|s| s.parked != parked) {
            slot.parked = parked;
            self.place(server);
        }
    }

    pub(super) fn pick(&mut self, except: Option<usize>) -> Option<usize> {
        let (position, server) = self.heap.first_except(except)?;
        self.now = self.now.max(position);
        if let Some(slot) = self.slots.get_mut(server) {
            slot.turn += 1;
            if slot.turn >= slot.weight {
                slot.turn = 0;
                slot.start += CYCLE;
            }
        }
        self.place(server);
        if self.now >= REBASE {
            self.rebase();
        }
        Some(server)
    }

    fn place(&mut self, server: usize) {
        let Some(slot) = self.slots.get_mut(server) else {
            return;
        };
        if slot.weight == 0 || slot.parked {
            self.heap.remove(server);
            return;
        }
        if slot.next() < self.now {
            // Turns missed while it was passed over are not made up for: it joins like a new one.
            slot.start = self.now + CYCLE / u64::from(slot.weight) / 2;
            slot.turn = 0;
        }
        self.heap.set(server, slot.next());
    }

    fn rebase(&mut self) {
        let back = self.now;
        self.now = 0;
        for server in 0..self.slots.len() {
            if let Some(slot) = self.slots.get_mut(server) {
                slot.start = slot.next().saturating_sub(back);
                slot.turn = 0;
            }
            self.place(server);
        }
    }

    #[cfg(test)]
    pub(super) fn advance_to_rebase(&mut self) {
        for slot in &mut self.slots {
            slot.start += REBASE;
        }
        self.now += REBASE;
        for server in 0..self.slots.len() {
            self.place(server);
        }
    }
}
