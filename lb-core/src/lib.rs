//! Sans-IO load balancer core.

pub mod acl;
pub mod balance;
pub mod config;
#[cfg(feature = "tokio")]
pub mod dataplane;
pub mod expr;
pub mod frontend;
pub mod head;
pub mod http1;
pub mod id;
pub mod log;
pub mod request;
pub mod rules;
pub mod stats;
