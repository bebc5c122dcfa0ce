//! A table with as many places per server as its weight, spread evenly: what map-based hashing and static-rr
//! look servers up in.

/// The table; built anew when weights change, which changes where most keys go (as `hash-type map-based` does).
#[derive(Debug, Clone)]
pub(super) struct WeightMap {
    weights: Vec<u32>,
    places: Vec<u32>,
    cursor: usize,
    stale: bool,
}

impl WeightMap {
    pub(super) fn new(servers: usize) -> Self {
        Self {
            weights: vec![0; servers],
            places: Vec::new(),
            cursor: 0,
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
    pub(super) fn by_hash(&mut self, hash: u64, except: Option<usize>) -> Option<usize> {
        self.refresh();
        let length = u64::try_from(self.places.len()).ok()?;
        let place = usize::try_from(hash.checked_rem(length)?).ok()?;
        self.from(place, |server| Some(server) != except)
            .map(|(_, server)| server)
    }

    /// The next server in turn that `accept`s.
    pub(super) fn in_turn(&mut self, accept: impl Fn(usize) -> bool) -> Option<usize> {
        self.refresh();
        let (place, server) = self.from(self.cursor, accept)?;
        self.cursor = (place + 1) % self.places.len().max(1);
        Some(server)
    }

    fn from(&self, place: usize, accept: impl Fn(usize) -> bool) -> Option<(usize, usize)> {
        let (before, after) = self.places.split_at_checked(place)?;
        after
            .iter()
            .chain(before)
            .enumerate()
            .map(|(distance, &server)| ((place + distance) % self.places.len(), server as usize))
            .find(|&(_, server)| accept(server))
    }

    /// Each place goes to the server that is furthest behind its share.
    fn refresh(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        self.places.clear();
        self.cursor = 0;
        // A weight of 16 for all is the same as 1 for all.
        let divisor = self.weights.iter().copied().fold(0, gcd).max(1);
        let mut queue: std::collections::BinaryHeap<_> = self
            .weights
            .iter()
            .enumerate()
            .filter(|(_, weight)| **weight > 0)
            .map(|(server, &weight)| turn(server, weight / divisor, 0))
            .collect();
        while let Some(std::cmp::Reverse((_, server, weight, nth))) = queue.pop() {
            self.places.push(u32::try_from(server).unwrap_or(u32::MAX));
            if nth + 1 < weight {
                queue.push(turn(server, weight, nth + 1));
            }
        }
    }
}

type Turn = std::cmp::Reverse<(u64, usize, u32, u32)>;

/// The `nth` place of a server, ordered by where it falls in a round.
fn turn(server: usize, weight: u32, nth: u32) -> Turn {
    let position = ((u64::from(nth) * 2 + 1) << 31) / u64::from(weight.max(1));
    std::cmp::Reverse((position, server, weight, nth))
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
