//! The raw sockets of one interface, opened anew whenever it comes back.

use std::io;
use std::net::IpAddr;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use vrrp_proto::Family;

use super::HostRouter;
use crate::Error;
use crate::advert_socket::{
    AdvertReceiver, AdvertSender, Arrived, FrameSender, PROTOCOL_AH, PROTOCOL_VRRP,
};
use crate::link::Interface;

/// The sockets of one interface.
#[derive(Debug)]
pub(super) struct Station {
    pub(super) interface: Interface,
    /// The family and IP protocol of each receive socket.
    channels: Vec<(Family, u8)>,
    groups: Vec<IpAddr>,
    pub(super) receivers: Vec<AsyncFd<AdvertReceiver>>,
    senders: Vec<AdvertSender>,
    /// Whether a router's adverts come from a hardware address of its own.
    framed: bool,
    frames: Option<FrameSender>,
}

impl Station {
    pub(super) const fn new(interface: Interface) -> Self {
        Self {
            interface,
            channels: Vec::new(),
            groups: Vec::new(),
            receivers: Vec::new(),
            senders: Vec::new(),
            framed: false,
            frames: None,
        }
    }

    /// Makes room for one more router on this interface; whether that takes other sockets.
    pub(super) fn serve(&mut self, router: &HostRouter) -> bool {
        let before = (self.channels.len(), self.groups.len(), self.framed);
        self.framed |= router.mac.is_some();
        let protocol = if router.authenticated {
            PROTOCOL_AH
        } else {
            PROTOCOL_VRRP
        };
        let channel = (router.family, protocol);
        if !self.channels.contains(&channel) {
            self.channels.push(channel);
        }
        if let Some(group) = router.group.filter(|group| !self.groups.contains(group)) {
            self.groups.push(group);
        }
        before != (self.channels.len(), self.groups.len(), self.framed)
    }

    /// Sockets for the interface under its present index; none while it does not exist.
    pub(super) fn open(&mut self, index: Option<u32>) -> Result<(), Error> {
        self.receivers.clear();
        self.senders.clear();
        self.frames = None;
        let Some(index) = index else { return Ok(()) };
        let name = self.interface.name();
        if self.framed {
            self.frames = Some(FrameSender::new(index)?);
        }
        for &(family, protocol) in &self.channels {
            let receiver = AdvertReceiver::new(name, index, family, protocol, &self.groups)?;
            let receiver = watched(receiver).map_err(|source| Error::Socket {
                what: "waiting for adverts",
                source,
            })?;
            self.receivers.push(receiver);
            if !self.senders.iter().any(|sender| sender.family() == family) {
                self.senders.push(AdvertSender::new(name, index, family)?);
            }
        }
        Ok(())
    }

    /// The socket for adverts from other hardware addresses than the interface's, while the interface exists.
    pub(super) const fn frames(&mut self) -> Option<&mut FrameSender> {
        self.frames.as_mut()
    }

    /// The socket for adverts of that family, while the interface exists.
    pub(super) fn sender(&mut self, family: Family) -> Option<&mut AdvertSender> {
        let mut senders = self.senders.iter_mut();
        senders.find(|sender| sender.family() == family)
    }
}

#[expect(unsafe_code, reason = "tokio asks for a promise about the descriptor")]
fn watched(receiver: AdvertReceiver) -> io::Result<AsyncFd<AdvertReceiver>> {
    // SAFETY: an AdvertReceiver owns one open socket, which it neither closes nor replaces before
    // it is dropped, and as_raw_fd always returns that one.
    unsafe { AsyncFd::register_with_interest(receiver, Interest::READABLE) }
        .map_err(io::Error::from)
}

/// Asks the kernel itself, not only tokio's memory of readiness: a process that was stalled must
/// hear what came in meanwhile before it acts.
pub(super) fn receive(
    receiver: &AsyncFd<AdvertReceiver>,
    buffer: &mut [u8],
) -> io::Result<Option<Arrived>> {
    let mut asked = false;
    let arrived = receiver.try_io(Interest::READABLE, |socket| {
        asked = true;
        socket
            .receive(buffer)?
            .ok_or_else(|| io::ErrorKind::WouldBlock.into())
    });
    match arrived {
        Ok(arrived) => Ok(Some(arrived)),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        Err(_) if asked => Ok(None),
        Err(_) => receiver.get_ref().receive(buffer),
    }
}
