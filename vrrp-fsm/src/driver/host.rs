//! What the driver needs of a host: sockets that never block and a queue for addresses.

use std::{
    io,
    net::IpAddr,
    string::String,
    task::{Context, Poll},
    time::Duration,
};

use vrrp_proto::{Envelope, Family, Vrid};

use crate::RouterId;

/// The side effects of a set of virtual routers. Implemented by `vip_netlink::LinuxHost`, and by
/// anything that can send a packet and hold an address.
///
/// No call blocks. Adverts are sent and received at once; commands are enqueued, carried out in
/// order for each router, and answered by a [`HostEvent`].
pub trait Host {
    /// Completes when a packet may be readable or an event waits, and wakes `cx` later otherwise.
    /// After it completed the driver calls `recv` and `poll_event` until they have nothing more.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// One waiting packet in `buffer`; `None` when there is none. `Interrupted` when there may be more
    /// behind what the host passed over; after any other error it is asked again, too, a bounded number of times.
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Option<Datagram>>;

    /// Sends one packet of a router now, or with others at the next [`flush`](Self::flush), which comes in the same round
    /// of the driver: what is refused then is told by [`HostEvent::Unsent`]. With `protocol` 51 the packet begins with
    /// its IPv4 header, else the host makes one from the envelope. A packet that the kernel has no room for is an error,
    /// not a wait.
    fn send(
        &mut self,
        router: RouterId,
        protocol: u8,
        envelope: &Envelope,
        packet: &[u8],
    ) -> io::Result<()>;

    /// A round is over: what was kept to go out together goes out now.
    fn flush(&mut self) {}

    /// Whether a packet that comes in completes [`poll_ready`](Self::poll_ready). While it does not the driver asks for
    /// packets by itself, often enough; a host that completes all the same only costs more.
    fn listen(&mut self, wakes: bool) {
        let _ = wakes;
    }

    /// Whether it matters to the microsecond when packets came in ([`Datagram::waited`]): so it does while nobody here is
    /// Active, for a successor counts from the last advert that came. To know it may cost something for every packet of the
    /// host, which is little where no virtual address is.
    fn stamp(&mut self, on: bool) {
        let _ = on;
    }

    /// Packets for other routers than these come by thousands a second: they may be passed over, uncounted. `None`
    /// ends that. A router is named by its interface, family and VRID.
    fn narrow(&mut self, ours: Option<&[(u32, Family, Vrid)]>) {
        let _ = ours;
    }

    /// Packets that came in and for which there was no room.
    fn overflows(&self) -> u64 {
        0
    }

    /// Whether adverts for a router arrive: one that joins those that run may have to wait for its sockets, and does not
    /// take part meanwhile. When that changes, [`HostEvent::PrimaryAddress`] is told for it.
    fn hears(&self, router: RouterId) -> bool {
        let _ = router;
        true
    }

    /// Enqueues work on the addresses of a router.
    fn enqueue(&mut self, router: RouterId, command: Command);

    /// How it holds the addresses of a router at this moment.
    fn guard(&self, router: RouterId) -> Guard {
        let _ = router;
        Guard::default()
    }

    /// One waiting event. A host first tells what it finds: links that are down, primary addresses.
    fn poll_event(&mut self) -> Option<HostEvent>;
}

/// A packet that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram {
    /// Interface that it came in on.
    pub interface: u32,
    /// IP protocol: 112 (the buffer holds the VRRP message) or 51 (the buffer holds the packet from
    /// its IPv4 header on).
    pub protocol: u8,
    /// The IP header's addresses and TTL.
    pub envelope: Envelope,
    /// Bytes in the buffer.
    pub len: usize,
    /// How long ago it came in, where the host knows; else zero. Timers count from there.
    pub waited: Duration,
}

/// What keeps the addresses of a router from answering when they should not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard {
    /// Whether the addresses are wanted on the host.
    pub wanted: bool,
    /// Whether a dead process's addresses fall silent at once; `None` for hosts without such a thing.
    pub fence: Option<Result<(), String>>,
    /// Lifetime of the addresses without an advert, and what is left of it.
    pub lease: Option<(Duration, Duration)>,
}

