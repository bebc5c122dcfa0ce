//! Sans-IO load balancer core.

pub mod acl;
pub mod backend;
pub mod balance;
pub mod config;
pub mod cookie;
#[cfg(feature = "tokio")]
pub mod dataplane;
pub mod expr;
pub mod frontend;
pub mod head;
pub mod health;
pub mod http1;
pub mod id;
pub mod log;
pub mod proxy_protocol;
mod queue;
pub mod request;
pub mod rules;
pub mod server;
pub mod stats;
pub mod stick_table;

#[cfg(test)]
mod test_clock;
