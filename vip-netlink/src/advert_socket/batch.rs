//! Adverts that were received together.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use vrrp_proto::{Envelope, Family};

use super::{AdvertReceiver, Arrived, ipv4};
use crate::many::{self, TOGETHER, Told};

/// The longest advert, 255 addresses of IPv6 and a trailer behind 60 octets of header, and a little. A longer packet is
/// no advert and is skipped.
const LONGEST: usize = 4352;

/// Packets that were received together, with the room for them; used again and again, by any receiver.
#[derive(Debug)]
pub struct Batch {
    room: Box<[u8]>,
    told: Box<[Told; TOGETHER]>,
    arrived: Vec<(usize, Arrived)>,
    next: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            room: vec![0; TOGETHER * LONGEST].into_boxed_slice(),
            told: Box::new([Told::default(); TOGETHER]),
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
        match self.fill(batch) {
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
    fn fill(&self, batch: &mut Batch) -> io::Result<usize> {
        let Batch {
            room,
            told,
            arrived,
            ..
        } = batch;
        let count = many::receive(
            &self.socket,
            room,
            LONGEST,
            self.family == Family::Ipv6,
            told,
        )?;
        let stamped = told.first().is_some_and(|first| first.stamp.is_some());
        let day = stamped.then(|| SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default());
        for (slot, one) in told.iter().enumerate().take(count) {
            if let Some(overflows) = one.overflows {
                self.overflows.store(overflows, Ordering::Relaxed);
            }
            let Some(bytes) = room.get_mut(slot * LONGEST..).filter(|_| one.whole) else {
                continue;
            };
            let read = match self.family {
                Family::Ipv4 => ipv4::read(self.protocol, bytes, one.length),
                Family::Ipv6 => envelope(one).map(|envelope| Arrived {
                    envelope,
                    length: one.length,
                    waited: Duration::ZERO,
                }),
            };
            // A clock that was set back meanwhile says nothing.
            let waited = day.zip(one.stamp).map(|(day, at)| day.saturating_sub(at));
            arrived.extend(read.map(|read| {
                let waited = waited.unwrap_or_default();
                (slot, Arrived { waited, ..read })
            }));
        }
        Ok(count)
    }
}

/// What the header of an IPv6 packet said, if the kernel told all of it.
fn envelope(told: &Told) -> Option<Envelope> {
    Some(Envelope {
        source: IpAddr::from(told.source?),
        destination: IpAddr::from(told.destination?),
        hop_limit: told.hop_limit?,
    })
}
