//! From (interface, family, VRID) to routers in constant time: a hash table with open addressing, at
//! most three quarters full. Here because `alloc` has none; keys come from the configuration, so no peer can
//! aim at a bucket.

use alloc::{vec, vec::Vec};

use vrrp_proto::{Family, Vrid};

use super::RouterId;

/// What an advert is dispatched by: the same VRID on another interface or of the other family is
/// another virtual router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) interface: u32,
    pub(super) family: Family,
    pub(super) vrid: Vrid,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    slots: Vec<Option<(Key, RouterId)>>,
    len: usize,
}

impl Key {
    fn bucket(self, mask: usize) -> usize {
        let family = u64::from(self.family == Family::Ipv6);
        let word = u64::from(self.interface) << 9 | family << 8 | u64::from(self.vrid.value());
        // Fibonacci hashing; the high half is the well-mixed one, and fits whatever usize is.
        let mixed = word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        usize::try_from(mixed).unwrap_or(0) & mask
    }
}

impl Index {
    pub(super) fn with_capacity(routers: usize) -> Self {
        let slots = room(routers);
        Self {
            slots: vec![None; slots],
            len: 0,
        }
    }

    /// The routers of that key, almost always one at most, in the order of insertion.
    pub(super) fn candidates(&self, key: Key) -> impl Iterator<Item = RouterId> + '_ {
        let mask = self.slots.len().saturating_sub(1);
        let from = key.bucket(mask);
        let slots = (0..self.slots.len()).map(move |step| self.slots.get((from + step) & mask));
        let filled = slots.map_while(|slot| *slot?);
        filled.filter_map(move |(found, id)| (found == key).then_some(id))
    }

    pub(super) fn insert(&mut self, key: Key, id: RouterId) {
        if self.slots.len() < room(self.len + 1) {
            let larger = vec![None; room(self.len + 1)];
            for (key, id) in core::mem::replace(&mut self.slots, larger)
                .into_iter()
                .flatten()
            {
                self.place(key, id);
            }
        }
        self.place(key, id);
        self.len += 1;
    }

    fn place(&mut self, key: Key, id: RouterId) {
        let mask = self.slots.len().saturating_sub(1);
        let mut at = key.bucket(mask);
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.is_none() {
                *slot = Some((key, id));
                return;
            }
            at = (at + 1) & mask;
        }
    }
}

/// How many slots so many routers need.
fn room(routers: usize) -> usize {
    (routers + routers / 3 + 1).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_router_of_many_interfaces_is_found_and_no_other() {
        let mut index = Index::default();
        let mut keys = Vec::new();
        for interface in 1..20 {
            for family in [Family::Ipv4, Family::Ipv6] {
                for vrid in 1..=255 {
                    let vrid = Vrid::new(vrid).unwrap();
                    keys.push(Key {
                        interface,
                        family,
                        vrid,
                    });
                }
            }
        }
        for (number, key) in (0..).zip(&keys) {
            assert_eq!(index.candidates(*key).next(), None);
            index.insert(*key, RouterId::new(number));
        }
        for (number, key) in (0..).zip(&keys) {
            let found: Vec<_> = index.candidates(*key).collect();
            assert_eq!(found, [RouterId::new(number)]);
        }
        let other = Key {
            interface: 20,
            ..keys[0]
        };
        assert_eq!(index.candidates(other).next(), None);
    }
}
