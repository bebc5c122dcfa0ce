//! A binary heap whose members can be moved and taken out by their number: no allocation once it is filled.

/// Least key first; equal keys in the order of the members' numbers.
#[derive(Debug, Clone)]
pub(crate) struct IndexedHeap<K> {
    heap: Vec<(K, u32)>,
    /// Where each member is in `heap`.
    places: Vec<Option<u32>>,
}

impl<K: Copy + Ord> IndexedHeap<K> {
    /// Room for members `0..members`, none in it.
    pub(crate) fn new(members: usize) -> Self {
        Self {
            heap: Vec::with_capacity(members),
            places: vec![None; members],
        }
    }

    /// The member with the least key that is not `except`.
    pub(crate) fn first_except(&self, except: Option<usize>) -> Option<(K, usize)> {
        let first = self.heap.first()?;
        if Some(first.1 as usize) != except {
            return Some((first.0, first.1 as usize));
        }
        // The second least is a child of the root.
        let children = self.heap.get(1..self.heap.len().min(3))?;
        children
            .iter()
            .min()
            .map(|&(key, member)| (key, member as usize))
    }

    /// Puts `member` in, or moves it to a new key.
    pub(crate) fn set(&mut self, member: usize, key: K) {
        let Some(place) = self.places.get(member).copied() else {
            return;
        };
        let at = match place {
            Some(at) => {
                if let Some(entry) = self.heap.get_mut(at as usize) {
                    entry.0 = key;
                }
                at as usize
            }
            None => {
                self.heap
                    .push((key, u32::try_from(member).unwrap_or(u32::MAX)));
                let at = self.heap.len() - 1;
                self.note(at);
                at
            }
        };
        self.settle(at);
    }

    /// Takes `member` out.
    pub(crate) fn remove(&mut self, member: usize) {
        let Some(at) = self.places.get_mut(member).and_then(Option::take) else {
            return;
        };
        let at = at as usize;
        self.heap.swap_remove(at);
        if at < self.heap.len() {
            self.note(at);
            self.settle(at);
        }
    }

    /// Moves the entry at `at` up or down to where it belongs.
    fn settle(&mut self, mut at: usize) {
        while at > 0 && self.heap.get(at) < self.heap.get((at - 1) / 2) {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            if left >= self.heap.len() {
                return;
            }
            let least = if right < self.heap.len() && self.heap.get(right) < self.heap.get(left) {
                right
            } else {
                left
            };
            if self.heap.get(least) >= self.heap.get(at) {
                return;
            }
            self.swap(at, least);
            at = least;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.note(a);
        self.note(b);
    }

    /// Records where the entry at `at` is.
    fn note(&mut self, at: usize) {
        let Some(&(_, member)) = self.heap.get(at) else {
            return;
        };
        if let Some(place) = self.places.get_mut(member as usize) {
            *place = u32::try_from(at).ok();
        }
    }
}
