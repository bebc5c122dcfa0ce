//! Settings of an interface (`/proc/sys/net/ipv4/conf`) through rtnetlink: a process without a file system can change them.

use std::io;

use futures_util::TryStreamExt as _;
use netlink_packet_core::{DefaultNla, NLA_F_NESTED};
use netlink_packet_route::link::{AfSpecInet, AfSpecUnspec, LinkAttribute};
use rtnetlink::{Handle, LinkUnspec};

use crate::vips::answer;

/// `IFLA_INET_CONF` and `IPV4_DEVCONF_PROMOTE_SECONDARIES` (`include/uapi/linux/ip.h`).
const SETTINGS: u16 = 1;
const PROMOTE_SECONDARIES: u16 = 20;

/// An interface has an alternative name that begins like this, and ends with the number of its holder, as long as
/// `promote_secondaries` is not as it was before: a process that is killed cannot put it back.
const NOTE: &str = "vip-netlink.promote_secondaries.";

/// The holder that an alternative name speaks of.
pub(crate) fn promoter(name: &str) -> Option<u32> {
    name.strip_prefix(NOTE)?.parse().ok()
}

/// Requests about settings over one rtnetlink connection.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    handle: Handle,
}

impl Settings {
    pub(crate) const fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// Whether a secondary address becomes the primary one when that is removed, instead of going with it.
    pub(crate) async fn promotes_secondaries(&self, interface: u32) -> io::Result<bool> {
        let request = self.handle.link().get().match_index(interface);
        let links = answer(request.execute().try_collect::<Vec<_>>()).await?;
        let attributes = links.iter().flat_map(|link| &link.attributes);
        let families = attributes.filter_map(|attribute| match attribute {
            LinkAttribute::AfSpecUnspec(families) => Some(families),
            _ => None,
        });
        let promotes = |setting: &AfSpecInet| matches!(setting, AfSpecInet::DevConf(conf) if conf.promote_secondaries != 0);
        Ok(families.flatten().any(
            |family| matches!(family, AfSpecUnspec::Inet(settings) if settings.iter().any(promotes)),
        ))
    }

    /// Notes on the interface that it is to be put back.
    pub(crate) async fn note(&self, interface: u32, holder: u32) -> io::Result<()> {
        let name = format!("{NOTE}{holder}");
        let properties = self.handle.link().property_add(interface);
        answer(properties.alt_ifname(&[&name]).execute()).await
    }

    /// It is no longer to be put back.
    pub(crate) async fn unnote(&self, interface: u32, holder: u32) -> io::Result<()> {
        let name = format!("{NOTE}{holder}");
        let properties = self.handle.link().property_del(interface);
        answer(properties.alt_ifname(&[&name]).execute()).await
    }

    /// Changes that.
    pub(crate) async fn promote_secondaries(&self, interface: u32, on: bool) -> io::Result<()> {
        let header = [8_u16.to_ne_bytes(), PROMOTE_SECONDARIES.to_ne_bytes()].concat();
        let setting = [header, u32::from(on).to_ne_bytes().to_vec()].concat();
        let setting = AfSpecInet::Other(DefaultNla::new(SETTINGS | NLA_F_NESTED, setting));
        let mut link = LinkUnspec::new_with_index(interface).build();
        let family = AfSpecUnspec::Inet(vec![setting]);
        link.attributes
            .push(LinkAttribute::AfSpecUnspec(vec![family]));
        answer(self.handle.link().set(link).execute()).await
    }
}
