//! Taking addresses down, of many routers together: one system call and one transaction of the fence for what hundreds
//! of routers let go of when a host with a higher priority comes back.

use std::collections::BTreeSet;
use std::net::IpAddr;

use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, HostEvent};

use super::leftovers::Left;
use super::{Paths, Work, Worker, wanted};
use crate::Error;
use crate::plan::Present;

/// Addresses that go together at most: nobody waits for long to be told that they are gone, and what the kernel notifies of
/// them is read before it is too much.
const TOGETHER: usize = 128;

/// What a router lets go of.
struct Leaving {
    id: RouterId,
    /// On this host.
    there: Vec<Present>,
    /// In the fence.
    fenced: Vec<IpAddr>,
    paths: Paths,
}

impl Worker {
    /// A router gives way, and with it those that wait for the same.
    pub(super) async fn give_way(&mut self, first: RouterId) {
        let ids = self.leaving_with(first);
        let results = self.remove_all(&ids).await;
        self.read().await;
        for (router, result) in ids.into_iter().zip(results) {
            self.report(match result {
                Ok(()) => HostEvent::Removed { router },
                Err(error) => HostEvent::Failed {
                    router,
                    command: Command::Remove,
                    error: error.into(),
                },
            });
        }
    }

    /// A router that gives way, and those behind it in the queue that have nothing but addresses: whose routes or devices the
    /// kernel is slow with goes alone.
    fn leaving_with(&mut self, first: RouterId) -> Vec<RouterId> {
        let mut ids = vec![first];
        let mut addresses = self.bare_addresses(first).unwrap_or(TOGETHER);
        while let Some((id, Work::Command(Command::Remove))) = self.queue.front()
            && let Some(more) = self.bare_addresses(*id)
            && addresses + more <= TOGETHER
            && !ids.contains(id)
        {
            addresses += more;
            ids.push(*id);
            self.queue.pop_front();
        }
        ids.retain(|id| self.routers.contains_key(id));
        ids
    }

    /// How many addresses a router has that has no route, no rule and no device.
    fn bare_addresses(&self, id: RouterId) -> Option<usize> {
        let router = self.routers.get(&id)?;
        let config = &router.config;
        let bare =
            config.devices.is_empty() && config.paths().is_empty() && router.paved.is_empty();
        bare.then(|| config.addresses.len().max(router.placed.len()))
    }

    /// The lease of a router has run out: what cannot be removed is silenced by the fence, and ends by itself.
    pub(super) async fn lapse(&mut self, id: RouterId) {
        let _ = self.remove_all(&[id]).await;
        self.read().await;
    }

    /// Takes down all that these routers have up; how it went with each. What is refused is tried again.
    pub(super) async fn remove_all(&mut self, ids: &[RouterId]) -> Vec<Result<(), Error>> {
        for id in ids {
            if let Some(router) = self.routers.get_mut(id) {
                router.forget();
            }
            self.announces_no_more(*id);
        }
        let all: Vec<Leaving> = ids.iter().map(|id| self.leaving(*id)).collect();
        let there: BTreeSet<Present> = all.iter().flat_map(|one| &one.there).copied().collect();
        let there: Vec<Present> = there.into_iter().collect();
        // One that is refused is asked for once more by its router, which is told why.
        let refused = self.vips.remove_all(&there).err().map(|(left, _)| left);
        let refused = refused.unwrap_or_default();
        let mut results = Vec::with_capacity(all.len());
        let mut lefts = Vec::with_capacity(all.len());
        for one in &all {
            let mut left = Left::default();
            results.push(self.take_down(one, &refused, &mut left).await);
            lefts.push(left);
        }
        self.shut(&all, &mut results);
        for ((one, mut left), result) in all.into_iter().zip(lefts).zip(&results) {
            if result.is_err() {
                left.fenced = one.fenced;
                self.leftovers.keep(Some(one.id), left);
            }
        }
        results
    }

    /// What a router has up that no other one that stays has up too.
    fn leaving(&mut self, id: RouterId) -> Leaving {
        let shared: Vec<Present> = self.placed_by_others(id).collect();
        let mut one = Leaving {
            id,
            there: Vec::new(),
            fenced: Vec::new(),
            paths: Paths::default(),
        };
        let Some(router) = self.routers.get_mut(&id) else {
            return one;
        };
        // While it is known what it has put up.
        one.fenced = router.movable(&self.kernel);
        one.there = std::mem::take(&mut router.placed);
        one.paths = std::mem::take(&mut router.paved).paths;
        one.paths.extend(router.config.paths());
        if !router.config.owner {
            let (wanted, _) = wanted(&self.kernel, &router.config);
            let found = wanted.iter().map(|wanted| wanted.present());
            let found: Vec<_> = found.filter(|found| !one.there.contains(found)).collect();
            one.there.extend(found);
        }
        one.there
            .retain(|present| !shared.contains(present) && !self.is_on_anothers(present));
        // A link-local address may be another router's on another interface too.
        one.fenced.retain(|address| {
            let mut others = self.routers.iter().filter(|(other, _)| **other != id);
            !others.any(|(_, other)| other.holds(*address))
        });
        one
    }

    /// The rest of what a router lets go of, and those of its addresses that were refused.
    async fn take_down(
        &mut self,
        one: &Leaving,
        refused: &[Present],
        left: &mut Left,
    ) -> Result<(), Error> {
        let mut result = Ok(());
        let again = one.there.iter().filter(|present| refused.contains(present));
        let again: Vec<Present> = again.copied().collect();
        if let Err((there, error)) = self.vips.remove_all(&again) {
            left.addresses = there;
            result = Err(error);
        }
        if let Err((there, error)) = self.unpave(&one.paths).await {
            left.paths = there;
            result = Err(error);
        }
        if let Err(error) = self.lower(one.id).await {
            left.devices = true;
            result = Err(error);
        }
        result
    }

    /// The fence forgets those addresses that are gone; one that is still there stays fenced, and silent.
    fn shut(&mut self, all: &[Leaving], results: &mut [Result<(), Error>]) {
        let Some(fence) = &self.fence else {
            return;
        };
        let refused = all
            .iter()
            .zip(&*results)
            .filter(|(_, result)| result.is_err());
        let refused = refused.flat_map(|(one, _)| one.fenced.iter().copied());
        // The same address may be there once more, on another interface.
        let there: BTreeSet<IpAddr> = refused.chain(self.leftovers.fenced()).collect();
        let of = |one: &Leaving| -> Vec<IpAddr> {
            let fenced = one.fenced.iter().copied();
            fenced.filter(|address| !there.contains(address)).collect()
        };
        let gone = all
            .iter()
            .zip(&*results)
            .filter(|(_, result)| result.is_ok());
        let gone: Vec<IpAddr> = gone.flat_map(|(one, _)| of(one)).collect();
        let forgotten = fence.forget(&gone).is_ok();
        for (one, result) in all.iter().zip(results) {
            let done = match result {
                Ok(()) if forgotten => continue,
                Ok(()) => fence.forget(&of(one)),
                Err(_) => fence.close(&one.fenced),
            };
            if let Err(error) = done {
                *result = Err(error.into());
            }
        }
    }
}
