//! What a set leaves to the set of another process of the same host.

#[cfg(feature = "auth")]
use super::Authentication;
use super::{RouterId, RouterSet};
use crate::{Instant, Reason, State, StateKind};

/// What a successor needs to go on as a router. Times are the driver's clock, which both processes must share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// State and timers.
    pub state: State,
    /// The last sequence number that was sent or accepted, with an Authentication Header.
    pub sequence: Option<u32>,
    /// What was sent and heard with the trailer of `auth_hmac`.
    #[cfg(feature = "auth")]
    pub hmac: Option<vrrp_proto::auth_hmac::Memory>,
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
                _ => None,
            },
            #[cfg(feature = "auth")]
            hmac: match &member.attachment.authentication {
                Authentication::Hmac(authenticator) => Some(authenticator.memory()),
                _ => None,
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
        #[cfg(feature = "auth")]
        if let (Authentication::Hmac(authenticator), Some(hmac)) =
            (&mut member.attachment.authentication, memory.hmac)
        {
            authenticator.resume(hmac);
        }
        member.router.resume(now, memory.state);
        let group = member.group;
        self.settle(now, id);
        if let Some(group) = group {
            self.adopt_group_state(group);
            // Whoever was found late takes along those that are resumed after it.
            let late = self.group(group).iter().copied().find(|id| {
                let last = self.member(*id).and_then(|member| member.last);
                last.is_some_and(|(_, last)| {
                    last.to == StateKind::Backup && matches!(last.reason, Reason::Late { .. })
                })
            });
            self.synchronise(now, group, late.unwrap_or(id), late.is_some());
        }
    }
}
