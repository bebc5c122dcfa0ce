//! Putting addresses up and keeping them up, of many routers together: one transaction of the fence and one system
//! call for what hundreds of routers want in the same moment. What one router is refused is no other's business.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, HostEvent};

use super::{RETRY, Report, Work, Worker, wanted};
use crate::Error;
use crate::fence::Access;
use crate::host::boottime;
use crate::host::renewals::Renewals;
use crate::lease::{GATHERED, Lease};
use crate::plan::{Present, difference};

/// Routers whose addresses go up together at most: the first do not wait for hundreds of others.
const TOGETHER: usize = 64;

/// Leases to be renewed.
#[derive(Debug)]
pub(super) struct Refreshes {
    renewals: Renewals,
    due: Option<Instant>,
    /// Nobody has told of any: there were many the last time.
    untold: bool,
}

impl Refreshes {
    pub(super) const fn new(renewals: Renewals) -> Self {
        Self {
            renewals,
            due: None,
            untold: false,
        }
    }

    /// When they are to be carried out.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }
}

impl Worker {
    /// A router takes over, and with it those that wait for the same.
    pub(super) async fn take_over(&mut self, first: RouterId) {
        // What is already known must not be taken for news about the work to come.
        self.read().await;
        let (ids, announcements) = self.gather(first);
        for id in &ids {
            if let Some(router) = self.routers.get_mut(id) {
                router.retry = None;
            }
        }
        self.promote().await;
        let results = self.install_all(&ids).await;
        // Neighbours first: what others are told can wait.
        self.announce_all(&announcements).await;
        self.read().await;
        for (id, result) in ids.into_iter().zip(results) {
            self.installed(id, result);
            self.pave_soon(id);
        }
    }

    /// The installations at the head of the queue, and the announcements that follow them.
    fn gather(&mut self, first: RouterId) -> (Vec<RouterId>, Vec<(RouterId, u8)>) {
        let mut ids = vec![first];
        let mut announcements: Vec<(RouterId, u8)> = Vec::new();
        while let Some((id, what)) = self.queue.front() {
            match what {
                Work::Command(Command::Install) if ids.len() < TOGETHER && !ids.contains(id) => {
                    ids.push(*id);
                }
                Work::Command(Command::Announce { repeat }) => announcements.push((*id, *repeat)),
                _ => break,
            }
            self.queue.pop_front();
        }
        (ids, announcements)
    }

    /// Puts up what is missing of one router.
    pub(super) async fn install(&mut self, id: RouterId) -> Result<(), Error> {
        self.install_all(&[id]).await.pop().unwrap_or(Ok(()))
    }

