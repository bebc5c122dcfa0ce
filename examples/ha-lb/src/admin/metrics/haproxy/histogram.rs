//! How long streams took, of each frontend, backend and server: what averages hide.

use lb_core::{
    dataplane::Balancer,
    stats::{BOUNDS_US, Timer, Traffic},
};

use super::{
    super::exposition::{Exposition, Family, Kind::Histogram},
    Wanted,
};

const TIMERS: [(Timer, &str, &str); 4] = [
    (
        Timer::Queue,
        "queue",
        "Time in the queue, of streams that a server answered and that ended well.",
    ),
    (
        Timer::Connect,
        "connect",
        "Time to connect to the server, of streams that ended well; 0 on a connection that was kept.",
    ),
    (
        Timer::Response,
        "response",
        "Time until the head of the server's response, of streams that ended well; 0 in TCP mode.",
    ),
    (
        Timer::Total,
        "total",
        "Time from the first byte of the request to the last of the response, of streams that a server answered and \
         that ended well.",
    ),
];

pub(super) fn write(out: &mut Exposition, balancer: &Balancer, wanted: Wanted) {
    let frontends = || {
        let all = balancer.frontends.iter().zip(&balancer.frontend_counters);
        all.filter(|(frontend, _)| frontend.config().peers.is_none())
    };
    let backends = || balancer.backends.iter();
    for (timer, word, help) in TIMERS {
        if wanted.frontend {
            let name = format!("ha_lb_frontend_{word}_time_seconds");
            let mut family = out.family(&name, Histogram, help);
            for (frontend, counters) in frontends() {
                let labels = [("proxy", &*frontend.config().name)];
                series(&mut family, &labels, &counters.traffic, timer);
            }
        }
        if wanted.backend {
            let name = format!("ha_lb_backend_{word}_time_seconds");
            let mut family = out.family(&name, Histogram, help);
            for backend in backends().filter(|backend| !backend.servers().is_empty()) {
                let labels = [("proxy", backend.name())];
                series(&mut family, &labels, &backend.counters().traffic, timer);
            }
        }
        if wanted.server {
            let name = format!("ha_lb_server_{word}_time_seconds");
            let mut family = out.family(&name, Histogram, help);
            for backend in backends() {
                for server in backend.servers() {
                    if wanted.no_maint && server.admin().is_maintenance() {
                        continue;
                    }
                    let labels = [("proxy", backend.name()), ("server", server.name())];
                    series(&mut family, &labels, &server.counters().traffic, timer);
                }
            }
        }
    }
}

/// Nothing for what was never used: thousands of servers would be told of in vain.
fn series(family: &mut Family<'_>, labels: &[(&str, &str)], traffic: &Traffic, timer: Timer) {
    let buckets = traffic.histogram(timer);
    if buckets.count == 0 {
        return;
    }
    let mut bucket = |bound: &str, count: u64| {
        let mut labels = labels.to_vec();
        labels.push(("le", bound));
        family.part("_bucket", &labels, count);
    };
    for (bound, count) in BOUNDS_US.iter().zip(buckets.at_most) {
        bucket(&(f64::from(*bound) / 1e6).to_string(), count);
    }
    bucket("+Inf", buckets.count);
    let (seconds, rest) = (buckets.sum_us / 1_000_000, buckets.sum_us % 1_000_000);
    family.part("_sum", labels, format_args!("{seconds}.{rest:06}"));
    family.part("_count", labels, buckets.count);
}
