//! Raw sockets for VRRP adverts over IPv4: protocol 112, and 51 where adverts are authenticated
//! by AH. Non-blocking throughout; never looks inside an advert.
//!
//! One receive socket per (interface, protocol) serves all virtual routers of the interface; one
//! send socket per interface writes the whole IP header (RFC 9568 §5.1.1: TTL 255).

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use vrrp_proto::Envelope;

use crate::error::Error;

/// IP protocol number of VRRP.
pub const PROTOCOL_VRRP: u8 = 112;
/// IP protocol number of the authentication header.
pub const PROTOCOL_AH: u8 = 51;

const IPPROTO_RAW: u8 = 255;

/// DSCP CS6, "internetwork control", as every VRRP speaker uses.
const TOS: u8 = 0xc0;
const IPV4_HEADER: usize = 20;
/// Larger than any advert: 255 addresses, IP header with options, AH.
const LARGEST: usize = 2048;
/// Room for a burst of some thousand adverts (each is accounted with about 1 KiB).
const RECEIVE_BUFFER: usize = 4 << 20;

/// Packets that [`AdvertReceiver::receive`] skips in one call.
pub const SKIPPED: usize = 64;

/// An advert as it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Source, destination and TTL of the IP header.
    pub envelope: Envelope,
    /// How much of the caller's buffer is filled.
    pub length: usize,
}

/// Receives the adverts of one protocol on one interface.
#[derive(Debug)]
pub struct AdvertReceiver {
    socket: Socket,
    protocol: u8,
}

impl AdvertReceiver {
    /// Opens the socket on `interface` and joins `groups` there; needs CAP_NET_RAW. Unicast adverts
    /// arrive as well.
    pub fn new(
        interface: &str,
        index: u32,
        protocol: u8,
        groups: &[Ipv4Addr],
    ) -> Result<Self, Error> {
        let open = || -> io::Result<Socket> {
            let socket = raw_socket(protocol)?;
            socket.bind_device(Some(interface.as_bytes()))?;
            // Without this, groups that other sockets joined on other interfaces arrive too.
            socket.set_multicast_all_v4(false)?;
            // Without CAP_NET_ADMIN of the machine itself the kernel allows rmem_max at most.
            if set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER).is_err() {
                let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
            }
            for group in groups {
                match socket.join_multicast_v4_n(group, &InterfaceIndexOrAddress::Index(index)) {
                    Err(error) if error.kind() != io::ErrorKind::AddrInUse => return Err(error),
                    _ => {}
                }
            }
            Ok(socket)
        };
        match open() {
            Ok(socket) => Ok(Self { socket, protocol }),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => {
                Err(Error::NoInterface(interface.to_owned()))
            }
            Err(source) => Err(Error::Socket {
                what: "receiving adverts",
                source,
            }),
        }
    }

    /// The IP protocol that arrives here.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// One waiting advert, or `None`; never waits.
    ///
    /// `buffer` receives the VRRP message; for protocol 51 the whole packet from the IP header on,
    /// because the authentication covers it. What is not a whole IPv4 packet, is longer than
    /// `buffer`, or has one of `own` as its source is skipped. After [`SKIPPED`] of these in a row the
    /// error is `Interrupted`, so that a flood of them cannot hold the caller: there may be more.
    pub fn receive(&self, buffer: &mut [u8], own: &[IpAddr]) -> io::Result<Option<Arrived>> {
        let mut storage = [MaybeUninit::uninit(); LARGEST];
        for _ in 0..SKIPPED {
            let length = match self.socket.recv(&mut storage) {
                Ok(length) => length,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(None),
                    io::ErrorKind::Interrupted => continue,
                    _ => return Err(error),
                },
            };
            let packet = initialised(&storage, length);
            let Some((header, envelope)) = open_ipv4(packet) else {
                continue;
            };
            if own.contains(&envelope.source) {
                continue;
            }
            let wanted = if self.protocol == PROTOCOL_AH {
                Some(header.packet)
            } else {
                header.payload()
            };
            let Some(wanted) = wanted else { continue };
            if let Some(target) = buffer.get_mut(..wanted.len()) {
                target.copy_from_slice(wanted);
                return Ok(Some(Arrived {
                    envelope,
                    length: wanted.len(),
                }));
            }
        }
        // Not `None`: what waits behind them would not be announced as readable again.
        Err(io::ErrorKind::Interrupted.into())
    }
}

