//! Beats that go out together: those of the adverts that were sent in one round of the driver.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use vrrp_fsm::RouterId;

use crate::fence::Pulse;
use crate::many::Outbox;

/// Addresses to be kept alive, by their hold.
#[derive(Debug, Default)]
pub(super) struct Beats {
    waiting: Vec<(Duration, Vec<IpAddr>)>,
    /// One of the routers whose they are.
    router: Option<RouterId>,
    /// They go out by this.
    frames: Outbox,
}

impl Beats {
    /// An advert of that router has been sent.
    pub(super) fn add(&mut self, router: RouterId, hold: Duration, addresses: &[IpAddr]) {
        self.router = Some(router);
        match self.waiting.iter_mut().find(|(known, _)| *known == hold) {
            Some((_, all)) => all.extend(addresses),
            None => self.waiting.push((hold, addresses.to_vec())),
        }
    }

    /// Sends what waits; a failure, and a router that it concerns.
    pub(super) fn send(&mut self, pulse: Option<&Pulse>) -> Option<(RouterId, io::Error)> {
        let router = self.router.take()?;
        let mut failed = None;
        for (hold, addresses) in &mut self.waiting {
            // What is refused once for want of room is not the second time.
            let frames = &mut self.frames;
            let mut beat = |pulse: &Pulse| pulse.beat_from(frames, addresses, *hold);
            let sent = pulse.map(|pulse| beat(pulse).or_else(|_| beat(pulse)));
            if let Some(Err(error)) = sent {
                failed = Some((router, error));
            }
            // Its room is used again.
            addresses.clear();
        }
        failed
    }
}
