//! Streams that wait for a slot: one queue per server and one for the whole backend, first come first served
//! over both unless rules give some precedence.
//!
//! Plain data under the lock of its backend. A waiter's number is its place in line, so a queue is an ordered set of
//! numbers, and joining it anywhere or leaving it in the middle costs O(log n). Never here: deciding who has a slot.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    task::Waker,
    time::Instant,
};

use crate::{
    backend::{AssignKey, Persistence},
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
        /// How many this queue had served when it joined.
        since: u64,
        waker: Option<Waker>,
    },
    /// Its slot was taken for it.
    Granted(ServerIndex),
}

/// One waiting stream.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) standing: Standing,
    pub(crate) source: IpAddr,
    pub(crate) persistence: Persistence,
    /// How many were served before it in queues that it has left.
    passed: Ahead,
}

/// How many were served before a waiter, each of which had joined its queue before it or has overtaken it since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ahead {
    /// In queues of servers; `None` if it was in none (`%sq`).
    pub server: Option<u64>,
    /// In the queue of the backend; `None` if it was not there (`%bq`).
    pub backend: Option<u64>,
}

impl Ahead {
    /// The same with `served` more in a queue of this kind.
    fn with(mut self, server: Option<ServerIndex>, served: u64) -> Self {
        let place = match server {
            Some(_) => &mut self.server,
            None => &mut self.backend,
        };
        *place = Some(place.unwrap_or(0) + served);
        self
    }
}

/// Those who wait for one server, or for any.
#[derive(Debug, Clone, Default)]
struct Line {
    waiting: BTreeSet<Number>,
    /// How many have got a slot.
    served: u64,
}

/// All waiters of a backend.
#[derive(Debug)]
pub(crate) struct Queues {
    next: u64,
    /// When the first waiter came.
    since: Option<Instant>,
    waiters: BTreeMap<Number, Waiter>,
    backend: Line,
    servers: Vec<Line>,
}

impl Queues {
    pub(crate) fn new(servers: usize) -> Self {
        Self {
            next: 0,
            since: None,
            waiters: BTreeMap::new(),
            backend: Line::default(),
            servers: vec![Line::default(); servers],
        }
    }

    /// Puts a waiter into the queue of `server` or of the backend; returns its number.
    pub(crate) fn join(
        &mut self,
        server: Option<ServerIndex>,
        now: Instant,
        key: &AssignKey<'_>,
        persistence: Persistence,
    ) -> Number {
        let since = *self.since.get_or_insert(now);
        let waited = now.saturating_duration_since(since).as_millis();
        let came = i64::try_from(waited).unwrap_or(i64::MAX);
        let number = Number {
            class: key.precedence.class,
            due: came.saturating_add(key.precedence.offset.into()),
            serial: self.next,
        };
        self.next += 1;
        let mut since = 0;
        if let Some(line) = self.line(server) {
            line.waiting.insert(number);
            since = line.served;
        }
        let waiter = Waiter {
            standing: Standing::Waiting {
                server,
                since,
                waker: None,
            },
            source: key.source,
            persistence,
            passed: Ahead::default(),
        };
        self.waiters.insert(number, waiter);
        number
    }

    /// How many were served before this waiter until now, or until it was.
    pub(crate) fn ahead(&mut self, number: Number) -> Ahead {
        let Some(waiter) = self.waiters.get(&number) else {
            return Ahead::default();
        };
        let passed = waiter.passed;
        let Standing::Waiting { server, since, .. } = waiter.standing else {
            return passed;
        };
        let served = self.line(server).map_or(since, |line| line.served);
        passed.with(server, served - since)
    }

    /// How many wait for `server`, or for any.
    pub(crate) fn len(&self, server: Option<ServerIndex>) -> usize {
        match server {
            None => self.backend.waiting.len(),
            Some(server) => {
                let line = self.servers.get(server.index());
                line.map_or(0, |line| line.waiting.len())
            }
        }
    }

    /// The first waiter for `server`; those of the backend's queue count if `any_may_have_it`.
    pub(crate) fn oldest(
        &self,
        server: ServerIndex,
        any_may_have_it: bool,
    ) -> Option<(Number, Option<ServerIndex>)> {
        let own = self.servers.get(server.index());
        let own = own.and_then(|line| line.waiting.first());
        let common = self.backend.waiting.first().filter(|_| any_may_have_it);
        match (own, common) {
            (Some(own), Some(common)) if common < own => Some((*common, None)),
            (Some(own), _) => Some((*own, Some(server))),
            (None, Some(common)) => Some((*common, None)),
            (None, None) => None,
        }
    }

    /// Ends the wait of `number`; returns whom to wake.
    pub(crate) fn settle(&mut self, number: Number, standing: Standing) -> Option<Waker> {
        let passed = self.ahead(number);
        let is_served = matches!(standing, Standing::Granted(_));
        let waiter = self.waiters.get_mut(&number)?;
        waiter.passed = passed;
        let before = std::mem::replace(&mut waiter.standing, standing);
        let Standing::Waiting { server, waker, .. } = before else {
            return None;
        };
        if let Some(line) = self.line(server) {
            line.waiting.remove(&number);
            line.served += u64::from(is_served);
        }
        waker
    }

