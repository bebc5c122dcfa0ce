//! What the worker does to the host: addresses, fence, announcements, leases.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, HostEvent};

use super::leftovers::Left;
use super::{Managed, NOBODY, RETRY, Report, Work, Worker, wanted};
use crate::Error;
use crate::plan::{Present, Vip};

impl Worker {
    /// Opens the fence for what a router puts up: for addresses of a device with a virtual MAC address on that device.
    pub(super) fn open(&mut self, id: RouterId, hold: Option<Duration>) -> Result<(), Error> {
        let (Some(router), Some(fence)) = (self.routers.get(&id), &mut self.fence) else {
            return Ok(());
        };
        let movable = router.movable(&self.kernel);
        let access = router.config.access;
        let (wanted, _) = wanted(&self.kernel, &router.config);
        let mut elsewhere = movable.clone();
        for device in &router.config.devices {
            let Some(link) = self.kernel.link(&device.name) else {
                continue;
            };
            let there = wanted.iter().filter(|one| one.interface == link.index);
            let there = there.map(|one| one.vip.address);
            let there: Vec<IpAddr> = there.filter(|one| movable.contains(one)).collect();
            elsewhere.retain(|address| !there.contains(address));
            fence.open_on(link.index, &there, hold, access)?;
        }
        Ok(fence.open(&elsewhere, hold, access)?)
    }

    /// Addresses that other routers hold up.
    pub(super) fn placed_by_others(&self, id: RouterId) -> impl Iterator<Item = Present> {
        let others = self.routers.iter().filter(move |(other, _)| **other != id);
        let installed = others.filter(|(_, router)| router.installed);
        installed.flat_map(|(_, router)| router.placed.iter().copied())
    }

    /// Add before remove: an address that stays is never away, and one that two routers hand over is not missed.
    pub(super) async fn readdress(&mut self, id: RouterId, addresses: Vec<Vip>, repeat: u8) {
        let Some(router) = self.routers.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut router.config.addresses, addresses);
        let known = |vip: &Vip| before.contains(vip);
        let new: Vec<Vip> = router.config.addresses.clone();
        let new: Vec<Vip> = new.into_iter().filter(|vip| !known(vip)).collect();
        self.note_addresses();
        if !self.routers.get(&id).is_some_and(|router| router.installed) {
            return;
        }
        if let Err(error) = self.install(id).await {
            self.installed(id, Err(error));
        }
        self.read().await;
        self.announce_those(id, repeat, |vip| new.contains(vip))
            .await;
        self.drop_stale(id, &before).await;
    }

    /// Removes what a router has put up and no longer wants.
    async fn drop_stale(&mut self, id: RouterId, before: &[Vip]) {
        let Some(router) = self.routers.get_mut(&id) else {
            return;
        };
        let (wanted, _) = wanted(&self.kernel, &router.config);
        let stays = |one: &Present| wanted.iter().any(|wanted| wanted.present() == *one);
        let (placed, stale): (Vec<_>, Vec<_>) = std::mem::take(&mut router.placed)
            .into_iter()
            .partition(stays);
        router.placed = placed;
        let mut left = Vec::new();
        for present in stale {
            let theirs = |router: &Managed| router.installed && router.placed.contains(&present);
            if !self.routers.values().any(theirs) {
                left.extend(self.vips.remove(present).is_err().then_some(present));
            }
        }
        let left = Left {
            addresses: left,
            ..Left::default()
        };
        self.leftovers.keep(Some(id), left);
        let gone: Vec<IpAddr> = before
            .iter()
            .map(|vip| vip.address)
            .filter(|address| !self.virtual_addresses.contains(address))
            .collect();
        if let Some(fence) = self.fence.as_ref().filter(|_| !gone.is_empty()) {
            let _ = fence.forget(&gone);
        }
    }

    pub(super) fn installed(&mut self, id: RouterId, result: Result<(), Error>) {
        let Some(router) = self.routers.get_mut(&id) else {
            return;
        };
        match result {
            // Not before those that were another host's have been found to be nobody's.
            Ok(()) if !router.duplicates.is_empty() => {}
            // Nor before another program leaves them alone.
            Ok(()) if router.contests.any() => {
                router.retry = router.contests.next_turn(Instant::now());
            }
            Ok(()) => self.report(HostEvent::Installed { router: id }),
            Err(error) => {
                router.retry = Some(Instant::now() + RETRY);
                self.report(HostEvent::Failed {
                    router: id,
                    command: Command::Install,
                    error: error.into(),
                });
            }
        }
    }

    /// The lease of a router ran out, as it was with that address: all that it has up is taken down. Whether adverts ceased,
    /// or this thread was late, which waits for the kernel, is known where they are sent.
    pub(super) async fn expire(&mut self, router: RouterId, address: Option<IpAddr>) {
        if let Some(address) = address {
            self.report(HostEvent::AddressLapsed { router, address });
        }
        let _ = self.remove_all(&[router]).await;
    }

    pub(super) fn retry(&mut self) {
        let now = Instant::now();
        self.reopen(now);
        if self.fixed.paved.retry.take_if(|at| *at <= now).is_some() {
            self.queue.push_back((NOBODY, Work::Fit));
        }
        if self.looking.due.is_some_and(|at| at <= now) {
            self.look();
        }
        if self.leftovers.retry.take_if(|at| *at <= now).is_some() {
            self.queue.push_back((NOBODY, Work::Clear));
        }
        for (id, router) in &mut self.routers {
            if router.retry.take_if(|at| *at <= now).is_some() {
                self.queue.push_back((*id, Work::Command(Command::Install)));
            }
            if router.paved.retry.take_if(|at| *at <= now).is_some() {
                self.queue.push_back((*id, Work::Pave));
            }
        }
    }

    /// Keeps what is open fenced; whether that went well. What is refused is told once, and tried again until it is not.
    pub(super) fn renew(&mut self) -> bool {
        let installed = || self.routers.iter().filter(|(_, router)| router.installed);
        let open: Vec<IpAddr> = installed()
            .flat_map(|(_, router)| router.movable(&self.kernel))
            // What could not be removed stays silent until it is.
            .chain(self.leftovers.fenced())
            .collect();
        let router = installed().map(|(id, _)| *id).next().unwrap_or(NOBODY);
        let Some(fence) = &self.fence else {
            return true;
        };
        let outcome = fence.renew(&open).map_err(Error::from);
        let refused = outcome.is_err();
        if std::mem::replace(&mut self.refused, refused) != refused {
            drop(self.reports.send(Report::Fence { router, outcome }));
        }
        !refused
    }
}
