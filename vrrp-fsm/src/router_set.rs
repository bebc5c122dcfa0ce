//! Many virtual routers behind one set of sockets: dispatch, authentication, deadlines and
//! counters.
//!
//! Sans-IO like [`Router`]: packets and events in, one ordered queue of actions out. Dispatch by
//! (interface, family, VRID) is O(1), the earliest deadline O(log n); an advert that comes or goes
//! allocates nothing. A router with one address, one tracked script and one peer takes about 940 bytes, all told,
//! and one whose tables of peers and of refused senders are full less than 4 KiB (`tests/memory.rs` counts it all).

use alloc::{collections::VecDeque, vec::Vec};
use core::{fmt, net::IpAddr};

use vrrp_proto::Priority;

use crate::{
    Action, ConfigError, Event, FaultKind, FaultReason, GroupId, Instant, Object, Peer,
    PriorityChange, Rejections, Router, RouterConfig, RouterStatus, StateKind, Statistics,
    Transition,
    sync_group::SyncGroup,
    track::{Health, Tracks, Verdict},
};

mod attachment;
mod authentication;
mod deadlines;
mod doubt;
mod emit;
mod index;
mod receive;
mod reconfigure;
mod resume;
mod strangers;
mod synchronise;
mod timers;

pub use attachment::{Attachment, Authentication, Transport, UnicastPeer};
use deadlines::Deadlines;
pub use emit::{Outgoing, WriteError, Written};
use index::{Index, Key};
pub use receive::{Packet, Refused, Rejected, Rejection};
pub use resume::Memory;
pub use strangers::Stranger;
use strangers::Strangers;

/// Number of a router in its set, in the order of insertion. That of one that has [left](RouterSet::release) is used
/// again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterId(u32);

/// Virtual routers of one host.
#[derive(Debug, Clone, Default)]
pub struct RouterSet {
    /// By number; `None` where one has left, until another gets it.
    members: Vec<Option<Member>>,
    /// Numbers that are free, the next one last.
    vacant: Vec<RouterId>,
    index: Index,
    deadlines: Deadlines,
    actions: VecDeque<(RouterId, Action)>,
    /// Lent to the router that handles an event: none needs one of its own.
    queue: VecDeque<Action>,
    stray: Rejections,
    strangers: Strangers,
    groups: Vec<SyncGroup>,
    /// A peer has told another interval.
    learned: bool,
    /// Since 1970, as last told.
    #[cfg(feature = "auth")]
    unix: core::time::Duration,
}

#[derive(Debug, Clone)]
struct Member {
    router: Router,
    attachment: Attachment,
    tracks: Tracks,
    deadline: Option<Instant>,
    statistics: Statistics,
    peers: Vec<Peer>,
    refused: Vec<Refused>,
    last: Option<(Instant, Transition)>,
    warned: doubt::Warned,
    /// It has left the set: only its number remains.
    retired: bool,
    group: Option<GroupId>,
}

impl RouterId {
    /// The router that was inserted as that one, counted from 0.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number, counted from 0.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Its number as an index into the caller's own list.
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl RouterSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty set with room for so many routers.
    pub fn with_capacity(routers: usize) -> Self {
        Self {
            members: Vec::with_capacity(routers),
            index: Index::with_capacity(routers),
            deadlines: Deadlines::with_capacity(routers),
            ..Self::default()
        }
    }

    /// Adds a router in Initialize; nothing happens before [`Event::Startup`]. The same VRID twice on an
    /// interface is possible where the two cannot be confused: other multicast groups, or no common
    /// unicast peer. Until the host tells it, its primary address is that of others on its interface, lest it hold
    /// out an Active group that it joins.
    pub fn insert(
        &mut self,
        attachment: Attachment,
        mut config: RouterConfig,
    ) -> Result<RouterId, ConfigError> {
        let key = Key {
            interface: attachment.interface,
            family: config.family,
            vrid: config.vrid,
        };
        if self.is_taken(key, &attachment.transport) {
            return Err(ConfigError::Duplicate {
                interface: key.interface,
                vrid: key.vrid,
            });
        }
        let id = self.next_ids().next().unwrap_or(RouterId(u32::MAX));
        let base = config.priority;
        if config.primary.is_none() {
            config.primary = self.primary_of_others(key);
        }
        let tracks = Tracks::new(attachment.tracks.iter().copied());
        let mut router = Router::new(config)?;
        // In Initialize these events only note, and ask for nothing.
        router.handle(Instant::ZERO, verdict_event(&tracks, base));
        router.handle(Instant::ZERO, attachment.transport.reach());
        let member = Member {
            router,
            attachment,
            tracks,
            deadline: None,
            statistics: Statistics::default(),
            peers: Vec::new(),
            refused: Vec::new(),
            last: None,
            warned: doubt::Warned::default(),
            retired: false,
            group: None,
        };
        match self
            .vacant
            .pop()
            .and_then(|id| self.members.get_mut(id.index()))
        {
            Some(place) => *place = Some(member),
            None => {
                self.members.push(Some(member));
                self.deadlines.admit();
            }
        }
        self.index.insert(key, id);
        Ok(id)
    }

