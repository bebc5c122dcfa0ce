//! The device of a virtual router MAC address (RFC 9568 §7.3): a macvlan on the interface on which the router speaks,
//! which carries its virtual addresses and is up only while it is Active.
//!
//! ```text
//! Backup    parent up, hears adverts          macvlan down: takes no frame, sends none (§6.4.2)
//! Active    parent up, hears adverts          macvlan up: addresses, ARP and ND answers, announcements
//!           adverts leave by the parent with the virtual MAC address as their source
//! ```
//! Mode bridge: in mode private the kernel gives a frame that comes from the device's own MAC address to the device
//! alone, and another Active's adverts, which do, would not reach the parent. Its settings are the device's own, set
//! by netlink and gone with it:
//! - `arp_ignore` 1, `arp_filter` 0: it answers for its own addresses, and for these always;
//! - `rp_filter` 2: replies may leave by the parent, whatever `all.rp_filter` says;
//! - `promote_secondaries` 1; `addrgenmode none`: no link-local address of its own.
//!
//! That the parent does not answer ARP for addresses of the device is the fence's work
//! ([`Fence::open_on`](crate::fence::Fence::open_on)). Of the parent `arp_announce` is raised to 2, lest it
//! ask for neighbours under a virtual address and its own hardware address; without a fence also `arp_ignore` to 1.
//! What they were stands in the alias of each device, so that whoever removes the last one puts them back, after a
//! crash too. IPv6's `accept_ra` and `autoconf` cannot be set by netlink:
//! [`refuse_advertisements`].

//!
//! keepalived's devices carry no mark. One of them is in use as long as the group of VRRP is joined on it, as keepalived
//! does on the device (with `vmac_xmit_base` and unicast peers it does not, and nothing tells such a device from one that
//! was left behind).

use std::io;

use vrrp_proto::{Family, Vrid};

use crate::announce::Mac;
use crate::link::{ArpSettings, Link};

/// What the alias of a device says that is one of ours; the number of its holder follows, and perhaps what
/// `arp_announce` and `arp_ignore` of its parent were.
const MARK: &str = "vip-netlink ";

/// What follows in the alias of a device that we did not make: it is not removed.
const FOUND: &str = " found";

/// A device that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VirtualMac {
    /// Name of the device, at most 15 octets.
    pub name: String,
    /// Name of the interface that it stands on.
    pub parent: String,
    /// Its hardware address.
    pub mac: Mac,
}

/// RFC 9568 §7.3: 00-00-5E-00-01-{VRID} over IPv4, 00-00-5E-00-02-{VRID} over IPv6.
#[must_use]
pub const fn virtual_mac(vrid: Vrid, family: Family) -> Mac {
    let family = match family {
        Family::Ipv4 => 1,
        Family::Ipv6 => 2,
    };
    [0x00, 0x00, 0x5e, 0x00, family, vrid.value()]
}

/// What has to be done for a wanted device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is not there.
    Missing,
    /// It is there, made by a predecessor, by keepalived or by an administrator; a holder of it may live.
    Right,
    /// Its place is taken by another device of a holder of that number.
    Stale(u32),
    /// Its place is taken by a device that is none of ours.
    Foreign,
}

impl VirtualMac {
    /// Compares with what has its name; `parent` is the index of the interface that it is to stand on.
    #[must_use]
    pub fn standing(&self, found: Option<&Link>, parent: u32) -> Standing {
        let Some(found) = found else {
            return Standing::Missing;
        };
        let is_right = found.macvlan.is_some_and(|one| one.parent == parent);
        if is_right && found.mac == Some(self.mac) {
            return Standing::Right;
        }
        holder(found).map_or(Standing::Foreign, |(holder, _)| Standing::Stale(holder))
    }
}

/// The alias under which a holder of that number has a device; `before` is what the parent had.
#[must_use]
pub fn alias(holder: u32, before: ArpSettings) -> String {
    format!("{MARK}{holder} {} {}", before.announce, before.ignore)
}

/// The same for a device that was there, made by nobody that is known.
#[must_use]
pub fn alias_of_found(holder: u32, before: ArpSettings) -> String {
    alias(holder, before) + FOUND
}

/// Whether a device was there before its first holder.
#[must_use]
pub fn is_found(link: &Link) -> bool {
    holder(link).is_none()
        || link
            .alias
            .as_ref()
            .is_some_and(|alias| alias.ends_with(FOUND))
}

