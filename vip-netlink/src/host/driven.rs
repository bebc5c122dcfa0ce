//! What the driver asks of a host: packets in and out at once, commands to the worker, its reports back.

use std::io;
use std::task::{Context, Poll, ready};

use vrrp_fsm::RouterId;
use vrrp_fsm::driver::{Command, Datagram, Guard, Host, HostEvent};
use vrrp_proto::{Envelope, Family};

use super::station::receive;
use super::worker::{Report, Work};
use super::{LinuxHost, boottime};
use crate::advert_socket::PROTOCOL_AH;
use crate::lease::{Lease, Refresh};

impl Host for LinuxHost {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Whoever waits for packets has taken over.
        if std::mem::take(&mut self.unowned) {
            self.command(RouterId::new(0), Work::Own);
        }
        let mut readable = !self.pending.is_empty();
        for receiver in self.stations.iter().flat_map(|station| &station.receivers) {
            // An error shows itself to recv.
            readable |= receiver.poll_read_ready(cx).is_ready();
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
        let sockets: usize = self
            .stations
            .iter()
            .map(|station| station.receivers.len())
            .sum();
        let all = || {
            self.stations.iter().flat_map(|station| {
                let receivers = station.receivers.iter();
                receivers.map(move |receiver| (station, receiver))
            })
        };
        for (at, (station, receiver)) in all().enumerate().cycle().skip(self.turn).take(sockets) {
            if let Some(arrived) = receive(receiver, buffer)? {
                let datagram = Datagram {
                    interface: station.interface.number(),
                    protocol: receiver.get_ref().protocol(),
                    envelope: arrived.envelope,
                    len: arrived.length,
                };
                self.turn = (at + 1) % sockets;
                return Ok(Some(datagram));
            }
        }
        Ok(None)
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
            .get_mut(&router)
            .ok_or(io::ErrorKind::NotFound)?;
        let resigns = priority(protocol, packet) == Some(0);
        if !resigns
            && slot
                .lease
                .is_some_and(|lease| crippled || lease.expired(now))
        {
            // Others may have taken over while we stood still: no word from us before a new
            // election (DESIGN's "Late").
            slot.lease = None;
            slot.wanted = false;
            self.command(router, Work::Expire);
            self.pending.push_back(HostEvent::LeaseExpired { router });
            return Err(io::ErrorKind::TimedOut.into());
        }
        let family = Family::of(envelope.source);
        let station = self
            .stations
            .get_mut(slot.station)
            .ok_or(io::ErrorKind::NotConnected)?;
        let authenticated = protocol == PROTOCOL_AH;
        let sent = if let Some(mac) = slot.mac {
            let sender = station.frames().ok_or(io::ErrorKind::NotConnected)?;
            match authenticated {
                true => sender.send_packet(mac, packet),
                false => sender.send(mac, envelope, packet),
            }
        } else {
            let sender = station.sender(family).ok_or(io::ErrorKind::NotConnected)?;
            match authenticated {
                true => sender.send_packet(packet),
                false => sender.send(envelope, packet),
            }
        };
        if resigns || sent.is_err() {
            return sent;
        }
        let beat = match (&self.pulse, slot.hold) {
            (Some(pulse), Some(hold)) => pulse.beat(&slot.addresses, hold),
            _ => Ok(()),
        };
        let due = |lease: &mut Lease| lease.refresh(now) == Refresh::Due;
        let due = slot.lease.as_mut().is_some_and(due);
        if let Err(error) = beat {
            self.give_up_beats(router, error);
        }
        if due {
            self.command(router, Work::Refresh { sent: now });
        }
        Ok(())
    }

    fn enqueue(&mut self, router: RouterId, command: Command) {
        if let Some(slot) = self.routers.get_mut(&router) {
            match command {
                Command::Install => slot.wanted = true,
                Command::Remove => {
                    slot.wanted = false;
                    slot.lease = None;
                }
                Command::Announce { .. } => {}
            }
        }
        self.command(router, Work::Command(command));
    }

    fn guard(&self, router: RouterId) -> Guard {
        let now = boottime();
        let slot = self.routers.get(&router);
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
    /// Like `take`; an interface whose sockets cannot be opened is as good as down.
    fn absorb(&mut self, report: Report) -> Option<HostEvent> {
        let number = match &report {
            Report::Interface { number, .. } => *number,
            _ => 0,
        };
        self.take(report)
            .unwrap_or(Some(HostEvent::LinkDown { interface: number }))
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
