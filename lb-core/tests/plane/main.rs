//! The data plane through real sockets on 127.0.0.1: every test starts one with a configuration built in code,
//! origins that behave or misbehave, and a syslog listener.
#![cfg(feature = "tokio")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod bench;
mod common;
mod faults;
mod http;
mod tcp;
