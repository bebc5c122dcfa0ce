//! The whole system in network namespaces: real kernel, real sockets, real peers.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod lab;
mod support;
