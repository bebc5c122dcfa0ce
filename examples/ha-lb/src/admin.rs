//! What operators see and change: the status document ([`status`]), metrics ([`metrics`]), HAProxy's statistics
//! ([`stat`]) and its command line ([`runtime`]).

pub mod dumps;
pub mod metrics;
pub mod runtime;
pub mod stat;
pub mod status;
