//! What the speaker, which sees no files, cannot set at its devices with virtual MAC addresses: that the kernel makes
//! no addresses and no routes on them from router advertisements. A device is up while its instance is Active, so it is
//! done then, and when the speaker has made them.

use std::sync::Once;

use vip_netlink::macvlan::refuse_advertisements;

use super::Daemon;

impl Daemon {
    /// Does it for the devices of these instances.
    pub(super) fn quiet_devices(&self, of: impl Fn(&str) -> bool) {
        static SAID: Once = Once::new();
        let instances = self
            .loaded
            .keepalived
            .iter()
            .flat_map(|config| &config.instances);
        let chosen = instances.filter(|instance| of(&instance.name));
        for device in chosen.flat_map(|instance| &instance.vmac.devices) {
            if let Err(error) = refuse_advertisements(&device.name) {
                SAID.call_once(|| {
                    tracing::warn!(
                        "cannot write below /proc/sys ({error}): a router advertisement makes addresses and routes on \
                         {} and its like while they are up",
                        device.name
                    );
                });
            }
        }
    }
}