impl AsFd for AdvertReceiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for AdvertReceiver {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Sends adverts on one interface, the IP header included. Bound to its device, it never fails for
/// want of a route: an unreachable unicast peer is a packet lost on the way.
#[derive(Debug)]
pub struct AdvertSender {
    socket: Socket,
    identification: u16,
}

impl AdvertSender {
    /// Opens the socket; needs CAP_NET_RAW.
    pub fn new(interface: &str, index: u32) -> Result<Self, Error> {
        let open = || -> io::Result<Socket> {
            // raw(7): a socket of IPPROTO_RAW sends any protocol and receives nothing.
            let socket = raw_socket(IPPROTO_RAW)?;
            socket.set_header_included_v4(true)?;
            socket.bind_device(Some(interface.as_bytes()))?;
            // On Linux the sender's flag decides whether this host hears its own multicasts.
            socket.set_multicast_loop_v4(false)?;
            rustix::net::sockopt::set_ip_multicast_if_with_ifindex(
                &socket,
                &Ipv4Addr::UNSPECIFIED,
                &Ipv4Addr::UNSPECIFIED,
                index,
            )?;
            Ok(socket)
        };
        match open() {
            Ok(socket) => Ok(Self {
                socket,
                identification: 0,
            }),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => {
                Err(Error::NoInterface(interface.to_owned()))
            }
            Err(source) => Err(Error::Socket {
                what: "sending adverts",
                source,
            }),
        }
    }

    /// Sends one VRRP message under a header of ours (tos 0xc0, identification counting up and
    /// never 0), at once.
    pub fn send(&mut self, envelope: &Envelope, message: &[u8]) -> io::Result<()> {
        self.identification = self.identification.checked_add(1).unwrap_or(1);
        let mut packet = [0; LARGEST];
        let header = ipv4_header(envelope, PROTOCOL_VRRP, self.identification, message.len())
            .ok_or(io::ErrorKind::InvalidInput)?;
        let total = IPV4_HEADER + message.len();
        let target = packet.get_mut(..total).ok_or(io::ErrorKind::InvalidInput)?;
        let (head, body) = target
            .split_at_mut_checked(IPV4_HEADER)
            .ok_or(io::ErrorKind::InvalidInput)?;
        head.copy_from_slice(&header);
        body.copy_from_slice(message);
        self.send_packet(target)
    }

    /// Sends one whole IPv4 packet (as AH needs, whose authentication covers the header).
    pub fn send_packet(&self, packet: &[u8]) -> io::Result<()> {
        let destination = packet
            .get(16..20)
            .and_then(|field| field.first_chunk::<4>())
            .map(|octets| Ipv4Addr::from(*octets))
            .ok_or(io::ErrorKind::InvalidInput)?;
        self.socket
            .send_to(packet, &SocketAddrV4::new(destination, 0).into())
            .map(drop)
    }
}

fn raw_socket(protocol: u8) -> io::Result<Socket> {
    Socket::new(
        Domain::IPV4,
        Type::RAW.nonblocking(),
        Some(Protocol::from(i32::from(protocol))),
    )
}

/// The header of vrrp.md §1.7's sending side; the kernel fills in length and checksum.
fn ipv4_header(
    envelope: &Envelope,
    protocol: u8,
    identification: u16,
    payload: usize,
) -> Option<[u8; IPV4_HEADER]> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (envelope.source, envelope.destination)
    else {
        return None;
    };
    let [length_high, length_low] = u16::try_from(IPV4_HEADER + payload).ok()?.to_be_bytes();
    let [id_high, id_low] = identification.to_be_bytes();
    let [s0, s1, s2, s3] = source.octets();
    let [d0, d1, d2, d3] = destination.octets();
    Some([
        0x45,
        TOS,
        length_high,
        length_low,
        id_high,
        id_low,
        0,
        0,
        envelope.hop_limit,
        protocol,
        0,
        0,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ])
}

