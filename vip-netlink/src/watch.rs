//! What the kernel has: links and addresses, kept current from a dump and the notifications after
//! it (rtnetlink(7)).
//!
//! [`Kernel`] takes messages in and gives changes out. [`Watcher`] reads the notifications from a
//! socket of its own: on one that also makes requests, a notification that carries the sequence
//! number of a request in flight would pass for its answer.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol,
};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, InfoData, InfoKind, InfoMacVlan, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage, MacVlanMode,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use netlink_packet_route::rule::{RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use vrrp_proto::Family;

use crate::link::{Link, Macvlan};
use crate::plan::{Present, primary_address};
use crate::route::{OURS, Prefix};

/// Links and addresses of one network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kernel {
    links: BTreeMap<u32, Link>,
    addresses: Vec<Present>,
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
                if self.addresses.contains(&present) && has_failed(message) {
                    return Some(Change::Duplicate(present));
                }
                if self.addresses.contains(&present) {
                    let detected = self.tentative.len() != before;
                    return detected.then_some(Change::Detected(present));
                }
                self.addresses.push(present);
                Some(Change::Added(present))
            }
            RouteNetlinkMessage::DelAddress(message) => {
                let present = address(message)?;
                let before = self.addresses.len();
                self.addresses.retain(|have| *have != present);
                self.tentative.retain(|have| *have != present);
                self.marked.retain(|have| *have != present);
                let change = match has_failed(message) {
                    true => Change::Duplicate(present),
                    false => Change::Removed(present),
                };
                (self.addresses.len() != before).then_some(change)
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

/// RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_RULE.
const PATHS: [u32; 4] = [7, 8, 11, 19];
/// Room for notifications about thousands of addresses.
pub(crate) const ROOM: usize = 4 << 20;
/// The kernel never sends a longer datagram of notifications.
const DATAGRAM: usize = 64 * 1024;

/// Notifications about links and addresses of the network namespace in which it was made.
#[derive(Debug)]
pub struct Watcher {
    socket: AsyncFd<Socket>,
    buffer: Vec<u8>,
}

/// What was read from the kernel.
#[derive(Debug)]
pub enum Notice {
    /// Notifications, in order.
    Messages(Vec<RouteNetlinkMessage>),
    /// Some were lost (ENOBUFS): only a fresh dump tells what there is.
    Lost,
}

impl Watcher {
    /// Subscribes; from now on nothing is missed. Must be called inside a tokio runtime.
    pub fn new() -> io::Result<Self> {
        Self::with_room(ROOM)
    }

    /// The same with room for so many octets of notifications: what does not fit is lost, and told as
    /// [`Notice::Lost`].
    pub fn with_room(room: usize) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, GROUPS))?;
        socket.set_non_blocking(true)?;
        // A smaller buffer only means that a fresh dump is needed sooner.
        if set_socket_recv_buffer_size_force(&socket, room).is_err() {
            let _ = socket.set_rx_buf_sz(c_int::try_from(room).unwrap_or(c_int::MAX));
        }
        Ok(Self {
            socket: watched(socket)?,
            buffer: vec![0; DATAGRAM],
        })
    }

    /// Hears of routes and rules too from now on.
    pub fn follow_paths(&mut self) -> io::Result<()> {
        for group in PATHS {
            self.socket.get_mut().add_membership(group)?;
        }
        Ok(())
    }

    /// Waits until there is something to read.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await.map(drop)
    }

    /// One datagram that is already there; never waits.
    pub fn read(&mut self) -> Option<Notice> {
        loop {
            let buffer = &mut self.buffer;
            let mut asked = false;
            let received = self.socket.try_io(Interest::READABLE, |socket| {
                asked = true;
                socket.recv(&mut &mut buffer[..], 0)
            });
            let received = match received {
                // tokio's memory of readiness may lag behind the kernel.
                Err(_) if !asked => self.socket.get_ref().recv(&mut &mut buffer[..], 0),
                known => known,
            };
            match received {
                Ok(length) => {
                    let datagram = self.buffer.get(..length).unwrap_or_default();
                    return Some(Notice::Messages(messages(datagram)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Some(Notice::Lost),
            }
        }
    }
}

#[expect(unsafe_code, reason = "tokio asks for a promise about the descriptor")]
fn watched(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: a netlink_sys::Socket owns one open descriptor until it is dropped, and as_raw_fd
    // always returns that one.
    unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }.map_err(io::Error::from)
}

/// The messages of a datagram; what cannot be read ends it.
fn messages(mut datagram: &[u8]) -> Vec<RouteNetlinkMessage> {
    let mut messages = Vec::new();
    while let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(datagram) {
        let length = usize::try_from(message.header.length)
            .unwrap_or(usize::MAX)
            .max(16);
        if let NetlinkPayload::InnerMessage(message) = message.payload {
            messages.push(message);
        }
        datagram = datagram
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    messages
}

fn link(message: &LinkMessage) -> Option<Link> {
    const AF_UNSPEC: u8 = 0;
    if u8::from(message.header.interface_family) != AF_UNSPEC {
        return None;
    }
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        mac: None,
        up: flags.contains(LinkFlags::Up),
        running: flags.contains(LinkFlags::Running),
        no_arp: flags.contains(LinkFlags::Noarp),
        forwards: false,
        alias: None,
        macvlan: None,
    };
    let mut parent = None;
    let mut info: &[LinkInfo] = &[];
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(octets) => link.mac = octets.as_slice().try_into().ok(),
            LinkAttribute::AfSpecUnspec(families) => link.forwards = forwards(families),
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias.clone()),
            LinkAttribute::Link(index) => parent = Some(*index),
            LinkAttribute::LinkInfo(found) => info = found,
            _ => {}
        }
    }
    link.macvlan = parent.and_then(|parent| macvlan(info, parent));
    Some(link)
}

