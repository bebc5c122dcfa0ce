//! The decision.

use std::{net::IpAddr, sync::Arc, time::Instant};

use super::{
    AssignKey, Assignment, Backend, Lease, Persistence, Refusal, State, Ticket, slots::wake,
};
use crate::{
    balance::{Algorithm, Pick},
    config::ServerIdentity,
    id::ServerIndex,
    server::Server,
    stick_table::{Key, Remembered},
};

impl Backend {
    /// Gives the stream a server, a place in a queue, or nothing.
    pub fn assign(self: &Arc<Self>, now: Instant, key: &AssignKey<'_>) -> Assignment {
        let cell = self.counters.traffic.cell();
        if key.exclude.is_none() {
            cell.sessions.increment();
            self.counters.session_rate.count(now);
        }
        let mut woken = Vec::new();
        let plan;
        let assignment = {
            let mut state = self.lock();
            state.now = state.now.max(now);
            self.warm(&mut state, now, &mut woken);
            plan = state.plan();
            let assignment = self.decide(&mut state, now, key);
            self.grow(&mut state, &mut woken);
            assignment
        };
        wake(woken);
        self.lay_out(plan);
        assignment
    }

    fn decide(
        self: &Arc<Self>,
        state: &mut State,
        now: Instant,
        key: &AssignKey<'_>,
    ) -> Assignment {
        let (wanted, persistence) = self.wanted(now, key);
        if let Some(server) = wanted.or_else(|| self.last(key)) {
            if state.queues.len(Some(server.index())) == 0 && self.enter(server) {
                return self.lease(state, server, key.source, persistence);
            }
            if !is_queue_full(server) {
                return self.queue(state, Some(server.index()), key, persistence);
            }
            // `option redispatch` lets the balancing take over.
            if wanted.is_some() && self.config.redispatch.is_none() {
                return Assignment::Refused(Refusal::QueueFull(server.index()));
            }
        }
        let persistence = persistence.without_server();
        let hash = match self.config.balance {
            Algorithm::Source => Some(self.config.hash.of_address(key.source)),
            _ => key.hash,
        };
        let mut pick = self.pick(state, hash, key.exclude);
        if pick == Pick::Nobody && key.exclude.is_some() {
            pick = self.pick(state, hash, None);
        }
        match pick {
            Pick::Free(index) => match self.server(index) {
                Some(server) => self.lease(state, server, key.source, persistence),
                None => Assignment::Refused(Refusal::NoServer),
            },
            Pick::Full(index) if self.server(index).is_some_and(is_queue_full) => {
                Assignment::Refused(Refusal::QueueFull(index))
            }
            Pick::Full(index) => self.queue(state, Some(index), key, persistence),
            Pick::Nobody if self.usable_servers() != (0, 0) => {
                self.queue(state, None, key, persistence)
            }
            Pick::Nobody => Assignment::Refused(Refusal::NoServer),
        }
    }

    /// What the balancing says; a slot of the server that is free is taken. It may not have heard yet that a server is full: its
    /// limit has shrunk with the load, or a backend that this one has replaced gave out the slot.
    fn pick(&self, state: &mut State, hash: Option<u32>, except: Option<ServerIndex>) -> Pick {
        loop {
            let pick = state.scheduler.pick(hash, except);
            match pick {
                Pick::Free(index) => match self.server(index) {
                    Some(server) if !self.enter(server) => self.note_load(state, server),
                    _ => return pick,
                },
                _ => return pick,
            }
        }
    }

    /// The server that the client has been with until now, if it can go on there.
    fn last(&self, key: &AssignKey<'_>) -> Option<&Server> {
        let last = key.last.filter(|last| key.exclude != Some(*last))?;
        self.server(last)
            .filter(|server| server.accepts_persistent())
    }

    /// Whether a connection that asks for `server` may go there, which with `option persist` it may at any time.
    pub(crate) fn keeps_to(&self, server: &Server) -> bool {
        server.accepts_persistent() || self.config.persist
    }

