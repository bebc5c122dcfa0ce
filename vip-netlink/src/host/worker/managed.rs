//! One router, as far as its addresses are concerned.

use std::net::IpAddr;

use tokio::time::Instant;

use super::paths::Paths;
use super::wanted;
use crate::host::HostRouter;
use crate::lease::Lease;
use crate::plan::{Present, Wanted};
use crate::watch::Kernel;

pub(super) struct Managed {
    pub(super) config: HostRouter,
    pub(super) installed: bool,
    /// What was put up, by the index that its interface had: a renamed one keeps it.
    pub(super) placed: Vec<Present>,
    pub(super) lease: Option<Lease>,
    pub(super) retry: Option<Instant>,
    /// Its routes and rules.
    pub(super) paved: Paved,
    /// The primary address last told.
    pub(super) primary: Option<Option<IpAddr>>,
}

/// Routes and rules that were put up.
#[derive(Debug, Default)]
pub(super) struct Paved {
    pub(super) paths: Paths,
    /// When those that are missing are asked for again.
    pub(super) retry: Option<Instant>,
    /// What was told last is that some are missing.
    pub(super) failing: bool,
}

impl Paved {
    /// Nothing is up and nothing is missing.
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.retry.is_none()
    }
}

impl Managed {
    pub(super) fn new(config: HostRouter) -> Self {
        Self {
            installed: false,
            placed: Vec::new(),
            lease: None,
            retry: None,
            paved: Paved::default(),
            primary: None,
            config,
        }
    }

    pub(super) fn place(&mut self, added: Vec<Present>) {
        for present in added {
            if !self.placed.contains(&present) {
                self.placed.push(present);
            }
        }
    }

    pub(super) fn has_placed(&self, wanted: &Wanted<'_>) -> bool {
        self.placed.contains(&wanted.present())
    }

    /// Whether that is the host's own address, under whatever prefix, which its owner found there.
    pub(super) fn owns(&self, kernel: &Kernel, wanted: &Wanted<'_>) -> bool {
        let found = |have: &Present| {
            (have.interface, have.address) == (wanted.interface, wanted.vip.address)
                && !self.placed.contains(have)
        };
        self.config.owner && kernel.addresses().iter().any(found)
    }

    /// The addresses that come and go with the router: all but the host's own.
    pub(super) fn movable(&self, kernel: &Kernel) -> Vec<IpAddr> {
        let own = wanted(kernel, &self.config).0;
        let own = own.iter().filter(|one| self.owns(kernel, one));
        let own: Vec<IpAddr> = own.map(|one| one.vip.address).collect();
        let all = self.config.addresses.iter().map(|vip| vip.address);
        all.filter(|address| !own.contains(address)).collect()
    }

    /// Whether that is one of the addresses that it has up.
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        let mut all = self.config.addresses.iter();
        self.installed && all.any(|vip| vip.address == address)
    }

    /// From now on its addresses are nobody's business.
    pub(super) const fn forget(&mut self) {
        self.installed = false;
        self.lease = None;
        self.retry = None;
        self.paved.retry = None;
    }
}
