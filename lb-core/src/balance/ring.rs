//! A ring of points: a key belongs to the nearest point, so that a server that comes or goes moves its own keys
//! only (`hash-type consistent`). Points lie where HAProxy has them, so that a cache behind either fills alike.

use std::collections::BTreeSet;

use crate::hash::avalanche;

/// Points of one server are numbered from its number times this.
const SPACE: u32 = 4096;

/// The ring, and how loaded its servers are.
#[derive(Debug, Clone)]
pub(super) struct Ring {
    servers: Vec<Member>,
    points: BTreeSet<(u32, u32)>,
    /// Percent of the average load that a server may have; 0 is no limit.
    factor: u32,
    weight: u64,
    load: u64,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    id: u32,
    weight: u32,
    load: u32,
}

impl Ring {
    /// For servers with these numbers, all of weight 0.
    pub(super) fn new(ids: &[u32], factor: u32) -> Self {
        let member = |&id| Member {
            id,
            weight: 0,
            load: 0,
        };
        Self {
            servers: ids.iter().map(member).collect(),
            points: BTreeSet::new(),
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
        let number = u32::try_from(server).unwrap_or(u32::MAX);
        let point = |nth: u32| {
            let place = member.id.wrapping_mul(SPACE).wrapping_add(nth);
            (avalanche(place), number)
        };
        for nth in member.weight..weight {
            self.points.insert(point(nth));
        }
        for nth in weight..member.weight {
            self.points.remove(&point(nth));
        }
        self.weight = self.weight - u64::from(member.weight) + u64::from(weight);
        member.weight = weight;
    }

    pub(super) fn set_load(&mut self, server: usize, load: u32) {
        if let Some(member) = self.servers.get_mut(server) {
            self.load = self.load - u64::from(member.load) + u64::from(load);
            member.load = load;
        }
    }

    /// Whether picks depend on loads.
    pub(super) fn follows_load(&self) -> bool {
        self.factor > 0
    }

    /// The server of the point nearest to `hash`, or the next one clockwise that is not `except` and not loaded
    /// beyond its share.
    pub(super) fn by_hash(&self, hash: u32, except: Option<usize>) -> Option<usize> {
        let after = self.points.range((hash, 0)..).next();
        let first = after.or(self.points.first()).copied()?;
        let before = self.points.range(..(hash, 0)).next_back();
        let last = before.or(self.points.last()).copied()?;
        let nearest = if hash.wrapping_sub(last.0) <= first.0.wrapping_sub(hash) {
            last
        } else {
            first
        };
        let clockwise = self
            .points
            .range(nearest..)
            .chain(self.points.range(..nearest));
        let mut servers = clockwise.map(|&(_, server)| server as usize);
        servers.find(|&server| Some(server) != except && !self.is_overloaded(server))
    }

    fn is_overloaded(&self, server: usize) -> bool {
        let Some(member) = self.servers.get(server).filter(|_| self.factor > 0) else {
            return false;
        };
        // With the one that is to be placed; a server may always have one.
        let share = (self.load + 1) * u64::from(self.factor) * u64::from(member.weight);
        let most = share.div_ceil((self.weight * 100).max(1)).max(1);
        u64::from(member.load) >= most
    }
}
