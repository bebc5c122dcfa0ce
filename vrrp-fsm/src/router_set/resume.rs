//! What a set leaves to the set of another process of the same host.

use super::{Authentication, RouterId, RouterSet};
use crate::{Instant, State};

/// What a successor needs to go on as a router. Times are the driver's clock, which both processes must share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// State and timers.
    pub state: State,
    /// The last sequence number that was sent or accepted, with an Authentication Header.
    pub sequence: Option<u32>,
}

impl RouterSet {
    /// What a successor has to know of a router.
    pub fn memory(&self, id: RouterId) -> Option<Memory> {
        let member = self.member(id)?;
        Some(Memory {
            state: *member.router.state(),
            sequence: match &member.attachment.authentication {
                #[cfg(feature = "auth")]
                Authentication::Header(authenticator) => Some(authenticator.sequence()),
                Authentication::None | Authentication::Password(_) => None,
            },
        })
    }

    /// Instead of [`Event::Startup`](crate::Event::Startup): the router goes on as its predecessor
    /// ([`Router::resume`](crate::Router::resume)), counting on from its sequence number.
    pub fn resume(&mut self, now: Instant, id: RouterId, memory: Memory) {
        self.assert_drained();
        let Some(member) = self.member_mut(id) else {
            return;
        };
        #[cfg(feature = "auth")]
        if let (Authentication::Header(authenticator), Some(sequence)) =
            (&mut member.attachment.authentication, memory.sequence)
        {
            authenticator.continue_after(sequence);
        }
        member.router.resume(now, memory.state);
        let group = member.group;
        self.settle(now, id);
        if let Some(group) = group {
            self.adopt_group_state(group);
            self.synchronise(now, group, id, false);
        }
    }
}
