//! What the worker hears from the kernel, and what of it the driver is told.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tokio::time::Instant;
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, HostEvent};
use vrrp_proto::Family;

use super::{Managed, RETRY, Report, Work, Worker, wanted};
use crate::host::boottime;
use crate::host::sockets::{Needs, Sockets};
use crate::link::{Interface, Link};
use crate::neighbours::Asker;
use crate::plan::{Present, Wanted};
use crate::watch::{Change, Notice};

/// Datagrams of notifications that are read in one go: whoever changes links or addresses by thousands does not keep
/// us from our work.
const TOGETHER: usize = 512;

impl Worker {
    /// Reads the notifications that are already there, of a flood of others' some.
    pub(super) async fn read(&mut self) {
        let mut untold = false;
        for _ in 0..TOGETHER {
            let Some(notice) = self.watcher.read() else {
                break;
            };
            match notice {
                Notice::Messages(messages) => {
                    for message in messages {
                        self.looking.hears(&message);
                        let Some(change) = self.kernel.apply(&message) else {
                            continue;
                        };
                        let matters = self.matters(&change);
                        let is_link = change == Change::Link;
                        match change {
                            Change::Removed(present) => {
                                self.lost_fixture(&present);
                                self.lost(present).await;
                            }
                            Change::PathGone(gone) => self.lost_path(&gone),
                            Change::Link => {
                                self.devices.stale = true;
                                self.announce_on_returned_links();
                            }
                            Change::Duplicate(present) => self.duplicate(present).await,
                            Change::Detected(present) => self.detected(present).await,
                            Change::Added(_) => {}
                        }
                        // A link that goes and comes back at once is told as that; of addresses what they are in the end.
                        untold |= matters;
                        if is_link {
                            self.tell();
                            untold = false;
                        }
                    }
                }
                Notice::Lost => self.notifications_lost(),
            }
        }
        if untold {
            self.tell();
        }
    }

    /// Whether a change can be one of a link or of a primary address. Our own addresses come and go by hundreds, and
    /// only their owner sends from them.
    fn matters(&self, change: &Change) -> bool {
        let present = match change {
            Change::Link => return true,
            Change::PathGone(_) => return false,
            Change::Added(present)
            | Change::Removed(present)
            | Change::Detected(present)
            | Change::Duplicate(present) => present,
        };
        let sends =
            |router: &Managed| router.config.owner || router.config.source == Some(present.address);
        !self.virtual_addresses.contains(&present.address) || self.routers.values().any(sends)
    }

