//! What the kernel has: links and addresses, kept current from a dump and the notifications after
//! it (rtnetlink(7)).
//!
//! [`Kernel`] takes messages in and gives changes out. [`Watcher`] reads the notifications from a
//! socket of its own: on one that also makes requests, a notification that carries the sequence
//! number of a request in flight would pass for its answer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use vrrp_proto::Family;

use crate::link::Link;
use crate::plan::{Present, primary_address};
use crate::route::Prefix;

mod filter;
mod messages;
mod watcher;

use messages::{address, has_failed, is_marked, is_tentative, link, route, rule};
pub(crate) use watcher::ROOM;
pub use watcher::{Notice, Watcher};

/// Links and addresses of one network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kernel {
    links: BTreeMap<u32, Link>,
    addresses: Vec<Present>,
    /// The same, to be found among thousands.
    known: BTreeSet<Present>,
    /// Those of `addresses` that may not be used: duplicate address detection runs, or has failed.
    tentative: Vec<Present>,
    /// Those of `addresses` that carry our mark (`IFA_PROTO`).
    marked: Vec<Present>,
}

/// What a notification changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A link appeared, vanished, went up or down, or has another name: ask [`Kernel::link`].
    Link,
    /// An address appeared.
    Added(Present),
    /// An address vanished.
    Removed(Present),
    /// Duplicate address detection of an address ended, or began anew: ask [`Kernel::has`].
    Detected(Present),
    /// Duplicate address detection found another host with an address; ask [`Kernel::addresses`] whether it is gone.
    Duplicate(Present),
    /// A route or a rule vanished, of whomever.
    PathGone(Gone),
}

/// What is known of a route or rule that vanished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// A route.
    Route {
        /// Where to.
        destination: Prefix,
        /// Its table.
        table: u32,
    },
    /// A rule.
    Rule {
        /// Its family.
        family: Family,
        /// Its priority.
        priority: u32,
    },
}

impl Kernel {
    /// Takes a message in; `None` if it changes nothing that is kept.
    pub fn apply(&mut self, message: &RouteNetlinkMessage) -> Option<Change> {
        match message {
            RouteNetlinkMessage::NewLink(message) => {
                let link = link(message)?;
                let before = self.links.insert(link.index, link.clone());
                (before.as_ref() != Some(&link)).then_some(Change::Link)
            }
            RouteNetlinkMessage::DelLink(message) => {
                // A bridge announces the end of a membership as DELLINK of family AF_BRIDGE.
                link(message)?;
                let index = message.header.index;
                self.addresses.retain(|have| have.interface != index);
                self.known.retain(|have| have.interface != index);
                self.tentative.retain(|have| have.interface != index);
                self.marked.retain(|have| have.interface != index);
                self.links.remove(&index).map(|_| Change::Link)
            }
            RouteNetlinkMessage::NewAddress(message) => {
                let present = address(message)?;
                let before = self.tentative.len();
                self.tentative.retain(|have| *have != present);
                if is_tentative(message) {
                    self.tentative.push(present);
                }
                self.marked.retain(|have| *have != present);
                if is_marked(message) {
                    self.marked.push(present);
                }
                if self.contains(&present) && has_failed(message) {
                    return Some(Change::Duplicate(present));
                }
                if !self.known.insert(present) {
                    let detected = self.tentative.len() != before;
                    return detected.then_some(Change::Detected(present));
                }
                self.addresses.push(present);
                Some(Change::Added(present))
            }
            RouteNetlinkMessage::DelAddress(message) => {
                let present = address(message)?;
                if !self.known.remove(&present) {
                    return None;
                }
                self.addresses.retain(|have| *have != present);
                self.tentative.retain(|have| *have != present);
                self.marked.retain(|have| *have != present);
                Some(match has_failed(message) {
                    true => Change::Duplicate(present),
                    false => Change::Removed(present),
                })
            }
            RouteNetlinkMessage::DelRoute(message) => Some(Change::PathGone(route(message)?)),
            RouteNetlinkMessage::DelRule(message) => Some(Change::PathGone(rule(message)?)),
            _ => None,
        }
    }

    /// The link of that name.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    /// All links.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// All addresses, in the kernel's order.
    #[must_use]
    pub fn addresses(&self) -> &[Present] {
        &self.addresses
    }

    /// Whether that address is there, usable or not.
    #[must_use]
    pub fn contains(&self, present: &Present) -> bool {
        self.known.contains(present)
    }

    /// Whether that address is on the interface of that name and may be used.
    #[must_use]
    pub fn has(&self, name: &str, address: IpAddr) -> bool {
        let link = self.link(name).map(|link| link.index);
        self.usable()
            .any(|have| have.address == address && Some(have.interface) == link)
    }

    /// Whether we put that address up, or a predecessor did; a kernel before 5.18 does not tell.
    #[must_use]
    pub fn is_marked(&self, present: &Present) -> bool {
        self.marked.contains(present)
    }