    /// The server that the request itself asks for, and what is said of its cookie.
    fn wanted(&self, now: Instant, key: &AssignKey<'_>) -> (Option<&Server>, Persistence) {
        let usable = |index: ServerIndex| {
            self.server(index).filter(|server| {
                key.exclude != Some(index) && (self.keeps_to(server) || key.insists)
            })
        };
        if let Some(server) = key.forced.and_then(usable) {
            return (Some(server), Persistence::Stuck);
        }
        let mut persistence = Persistence::None;
        if let Some(cookie) = key.cookie {
            let named = self.by_cookie.find(cookie, &self.servers, self.kin.moves());
            match named.map(usable) {
                Some(Some(server)) => {
                    let found = match server.accepts_persistent() {
                        true => Persistence::Valid,
                        false => Persistence::Insisted,
                    };
                    return (Some(server), found);
                }
                Some(None) => persistence = Persistence::Down,
                None => persistence = Persistence::Invalid,
            }
        }
        let of_source = || {
            self.sources
                .as_ref()?
                .server(now, &Key::from_ip(key.source))?
                .number
        };
        let stuck = key
            .stuck
            .or_else(of_source)
            .and_then(|number| self.directory.numbered(number))
            .and_then(usable)
            .filter(|server| server.accepts_persistent() || key.insists);
        match stuck {
            Some(server) => (Some(server), Persistence::Stuck),
            None => (None, persistence),
        }
    }

    /// The number of the server that a table remembers, found by its name or address before its number.
    pub fn number_of(&self, remembered: &Remembered) -> Option<u32> {
        let by_key = remembered.key.as_ref().and_then(|(identity, text)| {
            let index = match identity {
                ServerIdentity::Name => self.directory.named(text),
                ServerIdentity::Address => {
                    let moves = self.kin.moves();
                    let address = text.parse().ok()?;
                    self.directory.at(address, &self.servers, moves)
                }
            };
            self.server(index?)
        });
        by_key.map(Server::number).or(remembered.number)
    }

    fn lease(
        self: &Arc<Self>,
        state: &mut State,
        server: &Server,
        source: IpAddr,
        persistence: Persistence,
    ) -> Assignment {
        self.counters.sessions.enter();
        self.book_slot(state, server, source, persistence);
        Assignment::Leased(Lease::new(Arc::clone(self), server.index(), persistence))
    }

    fn queue(
        self: &Arc<Self>,
        state: &mut State,
        server: Option<ServerIndex>,
        key: &AssignKey<'_>,
        persistence: Persistence,
    ) -> Assignment {
        let number = state.queues.join(server, state.now, key, persistence);
        self.counters.sessions.enter();
        self.counters.waiting.enter();
        match server.and_then(|index| self.server(index)) {
            Some(server) => {
                server.counters().queue.enter();
                self.note_load(state, server);
            }
            None => {
                self.counters.queue.enter();
            }
        }
        Assignment::Queued(Ticket::new(Arc::clone(self), number, server))
    }

    /// Books a slot that was [taken](Self::enter), for a lease that is about to be made.
    pub(super) fn book_slot(
        &self,
        state: &mut State,
        server: &Server,
        source: IpAddr,
        how: Persistence,
    ) {
        let now = state.now;
        let counters = server.counters();
        counters.session_rate.count(now);
        counters.last_session.mark(now);
        self.counters.last_session.mark(now);
        let cell = counters.traffic.cell();
        cell.sessions.increment();
        if !how.is_direct() {
            cell.chosen.increment();
            self.counters.traffic.cell().chosen.increment();
        }
        self.note_load(state, server);
        if let Some(table) = &self.sources {
            table.set_server(now, &Key::from_ip(source), server.number(), None);
        }
    }
}

/// `maxqueue` is reached.
fn is_queue_full(server: &Server) -> bool {
    server
        .config()
        .maxqueue
        .is_some_and(|most| server.counters().queue.value() >= most)
}
