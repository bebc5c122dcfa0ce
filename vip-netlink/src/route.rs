//! Routes and rules that go up with a virtual router (keepalived.conf(5), `virtual_routes` and
//! `virtual_rules`), in the words of ip-route(8) and ip-rule(8).
//!
//! Values only: interfaces by name, no index, no request. They print as `ip` would take them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vrrp_proto::Family;

mod display;
mod rule;

pub use rule::{Action, Rule};

/// `RTPROT_KEEPALIVED` of rtnetlink(7): whose routes, rules and addresses these are, as `ip` shows
/// it (`proto keepalived`).
pub const OURS: u8 = 18;
/// The table `main`.
pub const MAIN: u32 = 254;

/// An address and how much of it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// The address; bits behind the prefix are sent as they are.
    pub address: IpAddr,
    /// How many bits count.
    pub length: u8,
}

impl Prefix {
    /// Everything of that family.
    #[must_use]
    pub const fn all(family: Family) -> Self {
        let address = match family {
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self { address, length: 0 }
    }
}

/// A route (ip-route(8)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What becomes of packets.
    pub kind: Kind,
    /// Where to.
    pub destination: Prefix,
    /// `from`: only packets with such a source, IPv6 only.
    pub source: Option<Prefix>,
    /// The table ([`MAIN`]).
    pub table: u32,
    /// Who put it there ([`OURS`]).
    pub protocol: u8,
    /// Scope as rtnetlink(7) numbers it; without one that of its kind. IPv6 has none.
    pub scope: Option<u8>,
    /// `tos`: only packets with it.
    pub tos: u8,
    /// `metric`: the least counts.
    pub metric: Option<u32>,
    /// `src`: the address to send from.
    pub preferred_source: Option<IpAddr>,
    /// Where packets go next; more than one share them by weight.
    pub hops: Vec<Hop>,
    /// `mtu`, `rtt` and their kind.
    pub settings: Vec<Setting>,
    /// `congctl`: algorithm, and whether it is locked.
    pub congestion: Option<(String, bool)>,
    /// `pref`, IPv6 only.
    pub preference: Option<Preference>,
    /// `expires`: gone after so many seconds, IPv6 only.
    pub expires: Option<u32>,
    /// `ttl-propagate`.
    pub ttl_propagate: Option<bool>,
    /// `append`: behind others of the same destination and metric, not before them.
    pub append: bool,
    /// It is nobody's loss when another program removes it.
    pub untracked: bool,
}

impl Route {
    /// A plain route in the table `main`.
    #[must_use]
    pub const fn new(destination: Prefix, hops: Vec<Hop>) -> Self {
        Self {
            kind: Kind::Unicast,
            destination,
            source: None,
            table: MAIN,
            protocol: OURS,
            scope: None,
            tos: 0,
            metric: None,
            preferred_source: None,
            hops,
            settings: Vec::new(),
            congestion: None,
            preference: None,
            expires: None,
            ttl_propagate: None,
            append: false,
            untracked: false,
        }
    }

    /// Its family.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.destination.address)
    }

    /// The interfaces that it names.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        self.hops.iter().filter_map(|hop| hop.device.as_deref())
    }
}

/// What becomes of packets (`RTN_*` of rtnetlink(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To a gateway or a neighbour.
    Unicast,
    /// To this host.
    Local,
    /// To this host and all of the link.
    Broadcast,
    /// To a group.
    Multicast,
    /// Nowhere, silently.
    Blackhole,
    /// Nowhere, and the sender is told that there is no way.
    Unreachable,
    /// Nowhere, and the sender is told that it is not allowed.
    Prohibit,
    /// As if the table had no route.
    Throw,
}

