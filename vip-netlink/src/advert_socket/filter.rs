//! A filter in the kernel (classic BPF, socket(7)) that lets adverts of some virtual routers through and nothing else.
//!
//! It is for floods of other routers' packets alone: what it drops is seen by nobody and counted nowhere. It looks at
//! the VRID only; everything else that can be wrong with a packet stays the receiver's to judge and count.

use socket2::SockFilter;
use vrrp_proto::Family;

use super::PROTOCOL_AH;

const LOAD_BYTE: u16 = 0x30;
const LOAD_BYTE_BEHIND: u16 = 0x50;
const LOAD_HEADER_LENGTH: u16 = 0xb1;
const EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const EVERYTHING: u32 = u32::MAX;
/// RFC 4302 §2 with an ICV of 12 octets.
const AH_HEADER: u32 = 24;

/// The program for a raw socket of the family and protocol, and these VRIDs, each once.
pub(super) fn program(family: Family, protocol: u8, vrids: &[u8]) -> Vec<SockFilter> {
    let op = SockFilter::new;
    // The VRID is the second octet of the message.
    let mut program = match (family, protocol) {
        // Sees the IPv4 header, however long it is.
        (Family::Ipv4, PROTOCOL_AH) => vec![
            op(LOAD_HEADER_LENGTH, 0, 0, 0),
            op(LOAD_BYTE_BEHIND, 0, 0, AH_HEADER + 1),
        ],
        (Family::Ipv4, _) => vec![
            op(LOAD_HEADER_LENGTH, 0, 0, 0),
            op(LOAD_BYTE_BEHIND, 0, 0, 1),
        ],
        (Family::Ipv6, _) => vec![op(LOAD_BYTE, 0, 0, 1)],
    };
    let vrids = vrids.get(..vrids.len().min(255)).unwrap_or_default();
    for (left, vrid) in (1..=u8::MAX).take(vrids.len()).rev().zip(vrids) {
        // Over those that are left, and the refusal.
        program.push(op(EQUAL, left, 0, u32::from(*vrid)));
    }
    program.push(op(RETURN, 0, 0, 0));
    program.push(op(RETURN, 0, 0, EVERYTHING));
    program
}
