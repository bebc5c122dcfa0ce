//! Sans-IO VRRP virtual router: RFC 9568 (and 5798) for version 3, RFC 3768 for version 2, with
//! keepalived's extensions as explicit policy.
//!
//! A [`Router`] is a state machine. Time is passed in, events go in, small `Copy` actions come out,
//! in order; nothing in here reads a clock, opens a socket, spawns or logs. `no_std` with `alloc`;
//! depends on `vrrp-proto` and `thiserror` alone.
//!
//! # The run loop
//! ```
//! use vrrp_fsm::{Action, Event, Instant, Router};
//!
//! /// What your program does: send a packet, hold an address, wait.
//! trait World {
//!     fn now(&self) -> Instant;
//!     fn carry_out(&mut self, action: Action);
//!     /// The next advert or other event, or `Event::Timeout` when the deadline comes first.
//!     fn next_event(&mut self, deadline: Option<Instant>) -> Event;
//! }
//!
//! fn run(router: &mut Router, world: &mut impl World) {
//!     router.handle(world.now(), Event::Startup);
//!     loop {
//!         while let Some(action) = router.poll_action() {
//!             world.carry_out(action);
//!         }
//!         // Read waiting packets before a deadline fires: after a stall, hear the living Active.
//!         let event = world.next_event(router.next_deadline());
//!         router.handle(world.now(), event);
//!     }
//! }
//! ```
//! [`RouterSet`] is the same for many routers behind one set of sockets: it finds the router of a
//! packet, authenticates, counts, and writes the adverts. With 250 or 5,000 routers the next deadline costs O(log n),
//! finding the router of an advert O(1), and a router about 940 bytes (one address, one tracked script, one peer);
//! adverts that come or go allocate nothing. Measured on a server's processor, an advert that a Backup hears takes 0.11 us with one
//! router and 0.17 us with 5,000, a timer with the advert that it sends 0.1 us (`cargo bench -p vrrp-fsm`). The feature `tokio` has a ready `driver`
//! for it, over a small trait that `vip-netlink` implements for Linux.
//!
//! # On a plain thread with poll(2)
//! A set needs no runtime. This one runs over any datagram socket until it is Active (`tests/poll.rs` has two of
//! them, with an orderly stop and a silent death; `vip-netlink`'s tests do the same over raw sockets):
//! ```
//! use std::{net::UdpSocket, time::Duration};
//! use rustix::{event::{PollFd, PollFlags, Timespec, poll}, time::{ClockId, clock_gettime}};
//! use vrrp_fsm::{Action, Attachment, Event, Instant, Packet, RouterConfig, RouterSet, StateKind};
//! use vrrp_proto::{Envelope, Family, PROTOCOL, Version, Vrid};
//!
//! fn now() -> Instant {
//!     let time = clock_gettime(ClockId::Boottime);
//!     Instant::ZERO + Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
//! }
//!
//! fn serve(set: &mut RouterSet, socket: &UdpSocket, peer: Envelope) -> std::io::Result<()> {
//!     let mut buffer = [0; 2048];
//!     set.handle_all(now(), Event::Startup);
//!     loop {
//!         while let Some((id, action)) = set.poll_action() {
//!             match action {
//!                 Action::Send { priority } => {
//!                     let Some(mut advert) = set.advert(id, priority) else { continue };
//!                     while let Some(Ok(written)) = advert.next(&mut buffer) {
//!                         socket.send(&buffer[..written.len])?;
//!                     }
//!                 }
//!                 Action::Transition(transition) if transition.to == StateKind::Active => return Ok(()),
//!                 // Install, remove, announce the addresses; log.
//!                 _ => {}
//!             }
//!         }
//!         let wait = set.next_deadline().map(|at| at.since(now()));
//!         let wait = wait.map(|wait| Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() });
//!         poll(&mut [PollFd::new(socket, PollFlags::IN)], wait.as_ref())?;
//!         match socket.recv(&mut buffer) {
//!             Ok(len) => {
//!                 let packet = Packet { interface: 1, protocol: PROTOCOL, envelope: peer, bytes: &buffer[..len] };
//!                 let _ = set.receive(now(), &packet); // rejections are counted
//!             }
//!             // Nothing waits any more: now the timers.
//!             Err(_) => set.timeout(now()),
//!         }
//!     }
//! }
//!
//! let vrid = Vrid::new(51).unwrap();
//! let mut config = RouterConfig::new(vrid, Family::Ipv4, Version::V3, vec!["192.0.2.100".parse()?]);
//! config.primary = Some("192.0.2.1".parse()?);
//! config.interval = Duration::from_millis(10);
//! let mut set = RouterSet::new();
//! set.insert(Attachment::new(1, Family::Ipv4), config)?;
//!
//! let socket = UdpSocket::bind("127.0.0.1:0")?;
//! let other = UdpSocket::bind("127.0.0.1:0")?;
//! socket.connect(other.local_addr()?)?;
//! socket.set_nonblocking(true)?;
//! serve(&mut set, &socket, Envelope::multicast("192.0.2.2".parse()?))?;
//! assert_eq!(other.recv(&mut [0; 64])?, 12, "the advert that took over");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What departs from the RFCs, always
//! - An Active router that finds its own adverts so late that another may have taken over steps
//!   back to Backup and is elected anew ([`Reason::Late`]). keepalived does so only when told.
//! - Priority 0 sets Active_Down_Timer to Skew_Time only if that is sooner, so that a stream of such
//!   adverts cannot hold a takeover off.
//! - An advert from our own address is warned of and never answered.
//! - With version 3 over IPv4 an [`Attachment`] sends the checksum that keepalived and FRR expect, with a
//!   pseudo-header; RFC 9568 has none. Both are accepted.
//!
//! What departs from them only when asked is [`Policy`], with a table of keepalived's words.
//!
//! # Read the files in this order
//! `config` and `state` (the diagram), `event`, `action`, `router` and its three states, each the
//! RFC's section; then `router_set`, `track`, `sync_group`, and last `driver`. The expected table of every event
//! in every state is `tests/matrix/v3.txt`; [`conformance`] says which test shows which rule of the
//! RFC, and [`traps`] what others got wrong.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "tokio"))]
extern crate std;

mod action;
mod config;
#[doc = include_str!("conformance.md")]
pub mod conformance {}
#[cfg(feature = "tokio")]
pub mod driver;
mod event;
#[doc(hidden)]
pub mod fuzzing;
mod instant;
mod router;
mod router_set;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
mod state;
mod stats;
mod status;
pub mod sync_group;
pub mod timing;
#[doc = include_str!("traps.md")]
pub mod traps {}
pub mod track;

pub use action::{Action, GroupTransition, PriorityChange, Reason, Transition, Warning};
pub use config::{Announcements, ConfigError, Policy, RouterConfig};
pub use event::{Event, FaultKind, FaultReason, Object, Received};
pub use instant::Instant;
pub use router::{Discard, Router};
pub use router_set::{
    Attachment, Authentication, Memory, Outgoing, Packet, Refused, Rejected, Rejection, RouterId,
    RouterSet, Stranger, Transport, UnicastPeer, WriteError, Written,
};
pub use state::{Active, Backup, Faults, Heard, Reassertion, State, StateKind};
pub use stats::{Peer, Rejections, Statistics};
pub use status::RouterStatus;
pub use sync_group::GroupId;
