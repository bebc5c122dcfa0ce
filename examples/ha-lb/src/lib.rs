//! keepalived and HAProxy in one daemon: reads their configuration files, holds virtual addresses by VRRP and
//! balances TCP and HTTP traffic.
//!
//! Three processes of one binary: a privileged **supervisor** that reads files, opens the listening sockets
//! and takes no network input; a **speaker** (VRRP) with two capabilities; a **balancer** with none.
//!
//! Read the files in this order: `cli`, `config`, `ipc`, `supervisor`, `vrrp`, `balancer`, `admin`.

pub mod admin;
pub mod balancer;
pub mod bfd;
pub mod cli;
pub mod config;
pub mod demo;
pub mod drill;
mod heap;
pub mod ipc;
pub mod lab;
mod latest;
pub mod logging;
pub mod mail;
pub mod notify;
pub mod privileges;
mod role;
mod scheduling;
pub mod signals;
pub mod supervisor;
pub mod vrrp;
