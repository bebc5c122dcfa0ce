//! Slots that become free and the queues they are handed out from.

use std::{sync::atomic::Ordering::SeqCst, task::Waker};

use super::{Backend, Persistence, State};
use crate::{
    id::ServerIndex,
    queue::{Ahead, Number, Standing},
    server::Server,
};

/// The slot that a ticket has got, and how many were served before it.
type Turn = (ServerIndex, Persistence, Ahead);

impl Backend {
    /// Gives back a slot: the oldest waiter that may have it gets it.
    pub(super) fn release(&self, index: ServerIndex) {
        self.counters.sessions.leave();
        let Some(server) = self.server(index) else {
            return;
        };
        server.counters().sessions.leave();
        // During and after a reload others may wait for this very slot, and those who wait longest come first.
        if self.kin.is_large() {
            return self.kin.settle(server);
        }
        // Without limits nobody waits. Should a limit be set just now, either this sees that it was, or who sets
        // it sees the slot that was given back: both sides write before they read (SeqCst).
        if !self.settles.load(SeqCst) {
            return;
        }
        self.settle(server);
    }

    /// Gives what is free on `server` to those who wait here.
    pub(super) fn settle(&self, server: &Server) {
        let woken = {
            let mut state = self.lock();
            self.note_load(&mut state, server);
            self.hand_out(&mut state, server)
        };
        wake(woken);
    }

    /// A ticket is thrown away.
    pub(super) fn abandon(&self, number: Number) {
        let granted = {
            let mut state = self.lock();
            let Some(waiter) = state.queues.leave(number) else {
                return;
            };
            match waiter.standing {
                Standing::Granted(server) => Some(server),
                Standing::Waiting { server, .. } => {
                    self.left_queue(&mut state, server);
                    self.counters.sessions.leave();
                    None
                }
            }
        };
        if let Some(server) = granted {
            self.release(server);
        }
    }

    /// How many were served before a ticket until now.
    pub(super) fn ahead(&self, number: Number) -> Ahead {
        self.lock().queues.ahead(number)
    }

    /// The turn of a ticket, and how many were served before it.
    pub(super) fn poll_ticket(&self, number: Number, waker: &Waker) -> Option<Turn> {
        let mut state = self.lock();
        let waiter = state.queues.get_mut(number)?;
        let server = match &mut waiter.standing {
            Standing::Waiting { waker: known, .. } => {
                match known {
                    Some(known) => known.clone_from(waker),
                    None => *known = Some(waker.clone()),
                }
                return None;
            }
            Standing::Granted(server) => *server,
        };
        let persistence = waiter.persistence;
        let ahead = state.queues.ahead(number);
        state.queues.leave(number);
        Some((server, persistence, ahead))
    }

    /// Fills the free slots of one server from the queues.
    pub(super) fn hand_out(&self, state: &mut State, server: &Server) -> Vec<Waker> {
        let mut woken = Vec::new();
        let balanced = state.scheduler.weight(server.index()) > 0;
        while server.accepts_persistent() {
            let Some((number, queue)) = state.queues.oldest(server.index(), balanced) else {
                break;
            };
            if !self.enter(server) {
                break;
            }
            woken.extend(
                state
                    .queues
                    .settle(number, Standing::Granted(server.index())),
            );
            self.left_queue(state, queue);
            let (source, persistence) = match state.queues.get_mut(number) {
                Some(waiter) => (waiter.source, waiter.persistence),
                None => {
                    server.counters().sessions.leave();
                    break;
                }
            };
            self.book_slot(state, server, source, persistence);
        }
        woken
    }

    /// The same for all servers.
    pub(super) fn hand_out_all(&self, state: &mut State, woken: &mut Vec<Waker>) {
        for server in &self.servers {
            woken.extend(self.hand_out(state, server));
        }
    }

    fn left_queue(&self, state: &mut State, server: Option<ServerIndex>) {
        self.counters.waiting.leave();
        match server.and_then(|index| self.server(index)) {
            Some(server) => {
                server.counters().queue.leave();
                self.note_load(state, server);
            }
            None => {
                self.counters.queue.leave();
            }
        }
    }

    /// Everyone in line for a server that is lost waits for any server from now on, if there is one. Otherwise they
    /// keep their places, for the servers may be back before `timeout queue` is over. Returns how many moved.
    pub(super) fn requeue(&self, state: &mut State) -> usize {
        if !self.is_up() {
            return 0;
        }
        let lost = self.servers.iter().filter(|s| !s.accepts_persistent());
        lost.map(|server| {
            let moved = state.queues.release_from(server.index());
            for _ in 0..moved {
                server.counters().queue.leave();
                self.counters.queue.enter();
            }
            moved
        })
        .sum()
    }

    /// Tells the scheduler how loaded a server is and whether it is full.
    pub(super) fn note_load(&self, state: &mut State, server: &Server) {
        let counters = server.counters();
        let load = counters.sessions.value() + counters.queue.value();
        let is_full = !self.has_slot(server);
        state.scheduler.set_load(server.index(), load);
        state.scheduler.set_parked(server.index(), is_full);
        if self.elastic {
            let more = self.load_for_more(server).filter(|_| is_full);
            state.grow_at(server.index(), more);
        }
    }

    /// Gives what is free by now to those who wait, where limits grow with the load; the oldest comes first.
    pub(super) fn grow(&self, state: &mut State, woken: &mut Vec<Waker>) {
        let load = self.counters.sessions.value();
        while let Some(index) = state.grown(load) {
            let Some(server) = self.server(index) else {
                return;
            };
            self.note_load(state, server);
            if state.grown(load) == Some(index) {
                // The load was not all that it is full for: whoever gives a slot back notes it anew.
                state.grow_at(index, None);
            }
            woken.extend(self.hand_out(state, server));
        }
    }

    pub(super) fn has_slot(&self, server: &Server) -> bool {
        let limit = self.limit_of(server);
        limit == 0 || server.served() < limit
    }

    /// Takes a slot of a server, if there is one: a backend that this one has replaced, or that replaces it, may be about to
    /// take the last one under a lock of its own.
    pub(super) fn enter(&self, server: &Server) -> bool {
        let limit = self.limit_of(server);
        server.counters().sessions.enter_below(limit)
    }
}

/// Wakes after the lock is gone: a waker may run anything.
pub(super) fn wake(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}
