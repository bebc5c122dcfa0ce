//! Adverts as whole Ethernet frames, for a source that is not the interface's own hardware address (RFC 9568 §7.3: the
//! virtual router MAC address). The device that has that address need not be up for it, nor be there.

use std::io;
use std::net::IpAddr;

use vrrp_proto::Envelope;

use super::{ipv4, ipv6};
use crate::announce::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Mac};
use crate::error::Error;
use crate::packet_socket::PacketSocket;

/// Sends adverts to groups on one interface, from any hardware address.
#[derive(Debug)]
pub struct FrameSender {
    socket: PacketSocket,
    index: u32,
    identification: u16,
    /// Used again for each frame.
    frame: Vec<u8>,
}

impl FrameSender {
    /// Opens the socket for the interface with that index; needs CAP_NET_RAW.
    pub fn new(index: u32) -> Result<Self, Error> {
        Ok(Self {
            socket: PacketSocket::new()?,
            index,
            identification: 0,
            frame: Vec::with_capacity(1514),
        })
    }

    /// Sends one VRRP message from `source` under a header of ours, as
    /// [`AdvertSender::send`](super::AdvertSender::send) does.
    pub fn send(&mut self, source: Mac, envelope: &Envelope, message: &[u8]) -> io::Result<()> {
        self.identification = self.identification.checked_add(1).unwrap_or(1);
        let hop_limit = envelope.hop_limit;
        self.begin(source, envelope.destination)?;
        match (envelope.source, envelope.destination) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let header =
                    ipv4::header((from, to), hop_limit, self.identification, message.len());
                let header = header.ok_or(io::ErrorKind::InvalidInput)?;
                self.frame.extend_from_slice(&ipv4::summed(header));
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let header = ipv6::header((from, to), hop_limit, message.len());
                let header = header.ok_or(io::ErrorKind::InvalidInput)?;
                self.frame.extend_from_slice(&header);
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        }
        self.frame.extend_from_slice(message);
        self.socket.send(self.index, &self.frame)
    }

    /// Sends one whole IPv4 packet (as AH needs, whose authentication covers the header but for its checksum).
    pub fn send_packet(&mut self, source: Mac, packet: &[u8]) -> io::Result<()> {
        let (header, rest) = packet
            .split_first_chunk::<20>()
            .filter(|(header, _)| header.first() == Some(&0x45))
            .ok_or(io::ErrorKind::InvalidInput)?;
        let [.., d0, d1, d2, d3] = *header;
        self.begin(source, IpAddr::from([d0, d1, d2, d3]))?;
        self.frame.extend_from_slice(&ipv4::summed(*header));
        self.frame.extend_from_slice(rest);
        self.socket.send(self.index, &self.frame)
    }

    /// The Ethernet header: RFC 1112 §6.4 and RFC 2464 §7 make a group's hardware address.
    fn begin(&mut self, source: Mac, group: IpAddr) -> io::Result<()> {
        if !group.is_multicast() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let (destination, ethertype) = match group {
            IpAddr::V4(group) => {
                let [_, b, c, d] = group.octets();
                ([0x01, 0x00, 0x5e, b & 0x7f, c, d], ETHERTYPE_IPV4)
            }
            IpAddr::V6(group) => {
                let [.., a, b, c, d] = group.octets();
                ([0x33, 0x33, a, b, c, d], ETHERTYPE_IPV6)
            }
        };
        self.frame.clear();
        self.frame.extend_from_slice(&destination);
        self.frame.extend_from_slice(&source);
        self.frame.extend_from_slice(&ethertype.to_be_bytes());
        Ok(())
    }
}
