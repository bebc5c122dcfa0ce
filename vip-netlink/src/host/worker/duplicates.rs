//! IPv6 addresses whose duplicate detection (`-nodad`) found that another host has them already: they do not answer, the
//! kernel takes those with a lifetime away, and they are tried again until the other host lets go.

use tokio::time::Instant;
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, HostEvent};

use super::{RETRY, Worker};
use crate::Error;
use crate::plan::Present;

impl Worker {
    /// The kernel has found another host with the address. Told once for each try.
    pub(super) async fn duplicate(&mut self, present: Present) {
        let mut hit = Vec::new();
        for (id, router) in &mut self.routers {
            if router.installed && router.placed.contains(&present) {
                if !router.duplicates.contains(&present) {
                    router.duplicates.push(present);
                }
                if router.retry.is_none() {
                    hit.push(*id);
                }
                router.retry = Some(Instant::now() + RETRY);
            }
        }
        for router in hit {
            self.report(HostEvent::Failed {
                router,
                command: Command::Install,
                error: Error::Duplicate(present.address).into(),
            });
            if self.kernel.contains(&present) {
                // Without a lifetime it stays, and would never be tried again.
                let _ = self.vips.remove(present);
            }
        }
    }

    /// An address is the only one of its kind, or its detection begins anew.
    pub(super) async fn detected(&mut self, present: Present) {
        if self.kernel.is_tentative(&present) {
            return;
        }
        let mut proven: Vec<(RouterId, u8)> = Vec::new();
        for (id, router) in &mut self.routers {
            if !router.installed || !router.placed.contains(&present) {
                continue;
            }
            let before = router.duplicates.len();
            router.duplicates.retain(|one| *one != present);
            proven.push((*id, router.repeat));
            if before > 0 && router.duplicates.is_empty() && router.retry.is_none() {
                let event = HostEvent::Installed { router: *id };
                drop(self.reports.send(super::Report::Event(event)));
            }
        }
        // Nobody was told of it while it might have been another's.
        for (id, repeat) in proven {
            self.announce_those(id, repeat, |vip| vip.address == present.address)
                .await;
        }
    }
}
