//! The whole system in network namespaces: real kernel, real sockets, real peers.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod adverts;
mod alerts;
mod apiserver;
mod auth_hmac;
mod bfd;
mod browser;
mod config_test;
mod courier;
mod deaths;
mod dumps;
mod exposition;
mod failover;
mod fifos;
#[path = "../gauge/mod.rs"]
mod gauge;
mod golden;
mod hangs;
mod interop;
mod ipv6;
mod k8s_ingress;
mod lab;
mod logs;
mod metrics;
mod multi_service;
mod names;
mod node;
mod observe;
mod paths;
mod peers;
mod processes;
mod reload;
mod resign;
mod rights;
mod schedule;
mod single;
mod stats_page;
mod stop;
mod support;
mod sync_groups;
mod tracking;
mod two_masters;
mod upgrade;
mod variety;
mod vmac;
mod web_pair;
