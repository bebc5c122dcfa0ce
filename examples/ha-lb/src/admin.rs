//! What operators see and change: the status document ([`status`]), HAProxy's statistics ([`stat`]) and its
//! command line ([`runtime`]).

pub mod runtime;
pub mod stat;
pub mod status;
