//! The raw sockets of one interface, opened anew whenever it comes back.

use std::io;
use std::net::IpAddr;
use std::task::Context;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use vrrp_proto::{Family, Vrid};

use super::HostRouter;
use crate::Error;
use crate::advert_socket::{
    AdvertReceiver, AdvertSender, Batch, Fill, FrameSender, PROTOCOL_AH, PROTOCOL_VRRP,
};
use crate::link::Interface;

/// Room for the adverts of a router: some from each of several others.
const ROOM: usize = 16 << 10;
const LEAST_ROOM: usize = 256 << 10;
const MOST_ROOM: usize = 4 << 20;

/// A receive socket.
#[derive(Debug)]
pub(super) enum Hearing {
    /// A packet wakes the driver.
    Woken(AsyncFd<AdvertReceiver>),
    /// The driver asks by itself.
    Polled(AdvertReceiver),
}

/// The sockets of one interface.
#[derive(Debug)]
pub(super) struct Station {
    pub(super) interface: Interface,
    /// The family and IP protocol of each receive socket.
    channels: Vec<(Family, u8)>,
    groups: Vec<IpAddr>,
    pub(super) receivers: Vec<Hearing>,
    /// Whether packets wake the driver.
    wakes: bool,
    /// Routers, for each of which there is room, and the least room there is to be.
    routers: usize,
    least_room: usize,
    /// Room that the kernel did not give: what was asked for, and what there is.
    pub(super) cramped: Option<(usize, usize)>,
    /// Packets for which closed sockets had no room.
    lost: u64,
    senders: Vec<AdvertSender>,
    /// The interface is there, but its sockets could not be opened.
    pub(super) deaf: bool,
    /// Whether a router's adverts come from a hardware address of its own.
    framed: bool,
    frames: Option<FrameSender>,
}

impl Station {
    pub(super) const fn new(interface: Interface, least_room: usize) -> Self {
        Self {
            interface,
            channels: Vec::new(),
            groups: Vec::new(),
            receivers: Vec::new(),
            wakes: true,
            routers: 0,
            least_room,
            cramped: None,
            lost: 0,
            senders: Vec::new(),
            deaf: false,
            framed: false,
            frames: None,
        }
    }

