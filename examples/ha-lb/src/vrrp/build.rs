//! From `vrrp_instance`s to the routers of the state machine and what the host does for each. The order of the
//! file is the order of the numbers.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::Duration,
};

use vip_netlink::{
    Fixtures, HostOptions, HostRouter, LinuxHost, Reminders,
    debounce::LinkDelay,
    fence::Access,
    lease::Lease,
    link::Interface,
    macvlan::VirtualMac,
    pace::{PacedLinks, Pacing},
    plan::{Flags, Scope, Vip},
};
use vrrp_fsm::{
    Announcements, Attachment, Authentication, Object, Policy, RouterConfig, RouterId, RouterSet,
    Transport, UnicastPeer, track::Track,
};
use vrrp_proto::{Priority, ah::Authenticator};

use crate::{
    config::keepalived::{self, Config, Instance, Peer, VirtualAddress, VmacDevice},
    ipc::watched::Kind,
};

/// Every interface that a configuration names. One that does not exist yet has a number all the same.
#[derive(Debug)]
pub(super) struct Interfaces(BTreeMap<String, Interface>);

impl Interfaces {
    pub(super) fn of(config: &Config) -> io::Result<Self> {
        let mut known = BTreeMap::new();
        for instance in &config.instances {
            let tracked = instance.track_interfaces.iter().map(|track| &track.name);
            for name in std::iter::once(&instance.interface).chain(tracked) {
                if !known.contains_key(name) {
                    known.insert(name.clone(), Interface::lookup(name)?);
                }
            }
        }
        Ok(Self(known))
    }

    /// Those of another configuration; interfaces that are known keep their numbers.
    pub(super) fn renewed(&self, config: &Config) -> io::Result<Self> {
        let mut all = Self::of(config)?;
        all.0.extend(self.0.clone());
        Ok(all)
    }

    fn number(&self, name: &str) -> u32 {
        self.0.get(name).map_or(0, Interface::number)
    }

    /// Whether that interface was there when it was first looked up.
    pub(super) fn existed(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(Interface::exists)
    }

    /// Those that instances of a configuration track.
    pub(super) fn tracked(&self, config: &Config) -> Vec<Interface> {
        let instances = config.instances.iter();
        let names = instances.flat_map(|instance| &instance.track_interfaces);
        let names: BTreeSet<&String> = names.map(|track| &track.name).collect();
        let tracked = names.into_iter().filter_map(|name| self.0.get(name));
        tracked.cloned().collect()
    }

    /// The interface with that number.
    pub(super) fn numbered(&self, number: u32) -> Option<&Interface> {
        self.0.values().find(|i| i.number() == number)
    }
}

/// All virtual routers of a configuration, to take part so long after they are started.
pub(super) fn routers(
    config: &Config,
    interfaces: &Interfaces,
    startup_delay: Duration,
) -> Result<RouterSet, String> {
    let mut set = RouterSet::new();
    for instance in &config.instances {
        let attachment = attachment(instance, interfaces);
        let mut router = router(instance);
        router.policy.startup_delay = startup_delay;
        set.insert(attachment, router).map_err(|error| {
            format!(
                "{}: vrrp_instance {}: {error}",
                instance.span, instance.name
            )
        })?;
    }
    for group in &config.sync_groups {
        let places = (0..).zip(&config.instances);
        let members = places.filter(|(_, instance)| group.members.contains(&instance.name));
        let members = members.map(|(number, _)| RouterId::new(number)).collect();
        set.form_group(vrrp_fsm::Instant::ZERO, members);
    }
    Ok(set)
}

/// The host under them: opens its sockets and, without a `succession`, removes addresses that a predecessor left.
pub(super) fn host(
    config: &Config,
    interfaces: &Interfaces,
    succession: bool,
) -> Result<LinuxHost, vip_netlink::Error> {
    let options = HostOptions {
        succession,
        pacing: pacing(config),
        delays: delays(config),
        fixtures: fixtures(config),
        watch: interfaces.0.values().cloned().collect(),
        ..HostOptions::default()
    };
    LinuxHost::new(host_routers(config, interfaces), options)
}

fn host_routers(config: &Config, interfaces: &Interfaces) -> Vec<HostRouter> {
    let instances = (0..).zip(&config.instances);
    let routers = instances
        .filter_map(|(number, instance)| host_router(RouterId::new(number), instance, interfaces));
    routers.collect()
}

