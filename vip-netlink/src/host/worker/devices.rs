//! Devices of virtual MAC addresses: made before they are needed, up while their router holds its addresses, made
//! again when somebody removes them, gone with their router.
//!
//! A router whose device cannot be made has no address to send from: it takes no part in the election.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, HostEvent};

use super::{RETRY, Worker};
use crate::Error;
use crate::link::Link;
use crate::macvlan::{Requests, Standing, VirtualMac, holder, refuse_advertisements};
use crate::plan::Present;

/// Number of a process without a fence: nobody can tell whether it lives.
pub(super) const UNKNOWN: u32 = 0;

pub(super) struct Devices {
    requests: Requests,
    /// Our number: what tells our devices from those of another process that runs.
    holder: u32,
    /// Indexes of devices that are as they should be.
    settled: BTreeSet<u32>,
    /// Routers whose devices could not be made, and when that is tried again.
    trouble: BTreeMap<RouterId, Instant>,
    /// Links have changed since devices were looked at.
    pub(super) stale: bool,
    /// They are ours to take down and to remove: no predecessor uses them any more.
    pub(super) owned: bool,
}

impl Devices {
    pub(super) const fn new(requests: Requests, holder: u32, owned: bool) -> Self {
        Self {
            requests,
            holder,
            settled: BTreeSet::new(),
            trouble: BTreeMap::new(),
            stale: false,
            owned,
        }
    }

    /// Whether the router lacks a device that could not be made.
    pub(super) fn trouble(&self, router: RouterId) -> bool {
        self.trouble.contains_key(&router)
    }

    /// When something is to be tried again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.trouble.values().min().copied()
    }
}

impl Worker {
    /// Makes every device that is missing, as far as its parent is there; what fails is tried again later.
    pub(super) async fn keep_devices(&mut self) {
        let there: BTreeSet<u32> = self.kernel.links().map(|link| link.index).collect();
        self.devices.settled.retain(|index| there.contains(index));
        let routers: Vec<RouterId> = self.routers.keys().copied().collect();
        let mut changed = false;
        for id in routers {
            let before = self.devices.trouble(id);
            match self.prepare(id).await {
                Ok(()) => drop(self.devices.trouble.remove(&id)),
                Err(error) => {
                    let again = Instant::now() + RETRY;
                    self.devices.trouble.insert(id, again);
                    self.report(HostEvent::Failed {
                        router: id,
                        command: Command::Install,
                        error: error.into(),
                    });
                }
            }
            changed |= before != self.devices.trouble(id);
        }
        // Our own doing is no news.
        self.read().await;
        self.devices.stale = false;
        if changed {
            self.tell();
        }
    }

    /// Sees to it that the devices of a router are there and right.
    async fn prepare(&mut self, id: RouterId) -> Result<(), Error> {
        let devices = self.routers.get(&id).map(|one| one.config.devices.clone());
        for wanted in devices.unwrap_or_default() {
            let Some(parent) = self.kernel.link(&wanted.parent).map(|link| link.index) else {
                continue;
            };
            let found = self.kernel.link(&wanted.name);
            let is_right = wanted.standing(found, parent) == Standing::Right;
            if is_right && found.is_some_and(|link| self.devices.settled.contains(&link.index)) {
                continue;
            }
            self.settle(id, &wanted, parent).await?;
        }
        Ok(())
    }

