//! The fence: a virtual address must not answer once the process that speaks for it is gone,
//! whatever killed it.
//!
//! Persistent nf_tables tables (families arp and inet) drop what is addressed to a *fenced*
//! address (ARP requests, neighbour solicitations, IP) unless a bit of the packet mark is set.
//! A second pair of tables sets that bit for *open* addresses; it has `flags owner` and belongs to
//! this process's netlink socket, so the kernel removes it with the process, after `kill -9` too.
//! From then on the address is silent although it is still configured.
//!
//! Beside users' own rules: the chains are of this crate's own tables at priorities -401 and -400,
//! before any usual chain; they touch no packet that is not for a fenced address, and the mark's
//! bit is taken off again before any later chain sees the packet. One bit is needed:
//! [`Options::mark`] if [`DEFAULT_MARK`] is taken. Hook *input* only: packets that a host merely
//! forwards are never touched, and a fenced address that is not configured on this host costs
//! nothing. Elements expire by themselves [`Options::timeout`] after the last [`Fence::renew`].
//!
//! Never runs a program; needs CAP_NET_ADMIN in the namespace that owns the network.

mod nfnetlink;
mod rules;

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use nfnetlink::{Batch, Connection};
use rules::Names;

/// The bit of the packet mark that the fence uses.
pub const DEFAULT_MARK: u32 = 0x1000_0000;
/// How long an address stays fenced after its holder's death: longer than a usual lease, and short enough
/// that another program may hold the address soon.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);
const TABLE: &str = "vip_fence";

/// Why there is no fence; the lease of the addresses is then the only guard.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FenceError {
    /// The kernel has no nf_tables (or not its arp or inet family, or no owned tables).
    #[error("nf_tables cannot be used here: {0}")]
    Unavailable(io::Error),
    /// CAP_NET_ADMIN is missing.
    #[error("changing nf_tables is not permitted (CAP_NET_ADMIN is needed): {0}")]
    Forbidden(io::Error),
    /// A change was refused.
    #[error("nf_tables refused a change: {0}")]
    Refused(io::Error),
}

/// What may be chosen about a fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Exactly one bit of the packet mark that nothing else on this host uses.
    pub mark: u32,
    /// Life of a fenced address without renewal.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mark: DEFAULT_MARK,
            timeout: DEFAULT_TIMEOUT,
        }
    }
}

/// A held fence. Dropping it (or dying) silences every address that it had opened.
#[derive(Debug)]
pub struct Fence {
    connection: Connection,
    names: Names,
    timeout: Duration,
}

impl Fence {
    /// Creates the tables, or takes over the persistent ones that a predecessor left.
    pub fn new(options: Options) -> Result<Self, FenceError> {
        let connection = Connection::open().map_err(FenceError::Unavailable)?;
        let fence = Self {
            names: Names {
                fence: TABLE.to_owned(),
                open: format!("vip_open_{}", connection.port()),
                mark: options.mark,
            },
            timeout: options.timeout,
            connection,
        };
        let mut batch = Batch::new();
        fence.names.create_fence(&mut batch);
        fence.names.create_open(&mut batch);
        match fence.connection.commit(batch) {
            Ok(()) => Ok(fence),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(FenceError::Forbidden(error))
            }
            Err(error) => Err(FenceError::Unavailable(error)),
        }
    }

    /// Fences `addresses` and lets them answer while this value lives: before they are configured.
    pub fn open(&self, addresses: &[IpAddr]) -> Result<(), FenceError> {
        self.with_tables(addresses, |names, batch| {
            names.fence(batch, addresses, self.timeout);
            names.open(batch, addresses);
        })
    }

    /// Keeps open addresses fenced for another [`Options::timeout`]. If somebody removed the
    /// tables meanwhile (`nft flush ruleset`), they are made anew.
    pub fn renew(&self, addresses: &[IpAddr]) -> Result<(), FenceError> {
        self.with_tables(addresses, |names, batch| {
            names.fence(batch, addresses, self.timeout);
        })
    }

    /// Silences `addresses` at once, although they may still be configured.
    pub fn close(&self, addresses: &[IpAddr]) -> Result<(), FenceError> {
        self.with_tables(addresses, |names, batch| names.close(batch, addresses))
    }

    /// Takes `addresses` out of the fence altogether: after they are gone from this host.
    pub fn forget(&self, addresses: &[IpAddr]) -> Result<(), FenceError> {
        self.with_tables(addresses, |names, batch| {
            names.close(batch, addresses);
            names.unfence(batch, addresses);
        })
    }

    /// Removes the persistent tables: only where no other process of this host uses a fence.
    pub fn destroy(self) -> Result<(), FenceError> {
        let mut batch = Batch::new();
        self.names.destroy_fence(&mut batch);
        self.connection.commit(batch).map_err(FenceError::Refused)
    }

    fn with_tables(
        &self,
        addresses: &[IpAddr],
        fill: impl Fn(&Names, &mut Batch),
    ) -> Result<(), FenceError> {
        if addresses.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        fill(&self.names, &mut batch);
        match self.connection.commit(batch) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut batch = Batch::new();
                self.names.create_fence(&mut batch);
                fill(&self.names, &mut batch);
                self.connection.commit(batch).map_err(FenceError::Refused)
            }
            result => result.map_err(FenceError::Refused),
        }
    }
}
