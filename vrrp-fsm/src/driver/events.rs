//! What a host tells of itself.

use std::net::IpAddr;

use super::*;

impl<H: Host> Driver<H> {
    pub(super) fn take_events(&mut self, observer: &mut impl FnMut(RouterId, Observation)) {
        while let Some(event) = self.host.poll_event() {
            let now = now();
            match event {
                HostEvent::Installed { router } => {
                    self.failures.remove(&router);
                    self.set.handle(now, router, Event::Installed);
                }
                HostEvent::Removed { router } => {
                    self.failures.remove(&router);
                    self.paths.remove(&router);
                    self.removing = self.removing.saturating_sub(1);
                }
                HostEvent::Failed {
                    router,
                    command,
                    error,
                } => {
                    self.command_failed(router, command, error, observer);
                    match command {
                        Command::Install => self.set.handle(now, router, Event::InstallFailed),
                        // What cannot be removed must not keep a shutdown waiting for ever.
                        Command::Remove => self.removing = self.removing.saturating_sub(1),
                        Command::Announce { .. } => {}
                    }
                }
                HostEvent::LinkUp { interface } => self.set.link(now, interface, true),
                HostEvent::LinkDown { interface } => self.set.link(now, interface, false),
                HostEvent::LinkGone { interface } => self.set.link_gone(now, interface),
                HostEvent::AddressGone { router, address } => {
                    self.lost = Some(Observation::AddressGone { address });
                    self.set.handle(now, router, Event::AddressLost);
                }
                HostEvent::AddressLapsed { router, address } => {
                    self.lost = Some(Observation::AddressLapsed { address });
                    self.set.handle(now, router, Event::AddressLost);
                }
                HostEvent::LeaseExpired { router } => {
                    self.set.handle(now, router, Event::LeaseExpired);
                }
                HostEvent::Paths { router, outcome } => {
                    self.paths_tried(router, outcome, observer);
                }
                HostEvent::PathGone { router, what } => {
                    observer(router, Observation::PathGone { what });
                }
                HostEvent::Fixtures { outcome } => self.fixtures_tried(outcome, observer),
                HostEvent::FixtureGone { what } => {
                    observer(NOBODY, Observation::FixtureGone { what });
                }
                HostEvent::Leftovers { router, outcome } => {
                    self.leftovers_tried(router, outcome, observer);
                }
                HostEvent::Dismissed { router } => {
                    self.failures.remove(&router);
                    self.paths.remove(&router);
                    self.set.release(router);
                }
                HostEvent::NotificationsLost { count } => {
                    self.lost_notifications = count;
                    if count.is_power_of_two() {
                        observer(NOBODY, Observation::NotificationsLost { count });
                    }
                }
                HostEvent::Overflowed {
                    interface,
                    count,
                    room,
                } => {
                    let observation = Observation::Overflowed {
                        interface,
                        count,
                        room,
                    };
                    observer(NOBODY, observation);
                }
                HostEvent::Unheld { router, error } => {
                    observer(router, Observation::Unheld { error });
                }
                HostEvent::Unsent { router, error } => self.unsent(router, error, observer),
                HostEvent::Held { router } => observer(router, Observation::Held),
                HostEvent::Unfenced { router, error } => {
                    observer(router, Observation::Unfenced { error });
                }
                HostEvent::PrimaryAddress { router, address } => {
                    self.addressed(now, router, address, observer);
                }
            }
            self.perform(observer);
            self.lost = None;
        }
    }

    /// A router speaks from that address from now on, and may hear what it did not.
    fn addressed(
        &mut self,
        now: Instant,
        router: RouterId,
        address: Option<IpAddr>,
        observer: &mut impl FnMut(RouterId, Observation),
    ) {
        // Whatever could not be made ready for it is ready.
        if address.is_some() && !self.host.guard(router).wanted {
            self.failures.remove(&router);
        }
        self.set.primary_address(now, router, address);
        self.perform(observer);
        let hears = self.host.hears(router);
        self.set.hearing(now, router, hears);
    }

    /// A router that joins waits until the host has told what it is heard for and speaks from, which is no fault.
    pub(super) fn await_address(&mut self, id: RouterId) {
        let router = self.set.router(id);
        let addressed = router.is_some_and(|router| router.config().primary.is_some());
        let hears = self.host.hears(id) && addressed;
        self.set.hearing(now(), id, hears);
        if !hears {
            let told_later = Event::Recovered(FaultKind::Address);
            self.set.handle(now(), id, told_later);
        }
    }
}
