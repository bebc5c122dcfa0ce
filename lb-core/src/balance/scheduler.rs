//! One balancing algorithm behind one face.

use super::{
    Algorithm,
    heap::IndexedHeap,
    least_conn::LeastConn,
    maglev::{Maglev, Places, Plan},
    random::Random,
    ring::Ring,
    round_robin::RoundRobin,
    weight_map::WeightMap,
};
use crate::id::ServerIndex;

/// What was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// This one, and it has room.
    Free(ServerIndex),
    /// This one and no other (a hash chose it), though it is full: wait for it.
    Full(ServerIndex),
    /// All servers are full, or there is none.
    Nobody,
}

/// Picks servers by weight, load and algorithm.
#[derive(Debug, Clone)]
pub struct Scheduler {
    slots: Vec<Slot>,
    policy: Policy,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    weight: u32,
    parked: bool,
}

#[derive(Debug, Clone)]
enum Policy {
    RoundRobin(RoundRobin),
    StaticRr(WeightMap),
    LeastConn(LeastConn),
    Hash(WeightMap),
    Consistent {
        ring: Ring,
        /// For requests without a key.
        turns: RoundRobin,
    },
    Maglev {
        table: Maglev,
        /// For requests without a key.
        turns: RoundRobin,
    },
    First {
        heap: IndexedHeap<u32>,
        /// Numbers of the servers: the lowest one serves first.
        ids: Vec<u32>,
    },
    Random(Random),
}

impl Scheduler {
    /// For servers `0..servers`, all with weight 0. `seed` matters to [`Algorithm::Random`] alone.
    pub fn new(algorithm: Algorithm, servers: usize, seed: u64) -> Self {
        let policy = match algorithm {
            Algorithm::RoundRobin => Policy::RoundRobin(RoundRobin::new(servers)),
            Algorithm::StaticRr => Policy::StaticRr(WeightMap::new(servers)),
            Algorithm::LeastConn => Policy::LeastConn(LeastConn::new(servers)),
            Algorithm::First => return Self::first(&(0_u32..).take(servers).collect::<Vec<_>>()),
            Algorithm::Random(draws) => Policy::Random(Random::new(servers, draws, seed)),
            keyed => {
                debug_assert!(keyed.is_keyed());
                Policy::Hash(WeightMap::new(servers))
            }
        };
        Self::with(policy, servers)
    }

    /// `hash-type consistent`: for servers with these numbers, all with weight 0. `factor` is
    /// `hash-balance-factor`.
    pub fn consistent(ids: &[u32], factor: u32) -> Self {
        let policy = Policy::Consistent {
            ring: Ring::new(ids, factor),
            turns: RoundRobin::new(ids.len()),
        };
        Self::with(policy, ids.len())
    }

    /// `hash-type maglev`: for servers of these names, all with weight 0.
    pub fn maglev(names: &[&str]) -> Self {
        let policy = Policy::Maglev {
            table: Maglev::new(names),
            turns: RoundRobin::new(names.len()),
        };
        Self::with(policy, names.len())
    }

    /// `balance first`: for servers with these numbers, all with weight 0.
    pub fn first(ids: &[u32]) -> Self {
        let policy = Policy::First {
            heap: IndexedHeap::new(ids.len()),
            ids: ids.to_vec(),
        };
        Self::with(policy, ids.len())
    }

    fn with(policy: Policy, servers: usize) -> Self {
        Self {
            slots: vec![Slot::default(); servers],
            policy,
        }
    }

    /// Goes on where `before` is, as far as the algorithm has a sequence: `places` tells for each server which
    /// one it was there. To be called on a fresh scheduler.
    pub fn resume(&mut self, before: &Self, places: &[Option<usize>]) {
        if let (Policy::RoundRobin(new), Policy::RoundRobin(old)) =
            (&mut self.policy, &before.policy)
        {
            new.resume(old, places);
            for (slot, place) in self.slots.iter_mut().zip(places) {
                let old = place.and_then(|place| before.slots.get(place));
                slot.weight = old.map_or(0, |old| old.weight);
            }
        }
    }

    /// Weight of a server; 0 takes it out.
    pub fn set_weight(&mut self, server: ServerIndex, weight: u32) {
        let index = server.index();
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        slot.weight = weight;
        match &mut self.policy {
            Policy::RoundRobin(p) => p.set_weight(index, weight),
            Policy::StaticRr(p) | Policy::Hash(p) => p.set_weight(index, weight),
            Policy::LeastConn(p) => p.set_weight(index, weight),
            Policy::Consistent { ring, turns } => {
                ring.set_weight(index, weight);
                turns.set_weight(index, weight);
            }
            Policy::Maglev { table, turns } => {
                table.set_weight(index, weight);
                turns.set_weight(index, weight);
            }
            Policy::First { .. } => self.place_first(index),
            Policy::Random(p) => p.set_weight(index, weight),
        }
    }

