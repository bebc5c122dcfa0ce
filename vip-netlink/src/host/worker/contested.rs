//! Addresses of a router that another program takes away again and again: put back with pauses, told once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tokio::time::Instant;
use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, HostEvent};

use super::Worker;
use super::brake::{Brake, LONGEST};
use crate::Error;

/// How often an address is put back at once.
const FREE: u32 = 5;

/// The addresses of one router that have gone lately.
#[derive(Debug, Default)]
pub(super) struct Contests(BTreeMap<IpAddr, Brake>);

impl Contests {
    /// Whether one of them goes again and again.
    pub(super) fn any(&self) -> bool {
        self.0.values().any(Brake::is_on)
    }

    /// Whether it is not to be put back yet.
    pub(super) fn holds(&self, address: IpAddr, now: Instant) -> bool {
        self.0.get(&address).is_some_and(|brake| brake.holds(now))
    }

    /// When the next of those that wait is put back.
    pub(super) fn next_turn(&self, now: Instant) -> Option<Instant> {
        self.0.values().filter_map(|brake| brake.turn(now)).min()
    }

    /// When to look whether a fight has ended.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.0.values().filter_map(Brake::ends).min()
    }

    /// Forgets those that have been left alone; whether a fight is over with it.
    fn end(&mut self, now: Instant) -> bool {
        let before = self.any();
        self.0.retain(|_, brake| !brake.release(now));
        before && !self.any()
    }
}

impl Worker {
    /// An address of a router went by another program's hand: told, so that it is asked for again at once, or put back
    /// later without a word where that has not helped for long.
    pub(super) fn taken_away(&mut self, id: RouterId, address: IpAddr) {
        let Some(router) = self.routers.get_mut(&id) else {
            return;
        };
        let now = Instant::now();
        let was_on = router.contests.any();
        let brake = router.contests.0.entry(address);
        let brake = brake.or_insert_with(|| Brake::after(FREE));
        let pause = brake.gone(now);
        if pause.is_zero() {
            return self.report(HostEvent::AddressGone {
                router: id,
                address,
            });
        }
        let times = brake.times();
        let again = now + pause;
        router.retry = Some(router.retry.map_or(again, |retry| retry.min(again)));
        if !was_on {
            let error = Error::Contested {
                what: address.to_string(),
                times,
                longest: LONGEST,
            };
            self.report(HostEvent::Failed {
                router: id,
                command: Command::Install,
                error: error.into(),
            });
        }
    }

    /// Fights that are over.
    pub(super) fn calm(&mut self) {
        let now = Instant::now();
        let mut over = Vec::new();
        for (id, router) in &mut self.routers {
            if router.contests.end(now) && router.installed {
                over.push(*id);
            }
        }
        for id in over {
            let waits = self.routers.get(&id).is_some_and(|one| one.retry.is_some());
            if !waits {
                self.installed(id, Ok(()));
            }
        }
    }
}
