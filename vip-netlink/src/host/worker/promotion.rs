//! `promote_secondaries`: an address survives the removal of its subnet's first one. Set where a router asks for it, and
//! put back at the end where it was not so before; by the next start where the process was killed.

use super::Worker;
use crate::settings::Settings;

/// Interfaces that were changed.
#[derive(Debug)]
pub(super) struct Promotion {
    settings: Settings,
    /// Our number: what tells our notes from those of another process that runs.
    holder: u32,
    changed: Vec<u32>,
    known: Vec<u32>,
}

impl Promotion {
    pub(super) const fn new(settings: Settings, holder: u32) -> Self {
        Self {
            settings,
            holder,
            changed: Vec::new(),
            known: Vec::new(),
        }
    }

    /// Where a predecessor that hands over has set it already, it is ours to put back.
    async fn set(&mut self, interface: u32, inherited: Option<u32>) {
        if self.known.contains(&interface) {
            return;
        }
        // Refused: an address that goes with another is put back all the same.
        let Ok(promotes) = self.settings.promotes_secondaries(interface).await else {
            return;
        };
        self.known.push(interface);
        if promotes && inherited.is_none() {
            return;
        }
        // The note first. A kernel without alternative names (before 5.5) has none.
        let _ = self.settings.note(interface, self.holder).await;
        if let Some(before) = inherited.filter(|before| *before != self.holder) {
            let _ = self.settings.unnote(interface, before).await;
        }
        match promotes
            || self
                .settings
                .promote_secondaries(interface, true)
                .await
                .is_ok()
        {
            true => self.changed.push(interface),
            false => drop(self.settings.unnote(interface, self.holder).await),
        }
    }

    async fn reset(&self, interface: u32, holder: u32) {
        // Its interface may be gone.
        if self
            .settings
            .promote_secondaries(interface, false)
            .await
            .is_ok()
        {
            let _ = self.settings.unnote(interface, holder).await;
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
            let inherited = link.promoted_by.filter(|_| !self.devices.owned);
            Some((link.index, inherited))
        });
        let links: Vec<(u32, Option<u32>)> = links.collect();
        let stays = |interface: &u32| links.iter().any(|(index, _)| index == interface);
        let changed = std::mem::take(&mut self.promotion.changed);
        let (changed, gone): (Vec<_>, Vec<_>) = changed.into_iter().partition(stays);
        self.promotion.changed = changed;
        self.promotion.known.retain(stays);
        for interface in gone {
            self.promotion.reset(interface, self.promotion.holder).await;
        }
        for (interface, inherited) in links {
            self.promotion.set(interface, inherited).await;
        }
    }

    /// As it was before processes changed it that are dead.
    pub(super) async fn put_promotion_back(&mut self) {
        let notes = self.kernel.links();
        let notes = notes.filter_map(|link| Some((link.index, link.promoted_by?)));
        let dead = notes.filter(|(_, holder)| !self.lives(*holder));
        for (interface, holder) in dead.collect::<Vec<_>>() {
            self.promotion.reset(interface, holder).await;
        }
    }

    /// As it was before.
    pub(super) async fn promote_no_longer(&mut self) {
        for interface in std::mem::take(&mut self.promotion.changed) {
            self.promotion.reset(interface, self.promotion.holder).await;
        }
    }
}
