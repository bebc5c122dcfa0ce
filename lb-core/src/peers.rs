//! Stick tables that several hosts share: HAProxy's peers protocol, version 2.1, without any I/O.
//!
//! A [`Group`] is a `peers` section: its tables, its peers, and how much of what the others know has been learned. A
//! [`Session`] is one connection to one peer: bytes that came go in by [`Session::receive`], bytes to be sent are in
//! [`Session::output`] after [`Session::fill`]. Whoever learned an entry does not pass it on, unless it is asked for
//! everything; the value that is told last holds. Never here: clocks, sockets.

mod exchange;
mod group;
mod hello;
mod session;
mod table;
mod wire;

#[cfg(test)]
mod tests;

pub use group::{Group, Learning, Link, Shared};
pub use hello::Status;
pub use session::{Broken, Session};
pub(crate) use wire::put_number;

/// Entry for fuzzing: a session hears `bytes`, in two pieces as well, and must neither panic nor hear anything else.
pub(crate) fn fuzz_session(bytes: &[u8], cut: usize, now: std::time::Instant) {
    session::fuzz(bytes, cut, now);
}
