//! What two hosts speak for, and how.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use serde::Serialize;
use vrrp_proto::{Envelope, Version};

/// Priorities of the first host and of the second.
pub(crate) const PRIORITIES: [u8; 2] = [150, 100];
/// Of those whose adverts have one.
pub(crate) const PASSWORD: &[u8; 8] = b"drilling";

/// How adverts travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wire {
    /// VRRPv3 over IPv4 to the group.
    V3,
    /// The same from host to host.
    V3Unicast,
    /// VRRPv3 over IPv6 to the group.
    V3Ipv6,
    /// VRRPv2 without authentication.
    V2,
    /// VRRPv2 with a password.
    V2Pass,
    /// VRRPv2 in an Authentication Header.
    V2Ah,
}

impl Wire {
    pub(crate) const ALL: [Self; 6] = [
        Self::V3,
        Self::V3Unicast,
        Self::V3Ipv6,
        Self::V2,
        Self::V2Pass,
        Self::V2Ah,
    ];

    /// What it is called on the command line and in a table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V3 => "v3",
            Self::V3Unicast => "v3-unicast",
            Self::V3Ipv6 => "v3-ipv6",
            Self::V2 => "v2",
            Self::V2Pass => "v2-pass",
            Self::V2Ah => "v2-ah",
        }
    }

    pub(crate) const fn version(self) -> Version {
        match self {
            Self::V3 | Self::V3Unicast | Self::V3Ipv6 => Version::V3,
            Self::V2 | Self::V2Pass | Self::V2Ah => Version::V2,
        }
    }

    /// Whether only the hosts that are named as peers are heard.
    pub(crate) const fn is_unicast(self) -> bool {
        matches!(self, Self::V3Unicast)
    }

    /// VRRPv2 counts in whole seconds.
    pub(crate) fn interval(self, wished: Duration) -> Duration {
        match self.version() {
            Version::V2 => wished.max(Duration::from_secs(1)),
            Version::V3 => wished,
        }
    }

    /// The address from which a host with that number speaks.
    pub(crate) const fn source(self, number: u8) -> IpAddr {
        match self {
            Self::V3Ipv6 => IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x78, number as u16)),
            _ => IpAddr::V4(Ipv4Addr::new(10, 78, 0, number)),
        }
    }

    /// The address of a virtual router.
    pub(crate) const fn address(self, vrid: u8) -> IpAddr {
        match self {
            // RFC 9568 §5.2.9: a link-local address comes first.
            Self::V3Ipv6 => IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x7801, vrid as u16)),
            _ => IpAddr::V4(Plan::address(vrid)),
        }
    }

    /// From the host with the first of these numbers to the second, or to the group.
    pub(crate) const fn envelope(self, from: u8, to: u8) -> Envelope {
        let mut envelope = Envelope::multicast(self.source(from));
        if self.is_unicast() {
            envelope.destination = self.source(to);
        }
        envelope
    }
}

/// What they speak for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Plan {
    /// Virtual routers, with an address each.
    pub(crate) instances: u8,
    /// Between adverts.
    pub(crate) interval: Duration,
    /// How adverts travel.
    pub(crate) wire: Wire,
}

impl Plan {
    /// Active_Down_Interval of the second host (RFC 9568 §6.1, RFC 3768 §6.1).
    pub(crate) fn down(&self) -> Duration {
        self.interval * 3 + self.skew()
    }

    /// Skew_Time of the second host.
    pub(crate) fn skew(&self) -> Duration {
        let [_, second] = PRIORITIES;
        let interval = match self.wire.version() {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => self.interval,
        };
        interval * (256 - u32::from(second)) / 256
    }

    /// The IPv4 address of a virtual router.
    pub(crate) const fn address(vrid: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 78, 1, vrid)
    }

    /// The file of the host with that number, 0 or 1.
    pub(crate) fn keepalived_conf(&self, number: u8) -> String {
        let interval = self.interval.as_secs_f64();
        let version = match self.wire.version() {
            Version::V2 => 2,
            Version::V3 => 3,
        };
        let [first, second] = PRIORITIES;
        let priority = if number == 0 { first } else { second };
        let (own, other) = (number + 1, 2 - number);
        let mut more = String::new();
        let password = String::from_utf8_lossy(PASSWORD);
        let kind = match self.wire {
            Wire::V2Pass => Some("PASS"),
            Wire::V2Ah => Some("AH"),
            _ => None,
        };
        if let Some(kind) = kind {
            let _ = write!(
                more,
                " authentication {{\n  auth_type {kind}\n  auth_pass {password}\n }}\n"
            );
        }
        if self.wire.is_unicast() {
            let (own, other) = (self.wire.source(own), self.wire.source(other));
            let _ = write!(
                more,
                " unicast_src_ip {own}\n unicast_peer {{\n  {other}\n }}\n"
            );
        }
        let mut text = String::new();
        for vrid in 1..=self.instances {
            let address = self.wire.address(vrid);
            let _ = write!(
                text,
                "vrrp_instance VI_{vrid} {{\n version {version}\n state BACKUP\n interface eth0\n \
                 virtual_router_id {vrid}\n priority {priority}\n advert_int {interval}\n{more} \
                 virtual_ipaddress {{\n  {address}\n }}\n}}\n"
            );
        }
        text
    }
}
