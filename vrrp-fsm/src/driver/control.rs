//! What a driver is asked, and what it answers.

use std::vec::Vec;

use tokio::sync::oneshot;

use super::{Failure, Guard};
use crate::{Object, Rejections, RouterId, RouterStatus, Stranger, track::Health};

/// What the driver can be asked while it runs.
#[derive(Debug)]
pub enum Control {
    /// The health of a tracked object changed.
    Track {
        /// The object.
        object: Object,
        /// Its health.
        health: Health,
    },
    /// Hold a router out by hand, or let it in again.
    Hold {
        /// The router.
        router: RouterId,
        /// Whether it is held.
        hold: bool,
    },
    /// Whoever watches what the addresses stand for fell silent, or speaks again: all routers are held out meanwhile.
    Unwatched(bool),
    /// This process continues one that died while this router was Active.
    Succeed(RouterId),
    /// How everything is.
    Snapshot(oneshot::Sender<Snapshot>),
    /// Stop in order: priority 0 is sent, the addresses are removed, then `run` returns. Dropping
    /// every sender does the same.
    Shutdown,
}

/// How everything is at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The routers in their order.
    pub routers: Vec<Report>,
    /// What could not be put up of what stands whoever is Active, and is still tried.
    pub fixtures: Option<Failure>,
    /// Packets that belong to none of them.
    pub stray: Rejections,
    /// Which virtual routers these are for, and who sends them: some of them, where there are many.
    pub strangers: Vec<Stranger>,
    /// How often the host could not receive.
    pub receive_errors: u64,
    /// Packets for which the host had no room.
    pub overflows: u64,
    /// How often notifications of the kernel were lost.
    pub lost_notifications: u64,
    /// How often, for ten seconds each, packets for routers that are not ours were passed over uncounted, because
    /// there were thousands a second.
    pub narrowed: u64,
}

/// How a router is.
#[derive(Debug, Clone)]
pub struct Report {
    /// The router.
    pub status: RouterStatus,
    /// Its addresses on the host.
    pub guard: Guard,
    /// What the host could not do, and still tries.
    pub failure: Option<Failure>,
    /// The same of the routes and rules that go with its addresses.
    pub paths: Option<Failure>,
}
