//! One router, as far as its addresses are concerned.

use std::net::IpAddr;

use tokio::time::Instant;

use super::paths::Paths;
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
    /// The last renewal of its lease was refused.
    pub(super) refused: bool,
    /// IPv6 addresses of it that were another host's when they were last tried.
    pub(super) duplicates: Vec<Present>,
    /// How often each address is announced, as it was last asked for.
    pub(super) repeat: u8,
    /// Its routes and rules.
    pub(super) paved: Paved,
    /// When its addresses on other interfaces are announced again.
    pub(super) remind: Option<Instant>,
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
            refused: false,
            duplicates: Vec::new(),
            repeat: 1,
            paved: Paved::default(),
            remind: None,
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

    /// The addresses that come and go with the router: all but the host's own, on whatever interface.
    pub(super) fn movable(&self, kernel: &Kernel) -> Vec<IpAddr> {
        let own = kernel.addresses().iter();
        let own = own.filter(|have| self.config.owner && !self.placed.contains(have));
        let own: Vec<IpAddr> = own.map(|have| have.address).collect();
        let all = self.config.addresses.iter().map(|vip| vip.address);
        all.filter(|address| !own.contains(address)).collect()
    }

    /// Whether that is one of the addresses that it has up.
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        let mut all = self.config.addresses.iter();
        self.installed && all.any(|vip| vip.address == address)
    }

    /// Its addresses are up, or were announced again just now.
    pub(super) fn remind(&mut self) {
        let reminders = self.config.reminders;
        self.remind = reminders.map(|reminders| Instant::now() + reminders.interval);
    }

    /// From now on its addresses are nobody's business.
    pub(super) fn forget(&mut self) {
        self.installed = false;
        self.remind = None;
        self.lease = None;
        self.retry = None;
        self.refused = false;
        self.paved.retry = None;
        self.duplicates.clear();
    }
}
