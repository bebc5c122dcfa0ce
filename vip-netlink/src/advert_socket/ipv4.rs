//! The IPv4 header around an advert, written and read (RFC 791 §3.1).

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use socket2::Socket;
use vrrp_proto::Envelope;

use super::{Arrived, PROTOCOL_AH, PROTOCOL_VRRP, TRAFFIC_CLASS};

const LENGTH: usize = 20;

/// The header of an advert as keepalived sends it; the kernel fills in length and checksum.
pub(super) fn header(
    (source, destination): (Ipv4Addr, Ipv4Addr),
    hop_limit: u8,
    identification: u16,
    payload: usize,
) -> Option<[u8; LENGTH]> {
    let [length_high, length_low] = u16::try_from(LENGTH + payload).ok()?.to_be_bytes();
    let [id_high, id_low] = identification.to_be_bytes();
    let [s0, s1, s2, s3] = source.octets();
    let [d0, d1, d2, d3] = destination.octets();
    #[rustfmt::skip]
    let header = [
        0x45, TRAFFIC_CLASS, length_high, length_low,
        id_high, id_low, 0, 0,
        hop_limit, PROTOCOL_VRRP, 0, 0,
        s0, s1, s2, s3,
        d0, d1, d2, d3,
    ];
    Some(header)
}

/// The same header with its checksum (RFC 791 §3.1), for frames that the kernel does not look into.
pub(super) fn summed(mut header: [u8; LENGTH]) -> [u8; LENGTH] {
    if let Some(field) = header.get_mut(10..12) {
        field.fill(0);
    }
    let words = header.chunks_exact(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [_, _, high, low] = (!sum).to_be_bytes();
    if let Some(field) = header.get_mut(10..12) {
        field.copy_from_slice(&[high, low]);
    }
    header
}

/// One packet in `buffer`, without its header unless that is authenticated; `None` for one to skip.
pub(super) fn receive(
    socket: &Socket,
    protocol: u8,
    buffer: &mut [u8],
) -> io::Result<Option<Arrived>> {
    let (filled, length) = recv(socket, &mut *buffer, RecvFlags::TRUNC)?;
    Ok(match filled == length {
        true => read(protocol, buffer, length),
        false => None,
    })
}

/// The packet of that length in `buffer`, moved to its start without the header unless that is authenticated.
pub(super) fn read(protocol: u8, buffer: &mut [u8], length: usize) -> Option<Arrived> {
    let packet = buffer.get(..length).and_then(open)?;
    let start = match protocol {
        PROTOCOL_AH => 0,
        _ => packet.header,
    };
    buffer.copy_within(start..packet.total, 0);
    Some(Arrived {
        envelope: packet.envelope,
        length: packet.total - start,
        waited: Duration::ZERO,
    })
}

/// An IPv4 packet whose lengths have been checked: `header <= total <= ` what was received.
#[derive(Debug)]
struct Packet {
    header: usize,
    total: usize,
    envelope: Envelope,
}

/// A raw socket delivers the header, options and all. Ethernet padding is not part of the packet.
fn open(bytes: &[u8]) -> Option<Packet> {
    let fixed: &[u8; LENGTH] = bytes.first_chunk()?;
    #[rustfmt::skip]
    let [
        first, _, high, low,
        _, _, _, _,
        hop_limit, _, _, _,
        s0, s1, s2, s3,
        d0, d1, d2, d3,
    ] = *fixed;
    let header = usize::from(first & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([high, low]));
    if first >> 4 != 4 || header < LENGTH || total < header || total > bytes.len() {
        return None;
    }
    let envelope = Envelope {
        source: IpAddr::from([s0, s1, s2, s3]),
        destination: IpAddr::from([d0, d1, d2, d3]),
        hop_limit,
    };
    Some(Packet {
        header,
        total,
        envelope,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use vrrp_proto::MULTICAST_V4;

    #[test]
    fn the_header_is_keepalived_s_but_for_the_checksum() {
        // 45c0002800010000ff70d02e0a630001e0000012; the kernel writes the checksum.
        let ends = (Ipv4Addr::new(10, 99, 0, 1), MULTICAST_V4);
        assert_eq!(
            header(ends, 255, 1, 20).unwrap(),
            [
                0x45, 0xc0, 0, 0x28, 0, 1, 0, 0, 0xff, 0x70, 0, 0, 10, 99, 0, 1, 224, 0, 0, 18
            ]
        );
    }

    #[test]
    fn the_checksum_is_the_one_that_the_kernel_writes() {
        let ends = (Ipv4Addr::new(10, 99, 0, 1), MULTICAST_V4);
        let summed = summed(header(ends, 255, 1, 20).unwrap());
        assert_eq!(summed[10..12], [0xd0, 0x2e]);
        // Whatever stood there before.
        assert_eq!(super::summed(summed), summed);
    }

    #[test]
    fn options_are_skipped_and_padding_is_cut() {
        let mut packet = vec![
            0x46, 0xc0, 0, 28, 0, 1, 0, 0, 254, 112, 0, 0, 10, 0, 0, 1, 224, 0, 0, 18,
        ];
        packet.extend_from_slice(&[1, 1, 1, 1, 9, 8, 7, 6, 0, 0, 0, 0]);
        let ip = open(&packet).unwrap();
        assert_eq!(packet[ip.header..ip.total], [9, 8, 7, 6]);
        assert_eq!(ip.envelope.hop_limit, 254);
        assert_eq!(ip.envelope.source, IpAddr::from([10, 0, 0, 1]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(ip) = open(&bytes) {
                prop_assert!(ip.header <= ip.total && ip.total <= bytes.len());
            }
        }
    }
}