/// Work on the addresses of one router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Put them on the interface, or put back what is missing. Answered by `Installed`, or by
    /// `Failed` and, when a later try succeeds, `Installed`.
    Install,
    /// Take them away. Each is answered once, by `Removed` or `Failed`. Overtakes an `Install` that
    /// was not begun.
    Remove,
    /// Announce each of them that many times, after the `Install` before. Not answered; dropped
    /// when a `Remove` comes first.
    Announce {
        /// Announcements of each address.
        repeat: u8,
    },
}

/// Something that the host found or finished.
#[derive(Debug)]
pub enum HostEvent {
    /// The addresses of a router are in place.
    Installed {
        /// The router.
        router: RouterId,
    },
    /// The addresses of a router are gone.
    Removed {
        /// The router.
        router: RouterId,
    },
    /// A command failed, wholly or partly. `Install` is tried again by the host.
    Failed {
        /// The router.
        router: RouterId,
        /// What failed.
        command: Command,
        /// How.
        error: io::Error,
    },
    /// The link of an interface is there.
    LinkUp {
        /// The interface.
        interface: u32,
    },
    /// The link of an interface is gone.
    LinkDown {
        /// The interface.
        interface: u32,
    },
    /// An interface does not exist, or no longer.
    LinkGone {
        /// The interface.
        interface: u32,
    },
    /// A packet that was kept to go out with others could not be sent.
    Unsent {
        /// The router.
        router: RouterId,
        /// How.
        error: io::Error,
    },
    /// Another program removed an address of an Active router. The driver asks for it again.
    AddressGone {
        /// The router.
        router: RouterId,
        /// The address.
        address: IpAddr,
    },
    /// What an Active router had up is gone, because the lease of an address could not be renewed in time although adverts
    /// were sent. The driver asks for it again.
    AddressLapsed {
        /// The router.
        router: RouterId,
        /// The address.
        address: IpAddr,
    },
    /// The lease of the addresses ran out, because no advert was sent in time: they are gone and
    /// stay away.
    LeaseExpired {
        /// The router.
        router: RouterId,
    },
    /// Routes and rules that go with the addresses of a router: some could not be put up, which is tried again, or all of
    /// them are there at last.
    Paths {
        /// The router.
        router: RouterId,
        /// How it went.
        outcome: io::Result<()>,
    },
    /// A route or rule of an Active router was gone: the host has put it back.
    PathGone {
        /// The router.
        router: RouterId,
        /// The route or rule, in words.
        what: String,
    },
    /// The same of what stands whoever is Active.
    Fixtures {
        /// How it went.
        outcome: io::Result<()>,
    },
    /// Something that stands whoever is Active was gone: the host has put it back.
    FixtureGone {
        /// What, in words.
        what: String,
    },
    /// Addresses no longer fall silent by themselves when adverts cease, but only when their lease ends. Told once
    /// until they do again.
    Unheld {
        /// The router at which this was noticed; it concerns all.
        router: RouterId,
        /// Why.
        error: io::Error,
    },
    /// Addresses fall silent by themselves again when adverts cease.
    Held {
        /// A router whose addresses are up; it concerns all.
        router: RouterId,
    },
    /// The fence could not be renewed, which is tried again: while that lasts, addresses may answer after this process
    /// has died, until their lease ends. Told once until it is renewed.
    Unfenced {
        /// A router whose addresses are up; it concerns all of them.
        router: RouterId,
        /// Why.
        error: io::Error,
    },
    /// What could not be removed of a router's addresses, routes and rules is tried again: in vain, or it is gone at last.
    Leftovers {
        /// The router.
        router: RouterId,
        /// How it went.
        outcome: io::Result<()>,
    },
    /// A router that the host was told to dismiss is gone: nothing is told of it any more.
    Dismissed {
        /// The router.
        router: RouterId,
    },
    /// Notifications of the kernel were lost for want of room: everything is looked at anew.
    NotificationsLost {
        /// How often by now.
        count: u64,
    },
    /// Packets were lost for want of room in a receive buffer. Told at the 1st, 2nd, 4th, 8th ... packet.
    Overflowed {
        /// The name of the interface on which they came in.
        interface: String,
        /// How many by now.
        count: u64,
        /// The room of the buffer in bytes.
        room: usize,
    },
    /// The address that a router's adverts are sent from: the interface's own, never a virtual one.
    /// Told at the start and at each change.
    PrimaryAddress {
        /// The router.
        router: RouterId,
        /// The address; `None` while there is none.
        address: Option<IpAddr>,
    },
}
