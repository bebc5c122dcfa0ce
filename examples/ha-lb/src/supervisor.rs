//! The privileged process.

pub mod backoff;
pub mod command;
pub mod limits;
pub mod listeners;
pub mod liveness;
pub mod pidfile;
pub mod scripts;
