//! What a host is told of a virtual router.

use std::net::IpAddr;
use std::time::Duration;

use vrrp_fsm::RouterId;
use vrrp_proto::{Family, MULTICAST_V4, MULTICAST_V6};

use super::worker::Paths;
use crate::announce::Mac;
use crate::fence::Access;
use crate::lease::Lease;
use crate::link::Interface;
use crate::macvlan::VirtualMac;
use crate::plan::Vip;
use crate::route::{Route, Rule};

/// What the host does for one virtual router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRouter {
    /// Its number in the router set.
    pub id: RouterId,
    /// The interface on which it speaks.
    pub interface: Interface,
    /// The family of its adverts; its addresses may be of both.
    pub family: Family,
    /// The group that its adverts come from; `None` = unicast only.
    pub group: Option<IpAddr>,
    /// Whether its adverts are authenticated by AH (IP protocol 51 instead of 112), over IPv4.
    pub authenticated: bool,
    /// The address to send from where it is configured; else the interface's first own address,
    /// over IPv6 its first link-local one that no duplicate address detection holds back.
    pub source: Option<IpAddr>,
    /// Whether a configured `source` that is not on the interface is no address to send from.
    pub track_source: bool,
    /// Whether packets to its addresses are taken; without a fence they always are.
    pub access: Access,
    /// Whether it owns its addresses (priority 255): those that the interface has already are the
    /// host's own. They are left as they are, never fenced, and adverts may leave from them.
    pub owner: bool,
    /// Addresses that go up with it.
    pub addresses: Vec<Vip>,
    /// Whether an address of its interface survives the removal of its subnet's first one
    /// (`net.ipv4.conf.*.promote_secondaries`); as it was before once the host is gone.
    pub promote_secondaries: bool,
    /// Routes that go up after them.
    pub routes: Vec<Route>,
    /// Rules that go up after them.
    pub rules: Vec<Rule>,
    /// Devices with virtual MAC addresses, of its own: those of its addresses that name one are put there.
    pub devices: Vec<VirtualMac>,
    /// The hardware address that its adverts come from, instead of the interface's own; to the group alone.
    pub mac: Option<Mac>,
    /// Announcements of addresses on other interfaces than its own, again and again.
    pub reminders: Option<Reminders>,
    /// How long they may stay without an advert sent ([`Lease::lifetime`]); `None` = for ever.
    pub lifetime: Option<Duration>,
    /// How long they answer without an advert sent ([`Lease::hold`]), where there is a fence; `None` = as long as
    /// they are there.
    pub hold: Option<Duration>,
}

impl HostRouter {
    /// A multicasting router without authentication, of the family of its first address, its lease
    /// made for `interval`.
    #[must_use]
    pub fn new(
        id: RouterId,
        interface: Interface,
        addresses: Vec<Vip>,
        interval: Duration,
    ) -> Self {
        let (family, group) = match addresses.first() {
            Some(vip) if vip.address.is_ipv6() => (Family::Ipv6, MULTICAST_V6.into()),
            _ => (Family::Ipv4, MULTICAST_V4.into()),
        };
        Self {
            id,
            interface,
            family,
            group: Some(group),
            authenticated: false,
            source: None,
            track_source: false,
            access: Access::Full,
            owner: false,
            addresses,
            promote_secondaries: false,
            routes: Vec::new(),
            rules: Vec::new(),
            devices: Vec::new(),
            mac: None,
            reminders: None,
            lifetime: Some(Lease::lifetime(interval)),
            hold: Lease::hold(interval, 3),
        }
    }

    pub(super) fn paths(&self) -> Paths {
        Paths {
            routes: self.routes.clone(),
            rules: self.rules.clone(),
        }
    }
}

/// Announcements that keep switches from forgetting where an address is from which nothing is sent by itself
/// (keepalived.conf(5), `garp_extra_if`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reminders {
    /// Time between them.
    pub interval: Duration,
    /// Also on other interfaces than devices with a virtual MAC address.
    pub all: bool,
}
