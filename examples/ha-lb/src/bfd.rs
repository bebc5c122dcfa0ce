//! Bidirectional Forwarding Detection (RFC 5880, 5881): whether a neighbour is reached, and reaches us, within
//! milliseconds. Asynchronous mode over one hop or more, as keepalived's `bfd_instance` has it: no authentication, no
//! echo.
//!
//! `packet` is the wire, `session` the machine: both without sockets, clocks or tasks. `endpoint` joins the sessions of a
//! process (`running`) to their sockets; it is the speaker's work, which is scheduled in real time.

pub(crate) mod endpoint;
pub mod fuzzing;
pub(crate) mod packet;
mod running;
pub(crate) mod session;
mod socket;
