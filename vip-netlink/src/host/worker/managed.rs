//! One router, as far as its addresses are concerned.

use std::net::IpAddr;

use tokio::time::Instant;

use super::RETRY;
use super::brake::{Brake, LONGEST};
use super::contested::Contests;
use super::paths::Paths;
use crate::Error;
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
    /// Addresses of it that went by another program's hand lately.
    pub(super) contests: Contests,
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
#[derive(Debug)]
pub(super) struct Paved {
    pub(super) paths: Paths,
    /// When those that are missing are asked for again.
    pub(super) retry: Option<Instant>,
    /// What was told last is that some are missing.
    pub(super) failing: bool,
    /// They go by another program's hand.
    brake: Brake,
    /// What was told last is that they do so again and again.
    contested: bool,
}

impl Default for Paved {
    fn default() -> Self {
        Self {
            paths: Paths::default(),
            retry: None,
            failing: false,
            brake: Brake::after(ROUNDS),
            contested: false,
        }
    }
}

/// How often what has gone is put back at once: a flush of hundreds of routes may take some rounds.
const ROUNDS: u32 = 20;

impl Paved {
    /// Some went by another program's hand: they are asked for again, at once unless that has not helped for long.
    pub(super) fn lost(&mut self) {
        let now = Instant::now();
        if self.brake.holds(now) || self.retry.is_some_and(|at| at <= now) {
            return;
        }
        let pause = self.brake.gone(now);
        self.retry = Some(now + pause);
    }

    /// Whether they go again and again: each time is no news.
    pub(super) const fn is_contested(&self) -> bool {
        self.brake.is_on()
    }

    /// All that was missing has been asked for: what is to be told of it, if anything, and when it is tried again.
    pub(super) fn tried(
        &mut self,
        result: Result<(), Error>,
        what: &str,
    ) -> Option<Result<(), Error>> {
        let now = Instant::now();
        self.brake.release(now);
        let failed = result.is_err();
        let contested = !failed && self.brake.is_on();
        let was_contested = std::mem::replace(&mut self.contested, contested);
        let was_failing = std::mem::replace(&mut self.failing, failed || contested);
        self.retry = match contested {
            true => self.brake.ends(),
            false => failed.then(|| now + RETRY),
        };
        if contested {
            let error = Error::Contested {
                what: what.to_owned(),
                times: self.brake.times(),
                longest: LONGEST,
            };
            return (!was_contested).then_some(Err(error));
        }
        (failed || was_failing).then_some(result)
    }

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
            contests: Contests::default(),
            repeat: 1,
            paved: Paved::default(),
            remind: None,
            primary: None,
            config,
        }
    }

    pub(super) fn place(&mut self, kernel: &Kernel, added: Vec<Present>) {
        // An interface that has gone has taken its addresses along, and never comes back under its index.
        let exists = |one: &Present| kernel.links().any(|link| link.index == one.interface);
        self.placed.retain(exists);
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
        self.repeat = 1;
        self.paved.retry = None;
        self.duplicates.clear();
        self.contests = Contests::default();
    }
}
