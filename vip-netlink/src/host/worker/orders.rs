//! What the driver's side asks for, and what it is told.

use std::io;
use std::time::Duration;

use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, HostEvent};

use super::Paths;
use crate::Error;
use crate::debounce::LinkDelay;
use crate::fence::{FenceError, Pulse};
use crate::host::sockets::Sockets;
use crate::host::{Fixtures, HostRouter};
use crate::link::Interface;
use crate::pace::Pacing;
use crate::plan::Vip;

/// What the driver's side asks for.
#[derive(Debug)]
pub(in crate::host) enum Work {
    /// What the driver enqueued.
    Command(Command),
    /// Leases wait for their renewal, that of a router first whose advert went out at that time of the boot clock.
    Renew {
        /// It.
        router: RouterId,
        /// When.
        sent: Duration,
    },
    /// Other addresses from now on.
    Readdress {
        /// All of them.
        addresses: Vec<Vip>,
        /// How long they may stay without an advert.
        lifetime: Option<Duration>,
        /// How long they answer without an advert.
        hold: Option<Duration>,
        /// Announcements of those that are new.
        repeat: u8,
    },
    /// Routes and rules that are missing are put up.
    Pave,
    /// `promote_secondaries` is another from now on.
    Promote(bool),
    /// What could not be removed is tried again.
    Clear,
    /// Sockets that are used no more.
    Close(Box<Sockets>),
    /// What stands whoever is Active is looked after.
    Fit,
    /// Other such things from now on.
    Refit(Box<Fixtures>),
    /// Other routes and rules from now on.
    Reroute(Box<Paths>),
    /// One more router.
    Admit {
        /// It.
        router: Box<HostRouter>,
    },
    /// Links of these are told of from now on.
    Watch(Vec<Interface>),
    /// Other times between announcements from now on.
    Pace(Pacing),
    /// How long changes of links must last from now on.
    Debounce(Vec<LinkDelay>),
    /// A router is gone for good.
    Dismiss,
    /// Beats cannot be sent: from now on no router needs any.
    Release,
    /// No predecessor uses the devices of virtual MAC addresses any more.
    Own,
    /// The lease ran out: away with the addresses, without an answer.
    Expire,
}

/// What the worker tells.
#[derive(Debug)]
pub(in crate::host) enum Report {
    /// An interface is there, or not (then without sockets): these are its sockets now, if they could be opened.
    Interface {
        number: u32,
        sockets: Result<Sockets, Error>,
    },
    /// Addresses are up, perhaps not all of them; the kernel counts their lifetime from `began`.
    Begun { router: RouterId, began: Duration },
    /// Beats do not arrive, as was noticed at that router: none are needed from now on.
    Unheld(RouterId),
    /// Beats arrive again, as was noticed on behalf of all routers.
    Held(RouterId, Pulse),
    /// The fence of installed routers, of which that is one, could not be renewed, or can be again.
    Fence {
        router: RouterId,
        outcome: Result<(), Error>,
    },
    /// Notifications of the kernel were lost, so often by now.
    Lost(u64),
    /// Anything that needs no translation.
    Event(HostEvent),
}

/// How the start went.
#[derive(Debug)]
pub(in crate::host) struct Start {
    pub(in crate::host) unfenced: Option<FenceError>,
    pub(in crate::host) pulse: Option<Pulse>,
    pub(in crate::host) unheld: Option<io::Error>,
}