/// The number of the holder that made a device, and what its parent had before.
#[must_use]
pub fn holder(link: &Link) -> Option<(u32, ArpSettings)> {
    link.macvlan?;
    let mut words = link.alias.as_deref()?.strip_prefix(MARK)?.split(' ');
    let mut number = || words.next()?.parse().ok();
    let (holder, announce, ignore) = (number()?, number()?, number()?);
    Some((holder, ArpSettings { announce, ignore }))
}

/// What the parent of devices needs at least, where it has `now`.
#[must_use]
pub fn raised(now: ArpSettings, fenced: bool) -> ArpSettings {
    let ignore = if fenced { 0 } else { 1 };
    ArpSettings {
        announce: now.announce.max(2),
        ignore: now.ignore.max(ignore),
    }
}

/// Keeps the kernel from making addresses and routes on the device of that name from router advertisements, which
/// every interface hears. Writes below `/proc/sys`, which a process without files cannot: another one may do it on
/// its behalf.
pub fn refuse_advertisements(name: &str) -> io::Result<()> {
    let folder = std::path::Path::new("/proc/sys/net/ipv6/conf").join(name);
    for setting in ["accept_ra", "autoconf"] {
        match std::fs::write(folder.join(setting), "0") {
            // A kernel without IPv6, or a device that has gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            written => written?,
        }
    }
    Ok(())
}

#[cfg(feature = "tokio")]
mod members;
#[cfg(feature = "tokio")]
mod requests;
#[cfg(feature = "tokio")]
pub(crate) use members::is_joined;
#[cfg(feature = "tokio")]
pub(crate) use requests::Requests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Macvlan;

    fn wanted() -> VirtualMac {
        VirtualMac {
            name: "vrrp.51".into(),
            parent: "eth0".into(),
            mac: virtual_mac(Vrid::new(51).unwrap(), Family::Ipv4),
        }
    }

    fn link(mac: Mac, parent: Option<u32>, alias: Option<&str>) -> Link {
        Link {
            index: 9,
            name: "vrrp.51".into(),
            mac: Some(mac),
            up: false,
            running: false,
            no_arp: false,
            forwards: false,
            alias: alias.map(str::to_owned),
            arp: ArpSettings::default(),
            macvlan: parent.map(|parent| Macvlan {
                parent,
                bridge: true,
            }),
            promoted_by: None,
        }
    }

    #[test]
    fn the_addresses_are_those_of_the_rfc() {
        let vrid = Vrid::new(0x33).unwrap();
        assert_eq!(virtual_mac(vrid, Family::Ipv4), [0, 0, 0x5e, 0, 1, 0x33]);
        assert_eq!(virtual_mac(vrid, Family::Ipv6), [0, 0, 0x5e, 0, 2, 0x33]);
    }

    #[test]
    fn a_parent_keeps_what_is_stricter_already() {
        let all = |announce, ignore| ArpSettings { announce, ignore };
        assert_eq!(raised(all(0, 0), true), all(2, 0));
        assert_eq!(raised(all(0, 0), false), all(2, 1));
        assert_eq!(raised(all(3, 2), false), all(3, 2));
    }

    #[test]
    fn only_a_macvlan_of_that_address_on_that_interface_is_taken_over() {
        let wanted = wanted();
        let other = [2, 0, 0, 0, 0, 1];
        let found = |link: Option<&Link>| wanted.standing(link, 2);
        assert_eq!(found(None), Standing::Missing);
        assert_eq!(
            found(Some(&link(wanted.mac, Some(2), None))),
            Standing::Right
        );
        for stranger in [
            link(other, Some(2), None),
            link(wanted.mac, Some(3), None),
            link(wanted.mac, None, None),
            link(wanted.mac, None, Some("vip-netlink 7")),
            link(other, Some(2), Some("vip-netlink x 0 0")),
            link(other, Some(2), Some("vip-netlink 7")),
        ] {
            assert_eq!(found(Some(&stranger)), Standing::Foreign);
        }
        let before = ArpSettings {
            announce: 1,
            ignore: 0,
        };
        let stale = link(other, Some(2), Some(&alias(7, before)));
        assert_eq!(holder(&stale), Some((7, before)));
        assert_eq!(found(Some(&stale)), Standing::Stale(7));
    }
}