    /// An address went, and not by our hand: by its lease, with its link, or by another program's.
    pub(super) async fn lost(&mut self, present: Present) {
        let (mut lapsed, mut taken) = (Vec::new(), Vec::new());
        for (id, router) in self.routers.iter().filter(|(_, router)| router.installed) {
            // What an owner found may have been left by a predecessor, with a lease that ran out.
            let found = |one: &Wanted<'_>| {
                (one.interface, one.vip.address) == (present.interface, present.address)
            };
            let owned = || wanted(&self.kernel, &router.config).0.iter().any(found);
            let ours = router.placed.contains(&present) || router.config.owner && owned();
            if !ours {
                continue;
            }
            if router.lease.is_some_and(|lease| lease.expired(boottime())) {
                lapsed.push(*id);
                continue;
            }
            let untracked = |one: &Wanted<'_>| found(one) && one.vip.untracked;
            if wanted(&self.kernel, &router.config).0.iter().any(untracked) {
                continue;
            }
            if self
                .kernel
                .link(router.config.interface.name())
                .is_some_and(Link::usable)
            {
                taken.push(*id);
            }
        }
        let address = present.address;
        for id in taken {
            self.taken_away(id, address);
        }
        for id in lapsed {
            self.expire(id, Some(address)).await;
        }
    }

    /// Tells what is new about links and primary addresses.
    pub(super) fn tell(&mut self) {
        let mut up = Vec::new();
        for seen in &mut self.interfaces {
            let link = self.kernel.link(seen.interface.name());
            let interface = seen.interface.number();
            let index = link.map(|link| link.index);
            if seen.index.replace(index) != Some(index) {
                // Sockets first; and a new device starts with a new link state.
                let name = seen.interface.name();
                let here = self.routers.values().map(|router| &router.config);
                seen.needs = Needs::of(here.filter(|one| one.interface == seen.interface));
                let sockets = index.map_or(Ok(Sockets::default()), |index| {
                    seen.needs.open(name, index, self.least_room)
                });
                if sockets.is_err() {
                    seen.reopen = Some(Instant::now() + RETRY);
                }
                drop(self.reports.send(Report::Interface {
                    number: interface,
                    sockets,
                }));
                seen.usable = None;
            }
            let usable = link.is_some_and(Link::usable);
            let mut delays = self.delays.iter();
            let delay = delays.find(|delay| delay.interface == seen.interface.name());
            let usable = seen.settling.settle(delay, seen.usable, usable, boottime());
            if seen.usable.replace(usable) != Some(usable) {
                if usable && index.is_some() {
                    up.push(seen.interface.clone());
                }
                if let Some(event) = seen.told() {
                    drop(self.reports.send(Report::Event(event)));
                }
            }
        }
        if !up.is_empty() {
            self.pave_all_again();
        }
        up.iter().for_each(|link| self.ask_again(link));
        for (router, address) in up.iter().flat_map(|link| self.missing(link)) {
            self.report(HostEvent::AddressGone { router, address });
        }
        for (id, router) in &mut self.routers {
            let name = router.config.interface.name();
            let ipv6 = router.config.family == Family::Ipv6;
            // The kernel's order of IPv6 addresses changes with each new one: what is good stays.
            let is_good = |address: &IpAddr| {
                self.kernel.has(name, *address) && !self.virtual_addresses.contains(address)
            };
            let kept = || router.primary.flatten().filter(is_good);
            let own = || self.kernel.primary(name, ipv6, &self.virtual_addresses);
            let owned = || self.kernel.primary(name, ipv6, &[]);
            let primary = match router.config.source {
                Some(source) if router.config.track_source => {
                    self.kernel.has(name, source).then_some(source)
                }
                Some(source) => Some(source),
                None => kept()
                    .or_else(own)
                    .or_else(|| router.config.owner.then(owned).flatten()),
            };
            let primary = primary.filter(|_| !self.devices.trouble(*id));
            if router.primary.replace(primary) != Some(primary) {
                let event = HostEvent::PrimaryAddress {
                    router: *id,
                    address: primary,
                };
                drop(self.reports.send(Report::Event(event)));
            }
        }
    }

    /// A link that lives again may lead to another switch: what is on it is announced once more, also where its loss is
    /// no fault of the router.
    pub(super) fn announce_on_returned_links(&mut self) {
        let usable = |index: u32| {
            let mut links = self.kernel.links().filter(|link| link.index == index);
            links.next().is_some_and(Link::usable)
        };
        let installed = self.routers.values().filter(|router| router.installed);
        let carrying = installed.flat_map(|router| router.placed.iter().map(|one| one.interface));
        let now: BTreeMap<u32, bool> = carrying.map(|index| (index, usable(index))).collect();
        let before = std::mem::replace(&mut self.carriers, now);
        let returned = |one: &Present| {
            before.get(&one.interface) == Some(&false)
                && self.carriers.get(&one.interface) == Some(&true)
        };
        for (id, router) in self.routers.iter().filter(|(_, router)| router.installed) {
            if router.placed.iter().any(returned) {
                let repeat = router.repeat;
                let announce = Work::Command(Command::Announce { repeat });
                self.queue.push_back((*id, announce));
            }
        }
    }

    /// Asks anew for the neighbours that were asked for while the link was away.
    fn ask_again(&self, link: &Interface) {
        let name = link.name();
        let source = self.kernel.primary(name, false, &self.virtual_addresses);
        let card = self
            .kernel
            .link(name)
            .and_then(|link| Some((link.index, link.mac?)));
        if let (Some((interface, mac)), Some(IpAddr::V4(source))) = (card, source) {
            self.vips.ask_again(Asker {
                interface,
                mac,
                source,
            });
        }
    }

    /// What routers that live through a loss of their link have lost with it: the kernel takes IPv6
    /// addresses away from an interface that goes down.
    fn missing(&self, link: &Interface) -> Vec<(RouterId, IpAddr)> {
        let routers = self.routers.iter();
        let there =
            routers.filter(|(_, router)| router.installed && router.config.interface == *link);
        let placed = there.flat_map(|(id, router)| router.placed.iter().map(move |one| (*id, one)));
        let gone = placed.filter(|(_, one)| !self.kernel.contains(one));
        gone.map(|(id, one)| (id, one.address)).collect()
    }
}
