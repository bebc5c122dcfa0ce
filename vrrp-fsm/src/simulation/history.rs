//! What happened on a segment, in order.

use core::time::Duration;

use super::Fault;
use crate::{Transition, Warning};

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// When, since the simulation began.
    pub at: Duration,
    /// What.
    pub what: Happening,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// A fault or a repair.
    Fault(Fault),
    /// A router sent an advert with that priority.
    Sent(usize, u8),
    /// A router changed its state.
    Transition(usize, Transition),
    /// A router warned.
    Warning(usize, Warning),
    /// A router announced its addresses.
    Announced(usize),
}
