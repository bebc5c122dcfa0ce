//! Other settings for running routers: state, timers, sequence numbers and addresses that stay are not touched.
//!
//! An instance is who it is by what others hear of it, as for keepalived: interface, family, VRID, version,
//! `auth_type AH` and what its sockets were opened for. If any of these changes it ends (priority 0) and starts anew. Its
//! name is only a name: two instances that exchange their VRIDs exchange their names, and an address that goes from one
//! to another is at no moment without an owner.

use std::{collections::BTreeMap, time::Duration};

use vip_netlink::LinuxHost;
use vrrp_fsm::{
    RouterId,
    driver::{Driver, Observation},
    track::Health,
};

use super::{
    build::{self, Interfaces},
    words::Words,
};
use crate::{
    config::keepalived::{self, Bfd, Config, Instance},
    ipc::{
        message::{Configuration, Transition},
        watched::Watched,
    },
};

/// A configuration that waits for its order.
pub(super) struct Prepared {
    pub(super) reload: u64,
    config: Config,
    interfaces: Interfaces,
}

impl Prepared {
    /// Neighbours that are to be watched.
    pub(super) fn bfds(&self) -> Vec<Bfd> {
        self.config.bfds.clone()
    }
}

/// How everything that is watched is.
pub(super) type Results = BTreeMap<Watched, Health>;

/// Makes a configuration ready for the running routers.
pub(super) fn prepare(
    reload: u64,
    configuration: &Configuration,
    words: &Words,
) -> Result<Prepared, String> {
    let config = super::read(configuration)?;
    let interfaces = words.interfaces().renewed(&config);
    let interfaces = interfaces.map_err(|e| e.to_string())?;
    // Whatever could be refused later is refused now.
    build::routers(&config, &interfaces, Duration::ZERO)?;
    Ok(Prepared {
        reload,
        config,
        interfaces,
    })
}

/// Carries it out: what stays is changed first, so that it may take over addresses of what goes; what goes, goes before
/// what comes. Returns the states that names stand for now, where that is not what they stood for.
pub(super) fn apply(
    prepared: Prepared,
    driver: &mut Driver<LinuxHost>,
    words: &mut Words,
    results: &Results,
    mut observer: impl FnMut(RouterId, Observation),
) -> Vec<Transition> {
    let Prepared {
        config, interfaces, ..
    } = prepared;
    let (numbers, before): (Vec<usize>, Vec<Instance>) =
        words.running().map(|(n, i)| (n, i.clone())).unzip();
    // Number and both sides of what goes on.
    let goes_on = keepalived::continued(&before, &config.instances).into_iter();
    let goes_on = goes_on.filter_map(|(old, new)| {
        let number = numbers.get(old)?;
        Some((*number, before.get(old)?, config.instances.get(new)?))
    });
    let goes_on: Vec<_> = goes_on.collect();
    let kept: Vec<_> = goes_on.iter().map(|(n, _, new)| (*n, *new)).collect();
    let free = driver.set().next_ids();
    let (renamed, comers) = words.adopt(&config, interfaces, &kept, free);
    let mut moves = Vec::new();
    for (number, old, instance) in goes_on {
        let id = router_id(number);
        let known = |object| results.get(&words.watched_name(object)?).copied();
        let attachment = build::attachment(instance, words.interfaces());
        let router = build::router(instance);
        let repeat = instance.announcements.repeat;
        if let Err(error) = driver.reconfigure(id, attachment, router, known, &mut observer) {
            tracing::error!("vrrp_instance {}: {error}; it goes on as it was", old.name);
            continue;
        }
        let times = |of: &Instance| (build::lifetime(of), build::hold(of));
        let vips = build::vips(instance);
        if (&vips, times(instance)) != (&build::vips(old), times(old)) {
            // Addresses that another one gets stay until it has them.
            let moved = build::vips(old)
                .into_iter()
                .filter(|vip| !vips.contains(vip));
            let both: Vec<_> = vips.iter().cloned().chain(moved).collect();
            if both.len() > vips.len() {
                moves.push((id, vips, times(instance)));
            }
            driver
                .host_mut()
                .readdress(id, both, times(instance), repeat);
        }
        if instance.promote_secondaries != old.promote_secondaries {
            let host = driver.host_mut();
            host.promote_secondaries(id, instance.promote_secondaries);
        }
        if (&instance.routes, &instance.rules) != (&old.routes, &old.rules) {
            let (routes, rules) = (instance.routes.clone(), instance.rules.clone());
            driver.host_mut().reroute(id, routes, rules);
        }
    }
    for (id, vips, times) in moves {
        driver.host_mut().readdress(id, vips, times, 0);
    }
    for number in numbers.into_iter().filter(|n| words.is_gone(*n)) {
        let id = router_id(number);
        driver.retire(id, &mut observer);
        driver.host_mut().dismiss(id);
    }
    let all: BTreeMap<usize, &Instance> = words.running().collect();
    let new = comers.into_iter();
    for (number, instance) in new.filter_map(|number| Some((number, *all.get(&number)?))) {
        let interfaces = words.interfaces();
        if let Some(host) = build::host_router(router_id(number), instance, interfaces) {
            driver.host_mut().admit(host);
        }
        let (attachment, router) = (
            build::attachment(instance, interfaces),
            build::router(instance),
        );
        if let Err(error) = driver.admit(attachment, router, &mut observer) {
            tracing::error!("vrrp_instance {}: {error}", instance.name);
        }
    }
    driver.host_mut().pace(build::pacing(&config));
    driver.host_mut().debounce(build::delays(&config));
    // Their links are told once more: to those that track one only now it counts as up until then.
    let tracked = words.interfaces().tracked(&config);
    driver.host_mut().watch(tracked);
    driver.host_mut().refit(build::fixtures(&config));
    let groups = words.regroup(&config);
    for (group, members) in groups.known {
        driver.reform_group(group, members, &mut observer);
    }
    for members in groups.new {
        driver.form_group(members, &mut observer);
    }
    renamed
}

fn router_id(number: usize) -> RouterId {
    RouterId::new(u32::try_from(number).unwrap_or(u32::MAX))
}
