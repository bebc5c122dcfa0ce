//! Making, changing and removing the devices through rtnetlink.

use std::io;

use netlink_packet_core::{DefaultNla, NLA_F_NESTED};
use netlink_packet_route::link::{
    AfSpecInet, AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute, MacVlanMode,
};
use rtnetlink::{Handle, LinkMacVlan, LinkUnspec};

use super::VirtualMac;
use crate::Error;
use crate::link::ArpSettings;
use crate::vips::answer;

/// `IFLA_INET_CONF` and settings in it (`include/uapi/linux/ip.h`).
const SETTINGS: u16 = 1;
const RP_FILTER: u16 = 8;
const ARP_FILTER: u16 = 13;
const ARP_ANNOUNCE: u16 = 18;
const ARP_IGNORE: u16 = 19;
const PROMOTE_SECONDARIES: u16 = 20;

/// Requests about devices over one rtnetlink connection. Each is idempotent as far as its caller looks first.
#[derive(Debug, Clone)]
pub(crate) struct Requests {
    handle: Handle,
}

impl Requests {
    pub(crate) const fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// Makes the device, down and not yet set up: [`Requests::settle`] is for that.
    pub(crate) async fn make(&self, wanted: &VirtualMac, parent: u32) -> Result<(), Error> {
        let device = LinkMacVlan::new(&wanted.name, parent, MacVlanMode::Bridge)
            .address(wanted.mac.to_vec())
            .build();
        let made = answer(self.handle.link().add(device).execute()).await;
        made.map_err(|source| failed("make", &wanted.name, source))
    }

    /// Gives a device that is there its mode, its settings, and its holder's mark.
    pub(crate) async fn settle(
        &self,
        wanted: &VirtualMac,
        index: u32,
        alias: String,
    ) -> Result<(), Error> {
        let settings = ipv4(&[
            (ARP_IGNORE, 1),
            (ARP_FILTER, 0),
            (RP_FILTER, 2),
            (PROMOTE_SECONDARIES, 1),
        ]);
        let none = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
        let mut device = LinkMacVlan::new(&wanted.name, 0, MacVlanMode::Bridge)
            .index(index)
            .alias(alias)
            .build();
        // What it stands on cannot be changed, and is not asked to be.
        let stays =
            |one: &LinkAttribute| !matches!(one, LinkAttribute::Link(_) | LinkAttribute::IfName(_));
        device.attributes.retain(stays);
        device.attributes.push(settings);
        let changed = answer(self.handle.link().change(device).execute()).await;
        changed.map_err(|source| failed("set up", &wanted.name, source))?;
        let mut device = LinkUnspec::new_with_index(index).build();
        let families = vec![AfSpecUnspec::Inet6(vec![none])];
        device
            .attributes
            .push(LinkAttribute::AfSpecUnspec(families));
        // A kernel without IPv6 refuses it, and has no use for it.
        let _ = answer(self.handle.link().set(device).execute()).await;
        Ok(())
    }

    /// Changes how an interface asks and answers by ARP.
    pub(crate) async fn change_arp(
        &self,
        name: &str,
        index: u32,
        arp: ArpSettings,
    ) -> Result<(), Error> {
        let mut device = LinkUnspec::new_with_index(index).build();
        let settings = [(ARP_ANNOUNCE, arp.announce), (ARP_IGNORE, arp.ignore)];
        device.attributes.push(ipv4(&settings));
        let changed = answer(self.handle.link().set(device).execute()).await;
        changed.map_err(|source| failed("set up", name, source))
    }

    /// Brings a device up or takes it down.
    pub(crate) async fn switch(&self, name: &str, index: u32, up: bool) -> Result<(), Error> {
        let device = LinkUnspec::new_with_index(index);
        let device = if up { device.up() } else { device.down() };
        let what = if up { "bring up" } else { "take down" };
        let changed = answer(self.handle.link().set(device.build()).execute()).await;
        changed.map_err(|source| failed(what, name, source))
    }

    /// Takes the mark off a device that is not ours to remove.
    pub(crate) async fn release(&self, name: &str, index: u32) -> Result<(), Error> {
        let mut device = LinkUnspec::new_with_index(index).build();
        device
            .attributes
            .push(LinkAttribute::IfAlias(String::new()));
        let changed = answer(self.handle.link().set(device).execute()).await;
        changed.map_err(|source| failed("release", name, source))
    }

    /// Removes a device; no error if it is already gone.
    pub(crate) async fn remove(&self, name: &str, index: u32) -> Result<(), Error> {
        match answer(self.handle.link().del(index).execute()).await {
            Err(source)
                if source.raw_os_error() != Some(rustix::io::Errno::NODEV.raw_os_error()) =>
            {
                Err(failed("remove", name, source))
            }
            _ => Ok(()),
        }
    }
}

/// Settings of IPv4 by number.
fn ipv4(settings: &[(u16, u32)]) -> LinkAttribute {
    let setting = |(number, value): &(u16, u32)| {
        let header = [8_u16.to_ne_bytes(), number.to_ne_bytes()].concat();
        [header, value.to_ne_bytes().to_vec()].concat()
    };
    let settings: Vec<u8> = settings.iter().flat_map(setting).collect();
    let settings = AfSpecInet::Other(DefaultNla::new(SETTINGS | NLA_F_NESTED, settings));
    LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet(vec![settings])])
}

fn failed(what: &'static str, name: &str, source: io::Error) -> Error {
    Error::Device {
        what,
        device: name.to_owned(),
        source,
    }
}