/// An IPv4 packet whose lengths have been checked.
struct Ipv4Packet<'a> {
    /// From the header on, cut to the total length.
    packet: &'a [u8],
    header_length: usize,
}

impl<'a> Ipv4Packet<'a> {
    fn payload(&self) -> Option<&'a [u8]> {
        self.packet.get(self.header_length..)
    }
}

/// RFC 791 §3.1: a raw socket delivers the header, options and all. Ethernet padding is cut off.
fn open_ipv4(bytes: &[u8]) -> Option<(Ipv4Packet<'_>, Envelope)> {
    let header: &[u8; IPV4_HEADER] = bytes.first_chunk()?;
    let [
        first,
        _,
        high,
        low,
        _,
        _,
        _,
        _,
        hop_limit,
        _,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = *header;
    let header_length = usize::from(first & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([high, low]));
    if first >> 4 != 4 || header_length < IPV4_HEADER || total < header_length {
        return None;
    }
    let packet = bytes.get(..total)?;
    let envelope = Envelope {
        source: IpAddr::from([s0, s1, s2, s3]),
        destination: IpAddr::from([d0, d1, d2, d3]),
        hop_limit,
    };
    Some((
        Ipv4Packet {
            packet,
            header_length,
        },
        envelope,
    ))
}

#[expect(unsafe_code, reason = "socket2 receives into uninitialised memory")]
fn initialised(storage: &[MaybeUninit<u8>; LARGEST], length: usize) -> &[u8] {
    let filled = storage.get(..length).unwrap_or_default();
    // SAFETY: recv returned `length`: it has written that many octets from the start.
    unsafe { &*(std::ptr::from_ref(filled) as *const [u8]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use vrrp_proto::MULTICAST_V4;

    fn envelope() -> Envelope {
        Envelope {
            source: "10.99.0.1".parse().unwrap(),
            destination: MULTICAST_V4.into(),
            hop_limit: 255,
        }
    }

    #[test]
    fn the_header_is_keepalived_s_but_for_the_checksum() {
        // 45c0002800010000ff70d02e0a630001e0000012; the kernel writes the checksum.
        let header = ipv4_header(&envelope(), PROTOCOL_VRRP, 1, 20).unwrap();
        assert_eq!(
            header,
            [
                0x45, 0xc0, 0, 0x28, 0, 1, 0, 0, 0xff, 0x70, 0, 0, 10, 99, 0, 1, 224, 0, 0, 18
            ]
        );
    }

    #[test]
    fn options_are_skipped_and_padding_is_cut() {
        let mut packet = vec![
            0x46, 0xc0, 0, 28, 0, 1, 0, 0, 254, 112, 0, 0, 10, 0, 0, 1, 224, 0, 0, 18,
        ];
        packet.extend_from_slice(&[1, 1, 1, 1, 9, 8, 7, 6, 0, 0, 0, 0]);
        let (ip, envelope) = open_ipv4(&packet).unwrap();
        assert_eq!(ip.payload().unwrap(), [9, 8, 7, 6]);
        assert_eq!(ip.packet.len(), 28);
        assert_eq!(envelope.hop_limit, 254);
        assert_eq!(envelope.source, "10.0.0.1".parse::<IpAddr>().unwrap());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some((ip, _)) = open_ipv4(&bytes) {
                prop_assert!(ip.payload().unwrap().len() <= bytes.len());
            }
        }
    }
}
