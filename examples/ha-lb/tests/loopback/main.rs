//! The daemon as a process on loopback, without root.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod addresses;
mod descriptors;
mod files;
#[path = "../gauge/mod.rs"]
mod gauge;
mod hard_stop;
mod http2;
mod reload;
#[path = "../reserve/mod.rs"]
mod reserve;
mod restart;
mod support;
mod upgrade;
mod websocket;
