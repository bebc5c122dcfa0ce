//! Streams that wait for a slot: one queue per server and one for the whole backend, first come first served
//! over both.
//!
//! Plain data under the lock of its backend. A waiter's number is its age, so a queue is an ordered set of
//! numbers and leaving it in the middle costs O(log n). Never here: deciding who has a slot.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    task::Waker,
};

use crate::{
    backend::{Persistence, Refusal},
    id::ServerIndex,
};

/// Number of a waiter: lower is older.
pub(crate) type Number = u64;

/// Where a waiter stands.
#[derive(Debug)]
pub(crate) enum Standing {
    /// In the queue of a server, or of the backend.
    Waiting {
        server: Option<ServerIndex>,
        waker: Option<Waker>,
    },
    /// Its slot was taken for it.
    Granted(ServerIndex),
    /// It waits in vain.
    Refused(Refusal),
}

/// One waiting stream.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) standing: Standing,
    pub(crate) source: IpAddr,
    pub(crate) persistence: Persistence,
}

/// All waiters of a backend.
#[derive(Debug)]
pub(crate) struct Queues {
    next: Number,
    waiters: BTreeMap<Number, Waiter>,
    backend: BTreeSet<Number>,
    servers: Vec<BTreeSet<Number>>,
}

impl Queues {
    pub(crate) fn new(servers: usize) -> Self {
        Self {
            next: 0,
            waiters: BTreeMap::new(),
            backend: BTreeSet::new(),
            servers: vec![BTreeSet::new(); servers],
        }
    }

    /// Appends a waiter to the queue of `server` or of the backend; returns its number and how many stand
    /// before it there.
    pub(crate) fn join(
        &mut self,
        server: Option<ServerIndex>,
        source: IpAddr,
        persistence: Persistence,
    ) -> (Number, usize) {
        let number = self.next;
        self.next += 1;
        let waiter = Waiter {
            standing: Standing::Waiting {
                server,
                waker: None,
            },
            source,
            persistence,
        };
        self.waiters.insert(number, waiter);
        let Some(queue) = self.queue(server) else {
            return (number, 0);
        };
        let before = queue.len();
        queue.insert(number);
        (number, before)
    }

    /// How many wait for `server`, or for any.
    pub(crate) fn len(&self, server: Option<ServerIndex>) -> usize {
        match server {
            None => self.backend.len(),
            Some(server) => self.servers.get(server.index()).map_or(0, BTreeSet::len),
        }
    }

    /// The oldest waiter for `server`; those of the backend's queue count if `any_may_have_it`.
    pub(crate) fn oldest(
        &self,
        server: ServerIndex,
        any_may_have_it: bool,
    ) -> Option<(Number, Option<ServerIndex>)> {
        let own = self.servers.get(server.index()).and_then(BTreeSet::first);
        let common = self.backend.first().filter(|_| any_may_have_it);
        match (own, common) {
            (Some(own), Some(common)) if common < own => Some((*common, None)),
            (Some(own), _) => Some((*own, Some(server))),
            (None, Some(common)) => Some((*common, None)),
            (None, None) => None,
        }
    }

    /// Ends the wait of `number`; returns whom to wake.
    pub(crate) fn settle(&mut self, number: Number, standing: Standing) -> Option<Waker> {
        let waiter = self.waiters.get_mut(&number)?;
        let before = std::mem::replace(&mut waiter.standing, standing);
        let Standing::Waiting { server, waker } = before else {
            return None;
        };
        if let Some(queue) = self.queue(server) {
            queue.remove(&number);
        }
        waker
    }

    /// A waiter goes, whatever it stands for.
    pub(crate) fn leave(&mut self, number: Number) -> Option<Waiter> {
        let waiter = self.waiters.remove(&number)?;
        if let Standing::Waiting { server, .. } = waiter.standing
            && let Some(queue) = self.queue(server)
        {
            queue.remove(&number);
        }
        Some(waiter)
    }

    pub(crate) fn get_mut(&mut self, number: Number) -> Option<&mut Waiter> {
        self.waiters.get_mut(&number)
    }

    /// Everyone who waits for `server` now waits for any, at the place of its age. Returns how many moved.
    pub(crate) fn release_from(&mut self, server: ServerIndex) -> usize {
        let Some(queue) = self.servers.get_mut(server.index()) else {
            return 0;
        };
        let moved = std::mem::take(queue);
        for number in &moved {
            if let Some(waiter) = self.waiters.get_mut(number) {
                waiter.persistence = waiter.persistence.without_server();
                if let Standing::Waiting { server, .. } = &mut waiter.standing {
                    *server = None;
                }
            }
        }
        let count = moved.len();
        self.backend.extend(moved);
        count
    }

    /// Everyone who still waits anywhere.
    pub(crate) fn waiting(&self) -> Vec<Number> {
        self.servers
            .iter()
            .chain([&self.backend])
            .flatten()
            .copied()
            .collect()
    }

    fn queue(&mut self, server: Option<ServerIndex>) -> Option<&mut BTreeSet<Number>> {
        match server {
            None => Some(&mut self.backend),
            Some(server) => self.servers.get_mut(server.index()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const ANY: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn the_older_of_two_heads_is_first() {
        let mut queues = Queues::new(2);
        let (zero, one) = (ServerIndex::new(0), ServerIndex::new(1));
        let (a, _) = queues.join(None, ANY, Persistence::None);
        let (b, _) = queues.join(Some(zero), ANY, Persistence::Valid);
        let (c, before) = queues.join(None, ANY, Persistence::None);
        assert_eq!(before, 1);
        assert_eq!(queues.oldest(zero, true), Some((a, None)));
        assert_eq!(queues.oldest(zero, false), Some((b, Some(zero))));
        assert_eq!(queues.oldest(one, false), None);
        queues.leave(a);
        assert_eq!(queues.oldest(zero, true), Some((b, Some(zero))));
        assert_eq!(queues.oldest(one, true), Some((c, None)));
    }

    #[test]
    fn waiters_of_a_lost_server_keep_their_age() {
        let mut queues = Queues::new(1);
        let zero = ServerIndex::new(0);
        let (a, _) = queues.join(Some(zero), ANY, Persistence::Valid);
        let (b, _) = queues.join(None, ANY, Persistence::None);
        assert_eq!(queues.release_from(zero), 1);
        assert_eq!(queues.len(None), 2);
        assert_eq!(queues.oldest(zero, true), Some((a, None)));
        queues.settle(a, Standing::Granted(zero));
        assert_eq!(queues.oldest(zero, true), Some((b, None)));
    }
}
