//! Devices of virtual MAC addresses: made before they are needed, up while their router holds its addresses, made
//! again when somebody removes them, gone with their router.
//!
//! A router whose device cannot be made has no address to send from: it takes no part in the election.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use tokio::time::Instant;
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, HostEvent};

use super::brake::{Brake, LONGEST};
use super::{RETRY, Worker};
use crate::Error;
use crate::link::{ArpSettings, Link};
use crate::macvlan::{
    Requests, Standing, VirtualMac, alias, alias_of_found, holder, is_found, is_joined, raised,
    refuse_advertisements,
};
use crate::plan::Present;

/// Number of a process without a fence: nobody can tell whether it lives.
pub(super) const UNKNOWN: u32 = 0;

/// How often a device is made at once.
const FREE: u32 = 5;

pub(super) struct Devices {
    requests: Requests,
    /// Our number: what tells our devices from those of another process that runs.
    holder: u32,
    /// Indexes of devices that are as they should be.
    settled: BTreeSet<u32>,
    /// Routers whose devices could not be made, and when that is tried again.
    trouble: BTreeMap<RouterId, Instant>,
    /// How often devices were made, by name.
    made: BTreeMap<String, Brake>,
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
            made: BTreeMap::new(),
            stale: false,
            owned,
        }
    }

    /// Whether the router lacks a device that could not be made.
    pub(super) fn trouble(&self, router: RouterId) -> bool {
        self.trouble.contains_key(&router)
    }

    /// A router that has gone lacks nothing.
    pub(super) fn forget(&mut self, router: RouterId) {
        self.trouble.remove(&router);
    }

    /// Whether a missing device is made now: where another program removes it again and again, not at once.
    fn may_make(&mut self, name: &str) -> Result<(), Error> {
        let now = Instant::now();
        let brake = self.made.entry(name.to_owned());
        let brake = brake.or_insert_with(|| Brake::after(FREE));
        if brake.take_turn(now) || !brake.holds(now) && brake.gone(now).is_zero() {
            return Ok(());
        }
        Err(Error::Contested {
            what: name.to_owned(),
            times: brake.times(),
            longest: LONGEST,
        })
    }

    /// When something is to be tried again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.trouble.values().min().copied()
    }
}

