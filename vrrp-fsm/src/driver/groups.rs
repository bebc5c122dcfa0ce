//! Sync groups of the routers that a driver runs.

use std::vec::Vec;

use super::{Driver, Host, Observation, now};
use crate::{GroupId, RouterId};

impl<H: Host> Driver<H> {
    /// Binds routers into a sync group ([`RouterSet::form_group`](crate::RouterSet::form_group)).
    pub fn form_group(
        &mut self,
        members: Vec<RouterId>,
        mut observer: impl FnMut(RouterId, Observation),
    ) -> GroupId {
        let group = self.set.form_group(now(), members);
        self.perform(&mut observer);
        group
    }

    /// Other members for a sync group; none dissolves it
    /// ([`RouterSet::reform_group`](crate::RouterSet::reform_group)).
    pub fn reform_group(
        &mut self,
        group: GroupId,
        members: Vec<RouterId>,
        mut observer: impl FnMut(RouterId, Observation),
    ) {
        self.set.reform_group(now(), group, members);
        self.perform(&mut observer);
    }
}
