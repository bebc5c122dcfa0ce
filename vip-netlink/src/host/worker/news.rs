//! What the worker hears from the kernel, and what of it the driver is told.

use vrrp_fsm::driver::HostEvent;

use super::{Report, Worker, wanted};
use crate::host::boottime;
use crate::link::Link;
use crate::plan::{Present, Wanted};
use crate::watch::{Change, Notice};

impl Worker {
    /// Reads the notifications that are already there.
    pub(super) async fn read(&mut self) {
        while let Some(notice) = self.watcher.read() {
            match notice {
                Notice::Messages(messages) => {
                    for message in messages {
                        let change = self.kernel.apply(&message);
                        if let Some(Change::Removed(present)) = change {
                            self.lost(present).await;
                        }
                        if change.is_some() {
                            self.tell();
                        }
                    }
                }
                Notice::Lost => self.look_again().await,
            }
        }
    }

    /// Notifications were lost: compares everything anew.
    async fn look_again(&mut self) {
        let Ok(kernel) = self.vips.dump().await else {
            return;
        };
        let before = std::mem::replace(&mut self.kernel, kernel);
        for present in before.addresses() {
            if !self.kernel.addresses().contains(present) {
                self.lost(*present).await;
            }
        }
        self.tell();
    }

    /// An address went, and not by our hand: by its lease, with its link, or by another program's.
    async fn lost(&mut self, present: Present) {
        let mut expired = Vec::new();
        for (id, router) in self.routers.iter().filter(|(_, router)| router.installed) {
            // What an owner found may have been left by a predecessor, with a lease that ran out.
            let found = |one: &Wanted<'_>| {
                (one.interface, one.vip.address) == (present.interface, present.address)
            };
            let owned = || wanted(&self.kernel, &router.config).0.iter().any(found);
            let ours = router.placed.contains(&present) || router.config.owner && owned();
            let untracked = |one: &Wanted<'_>| found(one) && one.vip.untracked;
            let untracked = wanted(&self.kernel, &router.config).0.iter().any(untracked);
            if !ours || untracked {
                continue;
            }
            if router.lease.is_some_and(|lease| lease.expired(boottime())) {
                expired.push(*id);
            } else if self
                .kernel
                .link(router.config.interface.name())
                .is_some_and(Link::usable)
            {
                self.report(HostEvent::AddressGone {
                    router: *id,
                    address: present.address,
                });
            }
        }
        for id in expired {
            self.expire(id).await;
        }
    }

    /// Tells what is new about links and primary addresses.
    pub(super) fn tell(&mut self) {
        for seen in &mut self.interfaces {
            let link = self.kernel.link(seen.interface.name());
            let interface = seen.interface.number();
            let index = link.map(|link| link.index);
            if seen.index.replace(index) != Some(index) {
                // Sockets first; and a new device starts with a new link state.
                drop(self.reports.send(Report::Interface {
                    number: interface,
                    index,
                }));
                seen.usable = None;
            }
            let usable = link.is_some_and(Link::usable);
            if seen.usable.replace(usable) != Some(usable) {
                let event = if usable {
                    HostEvent::LinkUp { interface }
                } else {
                    HostEvent::LinkDown { interface }
                };
                drop(self.reports.send(Report::Event(event)));
            }
        }
        for (id, router) in &mut self.routers {
            // Adverts over IPv6 are not sent yet: such a router has no address to send from.
            let advertised = router.config.addresses.first();
            let primary = if advertised.is_some_and(|vip| vip.address.is_ipv6()) {
                None
            } else {
                let name = router.config.interface.name();
                let own = || self.kernel.primary(name, false, &self.virtual_addresses);
                let owned = || self.kernel.primary(name, false, &[]);
                let first = || own().or_else(|| router.config.owner.then(owned).flatten());
                match router.config.source {
                    Some(source) if router.config.track_source => {
                        self.kernel.has(name, source).then_some(source)
                    }
                    Some(source) => Some(source),
                    None => first(),
                }
            };
            if router.primary.replace(primary) != Some(primary) {
                let event = HostEvent::PrimaryAddress {
                    router: *id,
                    address: primary,
                };
                drop(self.reports.send(Report::Event(event)));
            }
        }
    }
}
