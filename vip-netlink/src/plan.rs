//! Which addresses to add and which to remove, as a pure difference between what the kernel has
//! and what is wanted.
//!
//! An address is ours only if address, prefix length and interface are all equal: removal is
//! never by prefix alone, so that an operator's `192.0.2.10/24` survives beside our
//! `192.0.2.10/32`, and removing ours never takes a subnet's secondaries along.

use std::net::{IpAddr, Ipv4Addr};

/// One address that goes up with a virtual router (keepalived.conf(5), `virtual_ipaddress`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vip {
    /// The address itself.
    pub address: IpAddr,
    /// Prefix length; 32 or 128 unless the operator says otherwise. With a peer, the peer's.
    pub prefix: u8,
    /// The other end of a point-to-point address.
    pub peer: Option<IpAddr>,
    /// The interface it is put on; `None` = the virtual router's own.
    pub device: Option<String>,
    /// `IFA_LABEL` of an IPv4 address, at most 15 octets.
    pub label: Option<String>,
    /// `IFA_BROADCAST` of an IPv4 address.
    pub broadcast: Option<Ipv4Addr>,
    /// Routing scope of an IPv4 address.
    pub scope: Scope,
    /// What else the kernel is told of it.
    pub flags: Flags,
    /// For how many seconds the kernel may choose it as a source, `u32::MAX` for ever; without one
    /// never for an IPv6 host address and for ever for the others.
    pub preferred: Option<u32>,
    /// It is nobody's loss when another program removes it.
    pub untracked: bool,
}

/// `IFA_FLAGS` that an operator can choose (ip-address(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// `home`: the home address of Mobile IPv6.
    pub home: bool,
    /// Duplicate address detection is done, IPv6 only: the address answers a second later.
    pub detect_duplicates: bool,
    /// `mngtmpaddr`: the kernel makes temporary addresses from it, IPv6 only.
    pub manage_temporary: bool,
    /// `noprefixroute`: no route to its subnet.
    pub no_prefix_route: bool,
    /// `autojoin`: groups that it belongs to are joined on the wire.
    pub auto_join: bool,
}

impl Vip {
    /// A host address (/32 or /128) on the router's own interface.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        Self {
            address,
            prefix: if address.is_ipv4() { 32 } else { 128 },
            peer: None,
            device: None,
            label: None,
            broadcast: None,
            scope: Scope::Universe,
            flags: Flags {
                home: false,
                detect_duplicates: false,
                manage_temporary: false,
                no_prefix_route: false,
                auto_join: false,
            },
            preferred: None,
            untracked: false,
        }
    }

    /// The same address with another prefix length.
    #[must_use]
    pub fn with_prefix(mut self, prefix: u8) -> Self {
        self.prefix = prefix;
        self
    }

    /// The same address on the named interface.
    #[must_use]
    pub fn on(mut self, device: impl Into<String>) -> Self {
        self.device = Some(device.into());
        self
    }

    /// `IFA_F_NODAD`: a duplicate address detection would hold the address tentative for a second
    /// after a takeover.
    #[must_use]
    pub const fn skips_detection(&self) -> bool {
        self.address.is_ipv6() && !self.flags.detect_duplicates
    }

    /// Seconds of `preferred_lft`: a deprecated /128 is never chosen as a source (keepalived does
    /// so too).
    #[must_use]
    pub fn preferred_seconds(&self) -> u32 {
        let usual = match self.address {
            IpAddr::V6(_) if self.prefix == 128 => 0,
            IpAddr::V4(_) | IpAddr::V6(_) => u32::MAX,
        };
        self.preferred.unwrap_or(usual)
    }
}

/// Scope of an IPv4 address (rtnetlink(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// Valid everywhere.
    #[default]
    Universe,
    /// Valid inside the site.
    Site,
    /// Valid on this link.
    Link,
    /// Valid on this host only.
    Host,
    /// Any other number.
    Other(u8),
}

impl Scope {
    /// The number of rtnetlink(7).
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Universe => 0,
            Self::Site => 200,
            Self::Link => 253,
            Self::Host => 254,
            Self::Other(number) => number,
        }
    }
}

/// An address of an interface as the kernel reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Present {
    /// Interface index.
    pub interface: u32,
    /// The local address (`IFA_LOCAL`, else `IFA_ADDRESS`).
    pub address: IpAddr,
    /// Prefix length.
    pub prefix: u8,
    /// The other end of a point-to-point address.
    pub peer: Option<IpAddr>,
}

/// A wanted address with its interface already resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Interface index.
    pub interface: u32,
    /// What is wanted there.
    pub vip: &'a Vip,
}

impl Wanted<'_> {
    /// The key by which it is found among what the kernel has.
    #[must_use]
    pub const fn present(&self) -> Present {
        Present {
            interface: self.interface,
            address: self.vip.address,
            prefix: self.vip.prefix,
            peer: self.vip.peer,
        }
    }
}

/// What brings the kernel from what it has to what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan<'a> {
    /// Wanted and not there, in the order of the configuration.
    pub add: Vec<Wanted<'a>>,
    /// There, ours by address, prefix and interface, and not wanted.
    pub remove: Vec<Present>,
}

