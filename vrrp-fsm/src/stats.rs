//! Counters of one virtual router, and of adverts that belong to none. Plain numbers, no behaviour.

use alloc::boxed::Box;
use core::{net::IpAddr, time::Duration};

use vrrp_proto::{Cause, Priority};

use crate::{Instant, Rejection};

/// Counters of one virtual router.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Adverts given to the driver to send, once whatever the number of unicast peers.
    pub adverts_sent: u64,
    /// Of these, with priority 0.
    pub priority_zero_sent: u64,
    /// Adverts that reached the machine.
    pub adverts_received: u64,
    /// Of these, with priority 0.
    pub priority_zero_received: u64,
    /// Of these, with other addresses than ours.
    pub address_list_mismatches: u64,
    /// Of these, without the trailer of `auth_hmac`, which is not demanded yet.
    pub unsigned_received: u64,
    /// Of these, heard while Active.
    pub received_while_active: u64,
    /// Of these, from a router that must give way and was Active beside this one.
    pub rivals: u64,
    /// Packets that the driver could not send.
    pub send_errors: u64,
    /// Transitions to Active.
    pub became_active: u64,
    /// Transitions from Active.
    pub released_active: u64,
    /// The latest that a timer fired after its time.
    pub latest_timer: Duration,
    /// The latest that an advert was sent after its time.
    pub latest_advert: Duration,
    /// Adverts that did not reach the machine.
    pub rejections: Rejections,
}

/// Counts of rejected packets by cause. Takes room once there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejections(Option<Box<Counts>>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Counts {
    codec: [u64; Cause::ALL.len()],
    unknown_router: u64,
    transport: u64,
    not_a_peer: u64,
    own_address: u64,
    owner: u64,
}

impl Rejections {
    /// Counts one; returns how many there are of that cause now.
    pub(crate) fn count(&mut self, rejection: &Rejection) -> u64 {
        let counts = self.0.get_or_insert_default();
        let counter = match rejection {
            Rejection::UnknownRouter { .. } => &mut counts.unknown_router,
            Rejection::Transport => &mut counts.transport,
            Rejection::NotAPeer => &mut counts.not_a_peer,
            Rejection::OwnAddress => &mut counts.own_address,
            Rejection::Owner => &mut counts.owner,
            codec => match counts.codec.get_mut(codec.codec_cause().index()) {
                Some(counter) => counter,
                None => return 0,
            },
        };
        *counter += 1;
        *counter
    }

    /// Each cause as a word for metrics, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let counts = self.0.as_deref();
        let of = move |count: fn(&Counts) -> u64| counts.map_or(0, count);
        let codec = Cause::ALL.iter().enumerate();
        let codec = codec.map(move |(place, cause)| {
            let count = counts.and_then(|counts| counts.codec.get(place));
            (cause.name(), count.copied().unwrap_or(0))
        });
        codec.chain([
            ("unknown_router", of(|counts| counts.unknown_router)),
            ("transport", of(|counts| counts.transport)),
            ("not_a_peer", of(|counts| counts.not_a_peer)),
            ("own_address", of(|counts| counts.own_address)),
            ("owner", of(|counts| counts.owner)),
        ])
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, count)| count).sum()
    }
}

/// Another router of the same virtual router, as its adverts show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its primary address.
    pub source: IpAddr,
    /// The priority in its last advert.
    pub priority: Priority,
    /// The interval in its last advert.
    pub interval: Duration,
    /// When its last advert came.
    pub heard_at: Instant,
    /// Adverts that reached the machine.
    pub adverts: u64,
}
