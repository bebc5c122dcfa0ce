//! A filter in the kernel (classic BPF, socket(7)) that keeps notifications about other programs' routes away, and those
//! of our own refreshes of addresses.
//!
//! A notification of a route is one datagram of one message, so that looking at its start is enough
//! (`include/uapi/linux/rtnetlink.h`, `struct nlmsghdr` and `struct rtmsg`).

use socket2::SockFilter;

const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const DELETED_ROUTE: u16 = 25;
const NEW_RULE: u16 = 32;
/// `nlmsg_type`.
const TYPE: u32 = 4;
/// `nlmsg_pid`.
const PORT: u32 = 12;
/// `rtm_protocol` behind the header of 16 octets.
const PROTOCOL: u32 = 16 + 5;

const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const EVERYTHING: u32 = u32::MAX;
/// More of them than anybody has: then all are heard.
const MOST: usize = 200;

/// Lets through all but addresses that the socket with the number `ignored` set up; of routes and rules, where
/// `protocols` are given, the removed ones alone, and of routes those of these protocols.
pub(super) fn program(protocols: Option<&[u8]>, ignored: Option<u32>) -> Vec<SockFilter> {
    let op = SockFilter::new;
    // The filter reads big-endian, the kernel writes as the machine does.
    let number = |message: u16| u32::from(u16::from_be_bytes(message.to_ne_bytes()));
    let hear = || op(RETURN, 0, 0, EVERYTHING);
    let refuse = || op(RETURN, 0, 0, 0);
    let mut program = Vec::new();
    if let Some(port) = ignored {
        program.extend([
            op(LOAD_HALF, 0, 0, TYPE),
            op(EQUAL, 0, 3, number(NEW_ADDRESS)),
            op(LOAD_WORD, 0, 0, PORT),
            op(EQUAL, 0, 1, u32::from_be_bytes(port.to_ne_bytes())),
            refuse(),
        ]);
    }
    let Some(protocols) = protocols else {
        program.push(hear());
        return program;
    };
    program.extend([
        op(LOAD_HALF, 0, 0, TYPE),
        op(EQUAL, 2, 0, number(NEW_ROUTE)),
        op(EQUAL, 1, 0, number(NEW_RULE)),
        op(EQUAL, 2, 1, number(DELETED_ROUTE)),
        refuse(),
        hear(),
    ]);
    if protocols.len() > MOST {
        program.push(hear());
        return program;
    }
    program.push(op(LOAD_BYTE, 0, 0, PROTOCOL));
    for (left, protocol) in (1..=u8::MAX).take(protocols.len()).rev().zip(protocols) {
        // Over those that are left, and the refusal.
        program.push(op(EQUAL, left, 0, u32::from(*protocol)));
    }
    program.push(refuse());
    program.push(hear());
    program
}
