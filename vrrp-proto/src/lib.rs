//! VRRPv2 and VRRPv3 packet codec: no_std, no allocation, no I/O.
//!
//! Advertisements are parsed in place and emitted into the caller's buffer. Nothing a peer sends
//! can make a function of this crate panic; each way in which a packet can be wrong is an error of
//! its own, with a [`Cause`] to count by.
//!
//! What a packet means is not decided here (that is `vrrp-fsm`), and no socket is opened.
//!
//! ```
//! use std::net::{IpAddr, Ipv4Addr};
//! use vrrp_proto::{Advertisement, Addresses, Auth, ChecksumMode, Envelope, Interval};
//! use vrrp_proto::{Priority, Version, Vrid};
//!
//! // The IP header is the envelope: checks and checksum need it.
//! let envelope = Envelope {
//!     source: IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1)),
//!     destination: IpAddr::V4(vrrp_proto::MULTICAST_V4),
//!     hop_limit: 255,
//! };
//! let addresses = [IpAddr::V4(Ipv4Addr::new(10, 99, 0, 100))];
//! let advertisement = Advertisement {
//!     version: Version::V3,
//!     vrid: Vrid::new(51).unwrap(),
//!     priority: Priority::DEFAULT,
//!     interval: Interval::from_centiseconds(50).unwrap(),
//!     addresses: Addresses::from(&addresses[..]),
//!     auth: Auth::None,
//! };
//!
//! let mut buffer = [0; 64];
//! let length = advertisement.emit(&envelope, &mut buffer, ChecksumMode::PseudoHeader)?;
//! let received = Advertisement::parse(&buffer[..length], &envelope)?;
//! assert_eq!(received, advertisement);
//! assert_eq!(
//!     received.to_string(),
//!     "VRRPv3, Advertisement, vrid 51, prio 100, intvl 50cs, length 12, addrs: 10.99.0.100"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Read the files in this order: `advertisement` (the type and the wire layouts), its `parse` and
//! `emit`, `error` (what can be wrong), `checksum`, `auth`, `ah`, `trailer`, `auth_hmac`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod addresses;
mod advertisement;
#[cfg(feature = "auth")]
pub mod ah;
mod auth;
#[cfg(feature = "auth")]
pub mod auth_hmac;
mod checksum;
mod envelope;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod interval;
mod priority;
mod trailer;
mod version;
mod vrid;

pub use addresses::{Addresses, AddressesIter};
pub use advertisement::{Advertisement, Parsed};
pub use auth::{Auth, Password};
pub use checksum::ChecksumMode;
pub use envelope::{Envelope, MULTICAST_V4, MULTICAST_V6};
pub use error::{Cause, EmitError, ParseError};
pub use interval::Interval;
pub use priority::Priority;
pub use trailer::{Sequence, Trailer};
pub use version::{Family, Version};
pub use vrid::Vrid;

/// IP protocol number (IPv6: next header) of VRRP.
pub const PROTOCOL: u8 = 112;
