//! Whole frames in and out of one interface, each with the time at which the kernel took it in.

use std::{
    io::IoSliceMut,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};
use vip_netlink::packet_socket::PacketSocket;

use crate::lab::LabError;

/// `ETH_P_ALL` of `linux/if_ether.h`.
const EVERYTHING: u16 = 3;
/// Questions, answers and adverts of a few addresses are shorter than this.
const LONGEST: usize = 256;

/// A packet socket for one interface.
#[derive(Debug)]
pub struct FrameSocket {
    incoming: Socket,
    outgoing: PacketSocket,
    interface: u32,
    control: Vec<u8>,
}

impl FrameSocket {
    /// Opens it in the network namespace of the calling thread.
    pub fn open(interface: u32) -> Result<Self, LabError> {
        let everything = Protocol::from(i32::from(EVERYTHING.to_be()));
        let incoming = Socket::new(Domain::PACKET, Type::RAW.nonblocking(), Some(everything))
            .map_err(LabError::io("packet socket"))?;
        setsockopt(&incoming, ReceiveTimestampns, &true)
            .map_err(|error| LabError::io("packet socket, timestamps")(error.into()))?;
        let outgoing = PacketSocket::new()
            .map_err(|error| LabError::io("packet socket")(std::io::Error::other(error)))?;
        Ok(Self {
            incoming,
            outgoing,
            interface,
            control: nix::cmsg_space!(nix::sys::time::TimeSpec),
        })
    }

    /// Sends a frame out of the interface.
    pub fn send(&self, frame: &[u8]) -> std::io::Result<()> {
        self.outgoing.send(self.interface, frame)
    }

    /// Waits until something arrives, at most `patience`; false once the socket is broken.
    pub fn wait(&self, patience: Duration) -> bool {
        let mut fds = [PollFd::new(&self.incoming, PollFlags::IN)];
        let patience = Timespec::try_from(patience).ok();
        match poll(&mut fds, patience.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => true,
            Err(_) => false,
        }
    }

    /// The next frame on the interface, our own ones included, and when it was there.
    pub fn receive(&mut self) -> Option<(Vec<u8>, Instant)> {
        let mut frame = vec![0; LONGEST];
        let mut parts = [IoSliceMut::new(&mut frame)];
        let (length, stamp) = {
            let message = recvmsg::<()>(
                self.incoming.as_raw_fd(),
                &mut parts,
                Some(&mut self.control),
                MsgFlags::MSG_DONTWAIT,
            )
            .ok()?;
            let mut control = message.cmsgs().ok()?;
            let stamp = control.find_map(|one| match one {
                ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
                _ => None,
            });
            (message.bytes, stamp)
        };
        frame.truncate(length);
        Some((frame, stamp.map_or_else(Instant::now, on_the_steady_clock)))
    }
}

impl AsFd for FrameSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.incoming.as_fd()
    }
}

/// The kernel stamps with the clock on the wall.
fn on_the_steady_clock(stamp: Duration) -> Instant {
    let (now, wall) = (Instant::now(), SystemTime::now());
    let age = wall.duration_since(UNIX_EPOCH + stamp).unwrap_or_default();
    now.checked_sub(age).unwrap_or(now)
}