    /// Puts up what is missing. Order: devices, fence open, then the addresses. One that is refused does not
    /// keep the others away, nor out of the lease.
    async fn install_all(&mut self, ids: &[RouterId]) -> Vec<Result<(), Error>> {
        let mut raised = Vec::with_capacity(ids.len());
        for id in ids {
            // Addresses of other interfaces need no device.
            raised.push(self.raise(*id).await);
        }
        let opened = self.open_all(ids);
        let began = boottime();
        let mut results = Vec::with_capacity(ids.len());
        let mut asked = Vec::new();
        let mut of = Vec::new();
        let mut added = vec![Vec::new(); ids.len()];
        for ((at, id), (raised, opened)) in
            ids.iter().enumerate().zip(raised.into_iter().zip(opened))
        {
            let Some(router) = self.routers.get(id).filter(|_| opened.is_ok()) else {
                results.push(opened);
                continue;
            };
            let (mut wanted, missing) = wanted(&self.kernel, &router.config);
            wanted.retain(|one| !router.owns(&self.kernel, one));
            // Somebody else's device may have the name.
            wanted.retain(|one| raised.is_ok() || !self.is_unready(*id, one.interface));
            let now = Instant::now();
            wanted.retain(|one| !router.contests.holds(one.vip.address, now));
            // Installed already: only what is not there, so that a repair is no refresh.
            let present = match router.installed {
                true => self.kernel.addresses(),
                false => &[],
            };
            let missing = missing.map_or(Ok(()), |name| Err(Error::NoInterface(name.to_owned())));
            results.push(raised.and(missing));
            // What another router has put up is this one's too, so that it stays when the other one lets go of it.
            if let (true, Some(both)) = (router.installed, added.get_mut(at)) {
                let shared: Vec<Present> = self.placed_by_others(*id).collect();
                let here = wanted.iter().map(|one| one.present());
                both.extend(here.filter(|one| shared.contains(one) && present.contains(one)));
            }
            for one in difference(present, &wanted, &[]).add {
                asked.push((one, router.config.lifetime));
                of.push(at);
            }
        }
        let outcomes = self.vips.add_all(&asked);
        for ((outcome, (one, _)), at) in outcomes.into_iter().zip(&asked).zip(of) {
            match (outcome, added.get_mut(at), results.get_mut(at)) {
                (Ok(()), Some(added), _) => added.push(one.present()),
                (Err(error), _, Some(result)) => *result = Err(error),
                _ => {}
            }
        }
        for ((id, added), result) in ids.iter().zip(added).zip(&results) {
            let Some(router) = self.routers.get_mut(id) else {
                continue;
            };
            router.place(&self.kernel, added);
            if !router.installed && (result.is_ok() || !router.placed.is_empty()) {
                router.installed = true;
                router.remind();
                let lifetime = router.config.lifetime;
                router.lease = lifetime.map(|valid| Lease::begin(valid, began));
                drop(self.reports.send(Report::Begun { router: *id, began }));
            }
        }
        results
    }

    /// Opens the fence for each of them: in one transaction for those that are alike.
    fn open_all(&mut self, ids: &[RouterId]) -> Vec<Result<(), Error>> {
        type Alike = (Option<Duration>, Access);
        let mut groups: Vec<(Alike, Vec<IpAddr>, Vec<usize>)> = Vec::new();
        let mut results: Vec<Option<Result<(), Error>>> = ids.iter().map(|_| None).collect();
        for (at, id) in ids.iter().enumerate() {
            let Some(router) = self
                .routers
                .get(id)
                .filter(|one| one.config.devices.is_empty())
            else {
                continue;
            };
            let alike = (self.hold(*id), router.config.access);
            let addresses = router.movable(&self.kernel);
            match groups.iter_mut().find(|(known, ..)| *known == alike) {
                Some((_, all, places)) => {
                    all.extend(addresses);
                    places.push(at);
                }
                None => groups.push((alike, addresses, vec![at])),
            }
        }
        for ((hold, access), addresses, places) in groups {
            let opened = match &mut self.fence {
                Some(fence) => fence.open(&addresses, hold, access).is_ok(),
                None => true,
            };
            for at in places.into_iter().filter(|_| opened) {
                if let Some(result) = results.get_mut(at) {
                    *result = Some(Ok(()));
                }
            }
        }
        // Those with devices; and where not all could be opened, each for itself.
        let mut each = Vec::with_capacity(ids.len());
        for (id, result) in ids.iter().zip(results) {
            each.push(match result {
                Some(result) => result,
                None => self.open(*id, self.hold(*id)),
            });
        }
        each
    }

    /// An advert went out: the lease of the addresses is to be renewed, soon, with those of others that follow.
    pub(super) fn refresh_soon(&mut self, id: RouterId, sent: Duration) {
        // One stands for all: beats arrive, or do not, for every address.
        self.check_pulse(id, sent);
        self.refreshes.due = Some(Instant::now() + GATHERED);
    }

