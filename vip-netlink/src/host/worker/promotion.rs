//! `promote_secondaries`: an address survives the removal of its subnet's first one. Set where a router asks for it, and
//! put back at the end where it was not so before.

use super::Worker;
use crate::settings::Settings;

/// Interfaces that were changed.
#[derive(Debug)]
pub(super) struct Promotion {
    settings: Settings,
    changed: Vec<u32>,
    known: Vec<u32>,
}

impl Promotion {
    pub(super) const fn new(settings: Settings) -> Self {
        Self {
            settings,
            changed: Vec::new(),
            known: Vec::new(),
        }
    }

    async fn set(&mut self, interface: u32) {
        if self.known.contains(&interface) {
            return;
        }
        // Refused: an address that goes with another is put back all the same.
        if let Ok(promotes) = self.settings.promotes_secondaries(interface).await {
            self.known.push(interface);
            let changed = !promotes
                && self
                    .settings
                    .promote_secondaries(interface, true)
                    .await
                    .is_ok();
            self.changed.extend(changed.then_some(interface));
        }
    }
}

impl Worker {
    /// For every router that asks for it, on the interface that it has now; as it was before where none does any more.
    pub(super) async fn promote(&mut self) {
        let asking = self.routers.values();
        let asking = asking.filter(|router| router.config.promote_secondaries);
        let links = asking.filter_map(|router| {
            let link = self.kernel.link(router.config.interface.name())?;
            Some(link.index)
        });
        let links: Vec<u32> = links.collect();
        let stays = |interface: &u32| links.contains(interface);
        let changed = std::mem::take(&mut self.promotion.changed);
        let (changed, gone): (Vec<_>, Vec<_>) = changed.into_iter().partition(stays);
        self.promotion.changed = changed;
        self.promotion.known.retain(stays);
        self.reset(gone).await;
        for interface in links {
            self.promotion.set(interface).await;
        }
    }

    /// As it was before.
    pub(super) async fn promote_no_longer(&mut self) {
        let changed = std::mem::take(&mut self.promotion.changed);
        self.reset(changed).await;
    }

    async fn reset(&self, interfaces: Vec<u32>) {
        for interface in interfaces {
            // Its interface may be gone.
            let settings = &self.promotion.settings;
            let _ = settings.promote_secondaries(interface, false).await;
        }
    }
}
