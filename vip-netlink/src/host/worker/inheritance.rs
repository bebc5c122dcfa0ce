//! What the worker does about the addresses of a predecessor: one that died, or one that hands over.

use tokio::time::Instant;

use super::{Managed, Paths, RETRY, Seen, Worker, wanted};
use crate::Error;
use crate::host::HostRouter;
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
        Ok(())
    }

    /// What a predecessor holds answers on when its fence goes with it.
    pub(super) async fn open_what_is_there(&mut self) -> Result<(), Error> {
        self.kernel = self.vips.dump().await?;
        let holds = |router: &Managed| {
            let (wanted, _) = wanted(&self.kernel, &router.config);
            let present = self.kernel.addresses();
            wanted.iter().any(|one| present.contains(&one.present()))
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
    pub(super) async fn admit(&mut self, router: HostRouter, reopen: bool) {
        let interface = router.interface.clone();
        let watched = self.interfaces.iter_mut();
        match watched.into_iter().find(|seen| seen.interface == interface) {
            Some(seen) => {
                seen.usable = None;
                if reopen {
                    seen.index = None;
                }
            }
            None => self.interfaces.push(Seen::new(interface)),
        }
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
        // The same: asked for again then.
        let _ = self.unpave(&left).await;
        self.note_addresses();
        self.follow_paths();
        self.keep_devices().await;
        self.tell();
    }

    /// Its sockets could not be opened: tried again.
    pub(super) fn reopen_soon(&mut self, number: u32) {
        let mut all = self.interfaces.iter_mut();
        if let Some(seen) = all.find(|seen| seen.interface.number() == number) {
            seen.reopen = Some(Instant::now() + RETRY);
        }
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
        let mut routers = self.routers.values();
        let fixed = &self.fixed.wanted;
        let fixed = !fixed.routes.is_empty() || !fixed.rules.is_empty();
        if fixed || routers.any(|router| !router.config.paths().is_empty()) {
            // Refused: what is removed by others is not noticed, but is put back with the next change of a link.
            let _ = self.watcher.follow_paths();
        }
    }
}
