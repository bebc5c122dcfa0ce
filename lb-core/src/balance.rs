//! Balancing algorithms, one a file, and the [`Scheduler`] that holds the one of a backend.
//!
//! Servers are numbers here. Whoever owns the scheduler tells it their weights (0 takes one out), how loaded
//! they are and which are full ("parked"); a pick is O(log n). Never here: state of servers, locks, time,
//! randomness that is not seeded.

mod bounds;
mod heap;
mod key;
mod least_conn;
mod maglev;
mod random;
mod ring;
mod round_robin;
mod scheduler;
mod turns;
mod weight_map;

#[cfg(test)]
mod tests;

pub(crate) use heap::IndexedHeap;
pub use key::{HashConfig, HashFunction, HashKey, HashLayout, UriKey};
pub use maglev::{Places, Plan};
pub use scheduler::{Pick, Scheduler};

/// `balance`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// Smooth weighted round robin.
    #[default]
    RoundRobin,
    /// Weighted round robin whose weights do not change at run time.
    StaticRr,
    /// Fewest connections for the weight.
    LeastConn,
    /// Hash of the client address.
    Source,
    /// First server with a free slot.
    First,
    /// Least loaded of this many drawn servers.
    Random(u8),
    /// Hash of the target.
    Uri,
    /// Hash of a parameter of the query.
    UrlParam,
    /// Hash of a header.
    Header,
    /// Hash of a cookie of the remote desktop protocol.
    RdpCookie,
    /// Hash of an expression's value.
    Hash,
}

impl Algorithm {
    /// As written in a configuration and shown in the `algo` column.
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "roundrobin",
            Self::StaticRr => "static-rr",
            Self::LeastConn => "leastconn",
            Self::Source => "source",
            Self::First => "first",
            Self::Random(_) => "random",
            Self::Uri => "uri",
            Self::UrlParam => "url_param",
            Self::Header => "hdr",
            Self::RdpCookie => "rdp-cookie",
            Self::Hash => "hash",
        }
    }

    /// Whether a key chooses the server.
    pub fn is_keyed(self) -> bool {
        matches!(
            self,
            Self::Source | Self::Uri | Self::UrlParam | Self::Header | Self::RdpCookie | Self::Hash
        )
    }

    /// Whether weights are laid out beforehand and do not change while it runs; of keys in HAProxy's table.
    pub fn is_static(self, layout: HashLayout) -> bool {
        self == Self::StaticRr || self.is_keyed() && layout == HashLayout::Map
    }

    /// Whether any server may serve any request, so that a failed connection may go elsewhere at once.
    pub fn is_indifferent(self) -> bool {
        matches!(
            self,
            Self::RoundRobin | Self::StaticRr | Self::LeastConn | Self::First | Self::Random(_)
        )
    }
}
