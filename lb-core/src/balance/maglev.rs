//! Maglev hashing (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, §3.4):
//! a table of many more places than servers, which take turns to fill it, each by an order of its own. Every server has
//! its share of keys to the place, a key is found by one look, and a server that goes leaves most keys of the others
//! where they are (`hash-type maglev`, which HAProxy does not have).

use super::weight_map::find_from;
use crate::hash::{avalanche, crc32, crc32c};

/// Places of a table: a prime, so that every step reaches all of them, and enough for some thousand servers.
const PLACES: u32 = 65_537;

const EMPTY: u32 = u32::MAX;

/// The table. It follows from names, their order and weights alone: the same file makes the same one on every host, however
/// often each has reloaded it, and a server that comes back has its keys back.
#[derive(Debug, Clone)]
pub(super) struct Maglev {
    orders: Vec<Order>,
    weights: Vec<u32>,
    /// Servers of a weight.
    used: usize,
    places: Vec<u32>,
    stale: bool,
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

/// A server that fills the table.
struct Walk {
    server: u32,
    weight: u32,
    /// What it has saved up for its next place, as much as the heaviest server weighs.
    saved: u32,
    order: Order,
}

impl Maglev {
    /// For servers of these names, all of weight 0.
    pub(super) fn new(names: &[&str]) -> Self {
        Self {
            orders: names.iter().map(|name| Order::of(name)).collect(),
            weights: vec![0; names.len()],
            used: 0,
            places: Vec::new(),
            stale: false,
        }
    }

    pub(super) fn set_weight(&mut self, server: usize, weight: u32) {
        if let Some(known) = self.weights.get_mut(server).filter(|w| **w != weight) {
            *known = weight;
            self.stale = true;
        }
    }

    /// The server of `hash`, or the next one in the table that is not `except`.
    pub(super) fn by_hash(&mut self, hash: u32, except: Option<usize>) -> Option<usize> {
        if std::mem::take(&mut self.stale) {
            self.fill();
        }
        let is_used = |server| self.weights.get(server).is_some_and(|weight| *weight > 0);
        if self.used == 1 && except.is_some_and(is_used) {
            return None;
        }
        let place = (hash as usize).checked_rem(self.places.len())?;
        find_from(&self.places, place, |server| Some(server) != except).map(|(_, server)| server)
    }

    /// Fills the table anew, at the first look after a change: some 1.5 ms on one core of 2026, whatever the number of servers, and
    /// 15 ms for a thousand of which one weighs 256 times as much as the others.
    fn fill(&mut self) {
        self.places.clear();
        let heaviest = self.weights.iter().copied().max().unwrap_or(0);
        let all = (0_u32..).zip(self.orders.iter().zip(&self.weights));
        let used = all.filter(|(_, (_, weight))| **weight > 0);
        let mut walks: Vec<Walk> = used
            .map(|(server, (&order, &weight))| Walk {
                server,
                weight,
                // Everyone has a place of the first round.
                saved: heaviest - weight,
                order,
            })
            .collect();
        self.used = walks.len();
        if walks.is_empty() {
            return;
        }
        self.places.resize(PLACES as usize, EMPTY);
        let mut empty = PLACES;
        // In each round the heaviest take a place, and the others as often as their weights say.
        loop {
            for walk in &mut walks {
                walk.saved += walk.weight;
                if walk.saved < heaviest {
                    continue;
                }
                walk.saved -= heaviest;
                walk.take(&mut self.places);
                empty -= 1;
                if empty == 0 {
                    return;
                }
            }
        }
    }
}

impl Walk {
    /// Takes the next place of its order that nobody has.
    fn take(&mut self, places: &mut [u32]) {
        loop {
            let place = places.get_mut(self.order.at as usize);
            self.order.at += self.order.step;
            if self.order.at >= PLACES {
                self.order.at -= PLACES;
            }
            // Its order has every place, and one is empty.
            if let Some(place) = place.filter(|place| **place == EMPTY) {
                *place = self.server;
                return;
            }
        }
    }
}
