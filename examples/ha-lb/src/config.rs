//! Configuration: keepalived's and HAProxy's files, read into the typed configuration of the cores.
//!
//! Nothing here opens a socket or touches the host: files come through `Files`, findings go to
//! [`Diagnostics`](diagnostic::Diagnostics).

pub mod diagnostic;
pub mod files;
#[doc(hidden)]
pub mod fuzzing;
pub mod haproxy;
pub mod keepalived;
pub mod load;
pub mod lvs;
pub mod plan;
pub mod predefined;
mod spelling;