    /// A plan for a table of keys that takes so long to lay out that nobody should wait for it (`hash-type maglev`), if weights have
    /// changed: until it is carried out and [`Scheduler::put`], keys go by the table of before. Where nobody asks for one, the
    /// next pick by a key lays the table out.
    pub fn plan(&mut self) -> Option<Plan> {
        match &mut self.policy {
            Policy::Maglev { table, .. } => table.plan(),
            _ => None,
        }
    }

    /// The table of a plan; ignored if weights have changed since.
    pub fn put(&mut self, laid_out: Places) {
        if let Policy::Maglev { table, .. } = &mut self.policy {
            table.put(laid_out);
        }
    }

    /// Whether picks depend on how many streams each server has.
    pub fn follows_load(&self) -> bool {
        match &self.policy {
            Policy::LeastConn(_) | Policy::Random(_) => true,
            Policy::Consistent { ring, .. } => ring.follows_load(),
            _ => false,
        }
    }

    /// Weight as last set.
    pub fn weight(&self, server: ServerIndex) -> u32 {
        self.slots.get(server.index()).map_or(0, |slot| slot.weight)
    }

    /// Running and waiting connections of a server.
    pub fn set_load(&mut self, server: ServerIndex, load: u32) {
        match &mut self.policy {
            Policy::LeastConn(p) => p.set_load(server.index(), load),
            Policy::Random(p) => p.set_load(server.index(), load),
            Policy::Consistent { ring, .. } => ring.set_load(server.index(), load),
            Policy::RoundRobin(_)
            | Policy::StaticRr(_)
            | Policy::Hash(_)
            | Policy::Maglev { .. }
            | Policy::First { .. } => {}
        }
    }

    /// Whether a server has no free slot.
    pub fn set_parked(&mut self, server: ServerIndex, parked: bool) {
        let index = server.index();
        let Some(slot) = self.slots.get_mut(index).filter(|s| s.parked != parked) else {
            return;
        };
        slot.parked = parked;
        match &mut self.policy {
            Policy::RoundRobin(p) => p.set_parked(index, parked),
            Policy::LeastConn(p) => p.set_parked(index, parked),
            Policy::Consistent { turns, .. } | Policy::Maglev { turns, .. } => {
                turns.set_parked(index, parked);
            }
            Policy::First { .. } => self.place_first(index),
            Policy::Random(p) => p.set_parked(index, parked),
            Policy::StaticRr(p) | Policy::Hash(p) => p.set_parked(index, parked),
        }
    }

    /// Chooses a server that is not `except`; `hash` matters where a key chooses: without one the servers take
    /// turns.
    pub fn pick(&mut self, hash: Option<u32>, except: Option<ServerIndex>) -> Pick {
        let except = except.map(ServerIndex::index);
        let has_room = |server: usize| self.slots.get(server).is_some_and(|s| !s.parked);
        let picked = match &mut self.policy {
            Policy::RoundRobin(p) => p.pick(except),
            Policy::LeastConn(p) => p.pick(except),
            Policy::First { heap, .. } => heap.first_except(except).map(|(_, server)| server),
            Policy::Random(p) => p.pick(except),
            Policy::StaticRr(p) => p.in_turn(except),
            Policy::Hash(p) => match hash {
                Some(hash) => p.by_hash(hash, except),
                None => p.in_turn(except),
            },
            Policy::Consistent { ring, turns } => match hash {
                Some(hash) => ring.by_hash(hash, except),
                None => turns.pick(except),
            },
            Policy::Maglev { table, turns } => match hash {
                Some(hash) => table.by_hash(hash, except),
                None => turns.pick(except),
            },
        };
        match picked {
            Some(server) if has_room(server) => Pick::Free(ServerIndex::new(server)),
            Some(server) => Pick::Full(ServerIndex::new(server)),
            None => Pick::Nobody,
        }
    }

    fn place_first(&mut self, index: usize) {
        let (Policy::First { heap, ids }, Some(slot)) = (&mut self.policy, self.slots.get(index))
        else {
            return;
        };
        if slot.weight > 0 && !slot.parked {
            heap.set(index, ids.get(index).copied().unwrap_or(u32::MAX));
        } else {
            heap.remove(index);
        }
    }
}
