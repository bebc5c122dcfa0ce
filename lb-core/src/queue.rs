//! Streams that wait for a slot: one queue per server and one for the whole backend, first come first served
//! over both unless rules give some precedence.
//!
//! Plain data under the lock of its backend. A waiter's number is its place in line, so a queue is an ordered set of
//! numbers and leaving it in the middle costs O(log n). Never here: deciding who has a slot.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    task::Waker,
    time::Instant,
};

use crate::{
    backend::{AssignKey, Persistence, Refusal},
    id::ServerIndex,
};

/// Number of a waiter: lower goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number {
    class: i16,
    /// When it came, in milliseconds, made earlier or later by its offset.
    due: i64,
    serial: u64,
}

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
    next: u64,
    /// When the first waiter came.
    since: Option<Instant>,
    waiters: BTreeMap<Number, Waiter>,
    backend: BTreeSet<Number>,
    servers: Vec<BTreeSet<Number>>,
}

impl Queues {
    pub(crate) fn new(servers: usize) -> Self {
        Self {
            next: 0,
            since: None,
            waiters: BTreeMap::new(),
            backend: BTreeSet::new(),
            servers: vec![BTreeSet::new(); servers],
        }
    }

    /// Puts a waiter into the queue of `server` or of the backend; returns its number and how many stand before it
    /// there.
    pub(crate) fn join(
        &mut self,
        server: Option<ServerIndex>,
        now: Instant,
        key: &AssignKey<'_>,
        persistence: Persistence,
    ) -> (Number, usize) {
        let since = *self.since.get_or_insert(now);
        let waited = now.saturating_duration_since(since).as_millis();
        let came = i64::try_from(waited).unwrap_or(i64::MAX);
        let number = Number {
            class: key.precedence.class,
            due: came.saturating_add(key.precedence.offset.into()),
            serial: self.next,
        };
        self.next += 1;
        let waiter = Waiter {
            standing: Standing::Waiting {
                server,
                waker: None,
            },
            source: key.source,
            persistence,
        };
        self.waiters.insert(number, waiter);
        let Some(queue) = self.queue(server) else {
            return (number, 0);
        };
        let before = match queue.last() {
            Some(last) if *last > number => queue.range(..number).count(),
            _ => queue.len(),
        };
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

    /// The first waiter for `server`; those of the backend's queue count if `any_may_have_it`.
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
    use crate::{backend::Precedence, test_clock::now};
    use std::net::Ipv4Addr;

    const ANY: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn join(queues: &mut Queues, server: Option<ServerIndex>) -> (Number, usize) {
        queues.join(server, now(), &AssignKey::new(ANY), Persistence::None)
    }

    #[test]
    fn the_older_of_two_heads_is_first() {
        let mut queues = Queues::new(2);
        let (zero, one) = (ServerIndex::new(0), ServerIndex::new(1));
        let (a, _) = join(&mut queues, None);
        let (b, _) = join(&mut queues, Some(zero));
        let (c, before) = join(&mut queues, None);
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
        let (a, _) = join(&mut queues, Some(zero));
        let (b, _) = join(&mut queues, None);
        assert_eq!(queues.release_from(zero), 1);
        assert_eq!(queues.len(None), 2);
        assert_eq!(queues.oldest(zero, true), Some((a, None)));
        queues.settle(a, Standing::Granted(zero));
        assert_eq!(queues.oldest(zero, true), Some((b, None)));
    }

    #[test]
    fn a_lower_class_goes_first_and_within_one_who_came_earlier_or_counts_as_earlier() {
        let mut queues = Queues::new(0);
        let start = now();
        let mut come = |after: u64, class: i16, offset: i32| {
            let key = AssignKey {
                precedence: Precedence { class, offset },
                ..AssignKey::new(ANY)
            };
            let at = start + std::time::Duration::from_millis(after);
            queues.join(None, at, &key, Persistence::None)
        };
        let usual = come(0, 0, 0);
        let late = come(10, 5, -9_000);
        let urgent = come(20, -1, 0);
        let patient = come(30, 0, 1_000);
        let hurried = come(40, 0, -41);
        let same = come(40, 0, -41);
        assert_eq!([usual.1, late.1, urgent.1], [0, 1, 0]);
        assert_eq!([patient.1, hurried.1, same.1], [2, 1, 2]);
        let line = [urgent, hurried, same, usual, patient, late];
        let waiting = queues.waiting();
        assert_eq!(waiting, line.map(|(number, _)| number));
    }
}