/// What the host does for one instance.
pub(super) fn host_router(
    id: RouterId,
    instance: &Instance,
    interfaces: &Interfaces,
) -> Option<HostRouter> {
    Some(HostRouter {
        family: instance.family,
        group: match instance.unicast {
            None => Some(instance.group),
            Some(_) => None,
        },
        authenticated: matches!(
            instance.authentication,
            Some(keepalived::Authentication::Header(_))
        ),
        source: instance.source,
        track_source: instance.track_source,
        access: match instance.accept {
            true => Access::Full,
            false => Access::Neighbours,
        },
        owner: instance.priority == Priority::OWNER,
        addresses: vips(instance),
        promote_secondaries: instance.promote_secondaries,
        routes: instance.routes.clone(),
        rules: instance.rules.clone(),
        devices: instance.vmac.devices.iter().map(device).collect(),
        mac: instance.vmac.adverts,
        reminders: instance.vmac.reminders.map(|written| Reminders {
            interval: written.interval,
            all: written.all,
        }),
        lifetime: lifetime(instance),
        hold: hold(instance),
        id,
        interface: interfaces.0.get(&instance.interface)?.clone(),
    })
}

fn device(written: &VmacDevice) -> VirtualMac {
    VirtualMac {
        name: written.name.clone(),
        parent: written.parent.clone(),
        mac: written.mac,
    }
}

/// All that is built from a configuration, as text: two that run alike read alike.
#[cfg(test)]
pub(crate) fn plan(config: &Config) -> String {
    let interfaces = Interfaces::of(config).unwrap();
    let routers = config.instances.iter();
    let routers: Vec<_> = routers
        .map(|instance| (router(instance), attachment(instance, &interfaces)))
        .collect();
    let groups = config
        .sync_groups
        .iter()
        .map(|one| (&one.name, &one.members));
    let groups: Vec<_> = groups.collect();
    let hosts = host_routers(config, &interfaces);
    format!(
        "{routers:?} {groups:?} {hosts:?} {:?} {:?} {:?}",
        pacing(config),
        delays(config),
        fixtures(config)
    )
}

/// How long changes of links must last.
pub(super) fn delays(config: &Config) -> Vec<LinkDelay> {
    let delays = config.global.link_delays.iter().map(|delay| LinkDelay {
        interface: delay.interface.clone(),
        down: delay.down,
        up: delay.up,
    });
    delays.collect()
}

/// How fast announcements follow each other.
pub(super) fn pacing(config: &Config) -> Pacing {
    let written = &config.global.pacing;
    let groups = written.groups.iter().map(|group| PacedLinks {
        arp: group.arp,
        neighbour: group.neighbour,
        interfaces: group.interfaces.clone(),
    });
    Pacing {
        arp: written.arp,
        neighbour: written.neighbour,
        groups: groups.collect(),
    }
}

/// What stands whoever is Active.
pub(super) fn fixtures(config: &Config) -> Fixtures {
    let fixed = &config.fixed;
    Fixtures {
        addresses: fixed.addresses.iter().map(vip).collect(),
        routes: fixed.routes.clone(),
        rules: fixed.rules.clone(),
    }
}

/// How long its addresses may stay without an advert.
pub(super) fn lifetime(instance: &Instance) -> Option<Duration> {
    Some(Lease::lifetime(instance.interval))
}

/// How long they answer after an advert.
pub(super) fn hold(instance: &Instance) -> Option<Duration> {
    Lease::hold(instance.interval, instance.down_timer_adverts)
}

/// What goes up with an instance.
pub(super) fn vips(instance: &Instance) -> Vec<Vip> {
    let excluded = &instance.excluded_addresses;
    instance.addresses.iter().chain(excluded).map(vip).collect()
}

fn vip(written: &VirtualAddress) -> Vip {
    let mut vip = Vip::host(written.address).with_prefix(written.prefix);
    vip.device.clone_from(&written.device);
    vip.label.clone_from(&written.label);
    vip.broadcast = written.broadcast;
    if let Some(scope) = written.scope {
        vip.scope = Scope::Other(scope);
    }
    if let Some((peer, prefix)) = written.peer {
        (vip.peer, vip.prefix) = (Some(peer), prefix);
    }
    vip.flags = Flags {
        home: written.home,
        detect_duplicates: written.detect_duplicates,
        manage_temporary: written.manage_temporary,
        no_prefix_route: written.no_prefix_route,
        auto_join: written.auto_join,
    };
    vip.preferred = written.preferred_lifetime;
    vip.untracked = written.no_track;
    vip
}

