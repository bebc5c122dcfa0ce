//! Sync groups of a set: who belongs to which, and carrying out what [`sync_group`] decides.

use alloc::vec::Vec;

use super::{GroupId, Member, RouterId, RouterSet};
use crate::{
    Action, Event, FaultKind, GroupTransition, Heard, Instant, Reason, Received, StateKind,
    Warning,
    sync_group::{self, Order, Rival, Standing, SyncGroup},
};

impl RouterSet {
    /// Binds routers into a sync group; a router is in one at most. Before [`Event::Startup`], or
    /// while they run. The first number of a group that was dissolved is the new
    /// one's.
    pub fn form_group(&mut self, now: Instant, members: Vec<RouterId>) -> GroupId {
        let dissolved = |group: &SyncGroup| group.members.is_empty() && group.state.is_some();
        let vacant = self.groups.iter().position(dissolved);
        let place = vacant.unwrap_or(self.groups.len());
        match self.groups.get_mut(place) {
            Some(group) => *group = SyncGroup::default(),
            None => self.groups.push(SyncGroup::default()),
        }
        let id = GroupId::new(u32::try_from(place).unwrap_or(u32::MAX));
        self.reform_group(now, id, members);
        id
    }

    /// Other members for a group; none dissolves it. Members that stay are not disturbed: one that
    /// joins an Active group becomes Active when it could be.
    pub fn reform_group(&mut self, now: Instant, group: GroupId, members: Vec<RouterId>) {
        self.assert_drained();
        self.regroup(now, group, members);
    }

    pub(super) fn regroup(&mut self, now: Instant, group: GroupId, members: Vec<RouterId>) {
        let Some(place) = self.groups.get_mut(group.index()) else {
            return;
        };
        let before = core::mem::replace(&mut place.members, members.clone());
        for id in before.into_iter().filter(|id| !members.contains(id)) {
            if let Some(member) = self.member_mut(id).filter(|one| one.group == Some(group)) {
                member.group = None;
                member.router.set_grouped(false);
                self.step(now, id, Event::Recovered(FaultKind::Sibling));
            }
        }
        for id in &members {
            let Some(member) = self.member_mut(*id) else {
                continue;
            };
            member.router.set_grouped(true);
            let other = member.group.replace(group).filter(|other| *other != group);
            let other = other.and_then(|other| self.groups.get_mut(other.index()));
            if let Some(other) = other {
                other.members.retain(|member| member != id);
            }
        }
        if let Some(first) = members.first() {
            self.synchronise(now, group, *first, false);
        }
    }

    /// The members of a group.
    pub fn group(&self, group: GroupId) -> &[RouterId] {
        self.groups
            .get(group.index())
            .map_or(&[], |group| &group.members)
    }

    /// A member has changed: brings the others to agree, then tells what has become of the group.
    pub(super) fn synchronise(
        &mut self,
        now: Instant,
        group: GroupId,
        changed: RouterId,
        was_active: bool,
    ) {
        let state = self.member(changed).map(|one| one.router.state().kind());
        // One that was stopped takes nobody along.
        let gave_way = matches!(state, Some(StateKind::Backup | StateKind::Fault));
        let gave_way = (was_active && gave_way).then_some(changed);
        // Each order changes one member for good: a bound is for the eye only.
        for _ in 0..4 * self.group(group).len() {
            match sync_group::next(&self.standings(group), gave_way) {
                None => break,
                Some(Order::Hold(id, reason)) => self.step_alone(now, id, Event::Fault(reason)),
                Some(Order::Release(id)) => {
                    self.step_alone(now, id, Event::Recovered(FaultKind::Sibling));
                }
                Some(Order::StepBack(id, first)) => {
                    self.step_alone(now, id, Event::StepBack(first));
                    // All of them take over again where nobody is better.
                    if self.resigned_at_once(first) {
                        self.act_alone(now, id, |router| router.wait_for_skew_time(now));
                    }
                }
                Some(Order::Promote(id)) => self.step_alone(now, id, Event::Promote),
            }
        }
        let (to, fault) = sync_group::state(&self.standings(group));
        if let Some(place) = self.groups.get_mut(group.index()) {
            let from = place.state.replace(to).unwrap_or(StateKind::Initialize);
            if from != to {
                let transition = GroupTransition {
                    group,
                    from,
                    to,
                    fault,
                };
                self.actions.push_back((changed, Action::Group(transition)));
            }
        }
    }

    fn resigned_at_once(&self, id: RouterId) -> bool {
        let last = self.member(id).and_then(|member| member.last);
        last.is_some_and(|(_, last)| matches!(last.reason, Reason::Weakened { .. }))
    }

    /// The group's state is what its members have brought from another process; nothing is told.
    pub(super) fn adopt_group_state(&mut self, group: GroupId) {
        let (state, _) = sync_group::state(&self.standings(group));
        if let Some(group) = self.groups.get_mut(group.index()) {
            group.state = Some(state);
        }
    }

    fn standings(&self, group: GroupId) -> Vec<Standing> {
        let members = self.group(group).iter();
        let known = members.filter_map(|id| Some((*id, self.member(*id)?)));
        known.map(|(id, member)| member.standing(id)).collect()
    }

    /// Takes note of who beats whom; a warning if the group can never agree.
    pub(super) fn note_rivals(&mut self, now: Instant, id: RouterId, received: &Received) {
        let Some(Some(member)) = self.members.get_mut(id.index()) else {
            return;
        };
        let Some(group) = member.group else { return };
        let own = member.router.priority();
        let heard = Heard {
            source: received.source,
            priority: received.priority,
            at: now,
        };
        let patience = member.router.patience();
        let Some(place) = self.groups.get_mut(group.index()) else {
            return;
        };
        let rival = Rival { id, own, heard };
        if received.priority > own {
            place.higher = Some(rival);
        } else if received.priority < own && received.priority.value() > 0 {
            place.lower = Some(rival);
        }
        let crossed = place.higher.zip(place.lower);
        let crossed = crossed.filter(|(higher, lower)| higher.id != lower.id);
        let times = crossed.map(|(higher, lower)| (higher.heard.at, lower.heard.at));
        if place.crossing.observe(now, times, patience)
            && let Some((higher, lower)) = crossed
        {
            let warning = Warning::CrossedPriorities {
                source: higher.heard.source,
                priority: higher.heard.priority,
                own: higher.own,
                member: lower.id,
                members: lower.own,
                beaten: lower.heard.priority,
            };
            self.actions.push_back((higher.id, Action::Warn(warning)));
        }
    }
}

impl Member {
    /// As its sync group sees it.
    pub(super) fn standing(&self, id: RouterId) -> Standing {
        Standing {
            id,
            state: self.router.state().kind(),
            ready: self.router.is_ready(),
            own: self.router.faults().own(),
            sibling: self.router.faults().sibling(),
        }
    }
}
