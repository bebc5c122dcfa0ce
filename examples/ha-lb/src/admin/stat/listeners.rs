//! Rows of `show stat` for listeners (`option socket-stats`), column by column as HAProxy 2.6 fills them.

use lb_core::{
    config::{Bind, ProxyConfig},
    dataplane::Balancer,
    stats::ListenerCounters,
};

use super::{
    columns::{Column::*, Kind, Row},
    rows::{Detail, common, volume},
};
use crate::supervisor::listeners;

/// The row of one listener of a proxy; `None` where there are no more, or they do not count for themselves.
pub(super) fn row(balancer: &Balancer, proxy: usize, at: usize, detail: Detail) -> Option<Row> {
    let section = balancer.config.proxies.get(proxy)?;
    let (frontend, _) = balancer.frontend_of(proxy)?;
    let counters = balancer.listener_counters.get(frontend)?.get(at)?;
    let binds = &section.frontend.as_ref()?.binds;
    Some(filled(section, binds, at, counters, detail))
}

fn filled(
    proxy: &ProxyConfig,
    binds: &[Bind],
    at: usize,
    counters: &ListenerCounters,
    detail: Detail,
) -> Row {
    let number = numbers(binds).nth(at).unwrap_or_default();
    let bind = binds.get(at);
    let name = bind.and_then(|bind| bind.name.clone());
    let name = name.unwrap_or_else(|| format!("sock-{number}"));
    let mut row = Row::new(Kind::Listener, &proxy.name, name, (proxy.id, number));
    let traffic = &counters.traffic;
    row.set(Scur, counters.connections.value());
    row.set(Smax, counters.connections.max());
    // The `maxconn` of a `bind` line has no effect here.
    row.set(Slim, 0u32);
    row.set(Stot, traffic.total(|c| &c.sessions));
    volume(&mut row, traffic);
    row.set(Dreq, traffic.total(|c| &c.denied_requests));
    row.set(Dresp, traffic.total(|c| &c.denied_responses));
    row.set(Ereq, traffic.total(|c| &c.request_errors));
    row.set(Status, "OPEN");
    row.set(Dcon, counters.denied_connections.value());
    row.set(Dses, counters.denied_sessions.value());
    row.set(Wrew, traffic.total(|c| &c.failed_rewrites));
    row.set(Eint, traffic.total(|c| &c.internal_errors));
    if detail.legends {
        let address = bind.map(|bind| match listeners::describe(&bind.address) {
            path if path.starts_with('/') => "unix".to_owned(),
            address => address,
        });
        row.set(Addr, address);
    }
    common(&mut row, proxy);
    row
}

/// Their numbers: what `id` says, else the next that no `id` says.
fn numbers(binds: &[Bind]) -> impl Iterator<Item = u32> {
    let taken = |number: u32| binds.iter().any(|bind| bind.id == Some(number));
    binds.iter().scan(1_u32, move |next, bind| {
        let number = bind.id.unwrap_or_else(|| {
            while taken(*next) {
                *next += 1;
            }
            *next
        });
        *next += 1;
        Some(number)
    })
}

#[cfg(test)]
mod tests {
    use lb_core::config::BindAddress;

    use super::*;

    #[test]
    fn listeners_are_numbered_as_haproxy_does_it() {
        let ids = |ids: &[Option<u32>]| -> Vec<u32> {
            let bind = |id: &Option<u32>| {
                let mut bind = Bind::new(BindAddress::Abstract("x".to_owned()));
                bind.id = *id;
                bind
            };
            numbers(&ids.iter().map(bind).collect::<Vec<_>>()).collect()
        };
        assert_eq!(ids(&[None, Some(42), None, None]), [1, 42, 3, 4]);
        assert_eq!(ids(&[None, Some(1), None]), [2, 1, 4]);
    }
}
