//! Raw sockets for VRRP adverts: protocol 112 over IPv4 and IPv6, and 51 where adverts over IPv4
//! are authenticated by AH. Non-blocking throughout; never looks inside an advert.
//!
//! One receive socket per (interface, family, protocol) serves all virtual routers of the
//! interface; one send socket per interface and family writes the whole IP header: source and hop
//! limit are the caller's (RFC 9568 §5.1), not the routing table's. The checksum is the codec's in
//! both families, so that a wrong one is counted and not dropped unseen by the kernel.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt::ReceiveTimestampns, sockopt::RxqOvfl};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use vrrp_proto::{Envelope, Family};

use crate::error::Error;
use crate::many::{self, Outbox};

mod batch;
mod filter;
mod frame;
mod ipv4;
mod ipv6;

pub use batch::{Batch, Fill};
pub use frame::FrameSender;

/// IP protocol number of VRRP.
pub const PROTOCOL_VRRP: u8 = 112;
/// IP protocol number of the authentication header.
pub const PROTOCOL_AH: u8 = 51;

const IPPROTO_RAW: u8 = 255;

/// DSCP CS6, "internetwork control", as every VRRP speaker uses.
const TRAFFIC_CLASS: u8 = 0xc0;

/// Packets that [`AdvertReceiver::receive`] skips in one call.
pub const SKIPPED: usize = 64;

/// An advert as it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Source, destination and TTL or hop limit of the IP header.
    pub envelope: Envelope,
    /// How much of the caller's buffer is filled.
    pub length: usize,
    /// How long ago it came in, as far as that was [stamped](AdvertReceiver::stamp); else zero.
    pub waited: Duration,
}

/// Receives the adverts of one family and protocol on one interface.
#[derive(Debug)]
pub struct AdvertReceiver {
    socket: Socket,
    family: Family,
    protocol: u8,
    /// What the kernel last said of packets that it had no room for.
    overflows: AtomicU32,
}

impl AdvertReceiver {
    /// Opens the socket on `interface` and joins those of `groups` there that are of `family`;
    /// needs CAP_NET_RAW. Unicast adverts arrive as well.
    pub fn new(
        interface: &str,
        index: u32,
        family: Family,
        protocol: u8,
        groups: &[IpAddr],
    ) -> Result<Self, Error> {
        let open = || -> io::Result<Socket> {
            let socket = raw_socket(family, protocol)?;
            socket.bind_device(Some(interface.as_bytes()))?;
            // Without this, groups that other sockets joined on other interfaces arrive too.
            match family {
                Family::Ipv4 => socket.set_multicast_all_v4(false)?,
                Family::Ipv6 => {
                    socket.set_multicast_all_v6(false)?;
                    ipv6::ask_for_header(&socket)?;
                }
            }
            setsockopt(&socket, RxqOvfl, &1).map_err(io::Error::from)?;
            for group in groups.iter().filter(|group| Family::of(**group) == family) {
                let joined = match group {
                    IpAddr::V4(group) => {
                        let interface = InterfaceIndexOrAddress::Index(index);
                        socket.join_multicast_v4_n(group, &interface)
                    }
                    IpAddr::V6(group) => socket.join_multicast_v6(group, index),
                };
                match joined {
                    Err(error) if error.kind() != io::ErrorKind::AddrInUse => return Err(error),
                    _ => {}
                }
            }
            Ok(socket)
        };
        let what = match family {
            Family::Ipv4 => "receiving adverts over IPv4",
            Family::Ipv6 => "receiving adverts over IPv6",
        };
        let socket = opened(open(), interface, what)?;
        Ok(Self {
            socket,
            family,
            protocol,
            overflows: AtomicU32::new(0),
        })
    }

    /// Gives the socket room for so many bytes of packets, as the kernel counts them (about 1 KiB for an advert); what it
    /// has then. Without CAP_NET_ADMIN of the machine itself that is `net.core.rmem_max` at most.
    pub fn make_room(&self, bytes: usize) -> io::Result<usize> {
        if set_socket_recv_buffer_size_force(&self.socket, bytes).is_err() {
            self.socket.set_recv_buffer_size(bytes)?;
        }
        // The kernel doubles what it is asked for, for its own overhead.
        Ok(self.socket.recv_buffer_size()? / 2)
    }