/// Compares `present` with `wanted`; only addresses in `ours` may be removed.
#[must_use]
pub fn difference<'a>(present: &[Present], wanted: &[Wanted<'a>], ours: &[Wanted<'_>]) -> Plan<'a> {
    let mut plan = Plan::default();
    for want in wanted {
        let key = want.present();
        let is_planned = plan.add.iter().any(|one| one.present() == key);
        if !present.contains(&key) && !is_planned {
            plan.add.push(*want);
        }
    }
    for have in present {
        let is_ours = ours.iter().any(|own| own.present() == *have);
        let is_wanted = wanted.iter().any(|want| want.present() == *have);
        if is_ours && !is_wanted && !plan.remove.contains(have) {
            plan.remove.push(*have);
        }
    }
    plan
}

/// The address from which adverts of an interface leave: the first IPv4 (or link-local IPv6)
/// address that is not a virtual one.
///
/// A virtual address left over from a crash must never become the source (RFC 9568 §5.1.1.1 asks
/// for the primary address, and "primary" is the lowest or first one).
#[must_use]
pub fn primary_address<'a>(
    present: impl IntoIterator<Item = &'a Present>,
    interface: u32,
    ipv6: bool,
    virtual_addresses: &[IpAddr],
) -> Option<IpAddr> {
    present
        .into_iter()
        .filter(|have| have.interface == interface && !virtual_addresses.contains(&have.address))
        .map(|have| have.address)
        .find(|address| match address {
            IpAddr::V4(_) => !ipv6,
            IpAddr::V6(address) => ipv6 && address.is_unicast_link_local(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn have(interface: u32, address: &str, prefix: u8) -> Present {
        Present {
            interface,
            address: address.parse().unwrap(),
            prefix,
            peer: None,
        }
    }

    #[test]
    fn a_missing_address_is_added_and_a_present_one_is_left_alone() {
        let (a, b) = (
            Vip::host("192.0.2.10".parse().unwrap()),
            Vip::host("192.0.2.11".parse().unwrap()),
        );
        let wanted = [
            Wanted {
                interface: 2,
                vip: &a,
            },
            Wanted {
                interface: 2,
                vip: &b,
            },
        ];
        let plan = difference(&[have(2, "192.0.2.10", 32)], &wanted, &wanted);
        assert_eq!(plan.add, [wanted[1]]);
        assert!(plan.remove.is_empty());
    }

    #[test]
    fn an_address_that_is_named_again_is_added_once_as_it_was_first() {
        let plain = Vip::host("192.0.2.10".parse().unwrap());
        let labelled = Vip {
            label: Some("eth0:1".to_owned()),
            ..plain.clone()
        };
        let wanted = [&plain, &labelled].map(|vip| Wanted { interface: 2, vip });
        let plan = difference(&[], &wanted, &wanted);
        assert_eq!(plan.add, [wanted[0]]);
    }

    #[test]
    fn only_the_exact_prefix_and_interface_are_ours() {
        let vip = Vip::host("192.0.2.10".parse().unwrap());
        let ours = [Wanted {
            interface: 2,
            vip: &vip,
        }];
        let present = [
            have(2, "192.0.2.10", 24),
            have(3, "192.0.2.10", 32),
            have(2, "192.0.2.10", 32),
            have(2, "192.0.2.1", 24),
        ];
        let plan = difference(&present, &[], &ours);
        assert_eq!(plan.remove, [have(2, "192.0.2.10", 32)]);
    }

    #[test]
    fn the_primary_address_is_never_a_virtual_one() {
        let present = [
            have(2, "192.0.2.10", 32),
            have(3, "198.51.100.1", 24),
            have(2, "192.0.2.5", 24),
            have(2, "fd00::1", 64),
            have(2, "fe80::1", 64),
        ];
        let vips = ["192.0.2.10".parse().unwrap()];
        assert_eq!(
            primary_address(&present, 2, false, &vips),
            Some("192.0.2.5".parse().unwrap())
        );
        assert_eq!(
            primary_address(&present, 2, true, &vips),
            Some("fe80::1".parse().unwrap())
        );
        assert_eq!(primary_address(&present, 4, false, &vips), None);
    }

    #[test]
    fn an_ipv6_host_address_skips_dad_and_is_never_a_source() {
        let host = Vip::host("2001:db8::1".parse().unwrap());
        assert!(host.skips_detection());
        assert_eq!(host.preferred_seconds(), 0);
        assert_eq!(host.clone().with_prefix(64).preferred_seconds(), u32::MAX);
        let chosen = Vip {
            preferred: Some(7),
            ..host
        };
        assert_eq!(chosen.preferred_seconds(), 7);
    }

    proptest! {
        /// Applying the plan yields exactly the wanted set of ours, and nothing foreign moves.
        #[test]
        fn a_plan_applied_leaves_what_is_wanted(
            present in proptest::collection::btree_set((1u32..3, 0u8..6, 31u8..=32), 0..12),
            ours in proptest::collection::btree_set((1u32..3, 0u8..6, 31u8..=32), 0..12),
            up in any::<bool>(),
        ) {
            let vip = |last: u8, prefix| Vip::host(IpAddr::from([192, 0, 2, last])).with_prefix(prefix);
            let present: Vec<Present> = present
                .into_iter()
                .map(|(interface, last, prefix)| Present { interface, address: IpAddr::from([192, 0, 2, last]), prefix, peer: None })
                .collect();
            let vips: Vec<(u32, Vip)> = ours.into_iter().map(|(i, last, prefix)| (i, vip(last, prefix))).collect();
            let ours: Vec<Wanted<'_>> = vips.iter().map(|(interface, vip)| Wanted { interface: *interface, vip }).collect();
            let wanted = if up { ours.clone() } else { Vec::new() };
            let plan = difference(&present, &wanted, &ours);
            let mut after: Vec<Present> = present.iter().filter(|have| !plan.remove.contains(have)).copied().collect();
            after.extend(plan.add.iter().map(Wanted::present));
            for own in &ours {
                prop_assert_eq!(after.contains(&own.present()), up);
            }
            for have in &present {
                if !ours.iter().any(|own| own.present() == *have) {
                    prop_assert!(after.contains(have));
                }
            }
        }
    }
}
