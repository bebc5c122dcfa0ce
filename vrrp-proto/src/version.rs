//! Protocol version and address family.

/// Protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// VRRPv2 (RFC 3768), IPv4 only.
    V2,
    /// VRRPv3 (RFC 9568).
    V3,
}

/// Address family of a virtual router; the same VRID in both families is two virtual routers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}
