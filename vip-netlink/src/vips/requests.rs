//! Many rtnetlink requests in one system call.
//!
//! The kernel carries requests out one after the other inside `send` and has answered all of them when it returns: a
//! takeover of hundreds of addresses is a handful of system calls and no task ever waits for another.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

/// Requests of one call: their answers fit into the socket's buffer whatever its size.
const TOGETHER: usize = 64;
/// Room for all of those answers, a refused request quoted in each.
const ANSWERS: usize = 64 * 1024;
/// What the kernel accounts for them is several times as much.
const RECEIVE_BUFFER: usize = 1 << 20;
const MSG_DONTWAIT: i32 = 0x40;

/// A socket for requests without an answer but whether they were carried out.
#[derive(Debug)]
pub(super) struct Requests {
    socket: Socket,
    port: u32,
    buffer: Vec<u8>,
    sequence: u32,
}

impl Requests {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        let port = socket.bind_auto()?.port_number();
        socket.connect(&SocketAddr::new(0, 0))?;
        // What is there by default does as well, for what is asked together is little.
        let _ = set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER);
        Ok(Self {
            socket,
            port,
            buffer: vec![0; ANSWERS],
            sequence: 0,
        })
    }

    /// Whom notifications name as the cause of what it changes.
    pub(super) const fn port(&self) -> u32 {
        self.port
    }

    /// Has them carried out in their order, with `flags` beside the usual ones; how each went.
    pub(super) fn perform(
        &mut self,
        messages: Vec<RouteNetlinkMessage>,
        flags: u16,
    ) -> Vec<io::Result<()>> {
        let mut outcomes = Vec::with_capacity(messages.len());
        let mut messages = messages.into_iter().peekable();
        while messages.peek().is_some() {
            let some = messages.by_ref().take(TOGETHER);
            outcomes.append(&mut self.ask(some, flags));
        }
        outcomes
    }

    fn ask(
        &mut self,
        messages: impl Iterator<Item = RouteNetlinkMessage>,
        flags: u16,
    ) -> Vec<io::Result<()>> {
        let first = self.sequence.wrapping_add(1);
        let mut datagram = Vec::new();
        let mut count = 0;
        let mut messages = messages.peekable();
        while let Some(message) = messages.next() {
            self.sequence = self.sequence.wrapping_add(1);
            let mut header = NetlinkHeader::default();
            // What is refused is answered in any case, and the last answer comes last.
            let acknowledged = match messages.peek() {
                Some(_) => 0,
                None => NLM_F_ACK,
            };
            header.flags = NLM_F_REQUEST | acknowledged | flags;
            header.sequence_number = self.sequence;
            let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
            message.finalize();
            let start = datagram.len();
            datagram.resize(start + message.buffer_len(), 0);
            if let Some(place) = datagram.get_mut(start..) {
                message.serialize(place);
            }
            count += 1;
        }
        let mut answers: Vec<Option<io::Result<()>>> = (0..count).map(|_| None).collect();
        if let Err(error) = self.socket.send(&datagram, 0) {
            let (kind, why) = (error.kind(), error.to_string());
            let refused = |_| Err(error_again(kind, &why, error.raw_os_error()));
            return answers.iter().map(refused).collect();
        }
        let is_over = |answers: &[Option<_>]| answers.last().is_none_or(Option::is_some);
        while !is_over(&answers) && self.hear(first, &mut answers) {}
        let is_known = is_over(&answers);
        // The kernel had no room for an answer: whether they were carried out is not known.
        let unsaid = || match is_known {
            true => Ok(()),
            false => Err(io::ErrorKind::TimedOut.into()),
        };
        answers
            .into_iter()
            .map(|one| one.unwrap_or_else(unsaid))
            .collect()
    }

    /// Takes one datagram of answers in; false if there is none.
    fn hear(&mut self, first: u32, answers: &mut [Option<io::Result<()>>]) -> bool {
        let received = match self.socket.recv(&mut &mut self.buffer[..], MSG_DONTWAIT) {
            Ok(length) => self.buffer.get(..length).unwrap_or_default(),
            Err(error) => return error.kind() == io::ErrorKind::Interrupted,
        };
        let mut rest = received;
        while let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest) {
            let length = usize::try_from(message.header.length)
                .unwrap_or(usize::MAX)
                .max(16);
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            let number = message.header.sequence_number.wrapping_sub(first);
            let place = usize::try_from(number)
                .ok()
                .and_then(|at| answers.get_mut(at));
            if let (NetlinkPayload::Error(answer), Some(place)) = (message.payload, place) {
                *place = Some(match answer.code {
                    None => Ok(()),
                    Some(_) => Err(answer.to_io()),
                });
            }
        }
        true
    }
}

/// An error cannot be copied, but each request has to be told of it.
fn error_again(kind: io::ErrorKind, why: &str, code: Option<i32>) -> io::Error {
    match code {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(kind, why.to_owned()),
    }
}
