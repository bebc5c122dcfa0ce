//! What the worker does about the addresses of a predecessor: one that died, or one that hands over.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::HostEvent;

use super::{Managed, Paths, Seen, Worker, wanted};
use crate::Error;
use crate::host::HostRouter;
use crate::host::sockets::Needs;
use crate::link::Interface;
use crate::plan::{Present, Wanted, difference};

impl Worker {
    /// Removes what a predecessor left behind: our addresses by exact prefix and interface, our
    /// routes and rules by their mark (`proto keepalived`) and all that names them.
    pub(super) async fn sweep(&mut self) -> Result<(), Error> {
        self.kernel = self.vips.dump().await?;
        let ours: Vec<Wanted<'_>> = self
            .routers
            .values()
            .filter(|router| !router.config.owner)
            .flat_map(|router| wanted(&self.kernel, &router.config).0)
            .collect();
        let left = difference(self.kernel.addresses(), &[], &ours).remove;
        for present in left {
            if !self.is_on_anothers(&present) {
                self.vips.remove(present)?;
            }
        }
        let mut paths = Paths::default();
        let routers = self.routers.values();
        routers.for_each(|router| paths.extend(router.config.paths()));
        // What cannot be removed is found again when the router puts its own up.
        let _ = self.unpave(&paths).await;
        self.discard_orphans().await;
        self.put_promotion_back().await;
        Ok(())
    }

    /// What a predecessor holds answers on when its fence goes with it.
    pub(super) async fn open_what_is_there(&mut self) -> Result<(), Error> {
        self.kernel = self.vips.dump().await?;
        let holds = |router: &Managed| {
            let (wanted, _) = wanted(&self.kernel, &router.config);
            wanted
                .iter()
                .any(|one| self.kernel.contains(&one.present()))
        };
        let routers = self.routers.iter();
        let active = routers.filter(|(_, router)| !router.config.owner && holds(router));
        for id in active.map(|(id, _)| *id).collect::<Vec<_>>() {
            // Without a hold until the router takes up its work, which opens it anew.
            self.open(id, None)?;
        }
        Ok(())
    }

    /// One more router: what a predecessor left of its addresses goes, its interface is told of.
    pub(super) async fn admit(&mut self, router: HostRouter) {
        let interface = router.interface.clone();
        let placed: Vec<Present> = self
            .routers
            .values()
            .flat_map(|router| router.placed.iter().copied())
            .collect();
        let ours = wanted(&self.kernel, &router).0;
        let left = match router.owner {
            true => Vec::new(),
            false => difference(self.kernel.addresses(), &[], &ours).remove,
        };
        for present in left.into_iter().filter(|one| !placed.contains(one)) {
            if self.is_on_anothers(&present) {
                continue;
            }
            // What cannot be removed is found again when the router puts its addresses up.
            let _ = self.vips.remove(present);
        }
        let left = router.paths();
        self.routers.insert(router.id, Managed::new(router));
        self.tell_anew(interface);
        // The same: asked for again then.
        let _ = self.unpave(&left).await;
        self.note_addresses();
        self.follow_paths();
        self.keep_devices().await;
        self.tell();
    }

    /// A router is gone for good: all that was kept for it goes too.
    pub(super) async fn dismiss(&mut self, id: RouterId) {
        if let Some(router) = self.routers.remove(&id) {
            self.note_addresses();
            self.devices.forget(id);
            self.discard(&router.config.devices).await;
            self.forget_holds();
            self.promote().await;
            self.close_unneeded(&router.config.interface);
            self.read().await;
        }
        if self.leftovers.dismiss(id) {
            self.report(HostEvent::Dismissed { router: id });
        }
    }

    /// Of holds that no router has any more the fence need not hear.
    pub(super) fn forget_holds(&mut self) {
        let holds = self.routers.values().filter_map(|one| one.config.hold);
        let holds: BTreeSet<Duration> = holds.collect();
        if let Some(fence) = &mut self.fence {
            // Refused: it hears of them for nothing, until the next change.
            let _ = fence.hear_only(&holds);
        }
    }

    /// A router has come to that interface: its link is told again, after sockets that hear enough.
    fn tell_anew(&mut self, interface: Interface) {
        let needs = self.needs(&interface);
        let mut watched = self.interfaces.iter_mut();
        match watched.find(|seen| seen.interface == interface) {
            Some(seen) => {
                seen.usable = None;
                if !seen.needs.cover(&needs) {
                    seen.index = None;
                }
            }
            None => self.interfaces.push(Seen::new(interface)),
        }
    }

    /// Others track these interfaces now: what is known of each is told once more, for it may have been told before
    /// anybody asked. A change that has not lasted long enough stays untold.
    pub(super) fn watch(&mut self, interfaces: Vec<Interface>) {
        for interface in interfaces {
            let mut watched = self.interfaces.iter();
            match watched.find(|seen| seen.interface == interface) {
                Some(seen) => {
                    if let Some(event) = seen.told() {
                        self.report(event);
                    }
                }
                None => self.interfaces.push(Seen::new(interface)),
            }
        }
        self.tell();
    }

    /// Closes the sockets of an interface on which no router is left.
    fn close_unneeded(&mut self, interface: &Interface) {
        if self.needs(interface) == Needs::default() {
            let mut watched = self.interfaces.iter_mut();
            if let Some(seen) = watched.find(|seen| seen.interface == *interface) {
                seen.index = None;
            }
            self.tell();
        }
    }

    fn needs(&self, interface: &Interface) -> Needs {
        let routers = self.routers.values().map(|router| &router.config);
        Needs::of(routers.filter(|one| one.interface == *interface))
    }

    /// Tells of interfaces whose time has come as if they were new.
    pub(super) fn reopen(&mut self, now: Instant) {
        let mut any = false;
        for seen in &mut self.interfaces {
            if seen.reopen.take_if(|at| *at <= now).is_some() {
                (seen.index, seen.usable) = (None, None);
                any = true;
            }
        }
        if any {
            self.tell();
        }
    }

    /// Whoever has no routes need not hear of everybody's.
    pub(super) fn follow_paths(&mut self) {
        let routers = self.routers.values().map(|router| &router.config);
        let fixed = &self.fixed.wanted;
        let rules = !fixed.rules.is_empty() || routers.clone().any(|one| !one.rules.is_empty());
        let routes = routers.flat_map(|one| &one.routes).chain(&fixed.routes);
        let protocols: BTreeSet<u8> = routes.map(|route| route.protocol).collect();
        if rules || !protocols.is_empty() {
            let protocols: Vec<u8> = protocols.into_iter().collect();
            // Refused: what is removed by others is not noticed, but is put back with the next change of a link.
            let _ = self.watcher.follow_paths(&protocols);
        }
    }
}
