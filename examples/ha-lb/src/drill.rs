//! Deaths on purpose: a cluster of two hosts is struck as [`CASES`] say, and a third host measures who answers.
//!
//! The hosts are network namespaces that run the real daemon with generated files (see [`lab`](crate::lab)). The gate
//! runs some of the cases once, the long form (`examples/drill`) all of them many times; both judge by the same bars.
//!
//! Read in this order: `setup` (how the hosts are configured, the protocol's times), `case` (the table), `site` (the
//! hosts), `round` (one case, once), `outcome` (what was measured, the bars).

mod case;
mod node;
mod outcome;
mod round;
mod setup;
mod site;

use std::io;

pub use case::{Blow, CASES, Case, Gap, Role};
pub use node::Node;
pub use outcome::{Outcome, Slack};
pub use round::round;
pub use setup::{Check, SETUPS, Setup};
pub use site::{Site, VIP};

use crate::lab::LabError;

/// Why a drill could not be carried through.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The lab could not be built.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was asked for.
        what: &'static str,
        /// The answer.
        source: io::Error,
    },
    /// The cluster did not become what it should.
    #[error("not in time: {what}\n{how}")]
    Late {
        /// What did not happen.
        what: String,
        /// How things are instead, and what the daemons wrote.
        how: String,
    },
}

impl DrillError {
    fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
