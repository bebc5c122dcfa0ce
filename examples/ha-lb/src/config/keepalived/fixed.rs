//! `static_ipaddress`, `static_routes` and `static_rules`: what stands whoever is master.

use super::{
    config::Fixed,
    document::Node,
    global::Defaults,
    keyword::{Context, inside},
};
use crate::config::diagnostic::Diagnostic;

/// keepalived's `default_interface`.
const DEFAULT_INTERFACE: &str = "eth0";

pub(super) fn addresses(fixed: &mut Fixed, node: &Node, context: &mut Context<'_>) {
    let lines = inside(node).iter();
    let read = lines.filter_map(|line| context.virtual_address(line));
    fixed.addresses.extend(read);
}

pub(super) fn routes(fixed: &mut Fixed, node: &Node, context: &mut Context<'_>) {
    for line in inside(node) {
        let route = context.route(line);
        fixed.routes.extend(context.tracked(route));
    }
}

pub(super) fn rules(fixed: &mut Fixed, node: &Node, context: &mut Context<'_>) {
    for line in inside(node) {
        let rule = context.rule(line);
        fixed.rules.extend(context.tracked(rule));
    }
}

/// Fills in the device of addresses that name none.
pub(super) fn finish(
    mut fixed: Fixed,
    defaults: &Defaults,
    is_alone: bool,
    context: &mut Context<'_>,
) -> Fixed {
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
    if let Some(first) = fixed.addresses.first().filter(|_| is_alone) {
        context.diagnostics.push(
            Diagnostic::warning(
                first.span.clone(),
                "static addresses without a vrrp_instance",
            )
            .action("they are not put up: there is no VRRP process that could"),
        );
    }
    fixed
}
