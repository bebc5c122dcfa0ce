//! Routes and rules as rtnetlink(7) messages.

use std::net::IpAddr;

use netlink_packet_core::DefaultNla;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    MplsLabel, RouteAttribute, RouteFlags, RouteIp6Tunnel, RouteIp6TunnelFlags, RouteIpTunnel,
    RouteIpTunnelFlags, RouteLwEnCapType, RouteLwTunnelEncap, RouteMessage, RouteMetric,
    RouteMplsIpTunnel, RouteMplsTtlPropagation, RouteNextHop, RouteNextHopFlags, RoutePreference,
    RouteRealm, RouteType, RouteVia,
};
use netlink_packet_route::rule::{
    RuleAction, RuleAttribute, RuleFlags, RuleMessage, RulePortRange, RuleUidRange,
};
use vrrp_proto::Family;

use crate::Error;
use crate::route::{
    Action, Encapsulation, Hop, Kind, Preference, Prefix, Route, Rule, Setting, Tunnel,
};

/// `RTAX_LOCK`: a bit for each setting that the kernel may not change.
const LOCK: u16 = 1;
/// `RTAX_CC_ALGO`.
const CONGESTION: u16 = 16;

/// The message that adds or removes a route.
pub(super) fn route(
    route: &Route,
    index: impl Fn(&str) -> Option<u32>,
) -> Result<RouteMessage, Error> {
    let mut message = RouteMessage::default();
    message.header.address_family = family(route.family());
    message.header.destination_prefix_length = route.destination.length;
    message.header.tos = route.tos;
    message.header.protocol = route.protocol.into();
    message.header.scope = scope(route).into();
    message.header.kind = RouteType::from(route.kind.number());
    let attributes = &mut message.attributes;
    match u8::try_from(route.table) {
        Ok(table) => message.header.table = table,
        Err(_) => attributes.push(RouteAttribute::Table(route.table)),
    }
    if route.destination.length > 0 {
        let address = route.destination.address.into();
        attributes.push(RouteAttribute::Destination(address));
    }
    if let Some(Prefix { address, length }) = route.source {
        message.header.source_prefix_length = length;
        attributes.push(RouteAttribute::Source(address.into()));
    }
    if let Some(metric) = route.metric {
        attributes.push(RouteAttribute::Priority(metric));
    }
    if let Some(address) = route.preferred_source {
        attributes.push(RouteAttribute::PrefSource(address.into()));
    }
    match route.hops.as_slice() {
        [] => {}
        [hop] => {
            if let Some(number) = device(hop, &index)? {
                attributes.push(RouteAttribute::Oif(number));
            }
            if hop.on_link {
                message.header.flags |= RouteFlags::Onlink;
            }
            attributes.extend(hop_attributes(hop, route.family()));
        }
        hops => {
            let hops: Result<_, Error> = hops
                .iter()
                .map(|hop| next_hop(hop, route.family(), &index))
                .collect();
            attributes.push(RouteAttribute::MultiPath(hops?));
        }
    }
    attributes.extend(settings(route));
    Ok(message)
}

/// What is not part of a route's name would only keep it from being found.
pub(super) fn name_only(message: &mut RouteMessage) {
    message.attributes.retain(|attribute| {
        !matches!(
            attribute,
            RouteAttribute::Metrics(_)
                | RouteAttribute::Preference(_)
                | RouteAttribute::Expires(_)
                | RouteAttribute::TtlPropagate(_)
        )
    });
}