    async fn settle(
        &mut self,
        id: RouterId,
        wanted: &VirtualMac,
        parent: u32,
    ) -> Result<(), Error> {
        let requests = self.devices.requests.clone();
        let found = self.kernel.link(&wanted.name).cloned();
        let adopted = match (wanted.standing(found.as_ref(), parent), &found) {
            (Standing::Right, _) => true,
            (Standing::Stale(holder), Some(link)) if !self.lives(holder) => {
                requests.remove(&wanted.name, link.index).await?;
                false
            }
            (Standing::Missing, _) => false,
            (Standing::Stale(_) | Standing::Foreign, _) => {
                let octets = wanted.mac.map(|octet| format!("{octet:02x}"));
                return Err(Error::Taken {
                    device: wanted.name.clone(),
                    mac: octets.join(":"),
                    parent: wanted.parent.clone(),
                });
            }
        };
        if !adopted {
            requests.make(wanted, parent).await?;
        }
        self.read().await;
        let Some(link) = self.kernel.link(&wanted.name).cloned() else {
            return Err(Error::NoInterface(wanted.name.clone()));
        };
        requests
            .settle(wanted, link.index, self.devices.holder)
            .await?;
        // Without files somebody else does it; until then no advertisement comes in, for the device is down.
        let _ = refuse_advertisements(&wanted.name);
        let is_up = self.routers.get(&id).is_some_and(|one| one.installed);
        if adopted && self.devices.owned && !is_up {
            self.empty(&link).await?;
        }
        self.devices.settled.insert(link.index);
        Ok(())
    }

    /// What a dead predecessor left on a device, and the device down.
    async fn empty(&mut self, link: &Link) -> Result<(), Error> {
        let there = self.kernel.addresses().iter();
        let left: Vec<Present> = there
            .filter(|one| one.interface == link.index)
            .copied()
            .collect();
        for present in left {
            self.vips.remove(present).await?;
        }
        self.devices
            .requests
            .switch(&link.name, link.index, false)
            .await
    }

    /// Whether the process with that number still holds its fence; unknown counts as yes.
    fn lives(&self, holder: u32) -> bool {
        if holder == self.devices.holder && holder != UNKNOWN {
            return false;
        }
        let asked = self.fence.as_ref().map(|fence| fence.lives(holder));
        !matches!(asked, Some(Ok(false)))
    }

    /// Devices for addresses that are about to go up.
    pub(super) async fn raise(&mut self, id: RouterId) -> Result<(), Error> {
        self.prepare(id).await?;
        self.switch(id, true).await
    }

    /// After the addresses have gone: from now on frames for the virtual MAC address are nobody's here (RFC 9568
    /// §6.4.2), and none are sent.
    pub(super) async fn lower(&mut self, id: RouterId) -> Result<(), Error> {
        self.switch(id, false).await
    }

    async fn switch(&mut self, id: RouterId, up: bool) -> Result<(), Error> {
        let devices = self.routers.get(&id).map(|one| one.config.devices.clone());
        let mut result = Ok(());
        for wanted in devices.unwrap_or_default() {
            let link = self.kernel.link(&wanted.name);
            let link = link.filter(|link| self.devices.settled.contains(&link.index));
            let Some(link) = link.filter(|link| link.up != up) else {
                continue;
            };
            let requests = self.devices.requests.clone();
            if let Err(error) = requests.switch(&wanted.name, link.index, up).await {
                result = Err(error);
            }
        }
        result
    }

    /// Removes the devices of a router that has gone.
    pub(super) async fn discard(&mut self, devices: &[VirtualMac]) {
        let owned = self.devices.owned;
        for wanted in devices.iter().filter(|_| owned) {
            let link = self.kernel.link(&wanted.name);
            let Some(index) = link.map(|link| link.index) else {
                continue;
            };
            if self.devices.settled.remove(&index) {
                // What cannot be removed is found by the next start.
                let _ = self.devices.requests.remove(&wanted.name, index).await;
            }
        }
    }

    /// Removes devices of processes that are dead, which nobody wants any more.
    pub(super) async fn discard_orphans(&mut self) {
        let wanted: BTreeSet<&str> = self
            .routers
            .values()
            .flat_map(|router| router.config.devices.iter().map(|one| &*one.name))
            .collect();
        let links = self.kernel.links();
        let unwanted = links.filter(|link| !wanted.contains(link.name.as_str()));
        let orphans =
            unwanted.filter(|link| holder(link).is_some_and(|holder| !self.lives(holder)));
        let orphans: Vec<Link> = orphans.cloned().collect();
        for link in orphans {
            let _ = self.devices.requests.remove(&link.name, link.index).await;
        }
    }
}
