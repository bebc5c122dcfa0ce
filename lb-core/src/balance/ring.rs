//! A ring of points: a key belongs to the nearest point, so that a server that comes or goes moves its own keys
//! only (`hash-type consistent`). Points lie where HAProxy has them, so that a cache behind either fills alike.

use std::{
    collections::BTreeSet,
    ops::{Range, RangeInclusive},
};

use super::bounds::{Bounds, Load};
use crate::hash::avalanche;

/// Points of one server are numbered from its number times this.
const SPACE: u32 = 4096;

/// The ring, and how loaded its servers are.
#[derive(Debug, Clone)]
pub(super) struct Ring {
    servers: Vec<Member>,
    points: BTreeSet<(u32, u32)>,
    bounds: Bounds,
    /// Percent of the average load that a server may have; 0 is no limit.
    factor: u32,
    weight: u64,
    load: u64,
}

#[derive(Debug, Clone)]
struct Member {
    id: u32,
    weight: u32,
    load: u32,
    /// Parts of the ring with points of it whose bounds were raised since it had less to do.
    raised: BTreeSet<usize>,
}

impl Member {
    fn load(&self) -> Load {
        Load {
            load: self.load,
            weight: self.weight,
        }
    }

    /// Where its points lie.
    fn hashes(&self, points: Range<u32>) -> impl Iterator<Item = u32> + use<> {
        let first = self.id.wrapping_mul(SPACE);
        points.map(move |nth| avalanche(first.wrapping_add(nth)))
    }
}

impl Ring {
    /// For servers with these numbers, all of weight 0.
    pub(super) fn new(ids: &[u32], factor: u32) -> Self {
        let member = |&id| Member {
            id,
            weight: 0,
            load: 0,
            raised: BTreeSet::new(),
        };
        Self {
            servers: ids.iter().map(member).collect(),
            points: BTreeSet::new(),
            bounds: Bounds::new(0),
            factor,
            weight: 0,
            load: 0,
        }
    }

    /// As many points as the weight says; only those that differ are touched.
    pub(super) fn set_weight(&mut self, server: usize, weight: u32) {
        let Some(member) = self.servers.get_mut(server) else {
            return;
        };
        if member.weight == weight {
            return;
        }
        let number = u32::try_from(server).unwrap_or(u32::MAX);
        for hash in member.hashes(member.weight..weight) {
            self.points.insert((hash, number));
        }
        for hash in member.hashes(weight..member.weight) {
            self.points.remove(&(hash, number));
        }
        self.weight = self.weight - u64::from(member.weight) + u64::from(weight);
        member.weight = weight;
        if self.bounds.is_small_for(self.points.len()) {
            self.bounds = Bounds::new(self.points.len());
        }
        let load = member.load();
        for hash in member.hashes(0..weight) {
            self.bounds.lower(self.bounds.part_of(hash), load);
        }
    }

    pub(super) fn set_load(&mut self, server: usize, load: u32) {
        let Some(member) = self.servers.get_mut(server) else {
            return;
        };
        self.load = self.load - u64::from(member.load) + u64::from(load);
        let has_less = load < member.load;
        member.load = load;
        if has_less {
            let load = member.load();
            for part in std::mem::take(&mut member.raised) {
                self.bounds.lower(part, load);
            }
        }
    }

    /// Whether picks depend on loads.
    pub(super) fn follows_load(&self) -> bool {
        self.factor > 0
    }

    /// The server of the point nearest to `hash`, or the next one clockwise that is not `except` and not loaded
    /// beyond its share.
    pub(super) fn by_hash(&mut self, hash: u32, except: Option<usize>) -> Option<usize> {
        let after = self.points.range((hash, 0)..).next();
        let first = after.or(self.points.first()).copied()?;
        let before = self.points.range(..(hash, 0)).next_back();
        let last = before.or(self.points.last()).copied()?;
        let nearest = if hash.wrapping_sub(last.0) <= first.0.wrapping_sub(hash) {
            last
        } else {
            first
        };
        let part = self.bounds.part_of(nearest.0);
        let end = *self.bounds.hashes(part).end();
        self.first_of(nearest..=(end, u32::MAX), except)
            .or_else(|| self.first_in(part + 1..=usize::MAX, except))
            .or_else(|| self.first_in(0..=part, except))
    }

    /// The first server in these parts of the ring that may be chosen.
    fn first_in(
        &mut self,
        mut parts: RangeInclusive<usize>,
        except: Option<usize>,
    ) -> Option<usize> {
        loop {
            let wanted = |bound| !self.is_overloaded(bound);
            let part = self.bounds.find(parts.clone(), wanted)?;
            let hashes = self.bounds.hashes(part);
            let points = (*hashes.start(), 0)..=(*hashes.end(), u32::MAX);
            let found = self.first_of(points.clone(), except);
            if found.is_some() {
                return found;
            }
            self.raise(part, points);
            parts = part + 1..=*parts.end();
        }
    }

    /// The server of the first of these points that may be chosen.
    fn first_of(&self, points: RangeInclusive<(u32, u32)>, except: Option<usize>) -> Option<usize> {
        let mut servers = self.points.range(points).map(|&(_, s)| s as usize);
        servers.find(|&server| {
            let member = self.servers.get(server);
            Some(server) != except && !member.is_some_and(|m| self.is_overloaded(m.load()))
        })
    }

    /// Nobody in this part could be chosen: what they have is its bound, until one has less.
    fn raise(&mut self, part: usize, points: RangeInclusive<(u32, u32)>) {
        let mut bound = Load::NOBODY;
        for &(_, server) in self.points.range(points) {
            if let Some(member) = self.servers.get_mut(server as usize) {
                bound = bound.min(member.load());
                member.raised.insert(part);
            }
        }
        self.bounds.raise(part, bound);
    }

    /// Whether a server with such a load may have no more: with the one that is to be placed it would have more than its
    /// share, in whole streams. It may always have one. Nobody may have any.
    fn is_overloaded(&self, server: Load) -> bool {
        if self.factor == 0 {
            return server.weight == 0;
        }
        let own = u128::from(server.load) * u128::from(self.weight) * 100;
        let all = u128::from(self.load + 1) * u128::from(self.factor);
        own >= all * u128::from(server.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_ring_that_have_become_empty_are_passed_over_at_once() {
        for factor in [0, 125] {
            let mut ring = Ring::new(&[1, 2], factor);
            ring.set_weight(0, 4000);
            ring.set_weight(1, 1);
            ring.set_weight(0, 0);
            let only = ring.points.first().unwrap().0;
            // Once around: the point behind the only one is the last to be asked.
            assert_eq!(ring.by_hash(only, Some(0)), Some(1));
            assert_eq!(ring.by_hash(only, Some(1)), None);
            let bounds = &ring.bounds;
            let wanted = |bound| !ring.is_overloaded(bound);
            let own = bounds.part_of(only);
            assert_eq!(bounds.find(0..=usize::MAX, wanted), Some(own), "{factor}");
            assert_eq!(bounds.find(own + 1..=usize::MAX, wanted), None, "{factor}");
        }
    }
}
