//! What the worker does to the host: addresses, fence, announcements, leases.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, HostEvent};

use super::{RETRY, Report, Work, Worker, addresses, device, wanted};
use crate::Error;
use crate::announce::{gratuitous_arp, neighbour_advertisement};
use crate::host::boottime;
use crate::lease::Lease;
use crate::plan::difference;

impl Worker {
    /// Puts up what is missing. Order: fence open, then the addresses.
    pub(super) async fn install(&mut self, id: RouterId) -> Result<Duration, Error> {
        let Some(router) = self.routers.get(&id) else {
            return Ok(Duration::ZERO);
        };
        let (wanted, missing) = wanted(&self.kernel, &router.config);
        if let Some(fence) = &self.fence {
            fence.open(&addresses(&router.config))?;
        }
        let began = boottime();
        let missing = missing.map(|name| Error::NoInterface(name.to_owned()));
        // Installed already: only what is not there, so that a repair is no refresh.
        let present = if router.installed {
            self.kernel.addresses()
        } else {
            &[]
        };
        let mut result = missing.map_or(Ok(began), Err);
        for wanted in difference(present, &wanted, &[]).add {
            if let Err(error) = self.vips.add(&wanted, router.config.lifetime).await {
                result = Err(error);
            }
        }
        result
    }

    pub(super) fn installed(&mut self, id: RouterId, result: Result<Duration, Error>) {
        let Some(router) = self.routers.get_mut(&id) else {
            return;
        };
        match result {
            Ok(began) => {
                if !router.installed {
                    router.lease = router
                        .config
                        .lifetime
                        .map(|valid| Lease::begin(valid, began));
                }
                router.installed = true;
                let began = router.lease.map_or(began, |lease| lease.refreshed());
                drop(self.reports.send(Report::Installed { router: id, began }));
            }
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

    pub(super) async fn remove(&mut self, id: RouterId) -> Result<(), Error> {
        let Some(router) = self.routers.get(&id) else {
            return Ok(());
        };
        let addresses = addresses(&router.config);
        let mut result = Ok(());
        for wanted in wanted(&self.kernel, &router.config).0 {
            if let Err(error) = self.vips.remove(wanted.present()).await {
                result = Err(error);
            }
        }
        if let Some(fence) = &self.fence {
            // An address that is still there stays fenced, and silent.
            match result {
                Ok(()) => fence.forget(&addresses)?,
                Err(_) => fence.close(&addresses)?,
            }
        }
        result
    }

    /// Five announcements in one go are a matter of microseconds; nothing waits for this thread.
    pub(super) fn announce(&self, id: RouterId, repeat: u8) {
        let Some(router) = self.routers.get(&id).filter(|router| router.installed) else {
            return;
        };
        for _ in 0..repeat {
            for vip in &router.config.addresses {
                let link = self.kernel.link(device(&router.config, vip));
                let Some((link, mac)) = link.and_then(|link| Some((link, link.mac?))) else {
                    continue;
                };
                // A frame that the link cannot take now is repeated by the next round.
                let _ = match vip.address {
                    IpAddr::V4(_) if link.no_arp => Ok(()),
                    IpAddr::V4(address) => {
                        self.frames.send(link.index, &gratuitous_arp(mac, address))
                    }
                    IpAddr::V6(address) => self
                        .frames
                        .send(link.index, &neighbour_advertisement(mac, address, false)),
                };
            }
        }
    }

    pub(super) async fn refresh(&mut self, id: RouterId, sent: Duration) {
        let now = boottime();
        let Some(router) = self.routers.get_mut(&id).filter(|router| router.installed) else {
            return;
        };
        let Some(lease) = router.lease.filter(|lease| !lease.expired(now)) else {
            self.expire(id).await;
            return;
        };
        // Held up here for long: this advert says nothing about now, and a newer one follows.
        if now.saturating_sub(sent) > RETRY {
            return;
        }
        router.lease = Some(Lease::begin(lease.valid(), now));
        let (wanted, _) = wanted(&self.kernel, &router.config);
        for wanted in wanted
            .iter()
            .filter(|one| self.kernel.addresses().contains(&one.present()))
        {
            if let Err(error) = self.vips.add(wanted, router.config.lifetime).await {
                let command = Command::Install;
                let event = HostEvent::Failed {
                    router: id,
                    command,
                    error: error.into(),
                };
                drop(self.reports.send(Report::Event(event)));
            }
        }
    }

    pub(super) async fn expire(&mut self, id: RouterId) {
        if let Some(router) = self.routers.get_mut(&id) {
            router.forget();
        }
        self.report(HostEvent::LeaseExpired { router: id });
        let _ = self.remove(id).await;
    }

    pub(super) fn retry(&mut self) {
        let now = Instant::now();
        for (id, router) in &mut self.routers {
            if router.retry.take_if(|at| *at <= now).is_some() {
                self.queue.push_back((*id, Work::Command(Command::Install)));
            }
        }
    }

    pub(super) fn renew(&self) {
        let open: Vec<IpAddr> = self
            .routers
            .values()
            .filter(|router| router.installed)
            .flat_map(|router| addresses(&router.config))
            .collect();
        if let Some(fence) = &self.fence {
            // Refused now: the elements last for two more rounds.
            let _ = fence.renew(&open);
        }
    }
}
