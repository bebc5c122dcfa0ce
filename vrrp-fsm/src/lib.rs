//! Sans-IO VRRP virtual router (RFC 9568, RFC 5798, RFC 3768).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "tokio"))]
extern crate std;

mod action;
mod config;
#[cfg(feature = "tokio")]
pub mod driver;
mod event;
mod instant;
mod router;
mod router_set;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
mod state;
mod stats;
mod status;
pub mod timing;
pub mod track;

pub use action::{Action, Reason, Transition, Warning};
pub use config::{Announcements, ConfigError, Policy, RouterConfig};
pub use event::{Event, FaultKind, FaultReason, Object, Received};
pub use instant::Instant;
pub use router::{Discard, Router};
pub use router_set::{
    Attachment, Authentication, Outgoing, Packet, Rejected, Rejection, RouterId, RouterSet,
    Transport, WriteError, Written,
};
pub use state::{Active, Backup, Faults, Heard, State, StateKind};
pub use stats::{Peer, Rejections, Statistics};
pub use status::RouterStatus;
