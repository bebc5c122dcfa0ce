//! Sync groups (keepalived.conf(5), `vrrp_sync_group`): routers that change their state together.
//!
//! Pure: from how the members are to the next thing that one of them has to do. The
//! [`RouterSet`](crate::RouterSet) asks after each event of a member, and carries it out at once.
//!
//! | a member | and then |
//! |---|---|
//! | has a fault of its own | every other is held out as well ([`FaultReason::Sibling`]); an Active one resigns |
//! | has it no longer, nor has another | all become Backup, each for a full Active_Down_Interval |
//! | could be Active | it waits, until each of the others could be, or is; then all become Active at once |
//! | gives way to another router | the Active others give way too, by priority 0 |
//! | resigns because it is weaker now | the same, and all wait for Skew_Time only |
//! | is stopped or leaves the set | the others go on |
//!
//! keepalived lets the others give way without a word; priority 0 spares their Backups
//! Active_Down_Interval where another router than the winner is next.

use alloc::vec::Vec;
use core::{fmt, time::Duration};

use vrrp_proto::Priority;

use crate::{FaultReason, Heard, Instant, RouterId, StateKind};

/// Number of a sync group in its set, in the order in which they were formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(u32);

impl GroupId {
    /// The group that was formed as that one, counted from 0.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number as an index into the caller's own list.
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A member, as its group sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its number.
    pub id: RouterId,
    /// Its state.
    pub state: StateKind,
    /// It is Backup and could be Active.
    pub ready: bool,
    /// What holds it out beside the group.
    pub own: Option<FaultReason>,
    /// What of the group holds it out.
    pub sibling: Option<FaultReason>,
}

/// What a member has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Be held out by that fault of another.
    Hold(RouterId, FaultReason),
    /// Be held out no longer.
    Release(RouterId),
    /// Become Backup, because that other one has.
    StepBack(RouterId, RouterId),
    /// Become Active.
    Promote(RouterId),
}

/// The next thing to do for one of the members; `None` when they agree. `gave_way` is the member that
/// has just left Active, unless it was stopped.
pub fn next(members: &[Standing], gave_way: Option<RouterId>) -> Option<Order> {
    for member in members {
        let others = members.iter().filter(|other| other.id != member.id);
        let faults = others.filter_map(|other| Some((other.id, other.own?)));
        // What has failed before what is only not known yet.
        let gravest = faults.min_by_key(|(_, own)| own.is_waiting());
        let due = gravest.map(|(id, own)| FaultReason::Sibling {
            member: id,
            waiting: own.is_waiting(),
        });
        // Who joins an Active group is waited for; it does not end what works.
        let ends = |reason: FaultReason| member.state != StateKind::Active || !reason.is_waiting();
        match due {
            Some(reason) if member.sibling != due && ends(reason) => {
                return Some(Order::Hold(member.id, reason));
            }
            None if member.sibling.is_some() => return Some(Order::Release(member.id)),
            Some(_) | None => {}
        }
    }
    let active = |member: &&Standing| member.state == StateKind::Active;
    if let Some(first) = gave_way
        && let Some(other) = members.iter().find(active)
    {
        return Some(Order::StepBack(other.id, first));
    }
    let could_be = |member: &Standing| member.state == StateKind::Active || member.ready;
    if members.iter().all(could_be) {
        let ready = members.iter().find(|member| member.ready);
        return ready.map(|member| Order::Promote(member.id));
    }
    None
}

/// The state of all together, and the fault that holds them out. As long as they only wait for first
/// results they have not begun. One that joins later is Backup for a while beside Active ones.
pub fn state(members: &[Standing]) -> (StateKind, Option<FaultReason>) {
    let own = members.iter().filter_map(|member| member.own);
    let fault = own.min_by_key(|fault| fault.is_waiting());
    let any = |state| members.iter().any(|member| member.state == state);
    if any(StateKind::Active) {
        (StateKind::Active, None)
    } else if any(StateKind::Fault) && fault.is_some_and(|fault| !fault.is_waiting()) {
        (StateKind::Fault, fault)
    } else if any(StateKind::Fault) {
        (StateKind::Initialize, fault)
    } else if any(StateKind::Backup) {
        (StateKind::Backup, None)
    } else {
        (StateKind::Initialize, None)
    }
}

/// One group of a set.
#[derive(Debug, Clone, Default)]
pub(crate) struct SyncGroup {
    pub(crate) members: Vec<RouterId>,
    pub(crate) state: Option<StateKind>,
    pub(crate) crossing: Crossing,
    /// The last advert that beat the priority of a member, and the last that a member's beats.
    pub(crate) higher: Option<Rival>,
    pub(crate) lower: Option<Rival>,
}

/// An advert that a member heard from another router than those of its own group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rival {
    pub(crate) id: RouterId,
    /// The member's own priority then.
    pub(crate) own: Priority,
    pub(crate) heard: Heard,
}

/// Whether members hear that they want different things: one loses against a living router that another
/// one wins against. A moment of that is an election; the same again an interval later is a
/// configuration that never converges.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Crossing {
    since: Option<Instant>,
    told: bool,
}

impl Crossing {
    /// One member was beaten last at `higher`, another won last at `lower`; both are remembered for
    /// `patience`. True once, when that has become a state of affairs.
    pub(crate) fn observe(
        &mut self,
        now: Instant,
        crossed: Option<(Instant, Instant)>,
        patience: Duration,
    ) -> bool {
        let recent = |at: Instant| now.since(at) <= patience * 2;
        let Some((higher, lower)) = crossed.filter(|(a, b)| recent(*a) && recent(*b)) else {
            *self = Self::default();
            return false;
        };
        let since = *self.since.get_or_insert(now);
        let again = since + patience / 4;
        !self.told && higher >= again && lower >= again && {
            self.told = true;
            true
        }
    }
}

#[cfg(test)]
mod tests;