    /// A waiter goes, whatever it stands for.
    pub(crate) fn leave(&mut self, number: Number) -> Option<Waiter> {
        let waiter = self.waiters.remove(&number)?;
        if let Standing::Waiting { server, .. } = waiter.standing
            && let Some(line) = self.line(server)
        {
            line.waiting.remove(&number);
        }
        Some(waiter)
    }

    pub(crate) fn get_mut(&mut self, number: Number) -> Option<&mut Waiter> {
        self.waiters.get_mut(&number)
    }

    /// Everyone who waits for `server` now waits for any, at the place of its age. Returns how many moved.
    pub(crate) fn release_from(&mut self, server: ServerIndex) -> usize {
        let Some(line) = self.servers.get_mut(server.index()) else {
            return 0;
        };
        let moved = std::mem::take(&mut line.waiting);
        for number in &moved {
            let passed = self.ahead(*number);
            if let Some(waiter) = self.waiters.get_mut(number) {
                waiter.persistence = waiter.persistence.without_server();
                waiter.passed = passed;
                if let Standing::Waiting { server, since, .. } = &mut waiter.standing {
                    (*server, *since) = (None, self.backend.served);
                }
            }
        }
        let count = moved.len();
        self.backend.waiting.extend(moved);
        count
    }

    fn line(&mut self, server: Option<ServerIndex>) -> Option<&mut Line> {
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

    /// Everyone who waits in the backend's queue.
    fn waiting(queues: &Queues) -> Vec<Number> {
        queues.backend.waiting.iter().copied().collect()
    }

    fn join(queues: &mut Queues, server: Option<ServerIndex>) -> Number {
        queues.join(server, now(), &AssignKey::new(ANY), Persistence::None)
    }

    #[test]
    fn the_older_of_two_heads_is_first() {
        let mut queues = Queues::new(2);
        let (zero, one) = (ServerIndex::new(0), ServerIndex::new(1));
        let a = join(&mut queues, None);
        let b = join(&mut queues, Some(zero));
        let c = join(&mut queues, None);
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
        let a = join(&mut queues, Some(zero));
        let b = join(&mut queues, None);
        assert_eq!(queues.release_from(zero), 1);
        assert_eq!(queues.len(None), 2);
        assert_eq!(queues.oldest(zero, true), Some((a, None)));
        queues.settle(a, Standing::Granted(zero));
        assert_eq!(queues.oldest(zero, true), Some((b, None)));
    }

    #[test]
    fn those_who_are_served_before_another_are_counted_where_it_waits() {
        let mut queues = Queues::new(1);
        let zero = ServerIndex::new(0);
        let ahead = |server, backend| Ahead { server, backend };
        let [a, b, c, d] = [(); 4].map(|()| join(&mut queues, Some(zero)));
        let other = join(&mut queues, None);
        queues.settle(a, Standing::Granted(zero));
        // Who gives up was not served.
        queues.leave(b);
        assert_eq!(queues.ahead(a), ahead(Some(0), None));
        assert_eq!(queues.ahead(c), ahead(Some(1), None));
        assert_eq!(queues.ahead(other), ahead(None, Some(0)));
        queues.release_from(zero);
        queues.settle(c, Standing::Granted(zero));
        assert_eq!(queues.ahead(c), ahead(Some(1), Some(0)));
        assert_eq!(queues.ahead(d), ahead(Some(1), Some(1)));
        assert_eq!(queues.ahead(other), ahead(None, Some(1)));
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
        let line = [urgent, hurried, same, usual, patient, late];
        assert_eq!(waiting(&queues), line);
        // Whoever has a better place is served before those who came earlier, and counts for them.
        let overtaken = [0, 1, 2, 3, 4, 5];
        for (number, before) in line.into_iter().zip(overtaken) {
            assert_eq!(queues.ahead(number).backend, Some(before));
            queues.settle(number, Standing::Granted(ServerIndex::new(0)));
        }
    }

    #[test]
    fn a_crowd_of_many_priorities_comes_and_goes_in_order() {
        // Were joining linear, this took a minute.
        const CROWD: i32 = 50_000;
        let (mut queues, now) = (Queues::new(0), now());
        for n in 0..CROWD {
            let offset = n * 7919 % CROWD;
            let key = AssignKey {
                precedence: Precedence { class: 0, offset },
                ..AssignKey::new(ANY)
            };
            queues.join(None, now, &key, Persistence::None);
        }
        let line = waiting(&queues);
        assert!(line.is_sorted_by(|a, b| a < b));
        let last = *line.last().unwrap();
        for number in line {
            assert_eq!(
                queues.oldest(ServerIndex::new(0), true),
                Some((number, None))
            );
            queues.settle(number, Standing::Granted(ServerIndex::new(0)));
        }
        assert_eq!(queues.ahead(last).backend, u64::try_from(CROWD - 1).ok());
    }
}
