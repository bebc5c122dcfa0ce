//! Other settings for running routers: state, timers, sequence numbers and addresses that stay are not touched.
//!
//! An instance is who it is by its name together with interface, family, VRID, version, `auth_type AH` and what
//! its sockets were opened for. If any of these changes it ends (priority 0) and starts anew.

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
    config::keepalived::{Authentication, Config, Instance},
    ipc::{message::Configuration, watched::Watched},
};

/// A configuration that waits for its order.
pub(super) struct Prepared {
    pub(super) reload: u64,
    config: Config,
    interfaces: Interfaces,
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

/// What makes an instance who it is, beside its name.
fn identity(instance: &Instance) -> impl PartialEq + use<> {
    (
        (
            instance.interface.clone(),
            instance.vrid,
            instance.version,
            instance.family,
        ),
        (
            // It is another protocol, which needs other sockets.
            matches!(instance.authentication, Some(Authentication::Header(_))),
            instance.source,
            instance.group,
            instance.track_primary,
            instance.accept,
        ),
        instance.unicast.is_some(),
        instance.priority == vrrp_proto::Priority::OWNER,
    )
}

/// Carries it out: what goes, goes first, so that what comes may have its place; what stays is changed in between.
pub(super) fn apply(
    prepared: Prepared,
    driver: &mut Driver<LinuxHost>,
    words: &mut Words,
    results: &Results,
    mut observer: impl FnMut(RouterId, Observation),
) {
    let Prepared {
        config, interfaces, ..
    } = prepared;
    let named = |name: &str| config.instances.iter().find(|i| *i.name == *name);
    let before: Vec<(usize, Instance)> = words.running().map(|(n, i)| (n, i.clone())).collect();
    let (kept, gone): (Vec<_>, Vec<_>) = before
        .into_iter()
        .partition(|(_, old)| named(&old.name).is_some_and(|new| identity(old) == identity(new)));
    for (number, _) in &gone {
        let id = router_id(*number);
        driver.retire(id, &mut observer);
        driver.host_mut().dismiss(id);
    }
    let first_new = words.count();
    let gone: Vec<usize> = gone.iter().map(|(number, _)| *number).collect();
    words.adopt(&config, interfaces, &gone);
    for (number, old) in kept {
        let Some(instance) = named(&old.name) else {
            continue;
        };
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
        if (&vips, times(instance)) != (&build::vips(&old), times(&old)) {
            driver
                .host_mut()
                .readdress(id, vips, times(instance), repeat);
        }
        if (&instance.routes, &instance.rules) != (&old.routes, &old.rules) {
            let (routes, rules) = (instance.routes.clone(), instance.rules.clone());
            driver.host_mut().reroute(id, routes, rules);
        }
    }
    let new: Vec<_> = words.running().filter(|(n, _)| *n >= first_new).collect();
    for (number, instance) in new {
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
    driver.host_mut().refit(build::fixtures(&config));
    let groups = words.regroup(&config);
    for (group, members) in groups.known {
        driver.reform_group(group, members, &mut observer);
    }
    for members in groups.new {
        driver.form_group(members, &mut observer);
    }
}

fn router_id(number: usize) -> RouterId {
    RouterId::new(u32::try_from(number).unwrap_or(u32::MAX))
}
