//! The same files and the same bytes through Debian's HAProxy and through `ha-lb run -x`.
//!
//! Each peer gets its own origin, which records what it receives, and its own syslog listener. What the origin
//! saw, what the client saw and the log line must be equal, but for [`differences::INTENDED`], whose entries say
//! why and must still be true.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod case;
mod client;
mod compare;
mod differences;
mod endurance;
mod exchange;
mod normal;
mod origin;
mod parsed;
mod peer;
mod pki;
mod resolution;

mod aborts;
mod acls;
mod admin;
mod asked;
mod balancing;
mod cached;
mod checks;
mod clients;
mod details;
mod dynamic;
mod failures;
mod framing;
mod heads;
mod inspected;
mod limits;
mod lines;
mod maps;
mod marks;
mod messages;
mod modes;
mod names;
mod packets;
mod prefaces;
mod replies;
mod responses;
mod retries;
mod rules;
mod services;
mod sessions;
mod shared;
mod sizes;
mod states;
mod stats_page;
mod tables;
mod tcp;
mod terminal;
mod timeouts;
mod tls;
mod told;
mod watched;
