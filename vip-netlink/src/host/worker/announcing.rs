//! Telling neighbours where addresses are: at once, or at the pace that was asked for.

use std::collections::BTreeSet;
use std::net::IpAddr;

use tokio::time::Instant;
use vrrp_fsm::RouterId;

use super::{Worker, device, wanted};
use crate::announce::{gratuitous_arp, neighbour_advertisement};
use crate::host::boottime;
use crate::macvlan::VirtualMac;
use crate::pace::Round;
use crate::plan::{Present, Vip, Wanted};

/// Repetitions sent in one go: then it is seen whether another router takes over, which goes before them.
const BATCH: usize = 16;

/// One announcement that waits for its turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Saying {
    router: RouterId,
    what: Present,
}

impl Worker {
    /// Five announcements in one go are a matter of microseconds; nothing waits for this thread.
    pub(super) async fn announce(&mut self, id: RouterId, repeat: u8) {
        self.announce_all(&[(id, repeat)]).await;
    }

    /// Announces addresses of many routers: each once, at once. The repetitions follow when no work waits, for each of
    /// hundreds that take over would else wait for those of the ones before. One that is to be reminded of once is left
    /// alone while it waits for its turn anyway: at a slow pace the queue would grow with each reminder.
    pub(super) async fn announce_all(&mut self, routers: &[(RouterId, u8)]) {
        let waiting = self.pacer.waiting().map(|saying| saying.router);
        let waiting: BTreeSet<RouterId> = waiting.collect();
        let mut routers = routers.to_vec();
        routers.retain(|(id, repeat)| *repeat != 1 || !waiting.contains(id));
        for (id, repeat) in &routers {
            // A reminder is no new count.
            if let Some(router) = self.routers.get_mut(id).filter(|_| *repeat > 1) {
                router.repeat = *repeat;
            }
            self.look_at_links(*id).await;
        }
        for time in 0..routers.iter().map(|(_, repeat)| *repeat).max().unwrap_or(0) {
            for (id, _) in routers.iter().filter(|(_, repeat)| time < *repeat) {
                self.queue_announcements(*id, round(time), |_| true);
            }
        }
        self.say_first();
    }

    pub(super) async fn announce_those(
        &mut self,
        id: RouterId,
        repeat: u8,
        those: impl Fn(&Vip) -> bool,
    ) {
        self.look_at_links(id).await;
        for time in 0..repeat {
            self.queue_announcements(id, round(time), &those);
        }
        self.say_first();
    }

    /// Addresses that went are announced by whoever has them now. Should they come back, their announcements wait anew.
    pub(super) fn announces_no_more(&mut self, id: RouterId) {
        self.pacer.retain(|saying| saying.router != id);
    }

    fn queue_announcements(&mut self, id: RouterId, round: Round, those: impl Fn(&Vip) -> bool) {
        let Some(router) = self.routers.get(&id).filter(|router| router.installed) else {
            return;
        };
        let now = boottime();
        for vip in router.config.addresses.iter().filter(|vip| those(vip)) {
            let name = device(&router.config, vip);
            if let Some(link) = self.kernel.link(name) {
                let interface = link.index;
                let what = Wanted { interface, vip }.present();
                let saying = Saying { router: id, what };
                let ipv6 = vip.address.is_ipv6();
                self.pacer.push(now, name, ipv6, round, saying);
            }
        }
    }

    /// Announces again what is on other interfaces than its router's, where that is asked for.
    pub(super) async fn remind(&mut self) {
        let now = Instant::now();
        let routers = self.routers.iter_mut();
        let due = routers.filter(|(_, router)| router.remind.is_some_and(|at| at <= now));
        let due = due.map(|(id, router)| {
            router.remind();
            *id
        });
        for id in due.collect::<Vec<_>>() {
            let Some(router) = self.routers.get(&id) else {
                continue;
            };
            let config = router.config.clone();
            let own = config.interface.name();
            // Adverts remind of the device that they come from.
            let speaks =
                |device: &VirtualMac| config.mac == Some(device.mac) && device.parent == own;
            let told = |vip: &Vip| {
                let name = vip.device.as_deref().unwrap_or(own);
                match config.devices.iter().find(|device| device.name == name) {
                    Some(device) => !speaks(device),
                    None => name != own && config.reminders.is_some_and(|one| one.all),
                }
            };
            self.announce_those(id, 1, told).await;
        }
    }

    /// Sends the announcements whose time has come and that nobody has heard yet.
    fn say_first(&mut self) {
        let now = boottime();
        while let Some(saying) = self.pacer.first_due(now) {
            self.send(saying);
        }
    }

    /// Sends announcements whose time has come; false if there is none.
    pub(super) fn says(&mut self) -> bool {
        let now = boottime();
        let mut any = false;
        for _ in 0..BATCH {
            let Some(saying) = self.pacer.due(now) else {
                break;
            };
            self.send(saying);
            any = true;
        }
        any
    }

    /// What has been taken away meanwhile is not announced any more.
    fn send(&self, Saying { router, what }: Saying) {
        let Some(router) = self.routers.get(&router).filter(|router| router.installed) else {
            return;
        };
        let (wanted, _) = wanted(&self.kernel, &router.config);
        let Some(one) = wanted.iter().find(|one| one.present() == what) else {
            return;
        };
        if !router.has_placed(one) && !router.owns(&self.kernel, one) {
            return;
        }
        // It may be another host's, to which neighbours had better keep: it is announced once it is proven.
        let unheard = !self.kernel.contains(&what);
        let unproven = unheard && what.address.is_ipv6() && !one.vip.skips_detection();
        if unproven || self.kernel.is_tentative(&what) {
            return;
        }
        let link = self.kernel.link(device(&router.config, one.vip));
        let Some((link, mac)) = link.and_then(|link| Some((link, link.mac?))) else {
            return;
        };
        // A frame that the link cannot take now is repeated by the next round.
        let _ = match what.address {
            IpAddr::V4(_) if link.no_arp => Ok(()),
            IpAddr::V4(address) => self.frames.send(link.index, &gratuitous_arp(mac, address)),
            IpAddr::V6(address) => self.frames.send(
                link.index,
                &neighbour_advertisement(mac, address, link.forwards),
            ),
        };
    }

    /// Whether this host forwards decides on a flag of what neighbours are told, and changes unnoticed.
    async fn look_at_links(&mut self, id: RouterId) {
        let Some(router) = self.routers.get(&id) else {
            return;
        };
        let (wanted, _) = wanted(&self.kernel, &router.config);
        let ipv6 = wanted.iter().filter(|one| one.vip.address.is_ipv6());
        let mut links: Vec<u32> = ipv6.map(|one| one.interface).collect();
        links.sort_unstable();
        links.dedup();
        for link in links {
            // Not answered: the flag is as it was when last heard of.
            let _ = self.vips.look_at(&mut self.kernel, link).await;
            self.tell();
        }
    }
}

/// What the announcement of that number is to neighbours.
const fn round(time: u8) -> Round {
    match time {
        0 => Round::First,
        _ => Round::Repetition,
    }
}