    /// Whether that address may not be used yet: duplicate address detection runs, or has failed.
    #[must_use]
    pub fn is_tentative(&self, present: &Present) -> bool {
        self.tentative.contains(present)
    }

    fn usable(&self) -> impl Iterator<Item = &Present> {
        let all = self.addresses.iter();
        all.filter(|have| !self.tentative.contains(have))
    }

    /// [`primary_address`] of the interface of that name, among those that may be used.
    #[must_use]
    pub fn primary(&self, name: &str, ipv6: bool, virtual_addresses: &[IpAddr]) -> Option<IpAddr> {
        primary_address(
            self.usable(),
            self.link(name)?.index,
            ipv6,
            virtual_addresses,
        )
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
    use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

    use super::*;

    fn link_message(index: u32, name: &str, flags: LinkFlags) -> RouteNetlinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = flags;
        message.attributes.push(LinkAttribute::IfName(name.into()));
        RouteNetlinkMessage::NewLink(message)
    }

    fn address_message(index: u32, local: &str, prefix: u8) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.index = index;
        message.header.prefix_len = prefix;
        message
            .attributes
            .push(AddressAttribute::Local(local.parse().unwrap()));
        message
    }

    #[test]
    fn a_refresh_of_an_address_is_no_change() {
        let mut kernel = Kernel::default();
        let add = RouteNetlinkMessage::NewAddress(address_message(2, "192.0.2.10", 32));
        assert!(matches!(kernel.apply(&add), Some(Change::Added(_))));
        assert_eq!(kernel.apply(&add), None);
        let remove = RouteNetlinkMessage::DelAddress(address_message(2, "192.0.2.10", 32));
        assert!(matches!(kernel.apply(&remove), Some(Change::Removed(_))));
        assert_eq!(kernel.apply(&remove), None);
    }

    #[test]
    fn an_address_counts_once_its_duplicate_detection_is_done() {
        let mut kernel = Kernel::default();
        let up = LinkFlags::Up | LinkFlags::Running;
        kernel.apply(&link_message(2, "eth0", up));
        let message = |held| {
            let mut message = address_message(2, "fe80::1", 64);
            if held {
                message.header.flags = AddressHeaderFlags::Tentative;
            }
            RouteNetlinkMessage::NewAddress(message)
        };
        assert!(matches!(
            kernel.apply(&message(true)),
            Some(Change::Added(_))
        ));
        assert_eq!(kernel.apply(&message(true)), None);
        assert_eq!(kernel.primary("eth0", true, &[]), None);
        assert!(matches!(
            kernel.apply(&message(false)),
            Some(Change::Detected(_))
        ));
        assert!(kernel.primary("eth0", true, &[]).is_some());
        assert!(kernel.has("eth0", "fe80::1".parse().unwrap()));
        // Begun anew after a loss of carrier.
        assert!(matches!(
            kernel.apply(&message(true)),
            Some(Change::Detected(_))
        ));
        assert_eq!(kernel.primary("eth0", true, &[]), None);
    }

    #[test]
    fn a_link_that_returns_under_another_index_is_found_by_name() {
        let mut kernel = Kernel::default();
        let up = LinkFlags::Up | LinkFlags::Running;
        assert_eq!(
            kernel.apply(&link_message(2, "eth0", up)),
            Some(Change::Link)
        );
        assert_eq!(kernel.apply(&link_message(2, "eth0", up)), None);
        assert_eq!(
            kernel.apply(&link_message(2, "eth0", LinkFlags::Up)),
            Some(Change::Link)
        );
        assert!(!kernel.link("eth0").unwrap().usable());
        let RouteNetlinkMessage::NewLink(gone) = link_message(2, "eth0", up) else {
            unreachable!()
        };
        assert_eq!(
            kernel.apply(&RouteNetlinkMessage::DelLink(gone)),
            Some(Change::Link)
        );
        assert!(kernel.link("eth0").is_none());
        kernel.apply(&link_message(9, "eth0", up));
        assert_eq!(kernel.link("eth0").unwrap().index, 9);
    }

    #[test]
    fn the_addresses_of_a_vanished_link_are_gone_too() {
        let mut kernel = Kernel::default();
        kernel.apply(&link_message(2, "eth0", LinkFlags::Up));
        kernel.apply(&RouteNetlinkMessage::NewAddress(address_message(
            2,
            "192.0.2.5",
            24,
        )));
        assert!(kernel.primary("eth0", false, &[]).is_some());
        let RouteNetlinkMessage::NewLink(gone) = link_message(2, "eth0", LinkFlags::Up) else {
            unreachable!()
        };
        kernel.apply(&RouteNetlinkMessage::DelLink(gone));
        assert!(kernel.addresses().is_empty());
    }
}