    /// Whether the kernel notes from now on when each packet came in, for [`receive_many`](Self::receive_many): where
    /// packets wait for the caller. It notes that of every packet of the host then, whoever it is for.
    pub fn stamp(&self, on: bool) -> io::Result<()> {
        Ok(setsockopt(&self.socket, ReceiveTimestampns, &on)?)
    }

    /// From now on the kernel drops adverts of other VRIDs, before anybody sees or counts them; `None` ends that.
    pub fn admit_only(&self, vrids: Option<&[u8]>) -> io::Result<()> {
        match vrids {
            Some(vrids) => {
                self.socket
                    .attach_filter(&filter::program(self.family, self.protocol, vrids))
            }
            None => match self.socket.detach_filter() {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }

    /// Packets for which the socket had no room, as far as known from those that were received since.
    #[must_use]
    pub fn overflows(&self) -> u32 {
        self.overflows.load(Ordering::Relaxed)
    }

    /// Whether the socket had room for all that came since [`overflows`](Self::overflows) was last told of.
    pub fn lost_nothing(&self) -> io::Result<bool> {
        Ok(many::dropped(&self.socket)? == self.overflows())
    }

    /// The family that arrives here.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// The IP protocol that arrives here.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// One waiting advert, or `None`; never waits.
    ///
    /// `buffer` receives the VRRP message; for protocol 51 the whole packet from the IP header on,
    /// because the authentication covers it. It must have room for an IPv4 header as well: what
    /// does not fit, or is not a whole packet of the family, is skipped. After [`SKIPPED`] of these
    /// in a row the error is `Interrupted`, so that a flood of them cannot hold the caller: there
    /// may be more.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Arrived>> {
        for _ in 0..SKIPPED {
            let received = match self.family {
                Family::Ipv4 => ipv4::receive(&self.socket, self.protocol, buffer),
                Family::Ipv6 => ipv6::receive(&self.socket, buffer),
            };
            match received {
                Ok(Some(arrived)) => return Ok(Some(arrived)),
                Ok(None) => {}
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(None),
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
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

/// Sends adverts of one family on one interface, the IP header included. Bound to its device, it
/// never fails for want of a route over IPv4, and over IPv6 not to a group or a link-local peer: an
/// unreachable peer there is a packet lost on the way.
#[derive(Debug)]
pub struct AdvertSender {
    socket: Socket,
    family: Family,
    index: u32,
    identification: u16,
    waiting: Outbox,
}

impl AdvertSender {
    /// Opens the socket; needs CAP_NET_RAW.
    pub fn new(interface: &str, index: u32, family: Family) -> Result<Self, Error> {
        let open = || -> io::Result<Socket> {
            // raw(7), and the same in IPv6: a socket of IPPROTO_RAW sends any protocol under a
            // header of the caller's and receives nothing.
            let socket = raw_socket(family, IPPROTO_RAW)?;
            socket.bind_device(Some(interface.as_bytes()))?;
            // On Linux the sender's flag decides whether this host hears its own multicasts.
            match family {
                Family::Ipv4 => {
                    socket.set_header_included_v4(true)?;
                    socket.set_multicast_loop_v4(false)?;
                    rustix::net::sockopt::set_ip_multicast_if_with_ifindex(
                        &socket,
                        &Ipv4Addr::UNSPECIFIED,
                        &Ipv4Addr::UNSPECIFIED,
                        index,
                    )?;
                }
                Family::Ipv6 => {
                    socket.set_multicast_loop_v6(false)?;
                    socket.set_multicast_if_v6(index)?;
                }
            }
            Ok(socket)
        };
        let what = match family {
            Family::Ipv4 => "sending adverts over IPv4",
            Family::Ipv6 => "sending adverts over IPv6",
        };
        let socket = opened(open(), interface, what)?;
        Ok(Self {
            socket,
            family,
            index,
            identification: 0,
            waiting: Outbox::default(),
        })
    }

    /// The family that it sends.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// Sends one VRRP message under a header of ours (traffic class 0xc0; over IPv4 an
    /// identification that counts up and is never 0), at once.
    pub fn send(&mut self, envelope: &Envelope, message: &[u8]) -> io::Result<()> {
        let address = self.address(envelope.destination);
        let header = self.header(envelope, message.len())?;
        let packet = [IoSlice::new(header.bytes()), IoSlice::new(message)];
        self.socket.send_to_vectored(&packet, &address).map(drop)
    }

    /// Sends one whole IPv4 packet (as AH needs, whose authentication covers the header).
    pub fn send_packet(&self, packet: &[u8]) -> io::Result<()> {
        let address = self.address(self.destination(packet)?);
        self.socket.send_to(packet, &address).map(drop)
    }

    /// Like [`send`](Self::send), but with the next [`flush`](Self::flush), which tells of it by that number.
    pub fn queue(&mut self, number: u32, envelope: &Envelope, message: &[u8]) -> io::Result<()> {
        let address = self.address(envelope.destination);
        let header = self.header(envelope, message.len())?;
        self.waiting
            .push(number, &[header.bytes(), message], address);
        Ok(())
    }

    /// Like [`send_packet`](Self::send_packet), but with the next [`flush`](Self::flush).
    pub fn queue_packet(&mut self, number: u32, packet: &[u8]) -> io::Result<()> {
        let address = self.address(self.destination(packet)?);
        self.waiting.push(number, &[packet], address);
        Ok(())
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Forgets those that wait and whose numbers may not go out any more.
    pub fn retain(&mut self, may_speak: impl Fn(u32) -> bool) {
        self.waiting.retain(may_speak);
    }

    /// Sends what waits, in order, and tells how each went: one that is refused does not keep the others.
    pub fn flush(&mut self, outcome: impl FnMut(u32, io::Result<()>)) {
        self.waiting.send(&self.socket, outcome);
    }

    fn header(&mut self, envelope: &Envelope, length: usize) -> io::Result<Header> {
        self.identification = self.identification.checked_add(1).unwrap_or(1);
        let hop_limit = envelope.hop_limit;
        let header = match (self.family, envelope.source, envelope.destination) {
            (Family::Ipv4, IpAddr::V4(source), IpAddr::V4(destination)) => {
                let ends = (source, destination);
                ipv4::header(ends, hop_limit, self.identification, length).map(Header::Ipv4)
            }
            (Family::Ipv6, IpAddr::V6(source), IpAddr::V6(destination)) => {
                ipv6::header((source, destination), hop_limit, length).map(Header::Ipv6)
            }
            _ => None,
        };
        Ok(header.ok_or(io::ErrorKind::InvalidInput)?)
    }

    fn destination(&self, packet: &[u8]) -> io::Result<IpAddr> {
        let field = packet
            .get(16..20)
            .and_then(|field| field.first_chunk::<4>())
            .filter(|_| self.family == Family::Ipv4);
        let octets = field.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(IpAddr::from(*octets))
    }

    /// A link-local address means nothing without its link.
    fn address(&self, destination: IpAddr) -> socket2::SockAddr {
        match destination {
            IpAddr::V4(_) => SocketAddr::new(destination, 0).into(),
            IpAddr::V6(address) => SocketAddrV6::new(address, 0, 0, self.index).into(),
        }
    }
}

/// The IP header of an advert.
enum Header {
    Ipv4([u8; 20]),
    Ipv6([u8; 40]),
}

impl Header {
    const fn bytes(&self) -> &[u8] {
        match self {
            Self::Ipv4(bytes) => bytes,
            Self::Ipv6(bytes) => bytes,
        }
    }
}

fn raw_socket(family: Family, protocol: u8) -> io::Result<Socket> {
    let domain = match family {
        Family::Ipv4 => Domain::IPV4,
        Family::Ipv6 => Domain::IPV6,
    };
    let protocol = Protocol::from(i32::from(protocol));
    Socket::new(domain, Type::RAW.nonblocking(), Some(protocol))
}

fn opened(
    socket: io::Result<Socket>,
    interface: &str,
    what: &'static str,
) -> Result<Socket, Error> {
    socket.map_err(|source| {
        if source.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) {
            Error::NoInterface(interface.to_owned())
        } else {
            Error::Socket { what, source }
        }
    })
}
