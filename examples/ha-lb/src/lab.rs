//! A small network on one machine: hosts as network namespaces on one bridge, each with one interface,
//! inside namespaces of the caller's own, so that no root is needed and nothing stays behind.
//!
//! The demonstration runs in it and so do the namespace tests. Nothing here knows of VRRP or of proxies.

mod cable;
mod client;
pub mod enclosure;
mod host;
mod origin;
pub mod probe;
mod traffic;

pub use cable::{BRIDGE, Lab, pair};
pub use client::{Answer, Failure, get};
pub use host::{Host, HostCommand};
pub use origin::Origin;
pub use probe::Prober;
pub use traffic::{Gap, Habits, Tally, Traffic};

/// Why a lab could not be built.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The kernel refused a change of its network configuration.
    #[error("netlink: {what}: {source}")]
    Netlink {
        /// What was asked for.
        what: String,
        /// The answer.
        source: rtnetlink::Error,
    },
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was asked for.
        what: String,
        /// The answer.
        source: std::io::Error,
    },
    /// An interface is not there.
    #[error("no interface {0}")]
    NoInterface(String),
}

impl LabError {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    fn netlink(what: impl Into<String>) -> impl FnOnce(rtnetlink::Error) -> Self {
        let what = what.into();
        move |source| Self::Netlink { what, source }
    }
}
