//! What the driver tells of its routers, in words for an operator.

use std::{fmt, io, string::String};

use super::{Command, NOBODY};
use crate::{GroupTransition, PriorityChange, Rejected, Rejection, RouterId, Transition, Warning};

/// What the driver tells of a router.
#[derive(Debug)]
#[non_exhaustive]
pub enum Observation {
    /// Its state changed.
    Transition(Transition),
    /// The state of its sync group changed, after those of the members.
    Group(GroupTransition),
    /// Tracking changed its effective priority.
    Priority(PriorityChange),
    /// Something an operator should know.
    Warning(Warning),
    /// A packet was rejected. Told the 1st, 2nd, 4th, 8th ... time for each cause.
    Rejected {
        /// Who sent it.
        source: core::net::IpAddr,
        /// Why.
        rejection: Rejection,
        /// How often by now.
        count: u64,
    },
    /// A packet was for none of the routers. It concerns no router in particular. Told the 1st, 2nd, 4th, 8th ... time for
    /// each sender and VRID, as far as these are known ([`Snapshot::strangers`](super::Snapshot::strangers)).
    Stray {
        /// The interface on which it came in, by its number.
        interface: u32,
        /// Who sent it.
        source: core::net::IpAddr,
        /// Why.
        rejection: Rejection,
        /// How often by now.
        count: u64,
    },
    /// A packet could not be sent. Told the 1st, 2nd, 4th, 8th ... time.
    SendFailed {
        /// How.
        error: io::Error,
        /// How often by now.
        count: u64,
    },
    /// Addresses no longer fall silent by themselves when adverts cease, but only when their lease ends.
    Unheld {
        /// Why.
        error: io::Error,
    },
    /// Addresses fall silent by themselves again when adverts cease.
    Held,
    /// The fence could not be renewed, which is tried again: while that lasts, addresses may answer after this process
    /// has died.
    Unfenced {
        /// Why.
        error: io::Error,
    },
    /// Another program removed an address of an Active router, which puts it back.
    AddressGone {
        /// The address.
        address: core::net::IpAddr,
    },
    /// The lease of an address of an Active router could not be renewed in time: it is put back, with all others.
    AddressLapsed {
        /// The address.
        address: core::net::IpAddr,
    },
    /// Routes or rules that go with the addresses could not be put up, which is tried again. Told the 1st, 2nd, 4th,
    /// 8th ... time until all of them are there.
    PathsFailed {
        /// How.
        error: io::Error,
        /// How often by now.
        count: u64,
    },
    /// A route or rule was gone and has been put back.
    PathGone {
        /// Which.
        what: String,
    },
    /// What stands whoever is Active could not be put up, which is tried again. It concerns no router in particular.
    /// Told the 1st, 2nd, 4th, 8th ... time until all of it is there.
    FixturesFailed {
        /// How.
        error: io::Error,
        /// How often by now.
        count: u64,
    },
    /// Something that stands whoever is Active was gone and has been put back. It concerns no router in particular.
    FixtureGone {
        /// What.
        what: String,
    },
    /// Notifications of the kernel about links and addresses were lost for want of room: everything is looked at anew. It
    /// concerns no router in particular. Told the 1st, 2nd, 4th, 8th ... time.
    NotificationsLost {
        /// How often by now.
        count: u64,
    },
    /// Packets were lost for want of room in a receive buffer. It concerns no router in particular. Told at the 1st, 2nd,
    /// 4th, 8th ... packet.
    Overflowed {
        /// The interface on which they came in.
        interface: String,
        /// How many by now.
        count: u64,
        /// The room of the buffer in bytes.
        room: usize,
    },
    /// The host could not do what it was asked, and tries on. Told the 1st, 2nd, 4th, 8th ... time
    /// until the addresses are in place.
    HostFailed {
        /// What.
        command: Command,
        /// How.
        error: io::Error,
        /// How often by now.
        count: u64,
    },
}

impl Rejected {
    pub(super) fn tell(
        self,
        source: core::net::IpAddr,
        interface: u32,
        observer: &mut impl FnMut(RouterId, Observation),
    ) {
        let Self {
            router,
            rejection,
            count,
        } = self;
        match router {
            Some(router) => observer(
                router,
                Observation::Rejected {
                    source,
                    rejection,
                    count,
                },
            ),
            None => observer(
                NOBODY,
                Observation::Stray {
                    interface,
                    source,
                    rejection,
                    count,
                },
            ),
        }
    }
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transition(transition) => transition.fmt(f),
            Self::Group(transition) => transition.fmt(f),
            Self::Priority(change) => change.fmt(f),
            Self::Warning(warning) => warning.fmt(f),
            Self::Rejected {
                source,
                rejection,
                count,
            } => write!(
                f,
                "advert from {source} rejected: {rejection} ({count} so far)"
            ),
            Self::Stray {
                source,
                rejection,
                count,
                ..
            } => write!(f, "advert from {source}: {rejection} ({count} so far)"),
            Self::SendFailed { error, count } => {
                write!(f, "could not send an advert: {error} ({count} so far)")
            }
            Self::Unheld { error } => write!(
                f,
                "the fence cannot be kept open by adverts ({error}): if this process stands still, its addresses \
                 answer until their lease ends"
            ),
            Self::Held => f.write_str(
                "the fence is kept open by adverts again: if this process stands still, its addresses fall silent",
            ),
            Self::Unfenced { error } => write!(
                f,
                "the fence could not be renewed, which is tried again ({error}): if this process dies, its addresses may \
                 answer until their lease ends"
            ),
            Self::AddressGone { address } => {
                write!(f, "another program removed {address}: putting it back")
            }
            Self::AddressLapsed { address } => write!(
                f,
                "the lease of {address} ran out, for the kernel was slow to renew it: putting it back"
            ),
            Self::PathsFailed { error, count } | Self::FixturesFailed { error, count } => {
                write!(f, "{error} ({count} so far)")
            }
            Self::PathGone { what } | Self::FixtureGone { what } => write!(
                f,
                "{what} was gone, by another program or with its link: put back"
            ),
            Self::NotificationsLost { count } => write!(
                f,
                "the kernel's notifications about links and addresses overflowed: everything is looked at anew ({count} \
                 so far)"
            ),
            Self::Overflowed {
                interface,
                count,
                room,
            } => write!(
                f,
                "{count} packets on {interface} were lost so far: the receive buffer of {room} bytes was full"
            ),
            Self::HostFailed {
                command,
                error,
                count,
            } => {
                let what = match command {
                    Command::Install => "install",
                    Command::Remove => "remove",
                    Command::Announce { .. } => "announce",
                };
                write!(
                    f,
                    "could not {what} the addresses: {error} ({count} so far)"
                )
            }
        }
    }
}
