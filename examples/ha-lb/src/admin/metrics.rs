//! Metrics in Prometheus' text format: HAProxy's half under the names of its exporter ([`haproxy`]), the rest of the
//! daemon ([`daemon`]) and latency histograms under `ha_lb_`.

pub mod daemon;
pub mod exposition;
pub mod haproxy;
pub mod service;
mod watching;
