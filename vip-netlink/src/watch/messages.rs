//! What a message says of a link, an address, a route or a rule.

use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol,
};
use netlink_packet_route::link::{
    AfSpecInet, AfSpecInet6, AfSpecUnspec, InfoData, InfoKind, InfoMacVlan, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage, MacVlanMode, Prop,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use netlink_packet_route::rule::{RuleAttribute, RuleMessage};
use vrrp_proto::Family;

use super::Gone;
use crate::link::{ArpSettings, Link, Macvlan};
use crate::plan::Present;
use crate::route::{OURS, Prefix};
use crate::settings::promoter;

pub(super) fn link(message: &LinkMessage) -> Option<Link> {
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
        arp: ArpSettings::default(),
        macvlan: None,
        promoted_by: None,
    };
    let mut parent = None;
    let mut info: &[LinkInfo] = &[];
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(octets) => link.mac = octets.as_slice().try_into().ok(),
            LinkAttribute::AfSpecUnspec(families) => {
                link.forwards = forwards(families);
                link.arp = arp_settings(families);
            }
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias.clone()),
            LinkAttribute::Link(index) => parent = Some(*index),
            LinkAttribute::LinkInfo(found) => info = found,
            LinkAttribute::PropList(properties) => link.promoted_by = promoted_by(properties),
            _ => {}
        }
    }
    link.macvlan = parent.and_then(|parent| macvlan(info, parent));
    Some(link)
}

fn promoted_by(properties: &[Prop]) -> Option<u32> {
    properties.iter().find_map(|property| match property {
        Prop::AltIfName(name) => promoter(name),
        _ => None,
    })
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

fn arp_settings(families: &[AfSpecUnspec]) -> ArpSettings {
    let all = families.iter().filter_map(|family| match family {
        AfSpecUnspec::Inet(settings) => Some(settings),
        _ => None,
    });
    let mut devices = all.flatten().filter_map(|setting| match setting {
        AfSpecInet::DevConf(settings) => Some(settings),
        _ => None,
    });
    let number = |value: i32| u32::try_from(value).unwrap_or(0);
    devices
        .next()
        .map_or_else(ArpSettings::default, |settings| ArpSettings {
            announce: number(settings.arp_announce),
            ignore: number(settings.arp_ignore),
        })
}

pub(super) fn is_tentative(message: &AddressMessage) -> bool {
    let held = AddressFlags::Tentative | AddressFlags::Dadfailed;
    let headers = AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed;
    let attribute = |attribute: &AddressAttribute| matches!(attribute, AddressAttribute::Flags(flags) if flags.intersects(held));
    message.header.flags.intersects(headers) || message.attributes.iter().any(attribute)
}

pub(super) fn has_failed(message: &AddressMessage) -> bool {
    let attribute = |attribute: &AddressAttribute| matches!(attribute, AddressAttribute::Flags(flags) if flags.contains(AddressFlags::Dadfailed));
    let header = message.header.flags.contains(AddressHeaderFlags::Dadfailed);
    header || message.attributes.iter().any(attribute)
}

pub(super) fn is_marked(message: &AddressMessage) -> bool {
    let mark = AddressAttribute::Protocol(AddressProtocol::Other(OURS));
    message.attributes.contains(&mark)
}

/// `IFA_LOCAL` is the address of this end; `IFA_ADDRESS` may be a point-to-point peer's.
pub(super) fn address(message: &AddressMessage) -> Option<Present> {
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

pub(super) fn route(message: &RouteMessage) -> Option<Gone> {
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

pub(super) fn rule(message: &RuleMessage) -> Option<Gone> {
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