fn settings(route: &Route) -> Vec<RouteAttribute> {
    let mut attributes = Vec::new();
    let number = |number: u16, value: u32| {
        RouteMetric::Other(DefaultNla::new(number, value.to_ne_bytes().to_vec()))
    };
    let value = |setting: &Setting| number(setting.what.number(), setting.value);
    let mut metrics: Vec<_> = route.settings.iter().map(value).collect();
    let locked = route.settings.iter().filter(|setting| setting.locked);
    let mut locks = locked.fold(0, |all, setting| all | 1 << setting.what.number());
    if let Some((algorithm, is_locked)) = &route.congestion {
        metrics.push(RouteMetric::CcAlgo(algorithm.clone()));
        locks |= u32::from(*is_locked) << CONGESTION;
    }
    if locks != 0 {
        metrics.push(number(LOCK, locks));
    }
    if !metrics.is_empty() {
        attributes.push(RouteAttribute::Metrics(metrics));
    }
    if let Some(preference) = route.preference {
        attributes.push(RouteAttribute::Preference(match preference {
            Preference::Low => RoutePreference::Low,
            Preference::Medium => RoutePreference::Medium,
            Preference::High => RoutePreference::High,
        }));
    }
    if let Some(seconds) = route.expires {
        attributes.push(RouteAttribute::Expires(seconds));
    }
    if let Some(on) = route.ttl_propagate {
        let on = RouteMplsTtlPropagation::from(u8::from(on));
        attributes.push(RouteAttribute::TtlPropagate(on));
    }
    attributes
}

/// keepalived says universe where `ip` says link; of other kinds the kernel asks for less.
const fn scope(route: &Route) -> u8 {
    const LINK: u8 = 253;
    const HOST: u8 = 254;
    match (route.scope, route.kind) {
        (Some(scope), _) => scope,
        (None, Kind::Local) => HOST,
        (None, Kind::Broadcast) => LINK,
        (None, _) => 0,
    }
}

fn device(hop: &Hop, index: impl Fn(&str) -> Option<u32>) -> Result<Option<u32>, Error> {
    let Some(name) = &hop.device else {
        return Ok(None);
    };
    let number = index(name).ok_or_else(|| Error::NoInterface(name.clone()))?;
    Ok(Some(number))
}

fn next_hop(
    hop: &Hop,
    family: Family,
    index: impl Fn(&str) -> Option<u32>,
) -> Result<RouteNextHop, Error> {
    let mut next = RouteNextHop::default();
    next.interface_index = device(hop, index)?.unwrap_or(0);
    next.hops = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    if hop.on_link {
        next.flags = RouteNextHopFlags::Onlink;
    }
    next.attributes = hop_attributes(hop, family);
    Ok(next)
}

fn hop_attributes(hop: &Hop, family: Family) -> Vec<RouteAttribute> {
    let mut attributes = Vec::new();
    match hop.gateway {
        Some(gateway) if Family::of(gateway) == family => {
            attributes.push(RouteAttribute::Gateway(gateway.into()));
        }
        Some(IpAddr::V4(gateway)) => attributes.push(RouteAttribute::Via(RouteVia::Inet(gateway))),
        Some(IpAddr::V6(gateway)) => attributes.push(RouteAttribute::Via(RouteVia::Inet6(gateway))),
        None => {}
    }
    if let Some(realms) = hop.realms {
        attributes.push(RouteAttribute::Realm(realm(realms)));
    }
    if let Some(encapsulation) = &hop.encapsulation {
        let (kind, encap) = encapsulated(encapsulation);
        attributes.push(RouteAttribute::EncapType(kind));
        attributes.push(RouteAttribute::Encap(encap));
    }
    attributes
}

/// The same attributes exist once for each family.
macro_rules! tunnel_attributes {
    ($tunnel:ident, $kind:ident, $flags:ident, $ttl:ident, $tos:ident) => {{
        let Tunnel {
            id,
            destination,
            source,
            ttl,
            tos,
            flags,
        } = *$tunnel;
        let all = [
            id.map($kind::Id),
            destination.map($kind::Destination),
            source.map($kind::Source),
            ttl.map($kind::$ttl),
            tos.map($kind::$tos),
            flags.map($flags::from_bits_retain).map($kind::Flags),
        ];
        all.into_iter().flatten()
    }};
}

