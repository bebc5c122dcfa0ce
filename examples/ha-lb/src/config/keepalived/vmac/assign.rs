//! From what was written to devices with names and addresses, for all instances of a file together: names must not
//! meet, and no two devices of an interface can have one hardware address.

use std::net::IpAddr;

use vip_netlink::macvlan::virtual_mac;
use vrrp_proto::Family;

use super::{Draft, MAX_NAME, Prefixes, VmacDevice, is_ipv6};
use crate::config::{
    diagnostic::{Diagnostic, Span},
    keepalived::{
        config::{Instance, VirtualAddress},
        keyword::Context,
    },
};

const PREFIX: &str = "vrrp";

/// Gives each instance its devices, and its addresses the devices that they go to.
pub(in crate::config::keepalived) fn assign(
    instances: &mut [Instance],
    drafts: &[Draft],
    prefixes: &Prefixes,
    context: &mut Context<'_>,
) {
    let mut taken = Taken::default();
    for (instance, draft) in instances.iter().zip(drafts) {
        if let Some(name) = &draft.name
            && !taken.note(&name.text)
        {
            context.diagnostics.push(
                Diagnostic::error(name.span.clone(), "a second device of this name")
                    .found(&name.text)
                    .expected(format!(
                        "another name for `use_vmac` of `{}`",
                        instance.name
                    )),
            );
        }
    }
    for (instance, draft) in instances.iter_mut().zip(drafts) {
        let mut work = Assignment {
            draft,
            prefixes,
            taken: &mut taken,
            context: &mut *context,
        };
        work.own(instance);
        work.addresses(instance);
        instance.vmac.reminders = draft.reminders;
    }
    for instance in instances {
        untrack(instance, &taken, context);
    }
}

/// Names and hardware addresses that are in use.
#[derive(Default)]
struct Taken {
    names: Vec<String>,
    places: Vec<(String, [u8; 6])>,
}

impl Taken {
    fn note(&mut self, name: &str) -> bool {
        let is_new = !self.names.iter().any(|known| known == name);
        if is_new {
            self.names.push(name.to_owned());
        }
        is_new
    }

    /// keepalived's next name that is free: `vrrp.51`, `vrrp6.51` (IPv6 only), `vrrp1.51`, `vrrp2.51`, ...
    fn free(&mut self, prefix: &str, vrid: u8, ipv6: bool) -> String {
        let sixth = ipv6.then(|| format!("{prefix}6.{vrid}"));
        let numbered = (1..).filter(|number| *number != 6 || !ipv6);
        let numbered = numbered.map(|number: u32| format!("{prefix}{number}.{vrid}"));
        let mut all = std::iter::once(format!("{prefix}.{vrid}"))
            .chain(sixth)
            .chain(numbered);
        let free = all
            .find(|name| !self.names.contains(name))
            .unwrap_or_default();
        self.note(&free);
        free
    }
}

struct Assignment<'a, 'd> {
    draft: &'a Draft,
    prefixes: &'a Prefixes,
    taken: &'a mut Taken,
    context: &'a mut Context<'d>,
}

impl Assignment<'_, '_> {
    /// The instance's own device, and where its adverts come from.
    fn own(&mut self, instance: &mut Instance) {
        let Some(span) = &self.draft.wanted else {
            if let Some(span) = &self.draft.from_interface {
                self.context.diagnostics.push(
                    Diagnostic::warning(span.clone(), "`vmac_xmit_base` without `use_vmac`")
                        .action("it is ignored, as by keepalived"),
                );
            }
            return;
        };
        let mac = self.mac(instance, instance.family);
        let name = match &self.draft.name {
            Some(name) => name.text.clone(),
            None => {
                let prefix = self.prefixes.instances.as_deref().unwrap_or(PREFIX);
                let ipv6 = is_ipv6(instance.family);
                self.taken.free(prefix, instance.vrid.value(), ipv6)
            }
        };
        let device = VmacDevice {
            name,
            parent: instance.interface.clone(),
            mac,
        };
        self.add(instance, device, span);
        if instance.unicast.is_some() {
            if self.draft.from_interface.is_none() {
                self.context.diagnostics.push(
                    Diagnostic::note(span.clone(), "`use_vmac` with `unicast_peer`")
                        .found("use_vmac")
                        .action("adverts leave from the interface itself, as with `vmac_xmit_base` and by keepalived"),
                );
            }
        } else if self.draft.from_interface.is_none() {
            instance.vmac.adverts = Some(mac);
        }
    }

