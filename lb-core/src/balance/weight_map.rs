//! A table with as many places per server as its weight, spread evenly: what map-based hashing and static-rr
//! look servers up in.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

use super::turns::Turns;

/// The table; built anew when weights change, which changes where most keys go (as `hash-type map-based` does).
#[derive(Debug, Clone)]
pub(super) struct WeightMap {
    weights: Vec<u32>,
    places: Vec<u32>,
    turns: Turns,
    stale: bool,
}

impl WeightMap {
    pub(super) fn new(servers: usize) -> Self {
        Self {
            weights: vec![0; servers],
            places: Vec::new(),
            turns: Turns::new(servers),
            stale: false,
        }
    }

    pub(super) fn set_weight(&mut self, server: usize, weight: u32) {
        if let Some(known) = self.weights.get_mut(server).filter(|w| **w != weight) {
            *known = weight;
            self.stale = true;
        }
    }

    /// A parked server is passed over where servers take turns; keys stay with it.
    pub(super) fn set_parked(&mut self, server: usize, parked: bool) {
        self.turns.set_parked(server, parked);
    }

    /// The server of `hash`, or the next one in the table that is not `except`.
    pub(super) fn by_hash(&mut self, hash: u32, except: Option<usize>) -> Option<usize> {
        self.refresh();
        let place = (hash as usize).checked_rem(self.places.len())?;
        server_from(&self.places, place, |server| Some(server) != except)
    }

    /// The next server in turn that has room and is not `except`.
    pub(super) fn in_turn(&mut self, except: Option<usize>) -> Option<usize> {
        self.refresh();
        self.turns.pick(except)
    }

    /// Lays the table out after a change of weights, and begins at its first place.
    fn refresh(&mut self) {
        if std::mem::take(&mut self.stale) {
            self.fill();
            self.turns.begin(&self.places);
        }
    }

    /// A server gains its weight's share of a turn with each place. The next place goes to the one that has saved
    /// up the most whole turns, the first of them in file order: the order that HAProxy's table has, so that a key
    /// finds the same server there and here.
    fn fill(&mut self) {
        self.places.clear();
        // A weight of 16 for all is the same as 1 for all.
        let divisor = self.weights.iter().copied().fold(0, gcd).max(1);
        let total: u64 = self.weights.iter().map(|w| u64::from(w / divisor)).sum();
        let used = (0_u32..).zip(&self.weights).filter(|(_, w)| **w > 0);
        let mut waiting = BTreeSet::new();
        let mut gains = BinaryHeap::new();
        for (server, weight) in used {
            let gain = Gain::new(1, weight / divisor, total);
            waiting.insert((Reverse(1_i64), server));
            gains.push(Reverse((gain.at, server, gain)));
        }
        let mut turns: Vec<i64> = vec![1; self.weights.len()];
        for step in 1..=total {
            while let Some(&Reverse((at, server, gain))) = gains.peek()
                && at <= step
            {
                gains.pop();
                let next = Gain::new(gain.nth + 1, gain.weight, total);
                gains.push(Reverse((next.at, server, next)));
                change(&mut waiting, &mut turns, server, 1);
            }
            let Some(&(_, server)) = waiting.first() else {
                return;
            };
            self.places.push(server);
            change(&mut waiting, &mut turns, server, -1);
        }
    }
}

/// The server at a place of a table, or the next one around that may be chosen. As servers are spread over a table, how far
/// that is depends on the share of those that may not, and not on how many servers there are.
pub(super) fn server_from(
    places: &[u32],
    place: usize,
    may: impl Fn(usize) -> bool,
) -> Option<usize> {
    let (before, after) = places.split_at_checked(place)?;
    let mut around = after.iter().chain(before).map(|&server| server as usize);
    around.find(|&server| may(server))
}

/// When a server has saved up another turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Gain {
    at: u64,
    nth: u64,
    weight: u32,
}

impl Gain {
    fn new(nth: u64, weight: u32, total: u64) -> Self {
        let at = (total * nth).div_ceil(u64::from(weight.max(1)));
        Self { at, nth, weight }
    }
}

/// A server has more or fewer turns saved up.
fn change(waiting: &mut Waiting, turns: &mut [i64], server: u32, by: i64) {
    if let Some(turns) = turns.get_mut(server as usize) {
        waiting.remove(&(Reverse(*turns), server));
        *turns += by;
        waiting.insert((Reverse(*turns), server));
    }
}

/// Servers by the turns that they have saved up, most first.
type Waiting = BTreeSet<(Reverse<i64>, u32)>;

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
