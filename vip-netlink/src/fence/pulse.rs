//! Beats: small frames on the loopback interface, which never leave this host, one for each address and table.
//!
//! ```text
//! Ethernet, all zeros | ARP, operation 0x5652: | port | hold in ms | address | 8 octets of nothing
//! Ethernet, all zeros | IPv4 127.0.0.1 to itself, protocol 253 or 254: | port | hold in ms | address
//! ```
//! With the highest bit of the hold set there are eight addresses: what a beat costs is its way through the kernel, and
//! hundreds of routers send adverts together. The kernel drops them in the first chain that they come to. Protocols 253 and 254 are for experiments (RFC 3692);
//! nobody without CAP_NET_RAW in this network namespace can send any of these.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::packet_socket::PacketSocket;

/// An ARP operation that nothing else uses.
pub(super) const ARP_BEAT: u16 = 0x5652;
/// The loopback interface of every network namespace.
const LOOPBACK: u32 = 1;

/// The IP protocol of a beat.
pub(super) const fn ip_protocol(ipv6: bool) -> u8 {
    if ipv6 { 254 } else { 253 }
}

/// Addresses of a beat for many.
pub(super) const MANY: usize = 8;
/// Set in the hold of a beat for many.
const FOR_MANY: u32 = 0x8000_0000;
/// Ethernet header and ARP packet.
const SHORTEST: usize = 14 + 28;

/// A hold as it stands in a beat for one address or for [`MANY`].
pub(super) fn hold_number(hold: Duration, addresses: usize) -> u32 {
    let millis = u32::try_from(hold.as_millis()).unwrap_or(u32::MAX) & !FOR_MANY;
    match addresses {
        0 | 1 => millis,
        _ => millis | FOR_MANY,
    }
}

/// Keeps addresses alive, from any thread.
#[derive(Debug)]
pub struct Pulse {
    socket: PacketSocket,
    port: u32,
    silences: bool,
}

impl Pulse {
    pub(super) fn new(port: u32) -> io::Result<Self> {
        let socket = PacketSocket::new().map_err(io::Error::from)?;
        Ok(Self {
            socket,
            port,
            silences: false,
        })
    }

    /// The kernel has rules for beats that silence.
    pub(super) const fn may_silence(&mut self) {
        self.silences = true;
    }

    /// Lets addresses answer no more, until they are opened again or the next beat. As quick as a beat, where a
    /// transaction or the removal of an address may wait for another program's; does nothing before Linux 5.4.
    pub fn silence(&self, addresses: &[IpAddr]) -> io::Result<()> {
        match self.silences {
            true => self.beat(addresses, Duration::ZERO),
            false => Ok(()),
        }
    }

    /// Lets addresses answer for another `hold`. Takes two system calls of two microseconds for each of IPv4, one of
    /// IPv6, and the same for up to eight together; never waits.
    pub fn beat(&self, addresses: &[IpAddr], hold: Duration) -> io::Result<()> {
        let mut frame = Vec::with_capacity(256);
        for ipv6 in [false, true] {
            let mut some = [IpAddr::V4(Ipv4Addr::UNSPECIFIED); MANY];
            let mut count = 0;
            for address in addresses.iter().filter(|one| one.is_ipv6() == ipv6) {
                if let Some(place) = some.get_mut(count) {
                    *place = *address;
                    count += 1;
                }
                if count == MANY {
                    self.send(&mut frame, &some, hold)?;
                    count = 0;
                }
            }
            let rest = some.get(..count).unwrap_or_default();
            match rest {
                [] => {}
                [_] | [_, _] => rest
                    .chunks(1)
                    .try_for_each(|one| self.send(&mut frame, one, hold))?,
                // Padded by what is there: a beat may come twice.
                [first, ..] => {
                    let mut some = [*first; MANY];
                    some.iter_mut()
                        .zip(rest)
                        .for_each(|(place, one)| *place = *one);
                    self.send(&mut frame, &some, hold)?;
                }
            }
        }
        Ok(())
    }

    /// One address, or [`MANY`], of one family.
    fn send(&self, frame: &mut Vec<u8>, some: &[IpAddr], hold: Duration) -> io::Result<()> {
        let ipv6 = some.iter().any(IpAddr::is_ipv6);
        if !ipv6 {
            arp(frame);
            self.write(frame, some, hold)?;
        }
        ip(frame, ipv6, some.len());
        self.write(frame, some, hold)
    }

    fn write(&self, frame: &mut Vec<u8>, some: &[IpAddr], hold: Duration) -> io::Result<()> {
        frame.extend_from_slice(&self.port.to_be_bytes());
        frame.extend_from_slice(&hold_number(hold, some.len()).to_be_bytes());
        for address in some {
            match address {
                IpAddr::V4(address) => frame.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => frame.extend_from_slice(&address.octets()),
            }
        }
        // Of an ARP packet 28 octets are looked at in any case.
        frame.resize(frame.len().max(SHORTEST), 0);
        self.socket.send(LOOPBACK, frame)
    }
}

fn arp(frame: &mut Vec<u8>) {
    frame.clear();
    frame.extend_from_slice(&[0; 12]);
    // Hardware Ethernet, protocol IPv4, their lengths: the kernel looks at these before its hook.
    frame.extend_from_slice(&[0x08, 0x06, 0, 1, 8, 0, 6, 4]);
    frame.extend_from_slice(&ARP_BEAT.to_be_bytes());
}

/// RFC 791 §3.1: header and message; octets beyond that are padding to the kernel.
fn ip(frame: &mut Vec<u8>, ipv6: bool, addresses: usize) {
    frame.clear();
    frame.extend_from_slice(&[0; 12]);
    let each = if ipv6 { 16 } else { 4 };
    let length = u16::try_from(20 + 8 + each * addresses).unwrap_or(u16::MAX);
    // Of the other words of the header: their sum, but for this length and the protocol.
    const REST: u32 = 0x4500 + 0x0100 + 2 * (0x7f00 + 0x0001);
    let sum = REST + u32::from(length) + u32::from(ip_protocol(ipv6));
    let [high, low] = length.to_be_bytes();
    frame.extend_from_slice(&[0x08, 0x00, 0x45, 0, high, low, 0, 0, 0, 0, 1]);
    frame.push(ip_protocol(ipv6));
    let [_, _, sum_high, sum_low] = (!((sum & 0xffff) + (sum >> 16))).to_be_bytes();
    frame.extend_from_slice(&[sum_high, sum_low]);
    frame.extend_from_slice(&[127, 0, 0, 1, 127, 0, 0, 1]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_what_the_kernel_takes_for_arp_and_for_ip() {
        let mut frame = Vec::new();
        for (ipv6, payload, count) in [
            (false, 12, 1),
            (true, 24, 1),
            (false, 40, 8),
            (true, 136, 8),
        ] {
            ip(&mut frame, ipv6, count);
            let (header, rest) = etherparse::Ipv4Header::from_slice(&frame[14..]).unwrap();
            assert_eq!(header.calc_header_checksum(), header.header_checksum);
            assert_eq!(header.protocol.0, ip_protocol(ipv6));
            assert_eq!(usize::from(header.total_len), 20 + payload);
            assert!(rest.is_empty());
        }
        arp(&mut frame);
        assert_eq!(frame[12..], [8, 6, 0, 1, 8, 0, 6, 4, 0x56, 0x52]);
    }
}
