//! Bidirectional Forwarding Detection (RFC 5880, 5881): whether a neighbour is reached, and reaches us, within
//! milliseconds. Asynchronous mode over one hop or more, as keepalived's `bfd_instance` has it: no authentication, no
//! echo.
//!
//! `packet` is the wire, `session` the machine: both without sockets, clocks or tasks. `endpoint` joins the sessions of a
//! process to their sockets; it is the speaker's work, which is scheduled in real time.

pub(crate) mod endpoint;
pub(crate) mod packet;
pub(crate) mod session;
mod socket;
