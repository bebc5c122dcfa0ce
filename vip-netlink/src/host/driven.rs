//! What the driver asks of a host: packets in and out at once, commands to the worker, its reports back.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::task::{Context, Poll, ready};

use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, Datagram, Guard, Host, HostEvent};
use vrrp_proto::{Envelope, Family, Vrid};

use super::outgoing::Put;
use super::station::Station;
use super::worker::{Report, Work};
use super::{LinuxHost, boottime};
use crate::advert_socket::{Fill, PROTOCOL_AH};
use crate::lease::Lease;

/// Routers that give way and are silenced together at most: the addresses of one beat, if each has one.
const SILENT_TOGETHER: usize = 24;

impl Host for LinuxHost {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Whoever waits for packets has taken over.
        if std::mem::take(&mut self.unowned) {
            self.command(RouterId::new(0), Work::Own);
        }
        // For drivers that do not.
        self.flush();
        self.stations.iter_mut().for_each(Station::listen_again);
        let mut readable = !self.pending.is_empty();
        for receiver in self.stations.iter().flat_map(|station| &station.receivers) {
            readable |= receiver.poll_ready(cx);
        }
        if readable {
            return Poll::Ready(());
        }
        match ready!(self.reports.poll_recv(cx)) {
            Some(report) => {
                if let Some(event) = self.absorb(report) {
                    self.pending.push_back(event);
                }
                Poll::Ready(())
            }
            // The worker is gone: nothing to wait for but packets.
            None => Poll::Pending,
        }
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Option<Datagram>> {
        loop {
            if let Some(arrived) = self.batch.next(buffer) {
                let (interface, protocol) = self.batch_of;
                let mut receivers = self.stations.iter().flat_map(Station::listening);
                let lost_nothing = || receivers.all(|one| one.lost_nothing().unwrap_or(false));
                return Ok(Some(Datagram {
                    interface,
                    protocol,
                    envelope: arrived.envelope,
                    len: arrived.length,
                    waited: self.ages.of(arrived.waited, lost_nothing),
                }));
            }
            if !self.receive()? {
                return Ok(None);
            }
        }
    }

    fn send(
        &mut self,
        router: RouterId,
        protocol: u8,
        envelope: &Envelope,
        packet: &[u8],
    ) -> io::Result<()> {
        let now = boottime();
        let crippled = self.is_crippled();
        let slot = self
            .routers
            .get_mut(router)
            .ok_or(io::ErrorKind::NotFound)?;
        let resigns = priority(protocol, packet) == Some(0);
        let told = |event: &HostEvent| matches!(event, HostEvent::LeaseExpired { router: one } if *one == router);
        if !resigns && self.pending.iter().any(told) {
            // Nor to another of its peers.
            return Err(io::ErrorKind::TimedOut.into());
        }
        if !resigns
            && slot
                .lease
                .is_some_and(|lease| crippled || lease.expired(now))
        {
            // Others may have taken over while we stood still: no word from us before a new election.
            let expired = self.expire(router);
            self.pending.push_back(expired);
            return Err(io::ErrorKind::TimedOut.into());
        }
        let steady = !resigns && slot.lease.is_some();
        if !steady {
            // What it said before comes before this.
            self.send_waiting();
        }
        let sent = self.put_out(router, steady, protocol, envelope, packet);
        match sent {
            Ok(Put::Sent) if !resigns => self.sent(router, now),
            Ok(Put::Waits) if self.waits_long_enough() => self.send_waiting(),
            _ => {}
        }
        sent.map(drop)
    }

    fn flush(&mut self) {
        self.send_waiting();
        if let Some((router, error)) = self.beats.send(self.pulse.as_ref()) {
            self.give_up_beats(router, error);
        }
        // A beat that went out after it would let them answer again.
        self.silence();
    }

    fn listen(&mut self, wakes: bool) {
        self.stations
            .iter_mut()
            .for_each(|station| station.listen(wakes));
    }

    fn stamp(&mut self, on: bool) {
        self.stations
            .iter_mut()
            .for_each(|station| station.stamp(on));
    }

    fn narrow(&mut self, ours: Option<&[(u32, Family, Vrid)]>) {
        self.stations
            .iter_mut()
            .for_each(|station| station.narrow(ours));
    }

    fn overflows(&self) -> u64 {
        self.stations.iter().map(Station::overflows).sum()
    }

    fn hears(&self, router: RouterId) -> bool {
        let slot = self.routers.get(router);
        slot.is_some_and(|slot| {
            let station = self.stations.get(slot.station);
            slot.heard && station.is_some_and(|station| !station.deaf)
        })
    }

    fn enqueue(&mut self, router: RouterId, command: Command) {
        if let Some(slot) = self.routers.get_mut(router) {
            match command {
                Command::Install => slot.wanted = true,
                Command::Remove => {
                    slot.wanted = false;
                    slot.lease = None;
                    self.silent.push(router);
                    // Some at a time: what the first of hundreds resigned from is another host's in a moment.
                    if self.silent.len() >= SILENT_TOGETHER {
                        self.flush();
                    }
                }
                Command::Announce { .. } => {}
            }
        }
        self.command(router, Work::Command(command));
    }

    fn guard(&self, router: RouterId) -> Guard {
        let now = boottime();
        let slot = self.routers.get(router);
        let left = |lease: Lease| {
            let end = lease.refreshed() + lease.valid();
            (lease.valid(), end.saturating_sub(now))
        };
        Guard {
            wanted: slot.is_some_and(|slot| slot.wanted),
            fence: self.fence.clone(),
            lease: slot.and_then(|slot| slot.lease).map(left),
        }
    }

