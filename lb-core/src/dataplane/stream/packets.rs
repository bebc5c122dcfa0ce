//! What packets to the other end carry beside bytes.

use socket2::SockRef;

use super::{Plain, Stream};
use crate::request::RuleState;

impl Stream {
    /// The next close is not to be noticed: it sends nothing but a reset, whose packet lives for so many `hops`.
    /// (What sends none at all, TCP_REPAIR, is for the privileged.)
    pub(in crate::dataplane) fn vanish(&mut self, hops: u8) {
        if let Self::Downstream(s) = self {
            s.vanish(hops);
        }
        self.reset_on_close();
        if let Some(Plain::Tcp(s)) = self.socket() {
            let socket = SockRef::from(s);
            // One of them is not of the socket's family.
            let _ = socket.set_ttl_v4(hops.into());
            let _ = socket.set_unicast_hops_v6(hops.into());
        }
    }

    /// Marks packets to the other end from now on as rules have said since this was done last.
    pub(in crate::dataplane) fn mark(&self, state: &mut RuleState) {
        if let Some(tos) = state.take_tos() {
            self.set_tos(tos);
        }
    }

    /// The type of service of packets to the other end from now on.
    pub(in crate::dataplane) fn set_tos(&self, tos: u8) {
        if let Self::Downstream(s) = self {
            s.set_tos(tos);
        }
        if let Some(Plain::Tcp(s)) = self.socket() {
            let socket = SockRef::from(s);
            // One of them is not of the socket's family.
            let _ = socket.set_tos_v4(tos.into());
            let _ = socket.set_tclass_v6(tos.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        time::Duration,
    };

    use super::*;
    use crate::dataplane::rt::{EventLoop, Socket};

    /// A connection and another name of its socket.
    fn connected(at: &str) -> (TcpStream, Stream, TcpStream) {
        let listener = TcpListener::bind(at).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        let watched = accepted.try_clone().unwrap();
        let socket = Socket::connected(accepted.into()).unwrap();
        (client, Stream::Plain(Plain::Tcp(socket)), watched)
    }

    #[test]
    fn what_tells_of_a_connection_that_vanishes_lives_for_as_many_hops_as_said() {
        EventLoop::new().unwrap().block_on(async {
            let (client, mut stream, watched) = connected("127.0.0.1:0");
            stream.vanish(3);
            let socket = SockRef::from(&watched);
            assert_eq!(socket.ttl_v4().unwrap(), 3);
            assert_eq!(socket.linger().unwrap(), Some(Duration::ZERO));
            drop(client);
        });
    }

    #[test]
    fn packets_have_the_type_of_service_that_was_said_last() {
        EventLoop::new().unwrap().block_on(async {
            let (client, stream, watched) = connected("127.0.0.1:0");
            stream.set_tos(0x28);
            stream.set_tos(0xb8);
            assert_eq!(SockRef::from(&watched).tos_v4().unwrap(), 0xb8);
            drop(client);
        });
    }
}
