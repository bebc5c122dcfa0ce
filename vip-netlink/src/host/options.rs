//! What may be chosen about a host, and what it puts up whoever is Active.

use crate::debounce::LinkDelay;
use crate::fence;
use crate::link::Interface;
use crate::pace::Pacing;
use crate::plan::Vip;
use crate::route::{Route, Rule};
use crate::watch::ROOM;

/// What may be chosen about a host.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The fence; `None` = the lease alone.
    pub fence: Option<fence::Options>,
    /// Interfaces to report links of, beside those of the routers.
    pub watch: Vec<Interface>,
    /// A predecessor that still runs hands the routers over (`Driver::resume` of `vrrp-fsm`): addresses that are there
    /// are not swept, and the fence is open for them before the predecessor's goes.
    pub succession: bool,
    /// Times between announcements of addresses.
    pub pacing: Pacing,
    /// How long changes of links must last.
    pub delays: Vec<LinkDelay>,
    /// What stands whoever is Active.
    pub fixtures: Fixtures,
    /// Room for the kernel's notifications, in octets; what does not fit makes everything be looked at anew.
    pub room: usize,
    /// Room for adverts that each receive socket is to have at least, in bytes as the kernel counts them (about 1 KiB
    /// for an advert); by itself it is made for 16 adverts of each router on the interface.
    pub receive_buffer: usize,
}

/// Addresses, routes and rules that stand whoever is Active: put up at the start, put back when another program removes
/// them, removed at the end. An address that was there before stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fixtures {
    /// Addresses, each with its device.
    pub addresses: Vec<Vip>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Rules.
    pub rules: Vec<Rule>,
}

impl Fixtures {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.routes.is_empty() && self.rules.is_empty()
    }
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            fence: Some(fence::Options::default()),
            watch: Vec::new(),
            succession: false,
            pacing: Pacing::default(),
            delays: Vec::new(),
            fixtures: Fixtures::default(),
            room: ROOM,
            receive_buffer: 0,
        }
    }
}