fn macvlan(info: &[LinkInfo], parent: u32) -> Option<Macvlan> {
    if !info.contains(&LinkInfo::Kind(InfoKind::MacVlan)) {
        return None;
    }
    let mode = InfoMacVlan::Mode(MacVlanMode::Bridge);
    let is_bridge = |one: &LinkInfo| matches!(one, LinkInfo::Data(InfoData::MacVlan(data)) if data.contains(&mode));
    Some(Macvlan {
        parent,
        bridge: info.iter().any(is_bridge),
    })
}

/// `net.ipv6.conf.<interface>.forwarding`.
fn forwards(families: &[AfSpecUnspec]) -> bool {
    let on = |setting: &AfSpecInet6| matches!(setting, AfSpecInet6::DevConf(conf) if conf.forwarding != 0);
    families
        .iter()
        .any(|family| matches!(family, AfSpecUnspec::Inet6(settings) if settings.iter().any(on)))
}

fn is_tentative(message: &AddressMessage) -> bool {
    let held = AddressFlags::Tentative | AddressFlags::Dadfailed;
    let headers = AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed;
    let attribute = |attribute: &AddressAttribute| matches!(attribute, AddressAttribute::Flags(flags) if flags.intersects(held));
    message.header.flags.intersects(headers) || message.attributes.iter().any(attribute)
}

fn has_failed(message: &AddressMessage) -> bool {
    let attribute = |attribute: &AddressAttribute| matches!(attribute, AddressAttribute::Flags(flags) if flags.contains(AddressFlags::Dadfailed));
    let header = message.header.flags.contains(AddressHeaderFlags::Dadfailed);
    header || message.attributes.iter().any(attribute)
}

fn is_marked(message: &AddressMessage) -> bool {
    let mark = AddressAttribute::Protocol(AddressProtocol::Other(OURS));
    message.attributes.contains(&mark)
}

/// `IFA_LOCAL` is the address of this end; `IFA_ADDRESS` may be a point-to-point peer's.
fn address(message: &AddressMessage) -> Option<Present> {
    let mut local = None;
    let mut address = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(value) => local = Some(*value),
            AddressAttribute::Address(value) => address = Some(*value),
            _ => {}
        }
    }
    let own = local.or(address)?;
    Some(Present {
        interface: message.header.index,
        address: own,
        prefix: message.header.prefix_len,
        peer: address.filter(|peer| *peer != own),
    })
}

fn route(message: &RouteMessage) -> Option<Gone> {
    let family = family(message.header.address_family)?;
    let mut table = u32::from(message.header.table);
    let mut destination = Prefix::all(family);
    destination.length = message.header.destination_prefix_length;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Destination(RouteAddress::Inet(address)) => {
                destination.address = (*address).into();
            }
            RouteAttribute::Destination(RouteAddress::Inet6(address)) => {
                destination.address = (*address).into();
            }
            _ => {}
        }
    }
    Some(Gone::Route { destination, table })
}

fn rule(message: &RuleMessage) -> Option<Gone> {
    let family = family(message.header.family)?;
    let priority = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RuleAttribute::Priority(priority) => Some(*priority),
            _ => None,
        });
    let priority = priority.unwrap_or(0);
    Some(Gone::Rule { family, priority })
}

fn family(family: AddressFamily) -> Option<Family> {
    match family {
        AddressFamily::Inet => Some(Family::Ipv4),
        AddressFamily::Inet6 => Some(Family::Ipv6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
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
    fn any_datagram_is_read_without_panic() {
        let mut message = NetlinkMessage::from(link_message(2, "eth0", LinkFlags::Up));
        message.finalize();
        let mut one = vec![0; message.buffer_len()];
        message.serialize(&mut one);
        let two = [one.clone(), one].concat();
        assert_eq!(messages(&two).len(), 2);
        for cut in 0..two.len() {
            assert!(messages(&two[..cut]).len() < 2);
        }
        for at in 0..two.len() {
            let mut broken = two.clone();
            broken[at] ^= 0xff;
            let _ = messages(&broken);
        }
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
