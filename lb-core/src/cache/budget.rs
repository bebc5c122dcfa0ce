//! Memory of a cache, in blocks.

use std::sync::{
    Arc,
    atomic::{
        AtomicUsize,
        Ordering::{AcqRel, Acquire},
    },
};

use crate::head::{Field, Head};

/// What memory is counted in.
pub(super) const BLOCK: usize = 1024;
/// What an entry takes beside its key, its head and its content: its place in two maps, and what the allocator adds.
const ENTRY: usize = 768;

/// Blocks of an entry.
pub(super) fn cost(key: &[u8], head: &Head, content: usize) -> usize {
    let head = head.arena.len() + head.fields.len() * size_of::<Field>();
    (ENTRY + key.len() + head + content).div_ceil(BLOCK)
}

/// All that a cache may take.
#[derive(Debug)]
pub(super) struct Budget {
    total: usize,
    taken: AtomicUsize,
}

impl Budget {
    /// Of so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            total: bytes / BLOCK,
            taken: AtomicUsize::new(0),
        }
    }

    /// Blocks that nobody has.
    pub(super) fn available(&self) -> usize {
        self.total.saturating_sub(self.taken.load(Acquire))
    }
}

/// Blocks that somebody has; they are free again with it.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    blocks: usize,
}

impl Share {
    /// None yet.
    pub(super) fn of(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            blocks: 0,
        }
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    /// False, and nothing is changed, if there are not so many.
    pub(super) fn resize(&mut self, blocks: usize) -> bool {
        let total = self.budget.total;
        let resized = |taken: usize| Some(taken - self.blocks + blocks).filter(|t| *t <= total);
        let done = self.budget.taken.fetch_update(AcqRel, Acquire, resized);
        if done.is_ok() {
            self.blocks = blocks;
        }
        done.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.blocks, AcqRel);
    }
}
