//! The witness's frames: what it asks, and what it understands of what it hears. It shares no code with the daemon.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{ArpEthIpv4Packet, ArpOperation, ArpPacket, PacketBuilder};
use ha_lb::lab::probe::Mac;

/// Nobody else's addresses.
const WITNESS: (Ipv4Addr, Ipv6Addr) = (
    Ipv4Addr::new(10, 77, 0, 99),
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99),
);
const BROADCAST: Mac = [0xff; 6];
/// RFC 9568 §5.1.2.2 and §8.2.2: unsolicited neighbour advertisements go to all nodes.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// An advert, as it was on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Advert {
    pub(crate) version: u8,
    pub(crate) vrid: u8,
    pub(crate) priority: u8,
    /// Seconds in version 2, hundredths in version 3.
    pub(crate) interval: u16,
    pub(crate) ttl: u8,
    /// Of the Authentication Header.
    pub(crate) sequence: Option<u32>,
}

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Advert(Advert),
    /// Unasked: the address is there.
    Announced,
    /// Asked by the witness: the address is there.
    Answered,
}

/// Asks everybody who has `address`: ARP, or a neighbour solicitation (RFC 4861 §4.3).
pub(crate) fn question(mac: Mac, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => {
            let packet = ArpPacket::from(ArpEthIpv4Packet {
                operation: ArpOperation::REQUEST,
                sender_mac: mac,
                sender_ipv4: WITNESS.0.octets(),
                target_mac: [0; 6],
                target_ipv4: address.octets(),
            });
            let builder = PacketBuilder::ethernet2(mac, BROADCAST).arp(packet);
            written(builder.size(), |frame| builder.write_to_slice(frame).ok())
        }
        IpAddr::V6(address) => {
            let [.., a, b, c] = address.octets();
            let group = Ipv6Addr::new(
                0xff02,
                0,
                0,
                0,
                0,
                1,
                0xff00 | u16::from(a),
                u16::from_be_bytes([b, c]),
            );
            let to = [0x33, 0x33, 0xff, a, b, c];
            let builder = PacketBuilder::ethernet2(mac, to)
                .ipv6(WITNESS.1.octets(), group.octets(), 255)
                .icmpv6_raw(135, 0, [0; 4]);
            let source_link_layer_address = [&[1, 1][..], &mac].concat();
            let payload = [&address.octets()[..], &source_link_layer_address].concat();
            written(builder.size(payload.len()), |frame| {
                builder.write_to_slice(frame, &payload).ok()
            })
        }
    }
}

fn written(size: usize, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Vec<u8> {
    let mut frame = vec![0; size];
    assert_eq!(write(&mut frame), Some(size));
    frame
}

/// Who sent a frame and what it says about `vip` or as an advert; `None` for everything else.
pub(crate) fn read(frame: &[u8], witness: Mac, vip: IpAddr) -> Option<(Mac, Heard)> {
    let from: Mac = *frame.get(6..12)?.first_chunk()?;
    if from == witness {
        return None;
    }
    let packet = frame.get(14..)?;
    let heard = match u16::from_be_bytes(*frame.get(12..14)?.first_chunk()?) {
        0x0806 => arp(packet, vip)?,
        0x0800 => Heard::Advert(ipv4(packet)?),
        0x86dd => ipv6(packet, vip)?,
        _ => return None,
    };
    Some((from, heard))
}

/// RFC 826.
fn arp(packet: &[u8], vip: IpAddr) -> Option<Heard> {
    let address = |at: usize| Some(Ipv4Addr::from(*packet.get(at..at + 4)?.first_chunk::<4>()?));
    let (sender, target) = (address(14)?, address(24)?);
    if IpAddr::V4(sender) != vip {
        return None;
    }
    match packet.get(7)? {
        _ if sender == target => Some(Heard::Announced),
        2 if target == WITNESS.0 => Some(Heard::Answered),
        _ => None,
    }
}

fn ipv4(packet: &[u8]) -> Option<Advert> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let ttl = *packet.get(8)?;
    let (sequence, message) = match packet.get(9)? {
        112 => (None, packet.get(header..)?),
        // RFC 4302 §2: 12 octets and the 12 of HMAC-MD5-96.
        51 => {
            let ah = packet.get(header..)?;
            let sequence = u32::from_be_bytes(*ah.get(8..12)?.first_chunk()?);
            (Some(sequence), ah.get(24..)?)
        }
        _ => return None,
    };
    advert(message, ttl, sequence)
}

fn ipv6(packet: &[u8], vip: IpAddr) -> Option<Heard> {
    let message = packet.get(40..)?;
    match packet.get(6)? {
        112 => advert(message, *packet.get(7)?, None).map(Heard::Advert),
        58 if message.first() == Some(&136) => {
            let target = Ipv6Addr::from(*message.get(8..24)?.first_chunk::<16>()?);
            let unasked = packet.get(24..40)? == ALL_NODES.octets();
            match (IpAddr::V6(target) == vip, unasked) {
                (false, _) => None,
                (true, true) => Some(Heard::Announced),
                (true, false) => Some(Heard::Answered),
            }
        }
        _ => None,
    }
}

/// RFC 3768 §5.1, RFC 9568 §5.2.
fn advert(message: &[u8], ttl: u8, sequence: Option<u32>) -> Option<Advert> {
    let version = message.first()? >> 4;
    let interval = match version {
        2 => u16::from(*message.get(5)?),
        _ => u16::from_be_bytes(*message.get(4..6)?.first_chunk()?) & 0x0fff,
    };
    Some(Advert {
        version,
        vrid: *message.get(1)?,
        priority: *message.get(2)?,
        interval,
        ttl,
        sequence,
    })
}
