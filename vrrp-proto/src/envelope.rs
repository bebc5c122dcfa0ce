//! What the codec needs of the IP header around an advertisement.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Family;

/// Where IPv4 advertisements are sent (RFC 9568 §5.1.1.2).
pub const MULTICAST_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// Where IPv6 advertisements are sent (RFC 9568 §5.1.2.2).
pub const MULTICAST_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// The fields of the IP header that checks and checksum refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Envelope {
    /// Source address: the sender's primary address.
    pub source: IpAddr,
    /// Destination address: the VRRP group, or this host for unicast.
    pub destination: IpAddr,
    /// IPv4 TTL or IPv6 hop limit.
    pub hop_limit: u8,
}

impl Envelope {
    /// An envelope to the group of the source's family, as a sender fills it in.
    pub const fn multicast(source: IpAddr) -> Self {
        let destination = match source {
            IpAddr::V4(_) => IpAddr::V4(MULTICAST_V4),
            IpAddr::V6(_) => IpAddr::V6(MULTICAST_V6),
        };
        Self {
            source,
            destination,
            hop_limit: 255,
        }
    }

    /// The address family; `None` if source and destination disagree.
    pub const fn family(&self) -> Option<Family> {
        match (self.source, self.destination) {
            (IpAddr::V4(_), IpAddr::V4(_)) => Some(Family::Ipv4),
            (IpAddr::V6(_), IpAddr::V6(_)) => Some(Family::Ipv6),
            _ => None,
        }
    }
}
