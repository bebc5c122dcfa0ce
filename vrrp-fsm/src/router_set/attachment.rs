//! How a router is connected: its link, where its adverts go and come from, how they are authenticated.

#[cfg(feature = "auth")]
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;

use vrrp_proto::{ChecksumMode, Envelope, Family, MULTICAST_V4, MULTICAST_V6, Password};

use crate::{Event, FaultKind, FaultReason, track::Track};

/// How a router is connected to its link and to what it watches.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// The interface, by the number under which packets and link events name it (its index).
    pub interface: u32,
    /// Where adverts go to and may come from.
    pub transport: Transport,
    /// How adverts are authenticated.
    pub authentication: Authentication,
    /// What the checksum of v3 over IPv4 covers when sending; both are accepted.
    pub checksum: ChecksumMode,
    /// Tracked scripts and interfaces.
    pub tracks: Vec<Track>,
    /// Whether the link of `interface` itself is watched: if it is lost, the router faults.
    pub track_primary: bool,
    /// Whether `RouterConfig::primary` was configured and does not follow the interface.
    pub fixed_primary: bool,
}

/// Where adverts go to and may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// To a multicast group, 224.0.0.18 or ff02::12 unless configured otherwise.
    Multicast(IpAddr),
    /// To each peer in turn.
    Unicast {
        /// The peers.
        peers: Vec<UnicastPeer>,
        /// TTL or hop limit to send with.
        hop_limit: u8,
        /// Reject adverts from others than the peers. A unicast packet may have crossed routers, so
        /// that its TTL proves nothing.
        check_source: bool,
    },
}

/// One of the routers that adverts are sent to and come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnicastPeer {
    /// Its address.
    pub address: IpAddr,
    /// Adverts from it with a lower TTL or hop limit are rejected.
    pub min_hop_limit: u8,
    /// Adverts from it with a higher one are rejected.
    pub max_hop_limit: u8,
}

/// Authentication. That of VRRPv2 keeps strangers of good will apart; it is no security.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// None.
    None,
    /// Simple text password in the packet; v2 only.
    Password(Password),
    /// IP Authentication Header as keepalived does it; v2 only.
    #[cfg(feature = "auth")]
    Header(vrrp_proto::ah::Authenticator),
    /// keepalived's `auth_hmac` trailer, for both versions. It needs the time of day
    /// ([`RouterSet::time_of_day`](crate::RouterSet::time_of_day)).
    #[cfg(feature = "auth")]
    Hmac(Box<vrrp_proto::auth_hmac::Authenticator<Vec<vrrp_proto::auth_hmac::Key>>>),
}

impl Transport {
    /// The group that IANA assigned.
    pub const fn multicast(family: Family) -> Self {
        Self::Multicast(match family {
            Family::Ipv4 => IpAddr::V4(MULTICAST_V4),
            Family::Ipv6 => IpAddr::V6(MULTICAST_V6),
        })
    }

    /// Peers with TTL 255 and a check of the source.
    pub fn unicast(peers: Vec<IpAddr>) -> Self {
        Self::Unicast {
            peers: peers.into_iter().map(UnicastPeer::from).collect(),
            hop_limit: 255,
            check_source: true,
        }
    }

    /// A fault while there is nobody whom it reaches.
    pub(super) fn reach(&self) -> Event {
        match self {
            Self::Unicast { peers, .. } if peers.is_empty() => Event::Fault(FaultReason::NoPeers),
            Self::Unicast { .. } | Self::Multicast(_) => Event::Recovered(FaultKind::Peers),
        }
    }

    /// Whether adverts for one could be taken for the other's: the same group, or a common peer.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Multicast(one), Self::Multicast(other)) => one == other,
            (Self::Unicast { peers, .. }, Self::Unicast { peers: others, .. }) => {
                let common = |peer: &UnicastPeer| others.iter().any(|o| o.address == peer.address);
                peers.iter().any(common)
            }
            (Self::Multicast(_), Self::Unicast { .. })
            | (Self::Unicast { .. }, Self::Multicast(_)) => false,
        }
    }

    /// Whether a packet with these addresses is of this transport.
    pub(super) fn carries(&self, envelope: &Envelope) -> bool {
        let Envelope {
            source,
            destination,
            ..
        } = *envelope;
        match self {
            Self::Multicast(group) => *group == destination,
            Self::Unicast { peers, .. } => {
                !destination.is_multicast() && peers.iter().any(|peer| peer.address == source)
            }
        }
    }
}

impl From<IpAddr> for UnicastPeer {
    /// A peer however far away.
    fn from(address: IpAddr) -> Self {
        Self {
            address,
            min_hop_limit: 0,
            max_hop_limit: u8::MAX,
        }
    }
}

impl Attachment {
    /// Multicast without authentication, tracking the interface, checksum as keepalived's.
    pub fn new(interface: u32, family: Family) -> Self {
        Self {
            interface,
            transport: Transport::multicast(family),
            authentication: Authentication::None,
            checksum: ChecksumMode::PseudoHeader,
            tracks: Vec::new(),
            track_primary: true,
            fixed_primary: false,
        }
    }
}