    /// The primary address of the interface, as those have it that follow it. An owner's may be one of its own.
    fn primary_of_others(&self, key: Key) -> Option<IpAddr> {
        let follows = |member: &&Member| {
            let (config, attachment) = (member.router.config(), &member.attachment);
            !member.retired
                && !attachment.fixed_primary
                && config.priority != Priority::OWNER
                && (attachment.interface, config.family) == (key.interface, key.family)
        };
        let mut others = self.members.iter().flatten().filter(follows);
        others.find_map(|member| member.router.config().primary)
    }

    /// Whether a router of the set could be confused with one of that key and transport.
    fn is_taken(&self, key: Key, transport: &Transport) -> bool {
        let namesakes = self.index.candidates(key).filter_map(|id| self.member(id));
        namesakes
            .map(|other| &other.attachment.transport)
            .any(|other| transport.overlaps(other))
    }

    /// The numbers that the next routers will have, in this order.
    pub fn next_ids(&self) -> impl Iterator<Item = RouterId> + use<> {
        let vacant = self.vacant.clone();
        let more = u32::try_from(self.members.len()).unwrap_or(u32::MAX)..=u32::MAX;
        vacant.into_iter().rev().chain(more.map(RouterId))
    }

    /// The routers, in the order of their numbers.
    pub fn ids(&self) -> impl Iterator<Item = RouterId> + use<> {
        (0..u32::try_from(self.members.len()).unwrap_or(u32::MAX)).map(RouterId)
    }

    /// Gives an event to one router.
    pub fn handle(&mut self, now: Instant, id: RouterId, event: Event) {
        self.assert_drained();
        self.step(now, id, event);
    }

    /// Gives an event to every router: `Startup`, `Shutdown`.
    pub fn handle_all(&mut self, now: Instant, event: Event) {
        self.assert_drained();
        for id in self.ids() {
            self.step(now, id, event);
        }
    }

    /// The link of an interface went up or down: routers on it fault or recover, those that track
    /// it are told.
    pub fn link(&mut self, now: Instant, interface: u32, up: bool) {
        if up {
            let event = Event::Recovered(FaultKind::Interface);
            self.take_link(now, interface, event, Health::Up);
        } else {
            let event = Event::Fault(FaultReason::InterfaceDown);
            self.take_link(now, interface, event, Health::Down);
        }
    }

    /// An interface is gone altogether.
    pub fn link_gone(&mut self, now: Instant, interface: u32) {
        let event = Event::Fault(FaultReason::InterfaceGone);
        self.take_link(now, interface, event, Health::Down);
    }

    fn take_link(&mut self, now: Instant, interface: u32, event: Event, health: Health) {
        self.assert_drained();
        for id in self.ids() {
            let own = |member: &Member| {
                member.attachment.interface == interface && member.attachment.track_primary
            };
            if self.member(id).is_some_and(own) {
                self.step(now, id, event);
            }
        }
        self.take_health(now, Object::Interface(interface), health);
    }

    /// A tracked object has a new health: priorities and faults of the routers that track it
    /// follow.
    pub fn track(&mut self, now: Instant, object: Object, health: Health) {
        self.assert_drained();
        self.take_health(now, object, health);
    }

    /// The primary address of a router's interface appeared, changed or vanished. A configured one
    /// stays.
    pub fn primary_address(&mut self, now: Instant, id: RouterId, address: Option<IpAddr>) {
        self.assert_drained();
        if self
            .member(id)
            .is_some_and(|member| !member.attachment.fixed_primary)
        {
            self.step(now, id, Event::PrimaryAddress(address));
        }
    }

    /// The host hears adverts for a router, or does not: one that joins those that run may have to wait for its sockets.
    pub fn hearing(&mut self, now: Instant, id: RouterId, hears: bool) {
        self.assert_drained();
        let known = self.member(id);
        if known.is_none_or(|member| member.router.faults().is_deaf() != hears) {
            return;
        }
        let event = match hears {
            true => Event::Recovered(FaultKind::Hearing),
            false => Event::Fault(FaultReason::Deaf),
        };
        self.step(now, id, event);
    }

    /// The next effect of any router, in the order in which they were asked for.
    pub fn poll_action(&mut self) -> Option<(RouterId, Action)> {
        self.actions.pop_front()
    }

    /// One of the routers.
    pub fn router(&self, id: RouterId) -> Option<&Router> {
        self.member(id).map(|member| &member.router)
    }

    /// How it is attached.
    pub fn attachment(&self, id: RouterId) -> Option<&Attachment> {
        self.member(id).map(|member| &member.attachment)
    }

    /// All that there is to tell of a router.
    pub fn status(&self, id: RouterId) -> Option<RouterStatus> {
        let member = self.member(id)?;
        Some(RouterStatus {
            tracks: member.tracks.iter().collect(),
            last_transition: member.last,
            statistics: member.statistics.clone(),
            peers: member.peers.clone(),
            refused: member.refused.clone(),
            group: member.group,
            ..RouterStatus::of(id, member.attachment.interface, &member.router)
        })
    }

