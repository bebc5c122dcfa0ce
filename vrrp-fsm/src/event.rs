//! What can happen to a virtual router. [`Event`] is the only way in.

use core::{fmt, net::IpAddr, time::Duration};

use vrrp_proto::{Priority, Version};

use crate::RouterId;

/// One thing that happened, given to [`Router::handle`](crate::Router::handle) with the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Take part (RFC 9568 §6.4.1). Holding faults keep the router in Initialize until they are
    /// gone.
    Startup,
    /// Stop taking part, in order: priority 0 is sent, the addresses are removed.
    Shutdown,
    /// The deadline was reached. Early or repeated, this does nothing.
    Timeout,
    /// An advert for this virtual router, parsed and authenticated.
    Advertisement(Received),
    /// The effective priority as tracking gives it. An owner's never changes.
    Priority(Priority),
    /// A reason not to take part, beside others there may be.
    Fault(FaultReason),
    /// That kind of reason is gone.
    Recovered(FaultKind),
    /// The primary address of the interface changed, appeared or vanished.
    PrimaryAddress(Option<IpAddr>),
    /// The addresses are in place: the answer to [`Install`](crate::Action::Install) and
    /// [`Repair`](crate::Action::Repair).
    Installed,
    /// They could not be put in place, wholly or partly; the host goes on trying.
    InstallFailed,
    /// Another program removed an address, or the kernel did, which was slow to renew its lease.
    AddressLost,
    /// The lease of the addresses ran out because adverts were not sent in time: others may have
    /// taken over.
    LeaseExpired,
    /// This process continues one that died while it was Active and could not say so. A Backup says it
    /// in its place, by priority 0, and waits no longer than the others: for Skew_Time.
    Succeeded,
    /// Every member of the sync group could be Active now: a Backup becomes it.
    Promote,
    /// Another member of the sync group is no longer Active: an Active router says by priority 0
    /// that it gives way, and becomes Backup.
    StepBack(RouterId),
}

/// What an advert says, as far as the machine needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Source of the IP packet: the sender's primary address.
    pub source: IpAddr,
    /// The sender's priority; 0 says that it resigns.
    pub priority: Priority,
    /// The sender's Advertisement_Interval.
    pub interval: Duration,
    /// Version of the advert.
    pub version: Version,
}

/// Something whose health is tracked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// A network interface by index.
    Interface(u32),
    /// A script by the caller's number.
    Script(u32),
    /// A file that holds a number, by the caller's number.
    File(u32),
    /// A process, or several, by the caller's number.
    Process(u32),
    /// Another host whose reachability is watched (BFD), by the caller's number.
    Neighbour(u32),
}

/// Why a router does not take part although it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultReason {
    /// Its own interface has no link.
    InterfaceDown,
    /// Its own interface does not exist.
    InterfaceGone,
    /// Its own interface has no address to send from.
    NoPrimaryAddress,
    /// Its adverts go to unicast peers, of which there is none: whoever it is to elect with would not hear it.
    NoPeers,
    /// The host does not hear its adverts yet: it would take over from whoever it cannot hear.
    Deaf,
    /// A tracked object whose weight is 0 failed.
    Tracked(Object),
    /// A tracked object has no result yet.
    Waiting(Object),
    /// Whoever watches what the addresses stand for is silent.
    Unwatched,
    /// Held back by hand.
    Operator,
    /// Another member of the sync group has a fault of its own.
    Sibling {
        /// Which.
        member: RouterId,
        /// Whether it is only waiting for a first result.
        waiting: bool,
    },
}

/// The kinds of [`FaultReason`]; a router has at most one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// [`FaultReason::InterfaceDown`] and [`FaultReason::InterfaceGone`].
    Interface,
    /// [`FaultReason::NoPrimaryAddress`].
    Address,
    /// [`FaultReason::NoPeers`].
    Peers,
    /// [`FaultReason::Deaf`].
    Hearing,
    /// [`FaultReason::Tracked`] and [`FaultReason::Waiting`].
    Tracking,
    /// [`FaultReason::Unwatched`].
    Watch,
    /// [`FaultReason::Operator`].
    Operator,
    /// [`FaultReason::Sibling`].
    Sibling,
}

impl FaultReason {
    /// Its kind.
    pub fn kind(self) -> FaultKind {
        match self {
            Self::InterfaceDown | Self::InterfaceGone => FaultKind::Interface,
            Self::NoPrimaryAddress => FaultKind::Address,
            Self::NoPeers => FaultKind::Peers,
            Self::Deaf => FaultKind::Hearing,
            Self::Tracked(_) | Self::Waiting(_) => FaultKind::Tracking,
            Self::Unwatched => FaultKind::Watch,
            Self::Operator => FaultKind::Operator,
            Self::Sibling { .. } => FaultKind::Sibling,
        }
    }

    /// Whether this is only waiting for a first result, or for the host, which keepalived does not call FAULT.
    pub fn is_waiting(self) -> bool {
        matches!(
            self,
            Self::Waiting(_) | Self::Deaf | Self::Sibling { waiting: true, .. }
        )
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(index) => write!(f, "interface {index}"),
            Self::Script(number) => write!(f, "script {number}"),
            Self::File(number) => write!(f, "file {number}"),
            Self::Process(number) => write!(f, "process {number}"),
            Self::Neighbour(number) => write!(f, "neighbour {number}"),
        }
    }
}

impl fmt::Display for FaultReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InterfaceDown => f.write_str("the interface is down"),
            Self::InterfaceGone => f.write_str("the interface is gone"),
            Self::NoPrimaryAddress => f.write_str("the interface has no address to send from"),
            Self::NoPeers => f.write_str("it has no unicast peer"),
            Self::Deaf => f.write_str("the host does not hear its adverts yet"),
            Self::Tracked(object) => write!(f, "{object} failed"),
            Self::Waiting(object) => write!(f, "no result of {object} yet"),
            Self::Unwatched => f.write_str("nobody watches the service: the supervisor is silent"),
            Self::Operator => f.write_str("held back by hand"),
            Self::Sibling { member, .. } => {
                write!(f, "router {member} of its sync group is in fault")
            }
        }
    }
}
