//! What there is to tell of a router: a copy, for status commands and metrics.

use alloc::vec::Vec;
use core::{net::IpAddr, time::Duration};

use vrrp_proto::{Family, Priority, Version, Vrid};

use crate::{
    FaultReason, GroupId, Instant, Peer, Refused, Router, RouterId, State, StateKind, Statistics,
    Transition,
    track::{Health, Track},
};

/// A router as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterStatus {
    /// Its number in the set.
    pub id: RouterId,
    /// Interface.
    pub interface: u32,
    /// Virtual router identifier.
    pub vrid: Vrid,
    /// Address family.
    pub family: Family,
    /// Protocol version.
    pub version: Version,
    /// State.
    pub state: StateKind,
    /// What holds it out.
    pub fault: Option<FaultReason>,
    /// Configured priority.
    pub base_priority: Priority,
    /// Priority with tracking.
    pub effective_priority: Priority,
    /// What is tracked, with its health.
    pub tracks: Vec<(Track, Health)>,
    /// Own interval.
    pub interval: Duration,
    /// The Active router's interval, while Backup.
    pub active_adver_interval: Option<Duration>,
    /// Own primary address.
    pub primary: Option<IpAddr>,
    /// The Active router, if it is known: ourselves or the one that we follow.
    pub active: Option<IpAddr>,
    /// Its sync group.
    pub group: Option<GroupId>,
    /// It could be Active, and waits for the other members of its sync group.
    pub ready: bool,
    /// Virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// The last change of state and its time.
    pub last_transition: Option<(Instant, Transition)>,
    /// The next timer; in Initialize the end of the startup delay.
    pub deadline: Option<Instant>,
    /// Counters.
    pub statistics: Statistics,
    /// The other routers that were heard.
    pub peers: Vec<Peer>,
    /// Senders of adverts that were rejected.
    pub refused: Vec<Refused>,
}

impl RouterStatus {
    /// What the machine itself knows.
    pub(crate) fn of(id: RouterId, interface: u32, router: &Router) -> Self {
        let config = router.config();
        let (active, active_adver_interval) = match router.state() {
            State::Initialize { .. } | State::Delayed { .. } => (None, None),
            State::Backup(backup) => (
                backup.active.map(|heard| heard.source),
                Some(backup.active_adver_interval),
            ),
            State::Active(_) => (config.primary, None),
        };
        Self {
            id,
            interface,
            vrid: config.vrid,
            family: config.family,
            version: config.version,
            state: router.state().kind(),
            fault: router.faults().first(),
            base_priority: config.priority,
            effective_priority: router.priority(),
            tracks: Vec::new(),
            interval: config.interval,
            active_adver_interval,
            primary: config.primary,
            active,
            group: None,
            ready: router.is_ready(),
            addresses: config.addresses.clone(),
            last_transition: None,
            deadline: router.next_deadline(),
            statistics: Statistics::default(),
            peers: Vec::new(),
            refused: Vec::new(),
        }
    }
}
