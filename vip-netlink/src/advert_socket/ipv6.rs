//! The IPv6 header around an advert: written on the way out (RFC 8200 §3); on the way in the kernel
//! keeps it and tells what it said by ancillary data (RFC 3542 §6).

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt::Ipv6RecvPacketInfo,
};
use socket2::Socket;
use vrrp_proto::Envelope;

use super::{Arrived, PROTOCOL_VRRP, TRAFFIC_CLASS};

const LENGTH: usize = 40;

/// The header of an advert.
pub(super) fn header(
    (source, destination): (Ipv6Addr, Ipv6Addr),
    hop_limit: u8,
    payload: usize,
) -> Option<[u8; LENGTH]> {
    let [length_high, length_low] = u16::try_from(payload).ok()?.to_be_bytes();
    let mut header = [0; LENGTH];
    let (fixed, addresses) = header.split_first_chunk_mut::<8>()?;
    // Version 6, traffic class, flow label 0.
    *fixed = [
        0x60 | TRAFFIC_CLASS >> 4,
        TRAFFIC_CLASS << 4,
        0,
        0,
        length_high,
        length_low,
        PROTOCOL_VRRP,
        hop_limit,
    ];
    let (first, second) = addresses.split_at_mut_checked(16)?;
    first.copy_from_slice(&source.octets());
    second.copy_from_slice(&destination.octets());
    Some(header)
}

/// Asks that each packet come with its hop limit, destination and interface.
pub(super) fn ask_for_header(socket: &Socket) -> io::Result<()> {
    socket.set_recv_hoplimit_v6(true)?;
    Ok(setsockopt(socket, Ipv6RecvPacketInfo, &true)?)
}

/// Room for a hop limit and a packet info, aligned as the kernel's headers of them are.
#[repr(align(8))]
struct Control([u8; 96]);

/// One message in `buffer`; `None` for one to skip. Extension headers are not part of it.
pub(super) fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<Option<Arrived>> {
    let mut control = Control([0; 96]);
    let mut buffers = [IoSliceMut::new(buffer)];
    let received = recvmsg::<SockaddrIn6>(
        socket.as_raw_fd(),
        &mut buffers,
        Some(&mut control.0),
        MsgFlags::empty(),
    )?;
    if received.flags.contains(MsgFlags::MSG_TRUNC) {
        return Ok(None);
    }
    let control: Vec<_> = received.cmsgs()?.collect();
    Ok(
        envelope(received.address, &control).map(|envelope| Arrived {
            envelope,
            length: received.bytes,
            waited: Duration::ZERO,
        }),
    )
}

/// What the header said, if the kernel told all of it.
fn envelope(source: Option<SockaddrIn6>, control: &[ControlMessageOwned]) -> Option<Envelope> {
    let (mut destination, mut hop_limit) = (None, None);
    for message in control {
        match message {
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr));
            }
            ControlMessageOwned::Ipv6HopLimit(limit) => hop_limit = u8::try_from(*limit).ok(),
            _ => {}
        }
    }
    Some(Envelope {
        source: IpAddr::from(source?.ip()),
        destination: IpAddr::from(destination?),
        hop_limit: hop_limit?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vrrp_proto::MULTICAST_V6;

    #[test]
    fn the_header_is_valid_to_another_decoder() {
        let source: Ipv6Addr = "fe80::ff:fe00:a".parse().unwrap();
        let header = header((source, MULTICAST_V6), 255, 40).unwrap();
        let (read, _) = etherparse::Ipv6Header::from_slice(&header).unwrap();
        assert_eq!(read.traffic_class, 0xc0);
        assert_eq!(read.flow_label, etherparse::Ipv6FlowLabel::ZERO);
        assert_eq!(read.payload_length, 40);
        assert_eq!(read.next_header.0, 112);
        assert_eq!(read.hop_limit, 255);
        assert_eq!(read.source, source.octets());
        assert_eq!(read.destination, MULTICAST_V6.octets());
    }
}
