//! Log lines: what a stream was, the formats it is written in, and syslog framing. Nothing here sends
//! anything.

mod format;
mod record;
pub mod syslog;

pub use format::LogFormat;
pub use record::{Counts, RequestLine, StreamRecord, Termination, Timers};