    /// Packets that belong to no router of the set.
    pub fn stray(&self) -> &Rejections {
        &self.stray
    }

    /// Which virtual routers these are for, and who sends them: some of them, where there are many.
    pub fn strangers(&self) -> &[Stranger] {
        self.strangers.known()
    }

    /// The driver could not send a packet of this router; returns how often that was by now.
    pub fn count_send_error(&mut self, id: RouterId) -> u64 {
        self.member_mut(id).map_or(0, |member| {
            member.statistics.send_errors += 1;
            member.statistics.send_errors
        })
    }

    fn take_health(&mut self, now: Instant, object: Object, health: Health) {
        for id in self.ids() {
            let Some(member) = self.member_mut(id) else {
                continue;
            };
            if !member.tracks.set(object, health) {
                continue;
            }
            let from = member.router.priority();
            self.apply_verdict(now, id);
            self.tell_priority(id, from);
        }
    }

    /// A router that has not been started has nothing to tell.
    fn tell_priority(&mut self, id: RouterId, from: Priority) {
        let Some(router) = self.router(id) else {
            return;
        };
        let (to, state) = (router.priority(), router.state().kind());
        if to != from && state != StateKind::Initialize {
            let change = PriorityChange { from, to, state };
            self.actions.push_back((id, Action::Priority(change)));
        }
    }

    fn apply_verdict(&mut self, now: Instant, id: RouterId) {
        let Some(member) = self.member(id) else {
            return;
        };
        let event = verdict_event(&member.tracks, member.router.config().priority);
        self.step(now, id, event);
        if let Event::Priority(_) = event {
            // The priority came first: a router that leaves a fault starts its timer with it.
            self.step(now, id, Event::Recovered(FaultKind::Tracking));
        }
    }

    /// One event to one router, and what follows for the others of its sync group.
    fn step(&mut self, now: Instant, id: RouterId, event: Event) {
        self.act(now, id, |router| router.handle(now, event));
    }

    /// The same with anything that one router can do.
    fn act<T>(
        &mut self,
        now: Instant,
        id: RouterId,
        what: impl FnOnce(&mut Router) -> T,
    ) -> Option<T> {
        let member = self.member(id)?;
        let group = member.group;
        let before = member.standing(id);
        let done = self.act_alone(now, id, what);
        // Most events, adverts above all, are nothing to the others.
        if let Some(group) = group
            && self.member(id).map(|member| member.standing(id)) != Some(before)
        {
            self.synchronise(now, group, id, before.state == StateKind::Active);
        }
        done
    }

    /// One event to one router.
    fn step_alone(&mut self, now: Instant, id: RouterId, event: Event) {
        self.act_alone(now, id, |router| router.handle(now, event));
    }

    fn act_alone<T>(
        &mut self,
        now: Instant,
        id: RouterId,
        what: impl FnOnce(&mut Router) -> T,
    ) -> Option<T> {
        let member = self.members.get_mut(id.index())?.as_mut()?;
        member.router.exchange_queue(&mut self.queue);
        let done = what(&mut member.router);
        self.settle(now, id);
        if let Some(Some(member)) = self.members.get_mut(id.index()) {
            member.router.exchange_queue(&mut self.queue);
        }
        Some(done)
    }

    /// What a router asks for, and its deadline, into the common ones.
    fn settle(&mut self, now: Instant, id: RouterId) {
        let Some(Some(member)) = self.members.get_mut(id.index()) else {
            return;
        };
        while let Some(action) = member.router.poll_action() {
            if let Action::Transition(transition) = action {
                member.last = Some(match member.last {
                    // Only what holds it has changed.
                    Some((since, last)) if transition.from == transition.to => {
                        let from = last.from;
                        (since, Transition { from, ..transition })
                    }
                    _ => (now, transition),
                });
                member.warned = doubt::Warned::default();
                member.statistics.became_active += u64::from(transition.to == StateKind::Active);
                member.statistics.released_active +=
                    u64::from(transition.from == StateKind::Active);
            }
            self.actions.push_back((id, action));
        }
        let deadline = member.router.next_deadline();
        if deadline != member.deadline {
            self.deadlines.set(id, deadline);
            member.deadline = deadline;
        }
    }

    fn member(&self, id: RouterId) -> Option<&Member> {
        self.members.get(id.index())?.as_ref()
    }

    fn member_mut(&mut self, id: RouterId) -> Option<&mut Member> {
        self.members.get_mut(id.index())?.as_mut()
    }

    fn assert_drained(&self) {
        debug_assert!(
            self.actions.is_empty(),
            "drain poll_action before the next event"
        );
    }
}

fn verdict_event(tracks: &Tracks, base: Priority) -> Event {
    match tracks.verdict(base) {
        Verdict::Priority(priority) => Event::Priority(priority),
        Verdict::Fault(reason) => Event::Fault(reason),
    }
}

#[cfg(test)]
mod tests;
