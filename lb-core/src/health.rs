//! Health checks: when to probe a server and what the results mean.
//!
//! A [`Monitor`] is a machine over time: `handle` is the way in, [`Monitor::poll_probe`] the way out,
//! [`Monitor::next_deadline`] a getter. Whoever drives it runs the probes and tells the server's backend each
//! [`CheckReport`]. Never here: sockets, clocks, the state of the server itself.

mod agent;
mod monitor;
mod report;
pub mod script;

#[cfg(test)]
mod tests;

pub use agent::AgentAnswer;
pub use monitor::{Event, Monitor, Pace, Probe, connect_limit};
pub use report::{CheckReport, CheckStatus, ProbeResult};
