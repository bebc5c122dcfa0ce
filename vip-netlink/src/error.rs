//! What can go wrong on the host side, one variant per cause.
//!
//! States that only look like errors (an address that is already there, one that is already gone)
//! are not here: they are results.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// A failed operation on the host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A raw or packet socket could not be opened: usually CAP_NET_RAW is missing.
    #[error("cannot open a raw socket ({what}): {source}")]
    Socket {
        /// Which socket.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The interface does not exist (now).
    #[error("interface {0} does not exist")]
    NoInterface(String),
    /// An address could not be added or removed: usually CAP_NET_ADMIN is missing.
    #[error("cannot {what} {address}: {source}")]
    Address {
        /// `add`, `remove` or `refresh`.
        what: &'static str,
        /// The address with its prefix length.
        address: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Duplicate address detection (RFC 4862 §5.4) found another host with an address.
    #[error("another host has {0}: duplicate address detection failed")]
    Duplicate(IpAddr),
    /// Another program takes away what is put up, again and again.
    #[error(
        "another program removes {what} again and again ({times} times by now): it is put back with pauses of up to {longest:?}"
    )]
    Contested {
        /// What.
        what: String,
        /// How often it has gone when that was noticed.
        times: u32,
        /// The longest pause.
        longest: Duration,
    },
    /// A route or rule could not be added or removed.
    #[error("cannot {what} {path}: {source}")]
    Path {
        /// `add route`, `remove route`, `add rule` or `remove rule`.
        what: &'static str,
        /// The route or rule as `ip` would take it.
        path: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A device of a virtual MAC address could not be made, changed or removed.
    #[error("cannot {what} {device}: {source}")]
    Device {
        /// `make`, `set up`, `bring up`, `take down`, `release` or `remove`.
        what: &'static str,
        /// Its name.
        device: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The name of such a device is taken by another one, which is left alone.
    #[error(
        "{device} is there already and is no macvlan of {mac} on {parent}, or one of another process that runs: remove it, or choose another name"
    )]
    Taken {
        /// Its name.
        device: String,
        /// The hardware address that it should have.
        mac: String,
        /// What it should stand on.
        parent: String,
    },
    /// Netlink itself failed.
    #[error("netlink: {0}")]
    Netlink(io::Error),
    /// The packet filter cannot be used as a fence.
    #[error("no fence: {0}")]
    Fence(#[from] crate::fence::FenceError),
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Socket { source, .. }
            | Error::Address { source, .. }
            | Error::Path { source, .. }
            | Error::Device { source, .. } => source.kind(),
            Error::Taken { .. } => io::ErrorKind::AlreadyExists,
            Error::Netlink(source) => source.kind(),
            Error::NoInterface(_) => io::ErrorKind::NotFound,
            Error::Duplicate(_) => io::ErrorKind::AddrInUse,
            Error::Contested { .. } => io::ErrorKind::ResourceBusy,
            Error::Fence(_) => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
