//! Many packets in one system call (recvmmsg(2)).

use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn6, SockaddrLike, recvmmsg,
};
use vrrp_proto::Family;

use super::{AdvertReceiver, Arrived, ipv4, ipv6};

/// Packets of one call.
const TOGETHER: usize = 32;
/// The longest advert, 255 addresses of IPv6 and a trailer behind 60 octets of header, and a little. A longer packet is
/// no advert and is skipped.
const LONGEST: usize = 4352;

/// Packets that were received together, with the room for them; used again and again, by any receiver.
#[derive(Debug)]
pub struct Batch {
    room: Box<[u8]>,
    arrived: Vec<(usize, Arrived)>,
    next: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            room: vec![0; TOGETHER * LONGEST].into_boxed_slice(),
            arrived: Vec::with_capacity(TOGETHER),
            next: 0,
        }
    }
}

/// What a call found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// Nothing waits any more behind what was received.
    Drained,
    /// There may be more.
    More,
}

impl Batch {
    /// Whether all have been taken out.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.next >= self.arrived.len()
    }

    /// The next packet, copied to the start of `buffer`; one that does not fit is skipped.
    pub fn next(&mut self, buffer: &mut [u8]) -> Option<Arrived> {
        loop {
            let (slot, arrived) = *self.arrived.get(self.next)?;
            self.next += 1;
            let packet = self.room.get(slot * LONGEST..)?.get(..arrived.length)?;
            if let Some(place) = buffer.get_mut(..arrived.length) {
                place.copy_from_slice(packet);
                return Some(arrived);
            }
        }
    }
}

impl AdvertReceiver {
    /// Takes waiting adverts in, whose predecessors in `batch` have all been taken out; never waits. As with
    /// [`receive`](Self::receive), what is not a whole packet of the family is skipped.
    pub fn receive_many(&self, batch: &mut Batch) -> io::Result<Fill> {
        batch.arrived.clear();
        batch.next = 0;
        let found = match self.family {
            Family::Ipv4 => self.fill::<()>(batch, |_, _| None),
            Family::Ipv6 => self.fill::<SockaddrIn6>(batch, ipv6::envelope),
        };
        match found {
            Ok(TOGETHER..) => Ok(Fill::More),
            Ok(_) => Ok(Fill::Drained),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => Ok(Fill::Drained),
                io::ErrorKind::Interrupted => Ok(Fill::More),
                _ => Err(error),
            },
        }
    }

    /// How many were received, skipped ones too.
    fn fill<S: SockaddrLike + Copy>(
        &self,
        batch: &mut Batch,
        envelope: impl Fn(Option<S>, &[ControlMessageOwned]) -> Option<vrrp_proto::Envelope>,
    ) -> io::Result<usize> {
        let Batch { room, arrived, .. } = batch;
        let space = nix::cmsg_space!(u32, i32, [u8; 20]);
        let mut headers = MultiHeaders::<S>::preallocate(TOGETHER, Some(space));
        let mut slots: Vec<[IoSliceMut<'_>; 1]> = room
            .chunks_mut(LONGEST)
            .map(|slot| [IoSliceMut::new(slot)])
            .collect();
        let mut heads = Vec::with_capacity(TOGETHER);
        let received = recvmmsg(
            self.socket.as_raw_fd(),
            &mut headers,
            slots.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        )?;
        for message in received {
            let control: Vec<_> = message.cmsgs()?.collect();
            for one in &control {
                if let ControlMessageOwned::RxqOvfl(count) = one {
                    self.overflows
                        .store(*count, std::sync::atomic::Ordering::Relaxed);
                }
            }
            let whole = !message.flags.contains(MsgFlags::MSG_TRUNC);
            heads.push((message.bytes, whole, envelope(message.address, &control)));
        }
        let count = heads.len();
        for (slot, (length, whole, envelope)) in heads.into_iter().enumerate() {
            let Some(bytes) = room.get_mut(slot * LONGEST..).filter(|_| whole) else {
                continue;
            };
            let one = match self.family {
                Family::Ipv4 => ipv4::read(self.protocol, bytes, length),
                Family::Ipv6 => envelope.map(|envelope| Arrived { envelope, length }),
            };
            arrived.extend(one.map(|one| (slot, one)));
        }
        Ok(count)
    }
}