fn encapsulated(encapsulation: &Encapsulation) -> (RouteLwEnCapType, Vec<RouteLwTunnelEncap>) {
    match encapsulation {
        Encapsulation::Mpls(labels) => {
            let last = labels.len().saturating_sub(1);
            let label = |(at, label): (usize, &u32)| MplsLabel {
                label: *label,
                traffic_class: 0,
                bottom_of_stack: at == last,
                ttl: 0,
            };
            let labels = labels.iter().enumerate().map(label).collect();
            let stack = RouteMplsIpTunnel::Destination(labels);
            (
                RouteLwEnCapType::Mpls,
                vec![RouteLwTunnelEncap::Mpls(stack)],
            )
        }
        Encapsulation::Ip(tunnel) => {
            let all = tunnel_attributes!(tunnel, RouteIpTunnel, RouteIpTunnelFlags, Ttl, Tos);
            let all = all.map(RouteLwTunnelEncap::Ip);
            (RouteLwEnCapType::Ip, all.collect())
        }
        Encapsulation::Ip6(tunnel) => {
            let all = tunnel_attributes!(tunnel, RouteIp6Tunnel, RouteIp6TunnelFlags, Hoplimit, Tc);
            let all = all.map(RouteLwTunnelEncap::Ip6);
            (RouteLwEnCapType::Ip6, all.collect())
        }
    }
}

const fn realm((source, destination): (u16, u16)) -> RouteRealm {
    RouteRealm {
        source,
        destination,
    }
}

const fn family(family: Family) -> AddressFamily {
    match family {
        Family::Ipv4 => AddressFamily::Inet,
        Family::Ipv6 => AddressFamily::Inet6,
    }
}

/// The message that adds or removes a rule.
pub(super) fn rule(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = family(rule.family);
    message.header.tos = rule.tos;
    if rule.inverted {
        message.header.flags = RuleFlags::Invert;
    }
    let mut attributes = vec![
        RuleAttribute::Priority(rule.priority),
        RuleAttribute::Protocol(rule.protocol.into()),
    ];
    if let Some(Prefix { address, length }) = rule.from {
        message.header.src_len = length;
        attributes.extend((length > 0).then_some(RuleAttribute::Source(address)));
    }
    if let Some(Prefix { address, length }) = rule.to {
        message.header.dst_len = length;
        attributes.extend((length > 0).then_some(RuleAttribute::Destination(address)));
    }
    message.header.action = match rule.action {
        Action::Table(table) => {
            message.header.table = u8::try_from(table).unwrap_or(0);
            attributes.push(RuleAttribute::Table(table));
            RuleAction::ToTable
        }
        Action::MasterDevice => {
            attributes.push(RuleAttribute::L3MDev(true));
            RuleAction::ToTable
        }
        Action::Goto(target) => {
            attributes.push(RuleAttribute::Goto(target));
            RuleAction::Goto
        }
        Action::Nothing => RuleAction::Nop,
        Action::Blackhole => RuleAction::Blackhole,
        Action::Unreachable => RuleAction::Unreachable,
        Action::Prohibit => RuleAction::Prohibit,
    };
    let range = |(start, end): (u16, u16)| RulePortRange { start, end };
    let all = [
        rule.mark.map(|(mark, _)| RuleAttribute::FwMark(mark)),
        rule.mark
            .and_then(|(_, mask)| mask)
            .map(RuleAttribute::FwMask),
        rule.input.clone().map(RuleAttribute::Iifname),
        rule.output.clone().map(RuleAttribute::Oifname),
        rule.realms
            .map(|realms| RuleAttribute::Realm(realm(realms))),
        rule.suppress_length.map(RuleAttribute::SuppressPrefixLen),
        rule.suppress_group.map(RuleAttribute::SuppressIfGroup),
        rule.tunnel.map(RuleAttribute::TunId),
        rule.users
            .map(|(start, end)| RuleAttribute::UidRange(RuleUidRange { start, end })),
        rule.ip_protocol
            .map(|number| RuleAttribute::IpProtocol(number.into())),
        rule.source_ports
            .map(|ports| RuleAttribute::SourcePortRange(range(ports))),
        rule.destination_ports
            .map(|ports| RuleAttribute::DestinationPortRange(range(ports))),
    ];
    attributes.extend(all.into_iter().flatten());
    message.attributes = attributes;
    message
}
