//! The raw sockets of one interface, opened anew whenever it comes back.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::HostRouter;
use crate::Error;
use crate::advert_socket::{AdvertReceiver, AdvertSender, Arrived, PROTOCOL_AH, PROTOCOL_VRRP};
use crate::link::Interface;

/// The sockets of one interface.
#[derive(Debug)]
pub(super) struct Station {
    pub(super) interface: Interface,
    protocols: Vec<u8>,
    groups: Vec<Ipv4Addr>,
    pub(super) own: Vec<IpAddr>,
    pub(super) receivers: Vec<AsyncFd<AdvertReceiver>>,
    pub(super) sender: Option<AdvertSender>,
}

impl Station {
    pub(super) const fn new(interface: Interface) -> Self {
        Self {
            interface,
            protocols: Vec::new(),
            groups: Vec::new(),
            own: Vec::new(),
            receivers: Vec::new(),
            sender: None,
        }
    }

    /// Makes room for one more router on this interface; whether that takes other sockets.
    pub(super) fn serve(&mut self, router: &HostRouter) -> bool {
        let before = (self.protocols.len(), self.groups.len());
        let protocol = if router.authenticated {
            PROTOCOL_AH
        } else {
            PROTOCOL_VRRP
        };
        if !self.protocols.contains(&protocol) {
            self.protocols.push(protocol);
        }
        if let Some(group) = router.group.filter(|group| !self.groups.contains(group)) {
            self.groups.push(group);
        }
        before != (self.protocols.len(), self.groups.len())
    }

    /// Sockets for the interface under its present index; none while it does not exist.
    pub(super) fn open(&mut self, index: Option<u32>) -> Result<(), Error> {
        self.receivers.clear();
        self.sender = None;
        let Some(index) = index else { return Ok(()) };
        let name = self.interface.name();
        for &protocol in &self.protocols {
            let receiver = AdvertReceiver::new(name, index, protocol, &self.groups)?;
            let receiver = watched(receiver).map_err(|source| Error::Socket {
                what: "waiting for adverts",
                source,
            })?;
            self.receivers.push(receiver);
        }
        self.sender = Some(AdvertSender::new(name, index)?);
        Ok(())
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
    own: &[IpAddr],
) -> io::Result<Option<Arrived>> {
    let mut asked = false;
    let arrived = receiver.try_io(Interest::READABLE, |socket| {
        asked = true;
        socket
            .receive(buffer, own)?
            .ok_or_else(|| io::ErrorKind::WouldBlock.into())
    });
    match arrived {
        Ok(arrived) => Ok(Some(arrived)),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        Err(_) if asked => Ok(None),
        Err(_) => receiver.get_ref().receive(buffer, own),
    }
}
