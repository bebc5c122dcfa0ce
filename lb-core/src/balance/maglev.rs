//! Maglev hashing (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, §3.4):
//! a table of many more places than servers, which take turns to fill it, each by an order of its own. Every server has
//! its share of keys to the place, a key is found by one look, and a server that goes leaves most keys of the others
//! where they are (`hash-type maglev`, which HAProxy does not have).

use std::{collections::BTreeMap, sync::Arc};

use super::weight_map::server_from;
use crate::hash::{avalanche, crc32, crc32c};

/// Places of a table: a prime, so that every step reaches all of them, and enough for some thousand servers.
const PLACES: u32 = 65_537;

/// The table. It follows from names, their order and weights alone: the same file makes the same one on every host, however
/// often each has reloaded it, and a server that comes back has its keys back.
#[derive(Debug, Clone)]
pub(super) struct Maglev {
    orders: Arc<[Order]>,
    weights: Vec<u32>,
    /// Servers of a weight.
    used: usize,
    places: Vec<u32>,
    state: State,
}

/// What the places are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// What follows from the weights.
    Right,
    /// What followed from the weights of before.
    Stale,
    /// The same, and somebody lays them out anew.
    Planned,
}

/// A table that is to be laid out for these weights.
#[derive(Debug)]
pub struct Plan {
    orders: Arc<[Order]>,
    weights: Vec<u32>,
}

/// A table that is laid out.
#[derive(Debug)]
pub struct Places {
    weights: Vec<u32>,
    places: Vec<u32>,
}

/// In which order a server looks for places.
#[derive(Debug, Clone, Copy)]
struct Order {
    at: u32,
    step: u32,
}

impl Order {
    fn of(name: &str) -> Self {
        Self {
            at: avalanche(crc32(name.as_bytes())) % PLACES,
            step: avalanche(crc32c(name.as_bytes())) % (PLACES - 1) + 1,
        }
    }
}

/// Servers of the same weight, which take places in the same rounds.
struct Class {
    weight: u32,
    servers: Vec<u32>,
    /// What each has saved up for its next place, as much as the heaviest server weighs.
    saved: u32,
}

impl Maglev {
    /// For servers of these names, all of weight 0.
    pub(super) fn new(names: &[&str]) -> Self {
        Self {
            orders: names.iter().map(|name| Order::of(name)).collect(),
            weights: vec![0; names.len()],
            used: 0,
            places: Vec::new(),
            state: State::Right,
        }
    }

    pub(super) fn set_weight(&mut self, server: usize, weight: u32) {
        if let Some(known) = self.weights.get_mut(server).filter(|w| **w != weight) {
            self.used = self.used - usize::from(*known > 0) + usize::from(weight > 0);
            *known = weight;
            self.state = State::Stale;
        }
    }

    /// A plan for the table, if weights have changed and nobody has one yet: the table of before serves until
    /// [`Maglev::put`], but that those of no weight are passed over.
    pub(super) fn plan(&mut self) -> Option<Plan> {
        if self.state != State::Stale {
            return None;
        }
        self.state = State::Planned;
        Some(self.present())
    }

    fn present(&self) -> Plan {
        Plan {
            orders: Arc::clone(&self.orders),
            weights: self.weights.clone(),
        }
    }

    /// The table is laid out; one for other weights than those of now is none.
    pub(super) fn put(&mut self, laid_out: Places) {
        if self.weights == laid_out.weights {
            self.places = laid_out.places;
            self.state = State::Right;
        }
    }

    /// The server of `hash`, or the next one in the table that is not `except`.
    pub(super) fn by_hash(&mut self, hash: u32, except: Option<usize>) -> Option<usize> {
        if self.state == State::Stale {
            self.fill();
        }
        let is_used = |server| self.weights.get(server).is_some_and(|weight| *weight > 0);
        if self.used <= usize::from(except.is_some_and(is_used)) {
            return None;
        }
        let find = |places: &[u32]| {
            let place = (hash as usize).checked_rem(places.len())?;
            server_from(places, place, |server| {
                Some(server) != except && is_used(server)
            })
        };
        let found = find(&self.places);
        if found.is_some() || self.state == State::Right {
            return found;
        }
        // Nobody of before is left.
        self.fill();
        self.by_hash(hash, except)
    }

    fn fill(&mut self) {
        self.put(self.present().lay_out());
    }
}

impl Plan {
    /// Fills the table: some 1.3 ms on one core of 2026, whatever the servers and their weights.
    pub fn lay_out(self) -> Places {
        let mut places = Vec::new();
        let mut classes = self.classes();
        if !classes.is_empty() {
            places.resize(PLACES as usize, 0);
            self.fill(&mut classes, &mut places);
        }
        Places {
            weights: self.weights,
            places,
        }
    }

    fn fill(&self, classes: &mut [Class], places: &mut [u32]) {
        let mut orders = self.orders.to_vec();
        let mut taken = Taken::new();
        let mut due = Vec::with_capacity(orders.len());
        loop {
            next_round(classes, &mut due);
            for &server in &due {
                let order = orders.get_mut(server as usize);
                let Some(place) = order.and_then(|order| taken.next(order)) else {
                    return;
                };
                if let Some(place) = places.get_mut(place) {
                    *place = server;
                }
            }
        }
    }

    /// The servers that have a weight, by it.
    fn classes(&self) -> Vec<Class> {
        let mut servers: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (server, &weight) in (0_u32..).zip(&self.weights).filter(|(_, w)| **w > 0) {
            servers.entry(weight).or_default().push(server);
        }
        let heaviest = servers.keys().copied().max().unwrap_or(0);
        let class = |(weight, servers)| Class {
            weight,
            servers,
            // Everyone has a place of the first round.
            saved: heaviest - weight,
        };
        servers.into_iter().map(class).collect()
    }
}

/// Who takes a place in the next round, in the order of the file: the heaviest always, and the others as often as their
/// weights say.
fn next_round(classes: &mut [Class], due: &mut Vec<u32>) {
    due.clear();
    let heaviest = classes.last().map_or(0, |class| class.weight);
    for class in &mut *classes {
        class.saved += class.weight;
        if class.saved >= heaviest {
            class.saved -= heaviest;
            due.extend_from_slice(&class.servers);
        }
    }
    if classes.len() > 1 {
        // Runs that are sorted already: they are merged.
        due.sort();
    }
}

/// The places that somebody has, a bit for each: what is looked at most stays in the nearest cache.
struct Taken {
    bits: Vec<u64>,
    left: u32,
}

impl Taken {
    fn new() -> Self {
        Self {
            bits: vec![0; PLACES.div_ceil(u64::BITS) as usize],
            left: PLACES,
        }
    }

    /// Takes the next place of an order that nobody has; `None` once all are taken.
    fn next(&mut self, order: &mut Order) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        loop {
            let place = order.at;
            order.at += order.step;
            if order.at >= PLACES {
                order.at -= PLACES;
            }
            // The order has every place, and one is left.
            let (word, bit) = (place / u64::BITS, 1 << (place % u64::BITS));
            if let Some(word) = self.bits.get_mut(word as usize)
                && *word & bit == 0
            {
                *word |= bit;
                return Some(place as usize);
            }
        }
    }
}