    /// Makes room for one more router on this interface; whether that takes other sockets.
    pub(super) fn serve(&mut self, router: &HostRouter) -> bool {
        self.routers += 1;
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

    /// Sockets for the interface under its present index; none while it does not exist, nor after an error.
    pub(super) fn open(&mut self, index: Option<u32>) -> Result<(), Error> {
        self.lost = self.overflows();
        self.close();
        let opened = index.map_or(Ok(()), |index| self.open_all(index));
        self.deaf = opened.is_err();
        if self.deaf {
            self.close();
        }
        opened
    }

    fn close(&mut self) {
        self.receivers.clear();
        self.senders.clear();
        self.frames = None;
    }

    fn open_all(&mut self, index: u32) -> Result<(), Error> {
        let name = self.interface.name();
        let mut cramped = None;
        if self.framed {
            self.frames = Some(FrameSender::new(index)?);
        }
        for &(family, protocol) in &self.channels {
            let receiver = AdvertReceiver::new(name, index, family, protocol, &self.groups)?;
            cramped = cramped.or(self.make_room(&receiver));
            let mut hearing = Hearing::Polled(receiver);
            if self.wakes {
                hearing = hearing.woken();
            }
            self.receivers.push(hearing);
            if !self.senders.iter().any(|sender| sender.family() == family) {
                self.senders.push(AdvertSender::new(name, index, family)?);
            }
        }
        self.cramped = cramped;
        Ok(())
    }

    /// For a burst of all routers on this interface, several times over.
    fn make_room(&self, receiver: &AdvertReceiver) -> Option<(usize, usize)> {
        let wanted = (self.routers * ROOM).clamp(LEAST_ROOM, MOST_ROOM);
        let wanted = wanted.max(self.least_room);
        // A buffer of the size that sockets have by default is there in any case.
        let room = receiver.make_room(wanted).unwrap_or(0);
        (room < wanted).then_some((wanted, room))
    }

    /// Whether packets wake the driver from now on.
    pub(super) fn listen(&mut self, wakes: bool) {
        self.wakes = wakes;
        for hearing in std::mem::take(&mut self.receivers) {
            self.receivers.push(match wakes {
                true => hearing.woken(),
                false => hearing.polled(),
            });
        }
    }

    /// Asks the kernel once more to watch what it refused to watch.
    pub(super) fn listen_again(&mut self) {
        let unwatched = |one: &Hearing| matches!(one, Hearing::Polled(_));
        if self.wakes && self.receivers.iter().any(unwatched) {
            self.listen(true);
        }
    }

    /// Lets the kernel drop what is not for `ours`. Refused: everything is heard.
    pub(super) fn narrow(&self, ours: Option<&[(u32, Family, Vrid)]>) {
        let here = self.interface.number();
        for receiver in self.receivers.iter().map(Hearing::receiver) {
            let vrids = ours.map(|ours| {
                let ours = ours.iter();
                let ours =
                    ours.filter(|(on, family, _)| (*on, *family) == (here, receiver.family()));
                let mut vrids: Vec<u8> = ours.map(|(.., vrid)| vrid.value()).collect();
                vrids.sort_unstable();
                vrids.dedup();
                vrids
            });
            let _ = receiver.admit_only(vrids.as_deref());
        }
    }

    /// Packets for which there was no room.
    pub(super) fn overflows(&self) -> u64 {
        let now = self.receivers.iter().map(Hearing::receiver);
        self.lost + now.map(|one| u64::from(one.overflows())).sum::<u64>()
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
fn watched(receiver: AdvertReceiver) -> Hearing {
    // SAFETY: an AdvertReceiver owns one open socket, which it neither closes nor replaces before
    // it is dropped, and as_raw_fd always returns that one.
    match unsafe { AsyncFd::register_with_interest(receiver, Interest::READABLE) } {
        Ok(watched) => Hearing::Woken(watched),
        Err(refused) => Hearing::Polled(refused.into_parts().0),
    }
}

impl Hearing {
    pub(super) fn receiver(&self) -> &AdvertReceiver {
        match self {
            Self::Woken(watched) => watched.get_ref(),
            Self::Polled(receiver) => receiver,
        }
    }

    /// Where the kernel refuses to watch it, it is read whenever the driver wakes for another reason.
    fn woken(self) -> Self {
        match self {
            Self::Polled(receiver) => watched(receiver),
            woken @ Self::Woken(_) => woken,
        }
    }

    fn polled(self) -> Self {
        match self {
            Self::Woken(watched) => Self::Polled(watched.into_inner()),
            polled => polled,
        }
    }

    /// Whether a packet may wait; wakes `cx` later otherwise. An error shows itself to `receive`.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::Woken(watched) => watched.poll_read_ready(cx).is_ready(),
            Self::Polled(_) => false,
        }
    }

    /// Asks the kernel itself, not only tokio's memory of readiness: a process that was stalled must
    /// hear what came in meanwhile before it acts.
    pub(super) fn receive(&self, batch: &mut Batch) -> io::Result<Fill> {
        let Self::Woken(watched) = self else {
            return self.receiver().receive_many(batch);
        };
        let mut fill = None;
        let received = watched.try_io(Interest::READABLE, |receiver| {
            match receiver.receive_many(batch)? {
                Fill::More => {
                    fill = Some(Fill::More);
                    Ok(())
                }
                // tokio is to wait for the next packet.
                Fill::Drained => {
                    fill = Some(Fill::Drained);
                    Err(io::ErrorKind::WouldBlock.into())
                }
            }
        });
        match (received, fill) {
            (_, Some(fill)) => Ok(fill),
            (Err(error), None) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => watched.get_ref().receive_many(batch),
        }
    }
}
