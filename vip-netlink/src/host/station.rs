//! The raw sockets of one interface, others whenever it comes back.

use std::io;
use std::task::Context;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use vrrp_fsm::driver::HostEvent;
use vrrp_proto::{Family, Vrid};

use super::HostRouter;
use super::sockets::{Needs, Sockets};
use crate::advert_socket::{AdvertReceiver, AdvertSender, Batch, Fill, FrameSender};
use crate::link::Interface;

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
    pub(super) receivers: Vec<Hearing>,
    /// Whether packets wake the driver.
    wakes: bool,
    /// Whether the kernel notes when each came in, although it wakes the driver.
    stamps: bool,
    /// Room that the kernel did not give: what was asked for, and what there is.
    pub(super) cramped: Option<(usize, usize)>,
    /// The room of a receive socket.
    room: usize,
    /// Packets for which closed sockets had no room, and how many of all have been told of.
    lost: u64,
    told: u64,
    senders: Vec<AdvertSender>,
    /// What its sockets do for.
    needs: Needs,
    /// The interface is there, but its sockets could not be opened.
    pub(super) deaf: bool,
    frames: Option<FrameSender>,
}

impl Station {
    pub(super) fn new(interface: Interface) -> Self {
        Self {
            interface,
            receivers: Vec::new(),
            wakes: true,
            stamps: false,
            cramped: None,
            room: 0,
            lost: 0,
            told: 0,
            senders: Vec::new(),
            needs: Needs::default(),
            deaf: false,
            frames: None,
        }
    }

    /// Other sockets from now on; those that there were are to be closed.
    pub(super) fn exchange(&mut self, new: Sockets) -> Sockets {
        self.lost = self.overflows();
        let before = Sockets {
            receivers: std::mem::take(&mut self.receivers)
                .into_iter()
                .map(Hearing::into_receiver)
                .collect(),
            senders: std::mem::replace(&mut self.senders, new.senders),
            frames: std::mem::replace(&mut self.frames, new.frames),
            room: self.room,
            cramped: self.cramped,
            needs: std::mem::replace(&mut self.needs, new.needs),
        };
        self.room = new.room;
        self.cramped = new.cramped;
        self.receivers = new.receivers.into_iter().map(Hearing::Polled).collect();
        self.listen(self.wakes);
        before
    }

    /// Whether the sockets that there are do for one more router.
    pub(super) fn hears(&self, router: &HostRouter) -> bool {
        self.needs.cover(&Needs::of(std::iter::once(router)))
    }

    /// Whether packets wake the driver from now on.
    pub(super) fn listen(&mut self, wakes: bool) {
        self.wakes = wakes;
        for hearing in std::mem::take(&mut self.receivers) {
            self.receivers.push(match wakes {
                true => hearing.woken(self.stamps),
                false => hearing.polled(),
            });
        }
    }

    /// Whether the kernel notes from now on when each packet came in; it does where packets do not wake the driver.
    pub(super) fn stamp(&mut self, on: bool) {
        self.stamps = on;
        if self.wakes {
            for receiver in self.listening() {
                // Refused: what comes in is as old as its hearing.
                let _ = receiver.stamp(on);
            }
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
        for receiver in self.listening() {
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

    /// Its receive sockets.
    pub(super) fn listening(&self) -> impl Iterator<Item = &AdvertReceiver> {
        self.receivers.iter().map(Hearing::receiver)
    }

    /// Packets for which there was no room.
    pub(super) fn overflows(&self) -> u64 {
        self.lost
            + self
                .listening()
                .map(|one| u64::from(one.overflows()))
                .sum::<u64>()
    }

    /// What is to be told of these: the 1st, and whenever they have doubled.
    pub(super) fn overflowed(&mut self) -> Option<HostEvent> {
        let count = self.overflows();
        if count <= self.told || count.checked_ilog2() == self.told.checked_ilog2() {
            return None;
        }
        self.told = count;
        Some(HostEvent::Overflowed {
            interface: self.interface.name().to_owned(),
            count,
            room: self.room,
        })
    }

    /// The socket for adverts from other hardware addresses than the interface's, while the interface exists.
    pub(super) const fn frames(&mut self) -> Option<&mut FrameSender> {
        self.frames.as_mut()
    }

    /// Adverts that wait for the next [`flush`](Self::flush).
    pub(super) fn waiting(&self) -> usize {
        self.senders.iter().map(AdvertSender::waiting).sum()
    }

    /// Forgets those of routers that may not speak any more.
    pub(super) fn retain(&mut self, may_speak: impl Fn(u32) -> bool) {
        for sender in &mut self.senders {
            sender.retain(&may_speak);
        }
    }

    /// Sends them; how each went, by its router's number.
    pub(super) fn flush(&mut self, mut outcome: impl FnMut(u32, io::Result<()>)) {
        for sender in &mut self.senders {
            sender.flush(&mut outcome);
        }
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
    fn woken(self, stamps: bool) -> Self {
        match self {
            Self::Polled(receiver) => {
                // Refused: what comes in is as old as its hearing, as it was.
                let _ = receiver.stamp(stamps);
                watched(receiver)
            }
            woken @ Self::Woken(_) => woken,
        }
    }

    fn into_receiver(self) -> AdvertReceiver {
        match self {
            Self::Woken(watched) => watched.into_inner(),
            Self::Polled(receiver) => receiver,
        }
    }

    fn polled(self) -> Self {
        let receiver = self.into_receiver();
        // Refused: what waits is taken for as old as its hearing.
        let _ = receiver.stamp(true);
        Self::Polled(receiver)
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