    fn poll_event(&mut self) -> Option<HostEvent> {
        if let Some(event) = self.pending.pop_front() {
            return Some(event);
        }
        while let Ok(report) = self.reports.try_recv() {
            if let Some(event) = self.absorb(report) {
                return Some(event);
            }
        }
        None
    }
}

impl LinuxHost {
    /// The lease of a router's addresses ran out: they are gone, or go, and stay away.
    pub(super) fn expire(&mut self, router: RouterId) -> HostEvent {
        if let Some(slot) = self.routers.get_mut(router) {
            slot.lease = None;
            slot.wanted = false;
        }
        self.silent.push(router);
        self.flush();
        self.command(router, Work::Expire);
        HostEvent::LeaseExpired { router }
    }

    /// The addresses of routers that gave way in this round answer no more from now on, unless another router here has
    /// them up. Removing them may wait for another program's work on the host's network.
    fn silence(&mut self) {
        let routers = std::mem::take(&mut self.silent);
        let slots = routers.iter().filter_map(|id| self.routers.get(*id));
        let all: BTreeSet<IpAddr> = slots
            .flat_map(|slot| slot.addresses.iter().copied())
            .collect();
        if all.is_empty() {
            return;
        }
        let stay = self.routers.iter().filter(|(_, slot)| slot.wanted);
        let stay: BTreeSet<IpAddr> = stay
            .flat_map(|(_, slot)| slot.addresses.iter().copied())
            .collect();
        if let Some(pulse) = &self.pulse {
            let silent: Vec<IpAddr> = all.difference(&stay).copied().collect();
            // Removing them silences them as well, if later.
            let _ = pulse.silence(&silent);
        }
    }

    /// Takes in what waits at one socket, each in its turn; false once none has more.
    fn receive(&mut self) -> io::Result<bool> {
        loop {
            let all = || {
                self.stations.iter().flat_map(|station| {
                    let receivers = station.receivers.iter();
                    receivers.map(|hearing| (station.interface.number(), hearing))
                })
            };
            let sockets = all().count();
            let now = boottime();
            if self.drained >= sockets {
                self.drained = 0;
                self.ages.drained(now);
                return Ok(false);
            }
            self.ages.look(now);
            self.turn = (self.turn + 1) % sockets;
            let Some((interface, hearing)) = all().nth(self.turn) else {
                return Ok(false);
            };
            self.batch_of = (interface, hearing.receiver().protocol());
            let fill = hearing.receive(&mut self.batch);
            let lost = self.station_mut(interface).and_then(Station::overflowed);
            self.pending.extend(lost);
            self.drained = match fill {
                Ok(Fill::Drained) => self.drained + 1,
                _ => 0,
            };
            match fill? {
                _ if !self.batch.is_empty() => return Ok(true),
                Fill::Drained => {}
                // A flood of what is skipped must not hold the driver.
                Fill::More => return Err(io::ErrorKind::Interrupted.into()),
            }
        }
    }

    /// Like `take`; an interface whose sockets cannot be opened is as good as down, until they can.
    fn absorb(&mut self, report: Report) -> Option<HostEvent> {
        let number = match &report {
            Report::Interface { number, .. } => *number,
            _ => 0,
        };
        self.take(report).unwrap_or_else(|error| {
            let error = io::Error::from(error);
            for router in self.routers_on(number) {
                let error = io::Error::new(error.kind(), error.to_string());
                let command = Command::Install;
                self.pending.push_back(HostEvent::Failed {
                    router,
                    command,
                    error,
                });
                // One that does not heed the link has no address to send from.
                let address = None;
                self.pending
                    .push_back(HostEvent::PrimaryAddress { router, address });
            }
            Some(HostEvent::LinkDown { interface: number })
        })
    }

    /// Sockets are there at last, or no longer needed.
    pub(super) fn hear_again(&mut self, number: u32) {
        for router in self.routers_on(number) {
            let address = self.routers.get(router).and_then(|slot| slot.primary);
            self.pending
                .push_back(HostEvent::PrimaryAddress { router, address });
        }
    }

    /// Whether the sockets of an interface that is there could not be opened.
    pub(super) fn is_deaf(&self, number: u32) -> bool {
        let mut stations = self.stations.iter();
        stations.any(|station| station.deaf && station.interface.number() == number)
    }

    fn routers_on(&self, number: u32) -> Vec<RouterId> {
        let here = |station: &Station| station.interface.number() == number;
        let routers = self.routers.iter();
        let ours = routers.filter(|(_, slot)| self.stations.get(slot.station).is_some_and(here));
        ours.map(|(id, _)| id).collect()
    }
}

/// The priority field of a VRRP message (its third octet), behind IP header and AH with 51.
fn priority(protocol: u8, packet: &[u8]) -> Option<u8> {
    let message = if protocol == PROTOCOL_AH {
        let words = usize::from(packet.first()? & 0x0f);
        let ah = packet.get(words * 4..)?;
        // RFC 4302 §2.2: length in words of four octets, less two.
        ah.get((usize::from(*ah.get(1)?) + 2) * 4..)?
    } else {
        packet
    };
    message.get(2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advert_socket::PROTOCOL_VRRP;

    #[test]
    fn the_priority_is_found_with_and_without_authentication() {
        let message = [0x21, 61, 100, 1];
        assert_eq!(priority(PROTOCOL_VRRP, &message), Some(100));
        let mut packet = vec![0x45; 20];
        packet.extend_from_slice(&[112, 4]);
        packet.extend_from_slice(&[0; 22]);
        packet.extend_from_slice(&message);
        assert_eq!(priority(PROTOCOL_AH, &packet), Some(100));
        assert_eq!(priority(PROTOCOL_AH, &packet[..30]), None);
        assert_eq!(priority(PROTOCOL_VRRP, &[]), None);
    }
}
