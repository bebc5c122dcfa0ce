//! What operators see and change: the status document ([`status`]).

pub mod status;
