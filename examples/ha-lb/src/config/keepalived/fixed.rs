//! `static_ipaddress`, `static_routes` and `static_rules`: what stands whoever is master.

use super::{
    config::Fixed,
    document::Node,
    global::Defaults,
    keyword::{Context, inside},
    lexer::Word,
    track_group::Line,
};
use crate::config::diagnostic::Diagnostic;

/// keepalived's `default_interface`.
const DEFAULT_INTERFACE: &str = "eth0";

/// What was read of it.
#[derive(Default)]
pub(super) struct Draft {
    fixed: Fixed,
    /// Addresses that name a group, by their position.
    addresses: Vec<(usize, Word)>,
    lines: Vec<Line>,
}

pub(super) fn addresses(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    for line in inside(node) {
        let Some((address, group)) = context.static_address(line) else {
            continue;
        };
        let position = draft.fixed.addresses.len();
        draft.addresses.extend(group.map(|group| (position, group)));
        draft.fixed.addresses.push(address);
    }
}

pub(super) fn routes(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    for line in inside(node) {
        let Some((route, group)) = context.route(line) else {
            continue;
        };
        draft.lines.extend(group.map(|group| Line {
            group,
            interface: match route.hops.as_slice() {
                [hop] => hop.device.clone(),
                _ => None,
            },
            untracked: route.untracked,
        }));
        draft.fixed.routes.push(route);
    }
}

pub(super) fn rules(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    for line in inside(node) {
        let Some((rule, group)) = context.rule(line) else {
            continue;
        };
        draft.lines.extend(group.map(|group| Line {
            group,
            interface: rule.input.clone(),
            untracked: rule.untracked,
        }));
        draft.fixed.rules.push(rule);
    }
}

/// Fills in the device of addresses that name none; what names a group, too.
pub(super) fn finish(
    draft: Draft,
    defaults: &Defaults,
    is_alone: bool,
    context: &mut Context<'_>,
) -> (Fixed, Vec<Line>) {
    let Draft {
        mut fixed,
        addresses,
        mut lines,
    } = draft;
    let device = defaults.interface.as_deref().unwrap_or(DEFAULT_INTERFACE);
    for address in &mut fixed.addresses {
        if address.device.is_none() {
            address.device = Some(device.to_owned());
            context.diagnostics.push(
                Diagnostic::warning(address.span.clone(), "a static address without a device")
                    .found(address.address.to_string())
                    .expected("`dev` and an interface")
                    .action(format!("it goes to {device}, as by keepalived")),
            );
        }
    }
    let of_addresses = addresses.into_iter().filter_map(|(position, group)| {
        let address = fixed.addresses.get(position)?;
        Some(Line {
            group,
            interface: address.device.clone(),
            untracked: address.no_track,
        })
    });
    lines.extend(of_addresses);
    if let Some(first) = fixed.addresses.first().filter(|_| is_alone) {
        context.diagnostics.push(
            Diagnostic::warning(
                first.span.clone(),
                "static addresses without a vrrp_instance",
            )
            .action("they are not put up: there is no VRRP process that could"),
        );
    }
    (fixed, lines)
}