    /// Renews the leases that wait for it.
    pub(super) async fn refresh_all(&mut self) {
        let (waiting, looks) = self.refreshes.renewals.take();
        self.refreshes.due = looks.then(|| Instant::now() + GATHERED);
        let untold = std::mem::replace(&mut self.refreshes.untold, looks);
        let newest = waiting.iter().max_by_key(|(_, sent)| **sent);
        if let Some((id, sent)) = newest.filter(|_| untold) {
            self.check_pulse(*id, *sent);
        }
        self.read().await;
        let now = boottime();
        let mut due = Vec::new();
        for (id, sent) in waiting {
            let Some(router) = self.routers.get_mut(&id).filter(|router| router.installed) else {
                continue;
            };
            // Held up here for long, or sent before the addresses went up anew: this advert says nothing about now, and
            // a newer one follows.
            let lease = router.lease;
            let is_news = lease.is_some_and(|lease| {
                now.saturating_sub(sent) <= RETRY && sent >= lease.refreshed()
            });
            if is_news {
                due.push(id);
            } else if lease.is_none_or(|lease| lease.expired(now)) {
                let address = router.config.addresses.first().map(|vip| vip.address);
                self.expire(id, address).await;
            }
        }
        self.renew_leases(due).await;
    }

    /// Has the addresses of these routers stay for another lease.
    pub(super) async fn renew_leases(&mut self, due: Vec<RouterId>) {
        let now = boottime();
        let mut asked = Vec::new();
        let mut of = Vec::new();
        for id in &due {
            let Some(router) = self.routers.get(id) else {
                continue;
            };
            let there = |present: &_| self.kernel.contains(present);
            let (wanted, _) = wanted(&self.kernel, &router.config);
            let placed = wanted.into_iter().filter(|one| router.has_placed(one));
            for one in placed.filter(|one| there(&one.present())) {
                asked.push((one, router.config.lifetime));
                of.push(*id);
            }
        }
        let mut results: BTreeMap<RouterId, Result<(), Error>> = BTreeMap::new();
        for (outcome, id) in self.vips.refresh_all(&asked).into_iter().zip(of) {
            let result = results.entry(id).or_insert(Ok(()));
            if outcome.is_err() {
                *result = outcome;
            }
        }
        // The kernel may have taken some away before it got to them, and put them up anew: by the old lease.
        self.read().await;
        for id in due {
            if let Some(router) = self.routers.get_mut(&id).filter(|router| router.installed) {
                let lifetime = router.config.lifetime;
                router.lease = lifetime.map(|valid| Lease::begin(valid, now));
            }
        }
        for (id, result) in results {
            self.refreshed(id, result);
        }
    }

    /// Has the addresses of a router, if they are up, stay for a lease of another length from now on.
    pub(super) async fn begin_anew(&mut self, router: RouterId) {
        if self.routers.get(&router).is_some_and(|one| one.installed) {
            let began = boottime();
            self.renew_leases(vec![router]).await;
            drop(self.reports.send(Report::Begun { router, began }));
        }
    }

    /// How a renewal went: told while it is refused, and once when it is no longer.
    fn refreshed(&mut self, id: RouterId, result: Result<(), Error>) {
        let Some(router) = self.routers.get_mut(&id) else {
            return;
        };
        let was_refused = std::mem::replace(&mut router.refused, result.is_err());
        let error = match result {
            Err(error) => error.into(),
            // An installation that is tried again tells by itself how that went.
            Ok(()) if was_refused && router.retry.is_none() => {
                return self.installed(id, Ok(()));
            }
            Ok(()) => return,
        };
        self.report(HostEvent::Failed {
            router: id,
            command: Command::Install,
            error,
        });
    }

    /// The beat that went with an advert must have arrived. If it did not, a sound router's addresses would be
    /// silent: beats are given up.
    fn check_pulse(&mut self, id: RouterId, sent: Duration) {
        let router = self.routers.get(&id).filter(|router| router.installed);
        let address = router.and_then(|router| router.movable(&self.kernel).first().copied());
        let (Some(hold), Some(fence), Some(address)) = (self.hold(id), &self.fence, address) else {
            return;
        };
        if let Ok(false) = fence.is_alive(address)
            && boottime().saturating_sub(sent) < hold / 2
        {
            drop(self.reports.send(Report::Unheld(id)));
        }
    }
}
