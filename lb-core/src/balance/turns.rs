//! Servers that take turns in the order of a table, in which each may have many places; those without room are passed over,
//! however many they are, in O(log n).

use super::heap::IndexedHeap;

/// Whose turn is next. Places are counted on from round to round: in a table of ten, 13 is the place 3 of the second round.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    servers: Vec<Slot>,
    /// Servers with room, by the first of their places that is not before `next`.
    heap: IndexedHeap<u64>,
    /// Where the search begins.
    next: u64,
    /// Places of a round.
    round: u64,
}

#[derive(Debug, Clone, Default)]
struct Slot {
    /// Ascending, of the first round.
    places: Vec<u32>,
    parked: bool,
}

impl Turns {
    /// For servers `0..servers`, none of which has a place.
    pub(super) fn new(servers: usize) -> Self {
        Self {
            servers: vec![Slot::default(); servers],
            heap: IndexedHeap::new(servers),
            next: 0,
            round: 0,
        }
    }

    /// Begins at the first place of a new table, which says whose each place is.
    pub(super) fn begin(&mut self, table: &[u32]) {
        for slot in &mut self.servers {
            slot.places.clear();
        }
        for (place, &server) in (0_u32..).zip(table) {
            if let Some(slot) = self.servers.get_mut(server as usize) {
                slot.places.push(place);
            }
        }
        self.next = 0;
        self.round = u64::try_from(table.len()).unwrap_or(u64::MAX);
        for server in 0..self.servers.len() {
            self.line_up(server);
        }
    }

    pub(super) fn set_parked(&mut self, server: usize, parked: bool) {
        if let Some(slot) = self.servers.get_mut(server) {
            slot.parked = parked;
            self.line_up(server);
        }
    }

    /// The server of the next place whose server has room and is not `except`.
    pub(super) fn pick(&mut self, except: Option<usize>) -> Option<usize> {
        let (place, server) = self.heap.first_except(except)?;
        self.next = place + 1;
        // Nobody else was passed over.
        self.line_up(server);
        if let Some(except) = except {
            self.line_up(except);
        }
        Some(server)
    }

    /// Puts a server where its next place is, or out.
    fn line_up(&mut self, server: usize) {
        match self.next_of(server) {
            Some(place) => self.heap.set(server, place),
            None => self.heap.remove(server),
        }
    }

    /// The next place of a server with room.
    fn next_of(&self, server: usize) -> Option<u64> {
        let slot = self.servers.get(server).filter(|slot| !slot.parked)?;
        let within = self.next.checked_rem(self.round)?;
        let begin = self.next - within;
        let later = slot.places.partition_point(|&p| u64::from(p) < within);
        match slot.places.get(later) {
            Some(&place) => Some(begin + u64::from(place)),
            None => Some(begin + self.round + u64::from(*slot.places.first()?)),
        }
    }
}
