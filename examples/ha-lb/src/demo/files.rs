//! The files that the hosts of the demonstration run with.

use std::{fmt::Write as _, time::Duration};

use super::{client::HOST_HEADER, cluster::VIP};

/// Advertisement interval of the demonstration.
pub(super) const ADVERTISEMENT_INTERVAL: Duration = Duration::from_millis(500);
/// What a running balancer adds to a host's priority.
pub(super) const SCRIPT_WEIGHT: u8 = 10;

/// keepalived's file of a host.
pub(super) fn keepalived_conf(priority: u8) -> String {
    format!(
        "vrrp_script balancer {{
    script \"killall -0 haproxy\"
    interval 1
    weight {SCRIPT_WEIGHT}
}}

vrrp_instance VI_1 {{
    version 3
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int {}
    virtual_ipaddress {{
        {VIP}
    }}
    track_script {{
        balancer
    }}
}}
",
        ADVERTISEMENT_INTERVAL.as_secs_f64()
    )
}

/// HAProxy's file of a host, with the first `servers` origins.
pub(super) fn haproxy_cfg(host: &str, servers: usize) -> String {
    let mut text = format!(
        "defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
    option forwardfor
    option redispatch

frontend www
    bind *:80
    http-response set-header {HOST_HEADER} {host}
    default_backend web

backend web
    balance roundrobin
    default-server check inter 300ms fall 2 rise 2
"
    );
    for number in 1..=servers {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    server web{number} 10.77.0.{}:8080", 20 + number);
    }
    text
}
