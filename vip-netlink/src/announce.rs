//! Frames that tell a segment where a virtual address lives now: gratuitous ARP (RFC 5227 §3's
//! ARP Announcement, request form) and the unsolicited neighbour advertisement (RFC 4861 §7.2.6).
//!
//! Pure: bytes out of values, no socket and no clock.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Length of [`gratuitous_arp`]'s frame without Ethernet padding.
pub const ARP_FRAME: usize = 14 + 28;
/// Length of [`neighbour_advertisement`]'s frame.
pub const NA_FRAME: usize = 14 + 40 + 32;

/// Ethertype of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// Ethertype of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// Ethertype of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;

/// A hardware address of six octets.
pub type Mac = [u8; 6];

const BROADCAST: Mac = [0xff; 6];
/// 33:33:00:00:00:01, where ff02::1 is delivered (RFC 2464 §7).
const ALL_NODES_MAC: Mac = [0x33, 0x33, 0, 0, 0, 1];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// One broadcast ARP request whose sender and target are both `address`.
///
/// ```text
/// ff*6 | mac | 0806 | 0001 0800 06 04 0001 | mac | address | ff*6 | address
/// ```
/// RFC 9568 §8.1.2 with errata 7947 and 7949; the target hardware address is all ones as
/// keepalived sends it (receivers ignore it).
#[must_use]
pub fn gratuitous_arp(mac: Mac, address: Ipv4Addr) -> [u8; ARP_FRAME] {
    arp(mac, address, BROADCAST, address)
}

/// An ARP probe (RFC 5227 §2.1.1): asks who has `address` without claiming an address of ours.
#[must_use]
pub fn arp_probe(mac: Mac, address: Ipv4Addr) -> [u8; ARP_FRAME] {
    arp(mac, Ipv4Addr::UNSPECIFIED, [0; 6], address)
}

/// An ARP request (RFC 826): `sender` asks everybody who has `address`.
#[must_use]
pub fn arp_request(mac: Mac, sender: Ipv4Addr, address: Ipv4Addr) -> [u8; ARP_FRAME] {
    arp(mac, sender, [0; 6], address)
}

fn arp(mac: Mac, sender: Ipv4Addr, target_mac: Mac, target: Ipv4Addr) -> [u8; ARP_FRAME] {
    let mut frame = [0; ARP_FRAME];
    let mut out = Writer(&mut frame);
    out.put(&BROADCAST);
    out.put(&mac);
    out.put(&ETHERTYPE_ARP.to_be_bytes());
    // Ethernet, IPv4, lengths 6 and 4, operation 1 = request.
    out.put(&[0, 1, 8, 0, 6, 4, 0, 1]);
    out.put(&mac);
    out.put(&sender.octets());
    out.put(&target_mac);
    out.put(&target.octets());
    frame
}

/// One unsolicited neighbour advertisement for `address` to all nodes: flags O and, on a router, R.
///
/// RFC 9568 §6.4.1 and §8.2.3 ask for R set, S clear, O set; a host that does not forward must not
/// claim to be a router (RFC 4861 §7.2.4), so that is the caller's to say.
#[must_use]
pub fn neighbour_advertisement(mac: Mac, address: Ipv6Addr, router: bool) -> [u8; NA_FRAME] {
    let mut message = [0; 32];
    let mut out = Writer(&mut message);
    out.put(&[136, 0, 0, 0]);
    out.put(&[if router { 0xa0 } else { 0x20 }, 0, 0, 0]);
    out.put(&address.octets());
    // Target link-layer address option, one unit of eight octets.
    out.put(&[2, 1]);
    out.put(&mac);
    let sum = icmpv6_checksum(address, ALL_NODES, &message);
    if let Some(field) = message.get_mut(2..4) {
        field.copy_from_slice(&sum.to_be_bytes());
    }

    let mut frame = [0; NA_FRAME];
    let mut out = Writer(&mut frame);
    out.put(&ALL_NODES_MAC);
    out.put(&mac);
    out.put(&ETHERTYPE_IPV6.to_be_bytes());
    // Version 6, payload 32, next header ICMPv6, hop limit 255 (RFC 4861 §7.1.2).
    out.put(&[0x60, 0, 0, 0, 0, 32, 58, 255]);
    out.put(&address.octets());
    out.put(&ALL_NODES.octets());
    out.put(&message);
    frame
}

/// RFC 8200 §8.1: the pseudo-header, then the message with its checksum field zero.
fn icmpv6_checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8; 32]) -> u16 {
    let words = |bytes: &[u8]| -> u32 {
        bytes
            .chunks_exact(2)
            .map(|pair| {
                pair.iter()
                    .fold(0, |word, &octet| word << 8 | u32::from(octet))
            })
            .sum()
    };
    let mut sum = words(&source.octets()) + words(&destination.octets()) + 32 + 58 + words(message);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // The folded sum has no bits above 16.
    let [_, _, high, low] = (!sum).to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// Appends to a fixed frame; what does not fit is left out (the sizes above fit exactly).
struct Writer<'a>(&'a mut [u8]);

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        if let Some((head, rest)) = std::mem::take(&mut self.0).split_at_mut_checked(bytes.len()) {
            head.copy_from_slice(bytes);
            self.0 = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    #[test]
    fn a_gratuitous_arp_is_what_keepalived_puts_on_the_wire() {
        let frame = gratuitous_arp([2, 0, 0, 0, 0, 0x0a], Ipv4Addr::new(10, 99, 0, 100));
        assert_eq!(
            hex(&frame),
            "ffffffffffff02000000000a0806000108000604000102000000000a0a630064ffffffffffff0a630064"
        );
    }

    #[test]
    fn a_probe_names_no_sender() {
        let frame = arp_probe([2, 0, 0, 0, 0, 0x0a], Ipv4Addr::new(10, 99, 0, 100));
        assert_eq!(&frame[28..32], [0, 0, 0, 0]);
        assert_eq!(&frame[38..42], [10, 99, 0, 100]);
    }

    #[test]
    fn a_neighbour_advertisement_is_valid_to_another_decoder() {
        let vip: Ipv6Addr = "2001:db8::100".parse().unwrap();
        for (router, flags) in [(false, 0x20), (true, 0xa0)] {
            let frame = neighbour_advertisement([2, 0, 0, 0, 0, 0x0a], vip, router);
            let packet = etherparse::PacketHeaders::from_ethernet_slice(&frame).unwrap();
            let Some(etherparse::NetHeaders::Ipv6(ip, _)) = packet.net else {
                panic!("not IPv6")
            };
            assert_eq!(ip.hop_limit, 255);
            assert_eq!(ip.source, vip.octets());
            let Some(etherparse::TransportHeader::Icmpv6(icmp)) = packet.transport else {
                panic!("not ICMPv6")
            };
            let payload = packet.payload.slice();
            let expected = icmp
                .icmp_type
                .calc_checksum(ip.source, ip.destination, payload)
                .unwrap();
            assert_eq!(icmp.checksum, expected);
            assert_eq!(frame[14 + 40], 136);
            assert_eq!(frame[14 + 40 + 4], flags);
            assert_eq!(&frame[14 + 40 + 8..14 + 40 + 24], vip.octets());
        }
    }
}
