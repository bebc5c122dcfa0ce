//! The socket that hears the kernel's notifications.

use std::ffi::c_int;
use std::io;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::filter;

/// RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_RULE.
const PATHS: [u32; 4] = [7, 8, 11, 19];
/// Room for notifications about thousands of addresses.
pub(crate) const ROOM: usize = 4 << 20;
/// The kernel never sends a longer datagram of notifications.
const DATAGRAM: usize = 64 * 1024;

/// Notifications about links and addresses of the network namespace in which it was made.
#[derive(Debug)]
pub struct Watcher {
    socket: AsyncFd<Socket>,
    buffer: Vec<u8>,
    /// Of the routes that are heard of; all before that is said.
    protocols: Option<Vec<u8>>,
    /// Whose changes of addresses are not heard of.
    ignored: Option<u32>,
}

/// What was read from the kernel.
#[derive(Debug)]
pub enum Notice {
    /// Notifications, in order.
    Messages(Vec<RouteNetlinkMessage>),
    /// Some were lost (ENOBUFS): only a fresh dump tells what there is.
    Lost,
}

impl Watcher {
    /// Subscribes; from now on nothing is missed. Must be called inside a tokio runtime.
    pub fn new() -> io::Result<Self> {
        Self::with_room(ROOM)
    }

    /// The same with room for so many octets of notifications: what does not fit is lost, and told as
    /// [`Notice::Lost`].
    pub fn with_room(room: usize) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, GROUPS))?;
        socket.set_non_blocking(true)?;
        // A smaller buffer only means that a fresh dump is needed sooner.
        if set_socket_recv_buffer_size_force(&socket, room).is_err() {
            let _ = socket.set_rx_buf_sz(c_int::try_from(room).unwrap_or(c_int::MAX));
        }
        Ok(Self {
            socket: watched(socket)?,
            buffer: vec![0; DATAGRAM],
            protocols: None,
            ignored: None,
        })
    }

    /// Hears of the removal of rules too from now on, and of that of routes that carry one of these numbers (`proto` of
    /// `ip route`): the tables of others, and what they add, may change by hundreds of thousands in a moment.
    pub fn follow_paths(&mut self, protocols: &[u8]) -> io::Result<()> {
        self.protocols = Some(protocols.to_vec());
        self.attach()?;
        for group in PATHS {
            self.socket.get_mut().add_membership(group)?;
        }
        Ok(())
    }

    /// Hears no more of addresses of IPv4 that were set up over the socket with that number: its owner refreshes what is
    /// there, by hundreds a second, and knows. The kernel does not say whose doing a change of an IPv6 address is.
    pub fn ignore(&mut self, port: u32) -> io::Result<()> {
        self.ignored = Some(port);
        self.attach()
    }

    fn attach(&self) -> io::Result<()> {
        let program = filter::program(self.protocols.as_deref(), self.ignored);
        SockRef::from(self.socket.get_ref()).attach_filter(&program)
    }

    /// Waits until there is something to read.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await.map(drop)
    }

    /// One datagram that is already there; never waits.
    pub fn read(&mut self) -> Option<Notice> {
        loop {
            let buffer = &mut self.buffer;
            let mut asked = false;
            let received = self.socket.try_io(Interest::READABLE, |socket| {
                asked = true;
                socket.recv(&mut &mut buffer[..], 0)
            });
            let received = match received {
                // tokio's memory of readiness may lag behind the kernel.
                Err(_) if !asked => self.socket.get_ref().recv(&mut &mut buffer[..], 0),
                known => known,
            };
            match received {
                Ok(length) => {
                    let datagram = self.buffer.get(..length).unwrap_or_default();
                    return Some(Notice::Messages(messages(datagram)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Some(Notice::Lost),
            }
        }
    }
}

#[expect(unsafe_code, reason = "tokio asks for a promise about the descriptor")]
fn watched(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: a netlink_sys::Socket owns one open descriptor until it is dropped, and as_raw_fd
    // always returns that one.
    unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }.map_err(io::Error::from)
}

/// The messages of a datagram; what cannot be read ends it.
fn messages(mut datagram: &[u8]) -> Vec<RouteNetlinkMessage> {
    let mut messages = Vec::new();
    while let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(datagram) {
        let length = usize::try_from(message.header.length)
            .unwrap_or(usize::MAX)
            .max(16);
        if let NetlinkPayload::InnerMessage(message) = message.payload {
            messages.push(message);
        }
        datagram = datagram
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    messages
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::{LinkAttribute, LinkMessage};

    use super::*;

    #[test]
    fn any_datagram_is_read_without_panic() {
        let mut message = NetlinkMessage::from(link_message());
        message.finalize();
        let mut one = vec![0; message.buffer_len()];
        message.serialize(&mut one);
        let two = [one.clone(), one].concat();
        assert_eq!(messages(&two).len(), 2);
        for cut in 0..two.len() {
            assert!(messages(&two[..cut]).len() < 2);
        }
        for at in 0..two.len() {
            let mut broken = two.clone();
            broken[at] ^= 0xff;
            let _ = messages(&broken);
        }
    }

    fn link_message() -> RouteNetlinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = 2;
        message
            .attributes
            .push(LinkAttribute::IfName("eth0".into()));
        RouteNetlinkMessage::NewLink(message)
    }
}
