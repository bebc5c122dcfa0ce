//! What instances and sync groups track, beside interfaces and scripts.

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use crate::config::diagnostic::Span;

/// One line of `track_script`, `track_file`, `track_process` or `track_bfd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracked {
    /// Position in [`Config::scripts`](super::Config::scripts), [`files`](super::Config::files),
    /// [`processes`](super::Config::processes) or [`bfds`](super::Config::bfds).
    pub position: usize,
    /// The line's own weight, or the definition's.
    pub weight: i16,
    /// The line's own `reverse`, or the definition's.
    pub reverse: bool,
}

/// A `track_file`: a file that holds a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedFile {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is defined.
    pub span: Span,
    /// `file`.
    pub path: PathBuf,
    /// `weight` (1), as far as it matters: every value but 0 times 254 is out of range.
    pub weight: i16,
    /// `weight N reverse`.
    pub reverse: bool,
    /// `init_file`.
    pub init: Option<InitFile>,
}

/// `init_file [VALUE] [overwrite]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitFile {
    /// What is written (0).
    pub value: i32,
    /// Also where the file is there already.
    pub overwrite: bool,
}

/// A `vrrp_track_process`: processes that are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedProcess {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is defined.
    pub span: Span,
    /// `process`, without its parameters.
    pub program: String,
    /// Its parameters and `param_match`.
    pub parameters: Parameters,
    /// `full_command`: the command line is compared instead of the process's name.
    pub full_command: bool,
    /// `weight` (0); 0 means that a wrong number is a fault.
    pub weight: i16,
    /// `weight N reverse`.
    pub reverse: bool,
    /// `quorum` (1): the fewest.
    pub quorum: u32,
    /// `quorum_max`: the most.
    pub quorum_max: Option<u32>,
    /// `fork_delay`: how long there must be more of them until it counts.
    pub fork_delay: Duration,
    /// `terminate_delay`: how long there must be fewer of them until it counts.
    pub terminate_delay: Duration,
}

/// A `bfd_instance`: a neighbour that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bfd {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is defined.
    pub span: Span,
    /// `neighbor_ip`.
    pub neighbour: IpAddr,
    /// `source_ip`.
    pub source: Option<IpAddr>,
    /// `min_rx` (10 ms).
    pub min_rx: Duration,
    /// `min_tx` (10 ms).
    pub min_tx: Duration,
    /// `idle_tx` (1 s).
    pub idle_tx: Duration,
    /// `multiplier` (5).
    pub multiplier: u8,
    /// `passive`.
    pub passive: bool,
    /// `ttl` or `hoplimit` (255, over IPv6 64).
    pub hop_limit: u8,
    /// `max_hops` (0); `None` for any number.
    pub max_hops: Option<u8>,
    /// `weight` (0); 0 makes a lost neighbour a fault.
    pub weight: i16,
    /// `weight N reverse`.
    pub reverse: bool,
}

/// Which parameters a tracked process has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Parameters {
    /// Any.
    #[default]
    Any,
    /// These.
    Exactly(Vec<String>),
    /// `param_match partial`: these and perhaps more.
    First(Vec<String>),
    /// `param_match initial`: these, and the last one may go on.
    Initial(Vec<String>),
}
