//! Other settings for running routers: state, timers, sequence numbers and addresses that stay are not touched.
//!
//! What a running speaker cannot change is refused by the plan (`config::plan`) before it comes here, and again
//! here, so that nothing is ever applied by half.

use std::collections::BTreeMap;

use vip_netlink::LinuxHost;
use vrrp_fsm::{
    Object, RouterId,
    driver::{Driver, Observation},
    track::Health,
};

use super::{build, words::Words};
use crate::{
    config::keepalived::{Config, Instance},
    ipc::message::Configuration,
};

/// A configuration that waits for its order.
pub(super) struct Prepared {
    pub(super) reload: u64,
    pub(super) config: Config,
}

/// Results of scripts by name.
pub(super) type Results = BTreeMap<String, Health>;

/// Makes a configuration ready for the running routers.
pub(super) fn prepare(
    reload: u64,
    configuration: &Configuration,
    words: &Words,
) -> Result<Prepared, String> {
    let config = super::read(configuration)?;
    check(&config, words)?;
    Ok(Prepared { reload, config })
}

/// Whether the running routers can go over to `config`.
fn check(config: &Config, words: &Words) -> Result<(), String> {
    if config.instances.len() != words.instances().len() {
        return Err("instances cannot be added or removed".to_owned());
    }
    for running in words.instances() {
        let Some(new) = config.instances.iter().find(|i| i.name == running.name) else {
            return Err(format!("vrrp_instance {} cannot be removed", running.name));
        };
        build::router(new)
            .validate()
            .map_err(|error| format!("vrrp_instance {}: {error}", new.name))?;
        let mut tracked = new.track_interfaces.iter().map(|track| &track.name);
        if identity(running) != identity(new) || tracked.any(|name| !words.interfaces().knows(name))
        {
            return Err(format!(
                "vrrp_instance {} cannot be changed so while it runs",
                new.name
            ));
        }
    }
    Ok(())
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
            instance.authentication,
            instance.source,
            instance.group,
            instance.track_primary,
        ),
        instance.unicast.is_some(),
        instance.priority == vrrp_proto::Priority::OWNER,
    )
}

/// Carries it out.
pub(super) fn apply(
    config: &Config,
    driver: &mut Driver<LinuxHost>,
    words: &mut Words,
    results: &Results,
    mut observer: impl FnMut(RouterId, Observation),
) {
    let before = words.instances().to_vec();
    words.adopt(config);
    for (number, old) in (0..).zip(before) {
        let id = RouterId::new(number);
        let Some(instance) = config.instances.iter().find(|i| i.name == old.name) else {
            continue;
        };
        let script = |object: Object| {
            let Object::Script(number) = object else {
                return None;
            };
            let script = config.scripts.get(usize::try_from(number).ok()?)?;
            results.get(&*script.name).copied()
        };
        let attachment = build::attachment(instance, words.interfaces());
        let router = build::router(instance);
        let repeat = instance.announcements.repeat;
        if let Err(error) = driver.reconfigure(id, attachment, router, script, &mut observer) {
            tracing::error!("vrrp_instance {}: {error}; it goes on as it was", old.name);
            continue;
        }
        let (vips, lifetime) = (build::vips(instance), build::lifetime(instance));
        if (&vips, lifetime) != (&build::vips(&old), build::lifetime(&old)) {
            driver.host_mut().readdress(id, vips, lifetime, repeat);
        }
    }
}
