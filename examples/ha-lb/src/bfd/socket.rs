//! UDP sockets of single-hop BFD (RFC 5881 §4, §5): packets go to port 3784 from a port of the session's own, and come with
//! the TTL or hop limit that they have left.

use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd as _,
};

use nix::{
    libc::in6_pktinfo,
    sys::socket::{
        ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt,
        sockopt::{Ipv4PacketInfo, Ipv4RecvTtl, Ipv6RecvPacketInfo},
    },
};
use socket2::{Domain, Protocol, Socket, Type};

const PORT: u16 = 3784;
/// RFC 5881 §4: where senders' ports are.
const FIRST_PORT: u16 = 49_152;
const PORTS: u16 = u16::MAX - FIRST_PORT;
/// DSCP CS6, as routing protocols use.
const TRAFFIC_CLASS: u32 = 0xc0;
/// How many ports are tried.
const TRIES: u16 = 64;

fn socket(v4: bool) -> io::Result<Socket> {
    let domain = if v4 { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(
        domain,
        Type::DGRAM.nonblocking().cloexec(),
        Some(Protocol::UDP),
    )?;
    if !v4 {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Hears every session of a family.
pub(super) fn receiver(v4: bool) -> io::Result<tokio::net::UdpSocket> {
    let socket = socket(v4)?;
    let any = if v4 {
        setsockopt(&socket, Ipv4RecvTtl, &true)?;
        setsockopt(&socket, Ipv4PacketInfo, &true)?;
        IpAddr::from(Ipv4Addr::UNSPECIFIED)
    } else {
        socket.set_recv_hoplimit_v6(true)?;
        setsockopt(&socket, Ipv6RecvPacketInfo, &true)?;
        IpAddr::from(Ipv6Addr::UNSPECIFIED)
    };
    socket.bind(&SocketAddr::new(any, PORT).into())?;
    tokio::net::UdpSocket::from_std(socket.into())
}

/// Speaks for a session: from that address, and that port if it is free.
pub(super) fn sender(
    neighbour: IpAddr,
    source: Option<IpAddr>,
    hop_limit: u8,
    port: u16,
) -> io::Result<UdpSocket> {
    let v4 = neighbour.is_ipv4();
    let any = match v4 {
        true => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        false => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let begin = port.checked_sub(FIRST_PORT).unwrap_or(port) % PORTS;
    let mut last = io::ErrorKind::AddrInUse.into();
    for offset in 0..TRIES {
        let socket = socket(v4)?;
        // An address that is not there yet may come.
        if v4 {
            socket.set_freebind_v4(true)?;
            socket.set_ttl_v4(u32::from(hop_limit))?;
            socket.set_tos_v4(TRAFFIC_CLASS)?;
        } else {
            socket.set_freebind_v6(true)?;
            socket.set_unicast_hops_v6(u32::from(hop_limit))?;
            socket.set_tclass_v6(TRAFFIC_CLASS)?;
        }
        let port = FIRST_PORT + (begin + offset) % PORTS;
        match socket.bind(&SocketAddr::new(source.unwrap_or(any), port).into()) {
            Ok(()) => return Ok(socket.into()),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

pub(super) fn send(socket: &UdpSocket, neighbour: IpAddr, bytes: &[u8]) -> io::Result<()> {
    socket
        .send_to(bytes, SocketAddr::new(neighbour, PORT))
        .map(drop)
}

/// A datagram that came in.
pub(super) struct Arrived {
    pub(super) length: usize,
    /// Who sent it, and which address of ours it was sent to.
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// The hops that it had left.
    pub(super) hops: u8,
}

/// A datagram that waits.
pub(super) fn receive(
    socket: &tokio::net::UdpSocket,
    buffer: &mut [u8],
) -> io::Result<Option<Arrived>> {
    let mut control = nix::cmsg_space!(i32, in6_pktinfo);
    let received = socket.try_io(tokio::io::Interest::READABLE, || {
        let mut buffers = [IoSliceMut::new(buffer)];
        let descriptor = socket.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        let received =
            recvmsg::<SockaddrStorage>(descriptor, &mut buffers, Some(&mut control), flags)?;
        let nowhere = IpAddr::from(Ipv4Addr::UNSPECIFIED);
        let (mut destination, mut hops) = (nowhere, 0);
        for message in received.cmsgs()? {
            match message {
                ControlMessageOwned::Ipv4Ttl(left) | ControlMessageOwned::Ipv6HopLimit(left) => {
                    hops = u8::try_from(left).unwrap_or(0);
                }
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    let octets = info.ipi_addr.s_addr.to_ne_bytes();
                    destination = Ipv4Addr::from(octets).into();
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    destination = Ipv6Addr::from(info.ipi6_addr.s6_addr).into();
                }
                _ => {}
            }
        }
        Ok(Arrived {
            length: received.bytes,
            source: received
                .address
                .as_ref()
                .and_then(address)
                .unwrap_or(nowhere),
            destination,
            hops,
        })
    });
    match received {
        Ok(arrived) => Ok(Some(arrived)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn address(from: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = from.as_sockaddr_in().map(|from| IpAddr::from(from.ip()));
    v4.or_else(|| from.as_sockaddr_in6().map(|from| IpAddr::from(from.ip())))
}
