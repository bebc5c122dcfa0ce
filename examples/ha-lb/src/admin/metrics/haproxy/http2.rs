//! HTTP/2 of each frontend, which HAProxy's exporter does not have.

use lb_core::{
    dataplane::Balancer,
    stats::{Counter, Http2Counters},
};

use super::super::exposition::{Exposition, Kind};

type Row = (&'static str, fn(&Http2Counters) -> &Counter, &'static str);

const FAMILIES: [Row; 5] = [
    (
        "ha_lb_frontend_http2_connections_total",
        |c| &c.connections,
        "Connections of clients in HTTP/2.",
    ),
    (
        "ha_lb_frontend_http2_streams_total",
        |c| &c.streams,
        "Requests on connections in HTTP/2.",
    ),
    (
        "ha_lb_frontend_http2_malformed_total",
        |c| &c.malformed,
        "Streams in HTTP/2 that were reset because their request was none.",
    ),
    (
        "ha_lb_frontend_http2_protocol_errors_total",
        |c| &c.protocol_errors,
        "Connections in HTTP/2 that were closed because their frames made no sense.",
    ),
    (
        "ha_lb_frontend_http2_floods_total",
        |c| &c.floods,
        "Connections in HTTP/2 that were closed because they were floods of frames.",
    ),
];

pub(super) fn write(out: &mut Exposition, balancer: &Balancer) {
    for (name, counter, help) in FAMILIES {
        let mut family = out.family(name, Kind::Counter, help);
        let frontends = balancer.frontends.iter().zip(&balancer.frontend_counters);
        for (frontend, counters) in frontends.filter(|(one, _)| one.config().peers.is_none()) {
            let labels = [("proxy", &*frontend.config().name)];
            family.sample(&labels, counter(&counters.http2).value());
        }
    }
}
