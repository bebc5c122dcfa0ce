//! What could not be removed: tried again until it is gone, whatever becomes of the router whose it was.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use tokio::time::Instant;
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::HostEvent;

use super::{Paths, RETRY, Worker};
use crate::Error;
use crate::plan::Present;

/// What one router has left, or what stood whoever was Active.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) addresses: Vec<Present>,
    pub(super) paths: Paths,
    /// Addresses that the fence is still to forget.
    pub(super) fenced: Vec<IpAddr>,
    /// Devices of the router that could not be taken down.
    pub(super) devices: bool,
}

impl Left {
    fn is_empty(&self) -> bool {
        self.addresses.is_empty()
            && self.paths.is_empty()
            && self.fenced.is_empty()
            && !self.devices
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    of: BTreeMap<Option<RouterId>, Left>,
    /// When it is tried again.
    pub(super) retry: Option<Instant>,
    /// Routers that are gone but for that: nobody gets their numbers before all of it is.
    dismissed: BTreeSet<RouterId>,
}

impl Leftovers {
    /// A router is gone: whether nothing is left of it. Else that is told once it is so.
    pub(super) fn dismiss(&mut self, router: RouterId) -> bool {
        let clear = !self.of.contains_key(&Some(router));
        if !clear {
            self.dismissed.insert(router);
        }
        clear
    }

    /// Whether nothing is left any more of a router that was dismissed.
    fn are_gone(&mut self, router: RouterId) -> bool {
        !self.of.contains_key(&Some(router)) && self.dismissed.remove(&router)
    }

    /// Addresses that the fence is still to forget.
    pub(super) fn fenced(&self) -> impl Iterator<Item = IpAddr> {
        self.of
            .values()
            .flat_map(|left| left.fenced.iter().copied())
    }

    /// Takes over what could not be removed, if anything.
    pub(super) fn keep(&mut self, whose: Option<RouterId>, left: Left) {
        if left.is_empty() {
            return;
        }
        let all = self.of.entry(whose).or_default();
        let known = |one: &Present| all.addresses.contains(one);
        let new: Vec<_> = left
            .addresses
            .into_iter()
            .filter(|one| !known(one))
            .collect();
        all.addresses.extend(new);
        all.paths.extend(left.paths);
        all.fenced.extend(left.fenced);
        all.devices |= left.devices;
        self.retry.get_or_insert_with(|| Instant::now() + RETRY);
    }
}

impl Worker {
    /// Tries once more to remove what is left. What is wanted again meanwhile stays.
    pub(super) async fn clear_away(&mut self) {
        for (whose, left) in std::mem::take(&mut self.leftovers.of) {
            let result = self.clear(whose, left).await;
            self.read().await;
            let outcome = result.map_err(Into::into);
            self.report(match whose {
                Some(router) => HostEvent::Leftovers { router, outcome },
                None => HostEvent::Fixtures { outcome },
            });
            if let Some(router) = whose.filter(|router| self.leftovers.are_gone(*router)) {
                self.report(HostEvent::Dismissed { router });
            }
        }
    }

    async fn clear(&mut self, whose: Option<RouterId>, left: Left) -> Result<(), Error> {
        let mut still = Left::default();
        let mut result = Ok(());
        let installed = || self.routers.values().filter(|router| router.installed);
        let wanted = |one: &Present| {
            let mut routers = installed();
            self.fixed.placed.contains(one) || routers.any(|router| router.placed.contains(one))
        };
        let mut addresses = left.addresses;
        addresses.retain(|one| !wanted(one) && !self.is_on_anothers(one));
        let mut fenced = left.fenced;
        fenced.retain(|address| !installed().any(|router| router.holds(*address)));
        if let Err((there, error)) = self.vips.remove_all(&addresses) {
            still.addresses = there;
            result = Err(error);
        }
        if let Err((there, error)) = self.unpave(&left.paths).await {
            still.paths = there;
            result = Err(error);
        }
        let idle = |id: &RouterId| self.routers.get(id).is_some_and(|one| !one.installed);
        if let Some(id) = whose.filter(|id| left.devices && idle(id))
            && let Err(error) = self.lower(id).await
        {
            still.devices = true;
            result = Err(error);
        }
        // An address that is still there stays fenced, and silent.
        let gone = result.is_ok();
        if let Some(fence) = self.fence.as_ref().filter(|_| gone && !fenced.is_empty())
            && let Err(error) = fence.forget(&fenced)
        {
            result = Err(error.into());
        }
        if result.is_err() {
            still.fenced = fenced;
        }
        self.leftovers.keep(whose, still);
        result
    }
}