    /// keepalived.conf(5), use_vmac_addr: addresses of other interfaces, or of the other family, have devices of their
    /// own where that is asked for.
    fn addresses(&mut self, instance: &mut Instance) {
        let own = instance.vmac.devices.first().cloned();
        let mut addresses = std::mem::take(&mut instance.addresses);
        let mut excluded = std::mem::take(&mut instance.excluded_addresses);
        for line in addresses.iter_mut().chain(&mut excluded) {
            let written = line.device.as_deref().unwrap_or(&instance.interface);
            let is_own = |device: &VmacDevice| written == device.name || written == device.parent;
            let asked = self.draft.addresses || line.vmac;
            let same_family = Family::of(line.address) == instance.family;
            match own.as_ref().filter(|device| is_own(device)) {
                Some(device) if same_family => line.device = Some(device.name.clone()),
                // Of the other family: on the interface itself, or where it says.
                _ if !asked => {}
                // Of the instance's own interface, without a device, only where the line itself says so.
                None if written == instance.interface && !line.vmac => {}
                _ => {
                    let parent = own.as_ref().filter(|own| own.name == written);
                    let parent = parent.map_or(written, |own| &own.parent).to_owned();
                    line.device = Some(self.elsewhere(instance, parent, line));
                }
            }
        }
        (instance.addresses, instance.excluded_addresses) = (addresses, excluded);
    }

    /// The device for addresses of that family on another interface.
    fn elsewhere(
        &mut self,
        instance: &mut Instance,
        parent: String,
        line: &VirtualAddress,
    ) -> String {
        let mac = self.mac(instance, Family::of(line.address));
        let devices = &instance.vmac.devices;
        if let Some(known) = devices
            .iter()
            .find(|one| (&one.parent, one.mac) == (&parent, mac))
        {
            return known.name.clone();
        }
        let prefixes = &self.prefixes;
        let prefix = prefixes.addresses.as_ref().or(prefixes.instances.as_ref());
        let prefix = prefix.map_or(PREFIX, |prefix| prefix);
        let ipv6 = matches!(line.address, IpAddr::V6(_));
        let name = self.taken.free(prefix, instance.vrid.value(), ipv6);
        let device = VmacDevice {
            name: name.clone(),
            parent,
            mac,
        };
        self.add(instance, device, &line.span);
        name
    }

    fn mac(&self, instance: &Instance, family: Family) -> [u8; 6] {
        let chosen = self.draft.mac.filter(|_| family == instance.family);
        let vrid = instance.vrid;
        chosen.map_or(virtual_mac(vrid, family), |mac| mac.with(vrid.value()))
    }

    fn add(&mut self, instance: &mut Instance, device: VmacDevice, span: &Span) {
        if device.name.len() > MAX_NAME || device.name == device.parent {
            self.context.diagnostics.push(
                Diagnostic::error(span.clone(), "this is no name of a device")
                    .found(&device.name)
                    .expected(format!(
                        "at most {MAX_NAME} characters, and not those of its interface"
                    )),
            );
        }
        let place = (device.parent.clone(), device.mac);
        if self.taken.places.contains(&place) {
            let octets = device.mac.map(|octet| format!("{octet:02x}")).join(":");
            self.context.diagnostics.push(
                Diagnostic::error(
                    span.clone(),
                    format!(
                        "a second device with the address {octets} on `{}`",
                        device.parent
                    ),
                )
                .found(&device.name)
                .expected(
                    "another virtual_router_id, or an address of its own (`use_vmac NAME MAC`)",
                ),
            );
        }
        self.taken.places.push(place);
        instance.vmac.devices.push(device);
    }
}

/// A device is up while its instance is master and no longer, so that tracking it would keep everybody out.
fn untrack(instance: &mut Instance, taken: &Taken, context: &mut Context<'_>) {
    let is_ours = |name: &String| taken.names.contains(name);
    for track in instance
        .track_interfaces
        .iter()
        .filter(|one| is_ours(&one.name))
    {
        context.diagnostics.push(
            Diagnostic::warning(
                instance.span.clone(),
                "`track_interface` of a device with a virtual MAC address",
            )
            .found(&track.name)
            .action("it is not tracked: it is up while its instance is master; its interface is tracked"),
        );
    }
    instance.track_interfaces.retain(|one| !is_ours(&one.name));
}
