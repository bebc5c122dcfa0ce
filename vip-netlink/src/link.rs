//! Network interfaces: how they are named across replacement, and what of them matters here.
//!
//! An interface's index is not its identity: it may vanish and come back under another one. Its
//! name is; [`Interface::number`] stays the same for as long as the process runs.

use std::os::fd::AsFd;

use crate::announce::Mac;

/// An interface by name, with a number that never changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interface {
    name: String,
    number: u32,
}

/// Numbers of interfaces that do not exist yet; far above any index that a kernel gives.
const NOT_YET: u32 = 0x8000_0000;

impl Interface {
    /// The interface of that name: its number is its present index, or one made from the name while
    /// it does not exist. `socket` may be any socket of the network namespace.
    #[must_use]
    pub fn find(socket: impl AsFd, name: &str) -> Self {
        let number = index(socket, name).unwrap_or_else(|| {
            // FNV-1a: two names that do not exist and collide are beyond bad luck.
            let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, octet| {
                (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193)
            });
            NOT_YET | hash
        });
        Self {
            name: name.to_owned(),
            number,
        }
    }

    /// [`Interface::find`] with a socket of its own, in the calling thread's network namespace.
    pub fn lookup(name: &str) -> std::io::Result<Self> {
        let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0))
            .or_else(|_| std::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0)))?;
        Ok(Self::find(&socket, name))
    }

    /// Whether it existed when it was looked up.
    #[must_use]
    pub const fn exists(&self) -> bool {
        self.number < NOT_YET
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number by which adverts and events name it: an index at first, but not for ever.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }
}

/// The index that the interface of that name has now.
#[must_use]
pub fn index(socket: impl AsFd, name: &str) -> Option<u32> {
    // No interface has a colon in its name. The kernel looks for what is before it: `eth0:1` is a label of an address
    // of `eth0`.
    if name.contains(':') {
        return None;
    }
    rustix::net::netdevice::name_to_index(socket, name).ok()
}

/// What the kernel says of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its index now.
    pub index: u32,
    /// Its name now.
    pub name: String,
    /// Its hardware address, if it has one of six octets.
    pub mac: Option<Mac>,
    /// `IFF_UP`: an administrator wants it up.
    pub up: bool,
    /// `IFF_RUNNING`: it has a carrier and so has what is below it (RFC 2863's operational state).
    pub running: bool,
    /// `IFF_NOARP`: gratuitous ARP makes no sense on it.
    pub no_arp: bool,
    /// This host forwards IPv6 packets that arrive on it: to its neighbours it is a router.
    pub forwards: bool,
    /// The text by which an administrator, or the program that made it, remembers it.
    pub alias: Option<String>,
    /// `arp_announce` and `arp_ignore` as they were when it was last told of; the kernel does not tell of a change.
    pub arp: ArpSettings,
    /// What it is, if it is a macvlan.
    pub macvlan: Option<Macvlan>,
    /// The number of the holder ([`Fence::number`](crate::fence::Fence::number)) that has changed its
    /// `promote_secondaries`, as one of its alternative names says.
    pub promoted_by: Option<u32>,
}

/// How an interface asks and answers by ARP (the kernel's `Documentation/networking/ip-sysctl`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ArpSettings {
    /// Under which address it asks: 0 = any of the host, 2 = the best of its own.
    pub announce: u32,
    /// For which it answers: 0 = all of the host, 1 = its own.
    pub ignore: u32,
}

/// A device of its own hardware address on top of another interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Macvlan {
    /// Index of the interface that it stands on.
    pub parent: u32,
    /// It hides neither other macvlans of its parent from itself nor the parent from what they send.
    pub bridge: bool,
}

impl Link {
    /// Whether adverts can go out: not merely up, but with carrier.
    #[must_use]
    pub const fn usable(&self) -> bool {
        self.up && self.running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_does_not_exist_has_a_number_all_the_same() {
        let missing = Interface::lookup("no-such-device").unwrap();
        assert!(!missing.exists());
        assert_eq!(missing, Interface::lookup("no-such-device").unwrap());
        let loopback = Interface::lookup("lo").unwrap();
        assert_eq!(loopback.number(), 1);
        assert!(loopback.exists());
    }

    #[test]
    fn a_label_of_an_address_is_no_interface() {
        assert!(!Interface::lookup("lo:1").unwrap().exists());
    }

    #[test]
    fn a_link_without_carrier_is_not_usable() {
        let mut link = Link {
            index: 2,
            name: "eth0".into(),
            mac: None,
            up: true,
            running: true,
            no_arp: false,
            forwards: false,
            alias: None,
            arp: ArpSettings::default(),
            macvlan: None,
            promoted_by: None,
        };
        assert!(link.usable());
        link.running = false;
        assert!(!link.usable());
    }
}
