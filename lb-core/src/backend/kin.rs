//! A backend and those of the same name that it has replaced: for a while they serve beside each other and share
//! the slots of their servers, so whatever becomes free here may be waited for there.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Instant,
};

use super::{Backend, slots::wake};
use crate::server::Server;

/// The backends that share their servers, oldest first.
#[derive(Debug, Default)]
pub(super) struct Kin {
    /// More than one may live.
    large: AtomicBool,
    members: Mutex<Vec<Weak<Backend>>>,
    /// How often a server of theirs got another address, or lost it.
    moves: AtomicU64,
}

impl Kin {
    /// How often a server of theirs got another address, or lost it.
    pub(super) fn moves(&self) -> u64 {
        self.moves.load(SeqCst)
    }

    /// A server's address has changed.
    pub(super) fn note_move(&self) {
        self.moves.fetch_add(1, SeqCst);
    }

    /// A backend begins to serve.
    pub(super) fn join(&self, backend: &Arc<Backend>) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.push(Arc::downgrade(backend));
        self.large.store(members.len() > 1, SeqCst);
    }

    /// Whether slots may be waited for elsewhere.
    pub(super) fn is_large(&self) -> bool {
        self.large.load(SeqCst)
    }

    /// Those who live, oldest first; forgets the others.
    fn living(&self) -> Vec<Arc<Backend>> {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| member.strong_count() > 0);
        self.large.store(members.len() > 1, SeqCst);
        members.iter().filter_map(Weak::upgrade).collect()
    }

    /// Gives what is free on `server` to those who wait for it, the oldest backend's waiters first.
    pub(super) fn settle(&self, server: &Server) {
        for member in self.living() {
            // It is the same server only under the same name.
            let own = member.server_named(server.name());
            if let Some(own) = own.filter(|own| own.shares_slots_with(server)) {
                member.settle(own);
            }
        }
    }

    /// The others follow a change of state of a server that `changed` has carried out.
    pub(super) fn follow(&self, changed: &Backend, now: Instant) {
        if !self.is_large() {
            return;
        }
        for member in self.living() {
            if std::ptr::eq(&raw const *member, changed) {
                continue;
            }
            let mut woken = Vec::new();
            let plan;
            {
                let mut state = member.lock();
                member.refresh(&mut state, now);
                member.requeue(&mut state);
                member.hand_out_all(&mut state, &mut woken);
                plan = state.plan();
            }
            wake(woken);
            member.lay_out(plan);
        }
    }
}
