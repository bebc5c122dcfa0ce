//! What stands whoever is Active (keepalived.conf(5), `static_ipaddress`, `static_routes`, `static_rules`): put up at the
//! start, put back when it goes, taken away at the end.

use tokio::time::Instant;
use vrrp_fsm::driver::HostEvent;

use super::leftovers::Left;
use super::managed::Paved;
use super::{Paths, Worker};
use crate::Error;
use crate::host::Fixtures;
use crate::plan::{Present, Vip, Wanted};
use crate::watch::Gone;

/// What is to stand, and what was put up for it.
#[derive(Debug, Default)]
pub(super) struct Fixed {
    pub(super) wanted: Fixtures,
    /// Addresses of ours; one that was there before is not.
    pub(super) placed: Vec<Present>,
    pub(super) paved: Paved,
    /// They have been looked at, so that it is known what a predecessor left of them.
    looked_at: bool,
}

impl Fixed {
    pub(super) fn new(wanted: Fixtures) -> Self {
        Self {
            wanted,
            ..Self::default()
        }
    }

    fn paths(&self) -> Paths {
        Paths {
            routes: self.wanted.routes.clone(),
            rules: self.wanted.rules.clone(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Is looked after again as soon as there is time.
    pub(super) fn look_again(&mut self) {
        if !self.is_empty() {
            self.paved.retry = Some(Instant::now());
        }
    }
}

impl Worker {
    /// Puts up what is missing. What had been there before is told.
    pub(super) async fn fit(&mut self) {
        if self.fixed.is_empty() {
            return;
        }
        self.fixed.looked_at = true;
        let mut paved = std::mem::take(&mut self.fixed.paved);
        let addresses = std::mem::take(&mut self.fixed.wanted.addresses);
        let (mut returned, placed) = self.put_addresses(&addresses).await;
        self.fixed.wanted.addresses = addresses;
        let (paths, paved_all) = self.put_up(self.fixed.paths(), &mut paved.paths).await;
        returned.extend(paths);
        let outcome = paved.tried(placed.and(paved_all), "what is static");
        if let Some(outcome) = outcome {
            let outcome = outcome.map_err(Into::into);
            self.report(HostEvent::Fixtures { outcome });
        }
        let contested = paved.is_contested();
        self.fixed.paved = paved;
        for what in returned.into_iter().filter(|_| !contested) {
            self.report(HostEvent::FixtureGone { what });
        }
        self.read().await;
    }

    async fn put_addresses(&mut self, addresses: &[Vip]) -> (Vec<String>, Result<(), Error>) {
        let mut returned = Vec::new();
        let mut result = Ok(());
        for vip in addresses {
            let name = vip.device.as_deref().unwrap_or_default();
            let Some(link) = self.kernel.link(name) else {
                result = Err(Error::NoInterface(name.to_owned()));
                continue;
            };
            let interface = link.index;
            let wanted = Wanted { interface, vip };
            let present = wanted.present();
            let was = self.fixed.placed.contains(&present);
            if self.kernel.contains(&present) {
                // With our mark it is what a predecessor left.
                if !was && self.kernel.is_marked(&present) {
                    self.fixed.placed.push(present);
                }
                continue;
            }
            match self.vips.add(wanted, None) {
                Ok(()) if was => returned.push(format!("address {}/{}", vip.address, vip.prefix)),
                Ok(()) => self.fixed.placed.push(present),
                Err(error) => result = Err(error),
            }
        }
        (returned, result)
    }

    /// Others from now on: the new ones before those that are gone.
    pub(super) async fn refit(&mut self, wanted: Fixtures) {
        if !self.fixed.looked_at {
            // A reload right behind an upgrade: what goes by it was put up by the predecessor.
            self.fit().await;
        }
        self.fixed.wanted = wanted;
        self.fit().await;
        let index = |vip: &Vip| Some(self.kernel.link(vip.device.as_deref()?)?.index);
        let all = self.fixed.wanted.addresses.iter();
        let all = all.filter_map(|vip| {
            let interface = index(vip)?;
            Some(Wanted { interface, vip }.present())
        });
        let all: Vec<Present> = all.collect();
        let (stay, gone) = std::mem::take(&mut self.fixed.placed)
            .into_iter()
            .partition(|one| all.contains(one));
        self.fixed.placed = stay;
        let wanted = self.fixed.paths();
        let up = &mut self.fixed.paved.paths;
        let stale = up.split_off(&wanted);
        self.take_away(gone, &stale).await;
    }

    /// The end: nothing of it stays.
    pub(super) async fn unfit(&mut self) {
        let placed = std::mem::take(&mut self.fixed.placed);
        let paths = std::mem::take(&mut self.fixed.paved).paths;
        self.take_away(placed, &paths).await;
    }

    async fn take_away(&mut self, addresses: Vec<Present>, paths: &Paths) {
        let mut left = Left::default();
        let mut result = self.vips.remove_all(&addresses).map_err(|(there, error)| {
            left.addresses = there;
            error
        });
        if let Err((there, error)) = self.unpave(paths).await {
            left.paths = there;
            result = Err(error);
        }
        self.leftovers.keep(None, left);
        if let Err(error) = result {
            let outcome = Err(error.into());
            self.report(HostEvent::Fixtures { outcome });
        }
        self.read().await;
    }

    /// An address went that may be one of them.
    pub(super) fn lost_fixture(&mut self, present: &Present) {
        if self.fixed.placed.contains(present) {
            self.fixed.paved.lost();
        }
    }

    /// A route or rule went that may be one of them.
    pub(super) fn lost_fixed_path(&mut self, gone: &Gone) {
        if self.fixed.paved.paths.may_be(gone) {
            self.fixed.paved.lost();
        }
    }
}
