//! What a host can be told while it runs: routers that come and go or change, and what stands beside them.

use std::time::Duration;

use vrrp_fsm::RouterId;

use super::station::Station;
use super::worker::{Paths, Work};
use super::{Fixtures, HostRouter, LinuxHost, NOBODY, Slot};
use crate::debounce::LinkDelay;
use crate::lease::Lease;
use crate::link::Interface;
use crate::pace::Pacing;
use crate::plan::Vip;
use crate::route::{Route, Rule};

impl LinuxHost {
    /// One more router, beside those that run.
    pub fn admit(&mut self, router: HostRouter) {
        let known = self
            .stations
            .iter()
            .position(|station| station.interface == router.interface);
        let station = known.unwrap_or_else(|| {
            self.stations.push(Station::new(router.interface.clone()));
            self.stations.len() - 1
        });
        let heard = self.stations.get(station);
        let heard = heard.is_some_and(|station| station.hears(&router));
        let slot = Slot {
            heard,
            ..Slot::new(station, &router)
        };
        self.routers.insert(router.id, slot);
        let work = Work::Admit {
            router: Box::new(router.clone()),
        };
        self.command(router.id, work);
    }

    /// Interfaces to report links of from now on, beside those that are watched already ([`HostOptions::watch`]). The
    /// link of each is told, also where it was told before: somebody may have begun to ask for it.
    ///
    /// [`HostOptions::watch`]: super::HostOptions::watch
    pub fn watch(&mut self, interfaces: Vec<Interface>) {
        self.command(NOBODY, Work::Watch(interfaces));
    }

    /// Other times between announcements of addresses from now on.
    pub fn pace(&mut self, pacing: Pacing) {
        self.command(NOBODY, Work::Pace(pacing));
    }

    /// How long changes of links must last from now on.
    pub fn debounce(&mut self, delays: Vec<LinkDelay>) {
        self.command(NOBODY, Work::Debounce(delays));
    }

    /// A router is gone for good; its addresses have been let go by
    /// [`Command::Remove`](vrrp_fsm::driver::Command::Remove), and its number is used again once
    /// [`HostEvent::Dismissed`](vrrp_fsm::driver::HostEvent::Dismissed) has been told.
    pub fn dismiss(&mut self, router: RouterId) {
        self.command(router, Work::Dismiss);
    }

    /// Other addresses for a router, or another lifetime or hold of them, while it runs: if they are up, the new
    /// ones are put up and announced `repeat` times, then those that are gone are removed. The others are not
    /// touched.
    pub fn readdress(
        &mut self,
        router: RouterId,
        addresses: Vec<Vip>,
        (lifetime, hold): (Option<Duration>, Option<Duration>),
        repeat: u8,
    ) {
        if let Some(slot) = self.routers.get_mut(router) {
            slot.lifetime = lifetime;
            // Its next advert may come later than the old one ends; the worker tells when the new one begins.
            let lease = slot.lease.map(|lease| lease.refreshed());
            slot.lease = lifetime.and_then(|valid| Some(Lease::begin(valid, lease?)));
            slot.hold = hold;
            slot.addresses = addresses.iter().map(|vip| vip.address).collect();
        }
        let work = Work::Readdress {
            addresses,
            lifetime,
            hold,
            repeat,
        };
        self.command(router, work);
    }

    /// Other routes and rules for a router while it runs: if its addresses are up, the new ones are put up, then those
    /// that are gone are removed.
    pub fn reroute(&mut self, router: RouterId, routes: Vec<Route>, rules: Vec<Rule>) {
        self.command(router, Work::Reroute(Box::new(Paths { routes, rules })));
    }

    /// Whether [`HostRouter::promote_secondaries`] holds for a router from now on.
    pub fn promote_secondaries(&mut self, router: RouterId, on: bool) {
        self.command(router, Work::Promote(on));
    }

    /// Other things that stand whoever is Active.
    pub fn refit(&mut self, fixtures: Fixtures) {
        self.command(NOBODY, Work::Refit(Box::new(fixtures)));
    }
}
