//! Adverts on their way out: those of routers whose addresses are up go out together at the end of the driver's round.

use std::io;
use std::time::Duration;

use vrrp_fsm::RouterId;
use vrrp_fsm::driver::HostEvent;
use vrrp_proto::{Envelope, Family};

use super::LinuxHost;
use crate::advert_socket::PROTOCOL_AH;
use crate::lease::{Lease, Refresh};

/// Adverts that wait for each other at most.
const MANY: usize = 64;
/// Shorter than any lease, and longer than a round of the driver.
const STANDSTILL: Duration = Duration::from_secs(1);

/// What became of an advert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// The kernel has it.
    Sent,
    /// It goes out with the others.
    Waits,
}

impl LinuxHost {
    /// Sends an advert, or keeps it for the end of the round: one of a router that takes over, or gives way, is sent.
    pub(super) fn put_out(
        &mut self,
        router: RouterId,
        steady: bool,
        protocol: u8,
        envelope: &Envelope,
        packet: &[u8],
    ) -> io::Result<Put> {
        let unknown = || io::Error::from(io::ErrorKind::NotFound);
        let slot = self.routers.get(router).ok_or_else(unknown)?;
        let station = self.stations.get_mut(slot.station);
        let station = station.ok_or(io::ErrorKind::NotConnected)?;
        let authenticated = protocol == PROTOCOL_AH;
        if let Some(mac) = slot.mac {
            let sender = station.frames().ok_or(io::ErrorKind::NotConnected)?;
            match authenticated {
                true => sender.send_packet(mac, packet),
                false => sender.send(mac, envelope, packet),
            }?;
            return Ok(Put::Sent);
        }
        let sender = station.sender(Family::of(envelope.source));
        let sender = sender.ok_or(io::ErrorKind::NotConnected)?;
        match (steady, authenticated) {
            (true, true) => sender.queue_packet(router.number(), packet)?,
            (true, false) => sender.queue(router.number(), envelope, packet)?,
            (false, true) => sender.send_packet(packet)?,
            (false, false) => sender.send(envelope, packet)?,
        }
        if !steady {
            return Ok(Put::Sent);
        }
        self.waiting_since.get_or_insert_with(super::boottime);
        Ok(Put::Waits)
    }

    /// Whether there are so many that the first should not wait for more.
    pub(super) fn waits_long_enough(&self) -> bool {
        let waiting = self.stations.iter().map(|station| station.waiting());
        waiting.sum::<usize>() >= MANY
    }

    /// Sends what was kept. After a standstill that is no word for a lease that ran out meanwhile: its end is noticed
    /// with the router's next advert.
    pub(super) fn send_waiting(&mut self) {
        let now = super::boottime();
        let since = self.waiting_since.take();
        if since.is_some_and(|since| now.saturating_sub(since) >= STANDSTILL) {
            let routers = &self.routers;
            let lease = |number| routers.get(RouterId::new(number))?.lease;
            let may_speak = |number| lease(number).is_some_and(|lease| !lease.expired(now));
            for station in &mut self.stations {
                station.retain(may_speak);
            }
        }
        let mut outcomes = std::mem::take(&mut self.outcomes);
        for station in &mut self.stations {
            station.flush(|number, outcome| outcomes.push((RouterId::new(number), outcome)));
        }
        for (router, outcome) in outcomes.drain(..) {
            match outcome {
                Ok(()) => self.sent(router, now),
                Err(error) => self.pending.push_back(HostEvent::Unsent { router, error }),
            }
        }
        // Its room is used again.
        self.outcomes = outcomes;
    }

    /// An advert of a router that speaks for its addresses has been sent: they stay for as long again.
    pub(super) fn sent(&mut self, router: RouterId, now: Duration) {
        let Some(slot) = self.routers.get_mut(router) else {
            return;
        };
        slot.spoke = now;
        if let Some(hold) = slot.hold.filter(|_| self.pulse.is_some()) {
            self.beats.add(router, hold, &slot.addresses);
        }
        let due = |lease: &mut Lease| lease.refresh(now) == Refresh::Due;
        if slot.lease.as_mut().is_some_and(due) {
            self.renew(router, now);
        }
    }
}
