//! The prober's frames: questions to one hardware address, and what comes back. Pure: bytes out of values.

use std::net::{Ipv4Addr, SocketAddrV4};

use etherparse::{
    ArpEthIpv4Packet, ArpHardwareId, ArpOperation, ArpPacket, EtherType, LinkSlice, NetSlice,
    PacketBuilder, SlicedPacket, TransportSlice,
};

/// A hardware address of six octets.
pub type Mac = [u8; 6];

/// First sequence number of every SYN; the port tells questions apart.
const FIRST: u32 = 1;
const WINDOW: u16 = 1024;
const HOP_LIMIT: u8 = 64;

/// Who asks, and for which address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frames {
    pub(super) mac: Mac,
    pub(super) source: Ipv4Addr,
    pub(super) address: SocketAddrV4,
}

/// What a frame from another host says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It has the address, by ARP.
    ArpReply,
    /// Its listener took the SYN that came from `port`; `next` is the sequence number that it expects.
    SynAck { port: u16, next: u32 },
    /// Nothing listens there.
    Refused { port: u16 },
    /// It wants to know the hardware address of the prober, whose own is this.
    AsksForUs(Ipv4Addr),
}

impl Frames {
    pub(super) fn arp_request(&self, to: Mac) -> Vec<u8> {
        self.arp(ArpOperation::REQUEST, to, [0; 6], *self.address.ip())
    }

    pub(super) fn arp_reply(&self, to: Mac, asker: Ipv4Addr) -> Vec<u8> {
        self.arp(ArpOperation::REPLY, to, to, asker)
    }

    fn arp(&self, operation: ArpOperation, to: Mac, target_mac: Mac, target: Ipv4Addr) -> Vec<u8> {
        let packet = ArpPacket::from(ArpEthIpv4Packet {
            operation,
            sender_mac: self.mac,
            sender_ipv4: self.source.octets(),
            target_mac,
            target_ipv4: target.octets(),
        });
        let builder = PacketBuilder::ethernet2(self.mac, to).arp(packet);
        let mut frame = vec![0; builder.size()];
        let written = builder.write_to_slice(&mut frame);
        frame.truncate(written.unwrap_or_default());
        frame
    }

    /// RFC 9293 §3.5: asks for a connection.
    pub(super) fn syn(&self, to: Mac, port: u16) -> Vec<u8> {
        let ip = PacketBuilder::ethernet2(self.mac, to).ipv4(
            self.source.octets(),
            self.address.ip().octets(),
            HOP_LIMIT,
        );
        let builder = ip.tcp(port, self.address.port(), FIRST, WINDOW).syn();
        let mut frame = vec![0; builder.size(0)];
        let written = builder.write_to_slice(&mut frame, &[]);
        frame.truncate(written.unwrap_or_default());
        frame
    }

    /// RFC 5961 §3.2: only a reset with exactly the expected sequence number counts.
    pub(super) fn reset(&self, to: Mac, port: u16, next: u32) -> Vec<u8> {
        let ip = PacketBuilder::ethernet2(self.mac, to).ipv4(
            self.source.octets(),
            self.address.ip().octets(),
            HOP_LIMIT,
        );
        let builder = ip.tcp(port, self.address.port(), next, 0).rst();
        let mut frame = vec![0; builder.size(0)];
        let written = builder.write_to_slice(&mut frame, &[]);
        frame.truncate(written.unwrap_or_default());
        frame
    }

    /// Who sent a frame and what it means to the prober; `None` for its own frames and for other people's business.
    pub(super) fn read(&self, frame: &[u8]) -> Option<(Mac, Heard)> {
        let packet = SlicedPacket::from_ethernet(frame).ok()?;
        let Some(LinkSlice::Ethernet2(link)) = &packet.link else {
            return None;
        };
        let from = link.source();
        if from == self.mac {
            return None;
        }
        let heard = match (&packet.net, &packet.transport) {
            (Some(NetSlice::Arp(arp)), _) => self.read_arp(&arp.to_packet())?,
            (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) => {
                let header = ip.header();
                let to_us = header.destination_addr() == self.source
                    && header.source_addr() == *self.address.ip()
                    && tcp.source_port() == self.address.port();
                let port = tcp.destination_port();
                match (tcp.syn(), tcp.ack(), tcp.rst()) {
                    _ if !to_us => return None,
                    (true, true, false) => Heard::SynAck {
                        port,
                        next: tcp.acknowledgment_number(),
                    },
                    (_, _, true) => Heard::Refused { port },
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some((from, heard))
    }

    fn read_arp(&self, arp: &ArpPacket) -> Option<Heard> {
        if (arp.hw_addr_type, arp.proto_addr_type) != (ArpHardwareId::ETHERNET, EtherType::IPV4) {
            return None;
        }
        let arp = ArpEthIpv4Packet::try_from(arp.clone()).ok()?;
        let (sender, target) = (arp.sender_ipv4_addr(), arp.target_ipv4_addr());
        match arp.operation {
            ArpOperation::REPLY if sender == *self.address.ip() && target == self.source => {
                Some(Heard::ArpReply)
            }
            ArpOperation::REQUEST if target == self.source => Some(Heard::AsksForUs(sender)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Mac = [2, 0, 0, 0, 0, 1];
    const THEIRS: Mac = [2, 0, 0, 0, 0, 2];

    fn frames() -> Frames {
        Frames {
            mac: OURS,
            source: Ipv4Addr::new(10, 0, 0, 9),
            address: SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 80),
        }
    }

    /// The other side: what the host of the address sends.
    fn host() -> Frames {
        Frames {
            mac: THEIRS,
            source: Ipv4Addr::new(10, 0, 0, 1),
            address: SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 9), 12_345),
        }
    }

    #[test]
    fn questions_go_to_one_hardware_address() {
        for frame in [
            frames().arp_request(THEIRS),
            frames().syn(THEIRS, 12_345),
            frames().reset(THEIRS, 12_345, 2),
        ] {
            assert_eq!(frame.first_chunk(), Some(&THEIRS));
            assert_eq!(frames().read(&frame), None, "its own frames are no answers");
        }
        let frame = frames().arp_request(THEIRS);
        let asked = Frames {
            source: Ipv4Addr::new(10, 0, 0, 1),
            ..host()
        };
        let (from, heard) = asked.read(&frame).unwrap();
        assert_eq!(from, OURS);
        assert_eq!(heard, Heard::AsksForUs(Ipv4Addr::new(10, 0, 0, 9)));
    }

    #[test]
    fn answers_are_told_from_other_frames() {
        let reply = host().arp_reply(OURS, Ipv4Addr::new(10, 0, 0, 9));
        assert_eq!(frames().read(&reply), Some((THEIRS, Heard::ArpReply)));
        let for_another = host().arp_reply(OURS, Ipv4Addr::new(10, 0, 0, 8));
        assert_eq!(frames().read(&for_another), None);
        let refused = host().reset(OURS, 80, 7);
        let heard = Heard::Refused { port: 12_345 };
        assert_eq!(frames().read(&refused), Some((THEIRS, heard)));
        // A bare SYN is no answer.
        assert_eq!(frames().read(&host().syn(OURS, 80)), None);
        let cut = refused.get(..40).unwrap_or_default();
        assert_eq!(frames().read(cut), None);
    }
}
