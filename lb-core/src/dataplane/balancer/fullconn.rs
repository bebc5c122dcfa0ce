//! The load at which servers with a `minconn` reach their `maxconn`, where no `fullconn` says it (manual 4.2).

use std::borrow::Cow;

use crate::config::{Config, ProxyConfig};

/// The proxy with a tenth of what the greatest frontend may hold, if it needs that figure and has none.
pub(super) fn completed<'p>(proxy: &'p ProxyConfig, config: &Config) -> Cow<'p, ProxyConfig> {
    let lacks_it = proxy.backend.as_ref().is_some_and(|backend| {
        backend.fullconn.is_none() && backend.servers.iter().any(|s| s.minconn.is_some())
    });
    let halves = config.proxies.iter().filter_map(|p| p.frontend.as_ref());
    let greatest = halves
        .filter_map(|frontend| frontend.maxconn.or(config.global.maxconn))
        .max();
    match (lacks_it, greatest) {
        (true, Some(most)) => {
            let mut proxy = proxy.clone();
            if let Some(backend) = &mut proxy.backend {
                backend.fullconn = Some(most.div_ceil(10).max(1));
            }
            Cow::Owned(proxy)
        }
        _ => Cow::Borrowed(proxy),
    }
}