pub(super) fn router(instance: &Instance) -> RouterConfig {
    let addresses = instance.addresses.iter().map(|vip| vip.address).collect();
    let mut router = RouterConfig::new(instance.vrid, instance.family, instance.version, addresses);
    router.priority = instance.priority;
    router.interval = instance.interval;
    router.preempt = instance.preempt;
    router.preempt_delay = instance.preempt_delay;
    // A source that is tracked is there once the host says so.
    router.primary = instance.source.filter(|_| !instance.track_source);
    router.accept = instance.accept;
    let announcements = &instance.announcements;
    router.announcements = Announcements {
        repeat: announcements.repeat,
        delay: announcements.delay,
        refresh: announcements.refresh,
        refresh_repeat: announcements.refresh_repeat,
        lower_priority_repeat: announcements
            .lower_priority_repeat
            .unwrap_or(announcements.repeat),
        lower_priority_delay: announcements
            .lower_priority_delay
            .unwrap_or(announcements.delay),
    };
    router.policy = Policy {
        lower_priority_no_advert: instance.lower_priority_no_advert,
        higher_priority_send_advert: instance.higher_priority_send_advert,
        owner_ignore_adverts: instance.owner_ignore_adverts,
        spread_phases: true,
        resign_at_once: instance.resign_at_once,
        down_timer_adverts: instance.down_timer_adverts,
        ..Policy::keepalived()
    };
    router
}

fn unicast_peer(peer: &Peer) -> UnicastPeer {
    UnicastPeer {
        address: peer.address,
        min_hop_limit: peer.min_ttl.unwrap_or(0),
        max_hop_limit: peer.max_ttl.unwrap_or(u8::MAX),
    }
}

pub(super) fn attachment(instance: &Instance, interfaces: &Interfaces) -> Attachment {
    let number = interfaces.number(&instance.interface);
    let mut attachment = Attachment::new(number, instance.family);
    attachment.transport = match &instance.unicast {
        None => Transport::Multicast(instance.group),
        Some(unicast) => Transport::Unicast {
            peers: unicast.peers.iter().map(unicast_peer).collect(),
            hop_limit: unicast.ttl,
            check_source: unicast.check_source,
        },
    };
    attachment.authentication = match (instance.authentication, &instance.auth_hmac) {
        (_, Some(hmac)) => Authentication::Hmac(Box::new(hmac.authenticator())),
        (None, None) => Authentication::None,
        (Some(keepalived::Authentication::Password(password)), None) => {
            Authentication::Password(password)
        }
        (Some(keepalived::Authentication::Header(key)), None) => {
            Authentication::Header(Authenticator::new(key))
        }
    };
    attachment.checksum = instance.checksum;
    attachment.track_primary = instance.track_primary;
    attachment.fixed_primary = instance.source.is_some() && !instance.track_source;
    let watched = [
        (Kind::Script, &instance.track_scripts),
        (Kind::File, &instance.track_files),
        (Kind::Process, &instance.track_processes),
        (Kind::Bfd, &instance.track_bfds),
    ];
    for (kind, tracked) in watched {
        attachment.tracks.extend(tracked.iter().map(|track| Track {
            object: watched_object(kind, track.position),
            weight: track.weight,
            reverse: track.reverse,
        }));
    }
    for track in &instance.track_interfaces {
        attachment.tracks.push(Track {
            object: Object::Interface(interfaces.number(&track.name)),
            weight: track.weight,
            reverse: track.reverse,
        });
    }
    attachment
}

/// What the supervisor watches, by its position in the configuration.
pub(super) fn watched_object(kind: Kind, position: usize) -> Object {
    let number = u32::try_from(position).unwrap_or(u32::MAX);
    match kind {
        Kind::Script => Object::Script(number),
        Kind::File => Object::File(number),
        Kind::Process => Object::Process(number),
        Kind::Bfd => Object::Neighbour(number),
    }
}
