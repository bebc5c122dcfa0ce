//! `interface_up_down_delays`.

use std::time::Duration;

use super::{
    config::{Instance, LinkDelay},
    document::Node,
    keyword::{Context, inside},
};
use crate::config::diagnostic::Diagnostic;

const MOST: Duration = Duration::from_secs(255);

/// Lines `INTERFACE DOWN [UP]`.
pub(super) fn read(node: &Node, context: &mut Context<'_>) -> Vec<LinkDelay> {
    let mut delays = Vec::new();
    for line in inside(node) {
        let Some((down, up)) = line.arguments.split_first() else {
            context.refuse(
                &line.keyword,
                "delay of a link",
                "`INTERFACE DOWN [UP]`, in seconds",
            );
            continue;
        };
        let range = Duration::ZERO..=MOST;
        let down = context.seconds(down, range.clone());
        let up = match up.first() {
            Some(word) => context.seconds(word, range),
            None => down,
        };
        if let (Some(down), Some(up)) = (down, up) {
            delays.push(LinkDelay {
                interface: line.keyword.text.clone(),
                down,
                up,
                span: line.keyword.span.clone(),
            });
        }
    }
    delays
}

/// keepalived: who does not hear the others must know that before it takes the silence for theirs.
pub(super) fn bound(delays: &mut [LinkDelay], instances: &[Instance], context: &mut Context<'_>) {
    for delay in delays {
        let on_it = instances
            .iter()
            .filter(|one| one.interface == delay.interface);
        let bounds = on_it.map(|one| {
            let adverts = u32::from(one.down_timer_adverts).saturating_sub(1);
            one.interval * adverts * 9 / 10
        });
        let Some(bound) = bounds
            .min()
            .filter(|bound| *bound < delay.down.max(delay.up))
        else {
            continue;
        };
        (delay.down, delay.up) = (delay.down.min(bound), delay.up.min(bound));
        context.diagnostics.push(
            Diagnostic::warning(
                delay.span.clone(),
                "a link's delay is longer than an instance on it bears silence",
            )
            .found(&delay.interface)
            .action(format!("it is {} s at most", bound.as_secs_f64())),
        );
    }
}
