//! Fewest connections for the weight; among equals the one that was chosen longest ago.

use super::heap::IndexedHeap;

/// Connections times this, divided by the weight, are compared.
const SCALE: u64 = 256 * 256;

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    weight: u32,
    load: u32,
    chosen_at: u64,
    parked: bool,
}

/// State of `balance leastconn`.
#[derive(Debug, Clone)]
pub(super) struct LeastConn {
    slots: Vec<Slot>,
    heap: IndexedHeap<(u64, u64)>,
    choices: u64,
}

impl LeastConn {
    pub(super) fn new(servers: usize) -> Self {
        Self {
            slots: vec![Slot::default(); servers],
            heap: IndexedHeap::new(servers),
            choices: 0,
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

    /// The chosen server's place among equals changes at once, its load when the caller says so.
    pub(super) fn pick(&mut self, except: Option<usize>) -> Option<usize> {
        let (_, server) = self.heap.first_except(except)?;
        self.choices += 1;
        let chosen_at = self.choices;
        self.change(server, |slot| slot.chosen_at = chosen_at);
        Some(server)
    }

    fn change(&mut self, server: usize, change: impl FnOnce(&mut Slot)) {
        let Some(slot) = self.slots.get_mut(server) else {
            return;
        };
        change(slot);
        if slot.weight == 0 || slot.parked {
            self.heap.remove(server);
        } else {
            let load = u64::from(slot.load) * SCALE / u64::from(slot.weight);
            self.heap.set(server, (load, slot.chosen_at));
        }
    }
}
