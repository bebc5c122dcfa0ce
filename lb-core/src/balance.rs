//! Balancing algorithms, one a file.

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
}
