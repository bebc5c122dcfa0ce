//! The data plane through real sockets on 127.0.0.1: every test starts one with a configuration built in code,
//! origins that behave or misbehave, and a syslog listener.
#![cfg(feature = "tokio")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and their origins are threads that take their time"
)]

mod addresses;
mod bench;
mod bodies;
mod cache;
mod checks;
mod common;
mod compression;
mod faults;
mod http;
mod http2;
mod idle;
mod programs;
mod reload;
mod silence;
mod tables;
mod tcp;
mod tls;
