//! Beats: small frames on the loopback interface, which never leave this host, one for each address and table.
//!
//! ```text
//! Ethernet, all zeros | ARP, operation 0x5652: | port | hold in ms | address | 8 octets of nothing
//! Ethernet, all zeros | IPv4 127.0.0.1 to itself, protocol 253 or 254: | port | hold in ms | address
//! ```
//! With the highest bit of the hold set there are eight addresses, with the next one twenty-four: what a beat costs is
//! its way through the kernel, and hundreds of routers send adverts together. The kernel drops them in the first chain
//! that they come to. Protocols 253 and 254 are for experiments (RFC 3692); nobody without CAP_NET_RAW in this network
//! namespace can send any of these.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::expression::LOOPBACK;
use crate::many::Outbox;
use crate::packet_socket::{self, PacketSocket};

/// An ARP operation that nothing else uses.
pub(super) const ARP_BEAT: u16 = 0x5652;

/// The IP protocol of a beat.
pub(super) const fn ip_protocol(ipv6: bool) -> u8 {
    if ipv6 { 254 } else { 253 }
}

/// Addresses of one beat. A rule for more than the last has no room in the kernel, nor that one in every kernel.
pub(super) const SIZES: [usize; 3] = [1, 8, 24];
const MOST: usize = 24;
/// Frames for many begin with an address whose place in the list is a multiple of this.
pub(super) const SMALLEST_FRAME: usize = 8;
/// Set in the hold of a beat for many.
const MARKS: [u32; 3] = [0, 0x8000_0000, 0x4000_0000];
/// Ethernet header and ARP packet.
const SHORTEST: usize = 14 + 28;

/// A hold as it stands in a beat for so many addresses, which is one of [`SIZES`].
pub(super) fn hold_number(hold: Duration, addresses: usize) -> u32 {
    let millis = u32::try_from(hold.as_millis()).unwrap_or(u32::MAX);
    let unmarked = millis & MARKS.iter().fold(u32::MAX, |rest, mark| rest & !mark);
    let mut known = SIZES.iter().zip(MARKS);
    let mark = known.find(|(size, _)| **size == addresses);
    unmarked | mark.map_or(0, |(_, mark)| mark)
}

/// A beat while it is written.
#[derive(Default)]
struct Parts {
    head: Vec<u8>,
    message: Vec<u8>,
}

/// Keeps addresses alive, from any thread. Clones send by one socket.
#[derive(Debug, Clone)]
pub struct Pulse {
    socket: Arc<PacketSocket>,
    port: u32,
    silences: bool,
    /// Sizes for which there are rules.
    sizes: &'static [usize],
}

impl Pulse {
    pub(super) fn new(port: u32, sizes: &'static [usize]) -> io::Result<Self> {
        let socket = PacketSocket::new().map_err(io::Error::from)?;
        Ok(Self {
            socket: Arc::new(socket),
            port,
            silences: false,
            sizes,
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

    /// Lets addresses answer for another `hold`. Takes two frames of two microseconds each for one of IPv4, one of
    /// IPv6, and the same for up to twenty-four together, all in one system call; never waits.
    pub fn beat(&self, addresses: &[IpAddr], hold: Duration) -> io::Result<()> {
        self.beat_from(&mut Outbox::default(), addresses, hold)
    }

    /// The same by way of a place that is used again and again.
    pub(crate) fn beat_from(
        &self,
        frames: &mut Outbox,
        addresses: &[IpAddr],
        hold: Duration,
    ) -> io::Result<()> {
        let mut parts = Parts::default();
        for ipv6 in [false, true] {
            let all = addresses.iter().copied();
            let mut all = all.filter(|one| one.is_ipv6() == ipv6).peekable();
            let mut left = addresses.iter().filter(|one| one.is_ipv6() == ipv6).count();
            while let Some(first) = all.peek().copied() {
                let size = self.size_for(left);
                // Padded by what is there: a beat may come twice.
                let mut some = [first; MOST];
                for (place, one) in some.iter_mut().zip(all.by_ref().take(size)) {
                    *place = one;
                }
                left = left.saturating_sub(size);
                let some = some.get(..size).unwrap_or_default();
                self.write(frames, &mut parts, some, hold)?;
            }
        }
        let mut sent = Ok(());
        self.socket.send_all(frames, |_, outcome| {
            if outcome.is_err() && sent.is_ok() {
                sent = outcome;
            }
        });
        sent
    }

    /// How many go together where so many are left: two frames cost as much as a dozen addresses.
    fn size_for(&self, left: usize) -> usize {
        let smallest = match left {
            0 | 1 => 1,
            2..=8 => 8,
            _ => 24,
        };
        let mut fitting = self.sizes.iter().copied().filter(|size| *size >= smallest);
        fitting.next().or(self.sizes.last().copied()).unwrap_or(1)
    }

    /// One beat for these addresses of one family.
    fn write(
        &self,
        frames: &mut Outbox,
        Parts { head, message }: &mut Parts,
        some: &[IpAddr],
        hold: Duration,
    ) -> io::Result<()> {
        message.clear();
        message.reserve(8 + 16 * some.len());
        message.extend_from_slice(&self.port.to_be_bytes());
        message.extend_from_slice(&hold_number(hold, some.len()).to_be_bytes());
        for address in some {
            match address {
                IpAddr::V4(address) => message.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => message.extend_from_slice(&address.octets()),
            }
        }
        let ipv6 = some.iter().any(IpAddr::is_ipv6);
        if !ipv6 {
            arp(head);
            let to = packet_socket::address(LOOPBACK, head)?;
            // Of an ARP packet 28 octets are looked at in any case.
            let missing = SHORTEST.saturating_sub(head.len() + message.len());
            let padding = [0; SHORTEST];
            let padding = padding.get(..missing).unwrap_or_default();
            frames.push(0, &[head, message, padding], to);
        }
        ip(head, ipv6, some.len());
        let to = packet_socket::address(LOOPBACK, head)?;
        frames.push(0, &[head, message], to);
        Ok(())
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
    fn beats_of_every_size_are_told_apart() {
        let hold = Duration::from_millis(290);
        let numbers = SIZES.map(|size| hold_number(hold, size));
        assert_eq!(numbers, [290, 0x8000_0122, 0x4000_0122]);
        assert_eq!(hold_number(Duration::MAX, 1), 0x3fff_ffff);
    }

    #[test]
    fn a_beat_is_what_the_kernel_takes_for_arp_and_for_ip() {
        let mut frame = Vec::new();
        for (ipv6, payload, count) in [
            (false, 12, 1),
            (true, 24, 1),
            (false, 40, 8),
            (true, 136, 8),
            (true, 392, 24),
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
