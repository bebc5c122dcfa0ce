//! Beats: small frames on the loopback interface, which never leave this host, one for each address and table.
//!
//! ```text
//! Ethernet, all zeros | ARP, operation 0x5652: | port | hold in ms | address | 8 octets of nothing
//! Ethernet, all zeros | IPv4 127.0.0.1 to itself, protocol 253 or 254: | port | hold in ms | address
//! ```
//! The kernel drops them in the first chain that they come to. Protocols 253 and 254 are for experiments (RFC 3692);
//! nobody without CAP_NET_RAW in this network namespace can send any of these.

use std::io;
use std::net::IpAddr;
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

/// A hold as it stands in a beat.
pub(super) fn hold_number(hold: Duration) -> u32 {
    u32::try_from(hold.as_millis()).unwrap_or(u32::MAX)
}

/// Keeps addresses alive, from any thread.
#[derive(Debug)]
pub struct Pulse {
    socket: PacketSocket,
    port: u32,
}

impl Pulse {
    pub(super) fn new(port: u32) -> io::Result<Self> {
        let socket = PacketSocket::new().map_err(io::Error::from)?;
        Ok(Self { socket, port })
    }

    /// Lets addresses answer for another `hold`. Takes two system calls of two microseconds for each and never
    /// waits.
    pub fn beat(&self, addresses: &[IpAddr], hold: Duration) -> io::Result<()> {
        let mut frame = Vec::with_capacity(64);
        for &address in addresses {
            if address.is_ipv4() {
                arp(&mut frame);
                self.send(&mut frame, address, hold)?;
            }
            ip(&mut frame, address.is_ipv6());
            self.send(&mut frame, address, hold)?;
        }
        Ok(())
    }

    fn send(&self, frame: &mut Vec<u8>, address: IpAddr, hold: Duration) -> io::Result<()> {
        frame.extend_from_slice(&self.port.to_be_bytes());
        frame.extend_from_slice(&hold_number(hold).to_be_bytes());
        match address {
            // Of an ARP packet eight octets are left.
            IpAddr::V4(address) => {
                frame.extend_from_slice(&address.octets());
                frame.extend_from_slice(&[0; 8]);
            }
            IpAddr::V6(address) => frame.extend_from_slice(&address.octets()),
        }
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
fn ip(frame: &mut Vec<u8>, ipv6: bool) {
    frame.clear();
    frame.extend_from_slice(&[0; 12]);
    let (length, checksum) = if ipv6 { (44, 0xbad2) } else { (32, 0xbadf) };
    frame.extend_from_slice(&[0x08, 0x00, 0x45, 0, 0, length, 0, 0, 0, 0, 1]);
    frame.push(ip_protocol(ipv6));
    frame.extend_from_slice(&u16::to_be_bytes(checksum));
    frame.extend_from_slice(&[127, 0, 0, 1, 127, 0, 0, 1]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_what_the_kernel_takes_for_arp_and_for_ip() {
        let mut frame = Vec::new();
        for (ipv6, payload) in [(false, 4 + 4 + 4), (true, 4 + 4 + 16)] {
            ip(&mut frame, ipv6);
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
