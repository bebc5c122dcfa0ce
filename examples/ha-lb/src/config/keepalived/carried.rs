//! Interfaces that carry something of an instance beside its own one: the addresses, routes and rules that name them.
//! As with keepalived the loss of such an interface is a fault, unless the line says `no_track`: another host, where
//! it works, is to take over.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    config::{Instance, TrackInterface},
    keyword::Context,
};
use crate::config::diagnostic::Diagnostic;

/// Has each instance track what carries its addresses, routes and rules.
pub(super) fn track(instances: &mut [Instance], context: &mut Context<'_>) {
    let made = instances.iter().flat_map(|instance| &instance.vmac.devices);
    let parents: BTreeMap<String, String> = made
        .map(|device| (device.name.clone(), device.parent.clone()))
        .collect();
    for instance in instances {
        for name in carriers(instance, &parents) {
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
/// A device with a virtual MAC address, whichever instance makes it, is up only while that one is Active: it stands for
/// its interface in `parents`.
fn carriers(instance: &Instance, parents: &BTreeMap<String, String>) -> BTreeSet<String> {
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
    let below = |name: &String| parents.get(name).unwrap_or(name).clone();
    let all = addresses.chain(routes).chain(rules).map(below);
    all.filter(|name| *name != instance.interface).collect()
}
