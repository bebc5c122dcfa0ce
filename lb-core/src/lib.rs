//! Sans-IO load balancer core.

pub mod acl;
pub mod balance;
pub mod config;
pub mod head;
pub mod rules;