impl Kind {
    /// All of them, with their names in ip-route(8) and their numbers.
    pub const ALL: [(&'static str, Self, u8); 8] = [
        ("unicast", Self::Unicast, 1),
        ("local", Self::Local, 2),
        ("broadcast", Self::Broadcast, 3),
        ("multicast", Self::Multicast, 5),
        ("blackhole", Self::Blackhole, 6),
        ("unreachable", Self::Unreachable, 7),
        ("prohibit", Self::Prohibit, 8),
        ("throw", Self::Throw, 9),
    ];

    /// Its number.
    #[must_use]
    pub fn number(self) -> u8 {
        let known = Self::ALL.iter().find(|(_, kind, _)| *kind == self);
        known.map_or(1, |(_, _, number)| *number)
    }

    /// Whether packets go nowhere, so that there is no next hop.
    #[must_use]
    pub const fn is_dead_end(self) -> bool {
        match self {
            Self::Blackhole | Self::Unreachable | Self::Prohibit | Self::Throw => true,
            Self::Unicast | Self::Local | Self::Broadcast | Self::Multicast => false,
        }
    }
}

/// Where packets go next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hop {
    /// `via`; an IPv6 one also of an IPv4 route.
    pub gateway: Option<IpAddr>,
    /// `dev`; the kernel finds it by the gateway otherwise.
    pub device: Option<String>,
    /// `weight`, 1 to 256; 0 stands for 1.
    pub weight: u16,
    /// `onlink`: the gateway is on the link, whatever its address says.
    pub on_link: bool,
    /// `realms`: source and destination, IPv4 only.
    pub realms: Option<(u16, u16)>,
    /// `encap`.
    pub encapsulation: Option<Encapsulation>,
}

/// What packets are wrapped in (ip-route(8), `encap`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encapsulation {
    /// MPLS labels, the outermost first.
    Mpls(Vec<u32>),
    /// A tunnel over IPv4.
    Ip(Tunnel<Ipv4Addr>),
    /// A tunnel over IPv6.
    Ip6(Tunnel<Ipv6Addr>),
}

/// The outer header of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tunnel<A> {
    /// `id`: key.
    pub id: Option<u64>,
    /// `dst`.
    pub destination: Option<A>,
    /// `src`.
    pub source: Option<A>,
    /// `ttl` or `hoplimit`.
    pub ttl: Option<u8>,
    /// `tos` or `tc`.
    pub tos: Option<u8>,
    /// `flags`, as the kernel numbers them.
    pub flags: Option<u16>,
}

impl<A> Default for Tunnel<A> {
    fn default() -> Self {
        Self {
            id: None,
            destination: None,
            source: None,
            ttl: None,
            tos: None,
            flags: None,
        }
    }
}

/// What the kernel does on a route (`RTAX_*` of rtnetlink(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Which.
    pub what: What,
    /// In the kernel's unit.
    pub value: u32,
    /// The kernel may not change it.
    pub locked: bool,
}

/// A setting of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// `mtu`.
    Mtu,
    /// `window`.
    Window,
    /// `rtt`, in eighths of a millisecond.
    Rtt,
    /// `rttvar`, in quarters of a millisecond.
    RttVar,
    /// `ssthresh`.
    SsThresh,
    /// `cwnd`.
    Cwnd,
    /// `advmss`.
    Advmss,
    /// `reordering`.
    Reordering,
    /// `hoplimit`.
    Hoplimit,
    /// `initcwnd`.
    InitCwnd,
    /// `features`: 1 is `ecn`.
    Features,
    /// `rto_min`, in milliseconds.
    RtoMin,
    /// `initrwnd`.
    InitRwnd,
    /// `quickack`.
    QuickAck,
    /// `fastopen_no_cookie`.
    FastopenNoCookie,
}

impl What {
    /// All of them, with their names in ip-route(8) and their numbers.
    pub const ALL: [(&'static str, Self, u16); 15] = [
        ("mtu", Self::Mtu, 2),
        ("window", Self::Window, 3),
        ("rtt", Self::Rtt, 4),
        ("rttvar", Self::RttVar, 5),
        ("ssthresh", Self::SsThresh, 6),
        ("cwnd", Self::Cwnd, 7),
        ("advmss", Self::Advmss, 8),
        ("reordering", Self::Reordering, 9),
        ("hoplimit", Self::Hoplimit, 10),
        ("initcwnd", Self::InitCwnd, 11),
        ("features", Self::Features, 12),
        ("rto_min", Self::RtoMin, 13),
        ("initrwnd", Self::InitRwnd, 14),
        ("quickack", Self::QuickAck, 15),
        ("fastopen_no_cookie", Self::FastopenNoCookie, 17),
    ];

    /// Its number.
    #[must_use]
    pub fn number(self) -> u16 {
        let known = Self::ALL.iter().find(|(_, what, _)| *what == self);
        known.map_or(0, |(_, _, number)| *number)
    }
}

/// How much a router is preferred (RFC 4191 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preference {
    /// `low`.
    Low,
    /// `medium`.
    Medium,
    /// `high`.
    High,
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length {
            0 => f.write_str("default"),
            length => write!(f, "{}/{length}", self.address),
        }
    }
}
