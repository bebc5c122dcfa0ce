//! A number that only grows, in the cell of one thread.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Number of cells.
pub(super) const CELLS: usize = 4;
/// Those before the last belong to one worker each; in the last one all other threads count.
const SHARED: usize = CELLS - 1;

thread_local! {
    static WORKER: Cell<usize> = const { Cell::new(SHARED) };
}

/// Says that the calling thread is worker `number`, which no other thread is that counts the same things. Threads
/// that never say so share a cell with the workers beyond the first few.
pub fn set_worker(number: usize) {
    WORKER.set(number.min(SHARED));
}

/// The cell that the calling thread counts in.
pub(super) fn place() -> usize {
    WORKER.get()
}

/// A number that only grows. Who counts in a cell of its own is not kept waiting by a locked bus: that is a third
/// of what counting a request costs.
#[derive(Debug, Default)]
pub struct Tally(AtomicU64);

impl Tally {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        if WORKER.get() < SHARED {
            self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
        } else {
            self.0.fetch_add(n, Relaxed);
        }
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// The value now.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Back to zero (`clear counters all`).
    pub fn clear(&self) {
        self.0.store(0, Relaxed);
    }
}

/// A number that only grows, with a cell for each worker.
#[derive(Debug, Default)]
pub struct Spread([Apart; CELLS]);

/// On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart(Tally);

impl Spread {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        if let Some(cell) = self.0.get(place()) {
            cell.0.add(n);
        }
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// The value now.
    pub fn value(&self) -> u64 {
        self.0.iter().map(|cell| cell.0.value()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_in_cells_of_ones_own_and_in_the_shared_one() {
        const EACH: u64 = 20_000;
        let counted = Spread::default();
        std::thread::scope(|scope| {
            for worker in 0..CELLS + 3 {
                let counted = &counted;
                scope.spawn(move || {
                    set_worker(worker);
                    for _ in 0..EACH {
                        counted.increment();
                    }
                });
            }
        });
        let cells = counted.0.each_ref().map(|cell| cell.0.value());
        assert_eq!(cells, [EACH, EACH, EACH, 4 * EACH]);
        assert_eq!(counted.value(), 7 * EACH);
    }
}
