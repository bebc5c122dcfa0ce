//! Who has joined a multicast group on an interface: a dump of `RTM_GETMULTICAST`, which over IPv4 Linux 6.15 and later
//! answers. Raw, for netlink-packet-route does not know these messages.

use std::io;
use std::net::IpAddr;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

const GET_MULTICAST: u16 = 58;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `struct nlmsghdr` and `struct ifaddrmsg`.
const HEADERS: usize = 16 + 8;
/// `IFA_MULTICAST`.
const GROUP: u16 = 7;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const MSG_DONTWAIT: i32 = 0x40;

/// Whether any program has joined the group on the interface with that index.
pub(crate) fn is_joined(interface: u32, group: IpAddr) -> io::Result<bool> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.send_to(&question(group.is_ipv6()), &SocketAddr::new(0, 0), 0)?;
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let length = socket.recv(&mut &mut buffer[..], MSG_DONTWAIT)?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        while let Some((kind, message)) = message(rest) {
            match kind {
                DONE => return Ok(false),
                ERROR => return Err(io::ErrorKind::Unsupported.into()),
                _ if is_it(message, interface, group) => return Ok(true),
                _ => {}
            }
            let taken = message.len().next_multiple_of(4);
            rest = rest.get(taken..).unwrap_or_default();
        }
    }
}

fn question(ipv6: bool) -> Vec<u8> {
    let mut question = Vec::with_capacity(HEADERS);
    question.extend(24_u32.to_ne_bytes());
    question.extend(GET_MULTICAST.to_ne_bytes());
    question.extend(DUMP.to_ne_bytes());
    question.extend([0; 8]);
    question.push(if ipv6 { AF_INET6 } else { AF_INET });
    question.resize(HEADERS, 0);
    question
}

/// The type of the first message, and all of it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let length = u32::from_ne_bytes(*bytes.first_chunk()?);
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length >= 16)?;
    Some((kind, bytes.get(..length)?))
}

fn is_it(message: &[u8], interface: u32, group: IpAddr) -> bool {
    let index = message.get(20..).and_then(|rest| rest.first_chunk());
    if index.map(|index| u32::from_ne_bytes(*index)) != Some(interface) {
        return false;
    }
    let wanted = match group {
        IpAddr::V4(group) => group.octets().to_vec(),
        IpAddr::V6(group) => group.octets().to_vec(),
    };
    let mut rest = message.get(HEADERS..).unwrap_or_default();
    while let (Some(length), Some(kind)) = (number(rest, 0), number(rest, 2)) {
        let length = usize::from(length);
        if kind == GROUP && rest.get(4..length) == Some(&wanted) {
            return true;
        }
        rest = rest
            .get(length.max(4).next_multiple_of(4)..)
            .unwrap_or_default();
    }
    false
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_own_groups_are_found_and_others_are_not() {
        let all_hosts = IpAddr::from([224, 0, 0, 1]);
        match is_joined(1, all_hosts) {
            // Whatever the state of the loopback interface.
            Ok(_) => assert!(!is_joined(1, IpAddr::from([224, 0, 0, 18])).unwrap()),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::Unsupported),
        }
    }

    #[test]
    fn what_is_cut_anywhere_is_read_without_panic() {
        let mut answer = question(false);
        answer.extend([8, 0, 7, 0, 224, 0, 0, 18]);
        answer[0] = 32;
        answer[20] = 3;
        let group = IpAddr::from([224, 0, 0, 18]);
        let (_, whole) = message(&answer).unwrap();
        assert!(is_it(whole, 3, group));
        assert!(!is_it(whole, 4, group));
        assert!(!is_it(whole, 3, IpAddr::from([224, 0, 0, 1])));
        for cut in 0..answer.len() {
            assert!(message(&answer[..cut]).is_none());
            assert!(!is_it(&answer[..cut], 3, group));
        }
    }
}
