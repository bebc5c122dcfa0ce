//! Log lines: what a stream was, the formats it is written in, and syslog framing. Nothing here sends
//! anything.

pub(crate) mod date;
pub mod events;
mod format;
mod record;
pub mod syslog;

pub(crate) use format::looks_dynamic;
pub use format::{LogFormat, VARIABLES, Variable};
pub use record::{Counts, RequestLine, StreamRecord, Termination, Timers};