impl Worker {
    /// Makes every device that is missing, as far as its parent is there; what fails is tried again later.
    pub(super) async fn keep_devices(&mut self) {
        self.devices.stale = false;
        let there: BTreeSet<u32> = self.kernel.links().map(|link| link.index).collect();
        self.devices.settled.retain(|index| there.contains(index));
        let routers: Vec<RouterId> = self.routers.keys().copied().collect();
        let mut changed = false;
        for id in routers {
            let before = self.devices.trouble(id);
            let prepared = self.prepare(id).await;
            // Our own doing is no news; that an interface has gone meanwhile explains much.
            self.read().await;
            match prepared {
                Err(_) if self.lacks_parent(id) => drop(self.devices.trouble.remove(&id)),
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
        if changed {
            self.tell();
        }
    }

    fn lacks_parent(&self, id: RouterId) -> bool {
        let devices = self.routers.get(&id).map(|one| one.config.devices.iter());
        let mut parents = devices.into_iter().flatten().map(|one| &one.parent);
        parents.any(|parent| self.kernel.link(parent).is_none())
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
            (Standing::Right, Some(link)) if !self.is_anothers(link) => true,
            (Standing::Stale(holder), Some(link)) if !self.lives(holder) => {
                requests.remove(&wanted.name, link.index).await?;
                false
            }
            (Standing::Missing, _) => {
                self.devices.may_make(&wanted.name)?;
                false
            }
            (Standing::Right | Standing::Stale(_) | Standing::Foreign, _) => {
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
        let before = self.raise_parent(&wanted.parent, parent).await?;
        let alias = match found
            .filter(|_| adopted)
            .is_some_and(|link| is_found(&link))
        {
            true => alias_of_found(self.devices.holder, before),
            false => alias(self.devices.holder, before),
        };
        requests.settle(wanted, link.index, alias).await?;
        // Without files somebody else does it; until then no advertisement comes in, for the device is down.
        let _ = refuse_advertisements(&wanted.name);
        let is_up = self.routers.get(&id).is_some_and(|one| one.installed);
        if adopted && self.devices.owned && !is_up {
            self.empty(&link).await?;
        }
        self.devices.settled.insert(link.index);
        Ok(())
    }

    /// Gives a parent the settings that its devices need; what it had before the first of them came.
    async fn raise_parent(&mut self, name: &str, index: u32) -> Result<ArpSettings, Error> {
        self.vips.look_at(&mut self.kernel, index).await?;
        let now = self.kernel.link(name).map(|link| link.arp);
        let now = now.unwrap_or_default();
        let raised = raised(now, self.fence.is_some());
        if raised != now {
            let requests = &self.devices.requests;
            requests.change_arp(name, index, raised).await?;
        }
        Ok(self.before(index).unwrap_or(now))
    }

    /// What a parent had before the first device came, as one that is there says.
    fn before(&self, parent: u32) -> Option<ArpSettings> {
        let mut links = self.kernel.links();
        let on = |link: &Link| link.macvlan.is_some_and(|one| one.parent == parent);
        links.find_map(|link| holder(link).filter(|_| on(link)).map(|(_, before)| before))
    }

    /// Removes a device, and with the last one of its parent what was changed for it. One that we did not make stays.
    async fn delete(&mut self, link: &Link) {
        let requests = self.devices.requests.clone();
        // What cannot be removed is found by the next start.
        // Of a device that is down the kernel does not tell what mark it has.
        let looked = self.vips.look_at(&mut self.kernel, link.index).await;
        let Some(link) = self
            .kernel
            .link(&link.name)
            .filter(|_| looked.is_ok())
            .cloned()
        else {
            return;
        };
        let link = &link;
        let gone = match is_found(link) {
            true => requests.release(&link.name, link.index).await,
            false => requests.remove(&link.name, link.index).await,
        };
        if gone.is_err() {
            return;
        }
        self.read().await;
        if is_found(link)
            && self
                .vips
                .look_at(&mut self.kernel, link.index)
                .await
                .is_err()
        {
            return;
        }
        let (Some(macvlan), Some((_, before))) = (link.macvlan, holder(link)) else {
            return;
        };
        if self.before(macvlan.parent).is_some()
            || self
                .vips
                .look_at(&mut self.kernel, macvlan.parent)
                .await
                .is_err()
        {
            return;
        }
        let mut links = self.kernel.links();
        let Some(parent) = links.find(|link| link.index == macvlan.parent) else {
            return;
        };
        // What somebody else has changed meanwhile stays.
        if parent.arp == raised(before, self.fence.is_some()) && parent.arp != before {
            let _ = requests
                .change_arp(&parent.name, parent.index, before)
                .await;
        }
    }

    /// What a dead predecessor left on a device, and the device down.
    async fn empty(&mut self, link: &Link) -> Result<(), Error> {
        let there = self.kernel.addresses().iter();
        let left: Vec<Present> = there
            .filter(|one| one.interface == link.index)
            .copied()
            .collect();
        for present in left {
            self.vips.remove(present)?;
        }
        self.devices
            .requests
            .switch(&link.name, link.index, false)
            .await
    }

    /// Whether the process with that number still holds its fence; unknown counts as yes.
    pub(super) fn lives(&self, holder: u32) -> bool {
        if holder == self.devices.holder && holder != UNKNOWN {
            return false;
        }
        let asked = self.fence.as_ref().map(|fence| fence.lives(holder));
        !matches!(asked, Some(Ok(false)))
    }

    /// Whether that is the device of another process, which lives. One that hands over to us has none of its own.
    fn is_anothers(&self, link: &Link) -> bool {
        let Some((holder, _)) = holder(link).filter(|_| self.devices.owned) else {
            return self.devices.owned && self.is_spoken_on(link);
        };
        let asked = self.fence.as_ref().map(|fence| fence.lives(holder));
        holder != self.devices.holder && matches!(asked, Some(Ok(true)))
    }

    /// Whether that is a device without our mark on which somebody hears adverts. We hear them on its parent.
    fn is_spoken_on(&self, link: &Link) -> bool {
        if link.macvlan.is_none() || holder(link).is_some() {
            return false;
        }
        let groups = self.routers.values().filter_map(|one| one.config.group);
        let groups: BTreeSet<IpAddr> = groups.collect();
        // Where the kernel cannot tell, it is taken for one that was left behind.
        let joined = |group: &IpAddr| is_joined(link.index, *group).unwrap_or(false);
        groups.iter().any(joined)
    }

    /// The same of what is on it.
    pub(super) fn is_on_anothers(&self, present: &Present) -> bool {
        let mut links = self.kernel.links();
        links.any(|link| link.index == present.interface && self.is_anothers(link))
    }

    /// Whether that interface is a device of the router that could not be made ready.
    pub(super) fn is_unready(&self, id: RouterId, interface: u32) -> bool {
        let devices = self.routers.get(&id).map(|one| one.config.devices.iter());
        let mut links = devices.into_iter().flatten().map(|one| &one.name);
        let is_it =
            |name: &String| self.kernel.link(name).map(|link| link.index) == Some(interface);
        links.any(is_it) && !self.devices.settled.contains(&interface)
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
            let Some(link) = self.kernel.link(&wanted.name).cloned() else {
                continue;
            };
            self.devices.made.remove(&wanted.name);
            if self.devices.settled.remove(&link.index) {
                self.delete(&link).await;
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
            unwanted.filter(|link| holder(link).is_some_and(|(holder, _)| !self.lives(holder)));
        let orphans: Vec<Link> = orphans.cloned().collect();
        for link in orphans {
            self.delete(&link).await;
        }
    }
}
