//! What the worker does about the addresses of a predecessor: one that died, or one that hands over.

use std::net::IpAddr;

use super::{Paths, Worker, wanted};
use crate::Error;
use crate::fence::Access;
use crate::plan::{Wanted, difference};

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
            self.vips.remove(present).await?;
        }
        let mut paths = Paths::default();
        let routers = self.routers.values();
        routers.for_each(|router| paths.extend(router.config.paths()));
        // What cannot be removed is found again when the router puts its own up.
        let _ = self.unpave(&paths).await;
        Ok(())
    }

    /// What a predecessor holds answers on when its fence goes with it.
    pub(super) async fn open_what_is_there(&mut self) -> Result<(), Error> {
        self.kernel = self.vips.dump().await?;
        let Some(fence) = &mut self.fence else {
            return Ok(());
        };
        let ours = self.routers.values();
        let ours = ours.filter(|router| !router.config.owner);
        let ours = ours.flat_map(|router| wanted(&self.kernel, &router.config).0);
        let there = ours.filter(|one| self.kernel.addresses().contains(&one.present()));
        let there: Vec<IpAddr> = there.map(|one| one.vip.address).collect();
        // Without a hold until the router takes up its work, which opens it anew.
        Ok(fence.open(&there, None, Access::Full)?)
    }
}
