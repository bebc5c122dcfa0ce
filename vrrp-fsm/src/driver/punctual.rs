//! Whether the moments at which packets came in are worth knowing: a Backup is woken some hundred microseconds after an
//! advert came, and would take over that much late. While a router here is Active the host serves clients, and noting
//! the moment of each packet of theirs would cost more than it brings.

use crate::{RouterSet, StateKind};

/// What the host has been told.
#[derive(Debug, Default)]
pub(super) struct Punctual {
    told: Option<bool>,
    /// Nothing has changed since.
    known: bool,
}

impl Punctual {
    /// A router has another state.
    pub(super) const fn has_changed(&mut self) {
        self.known = false;
    }

    /// What the host is to be told, if that is news.
    pub(super) fn turn(&mut self, set: &RouterSet) -> Option<bool> {
        if core::mem::replace(&mut self.known, true) {
            return None;
        }
        let mut states = set
            .ids()
            .filter_map(|id| Some(set.router(id)?.state().kind()));
        let stamps = !states.any(|state| state == StateKind::Active);
        (self.told.replace(stamps) != Some(stamps)).then_some(stamps)
    }
}
