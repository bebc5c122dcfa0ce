//! Interfaces that carry something of an instance beside its own one: the addresses, routes and rules that name them.
//! As with keepalived the loss of such an interface is a fault, unless the line says `no_track`: another host, where
//! it works, is to take over.

use std::collections::BTreeSet;

use super::{
    config::{Instance, TrackInterface},
    keyword::Context,
};
use crate::config::diagnostic::Diagnostic;

/// Has each instance track what carries its addresses, routes and rules.
pub(super) fn track(instances: &mut [Instance], context: &mut Context<'_>) {
    for instance in instances {
        for name in carriers(instance) {
            let mut known = instance.track_interfaces.iter_mut();
            match known.find(|track| track.name == name) {
                Some(track) if track.weight == 0 => {}
                Some(track) => {
                    context.diagnostics.push(
                        Diagnostic::warning(
                            instance.span.clone(),
                            "a weight for an interface that carries an address, a route or a rule of the instance",
                        )
                        .found(format!("{name} weight {}", track.weight))
                        .action("its loss is a fault, as for keepalived, unless that line says `no_track`"),
                    );
                    (track.weight, track.reverse) = (0, false);
                }
                None => instance.track_interfaces.push(TrackInterface {
                    name,
                    weight: 0,
                    reverse: false,
                    implied: true,
                }),
            }
        }
    }
}

/// Their names, in the order of the alphabet. The instance's own interface is tracked by itself, or on purpose not.
fn carriers(instance: &Instance) -> BTreeSet<String> {
    let addresses = instance.addresses.iter();
    let addresses = addresses.chain(&instance.excluded_addresses);
    let addresses = addresses.filter(|one| !one.no_track);
    let addresses = addresses.filter_map(|one| one.device.as_ref());
    let routes = instance.routes.iter().filter(|route| !route.untracked);
    let routes = routes.filter_map(|route| match route.hops.as_slice() {
        [hop] => hop.device.as_ref(),
        // Of several ways one may be lost.
        _ => None,
    });
    let rules = instance.rules.iter().filter(|rule| !rule.untracked);
    let rules = rules.flat_map(|rule| rule.input.iter().chain(&rule.output));
    let made = &instance.vmac.devices;
    let below = |name: &String| {
        let device = made.iter().find(|device| device.name == *name);
        device.map_or(name, |device| &device.parent).clone()
    };
    let all = addresses.chain(routes).chain(rules).map(below);
    all.filter(|name| *name != instance.interface).collect()
}
