//! The Linux side of a virtual address.
pub mod advert_socket;
pub mod announce;
mod error;
pub mod fence;
#[cfg(feature = "tokio")]
mod host;
pub mod lease;
pub mod link;
pub mod packet_socket;
pub mod plan;
#[cfg(feature = "tokio")]
pub mod vips;
#[cfg(feature = "tokio")]
pub mod watch;

pub use error::Error;
#[cfg(feature = "tokio")]
pub use host::{HostOptions, HostRouter, LinuxHost};
