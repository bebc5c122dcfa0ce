//! One router for the status document.

use std::cmp::Reverse;

use vip_netlink::link::Interface;
use vrrp_fsm::{
    Instant, Object, RouterStatus, StateKind, Stranger,
    driver::{Command, Failure, Report},
    track::{Health, Track},
};

use super::{Words, rejected, state};
use crate::{
    admin::status,
    config::keepalived::{Authentication, Instance},
};

impl Words {
    /// How a router is.
    pub(in crate::vrrp) fn status(&self, report: &Report, now: Instant) -> status::Instance {
        let router = &report.status;
        let number = router.id.index();
        let instance = self.instances.get(number);
        let since = router.last_transition.map(|(at, _)| now.since(at));
        let is_backup = router.state == StateKind::Backup;
        let deadline = router.deadline.filter(|_| is_backup);
        status::Instance {
            name: self.instance(number).to_owned(),
            state: state(router.state, router.fault),
            state_age: since.map(|since| since.as_secs_f64()),
            held_by: match router.ready {
                true => Some("the other members of its sync group cannot be Active yet".to_owned()),
                false => self.held_by(router, now),
            },
            sync_group: self.group_of(self.instance(number)).map(str::to_owned),
            priority: router.base_priority.value(),
            effective_priority: router.effective_priority.value(),
            tracks: router.tracks.iter().map(|one| self.track(*one)).collect(),
            interface: instance.map(|i| i.interface.clone()).unwrap_or_default(),
            virtual_macs: instance
                .map(|instance| virtual_macs(instance, report.guard.wanted))
                .unwrap_or_default(),
            vrid: router.vrid.value(),
            version: match router.version {
                vrrp_proto::Version::V2 => 2,
                vrrp_proto::Version::V3 => 3,
            },
            interval: router.interval.as_secs_f64(),
            authentication: instance.and_then(authentication),
            takeover_in: deadline.map(|at| at.since(now).as_secs_f64()),
            own_address: router.primary.map(|address| address.to_string()),
            active_address: router.active.map(|address| address.to_string()),
            vips: instance.map(vips).unwrap_or_default(),
            routes: instance.map(routes).unwrap_or_default(),
            rules: instance.map(rules).unwrap_or_default(),
            addresses: match (report.guard.wanted, &report.failure) {
                (true, None) => "up",
                (true, Some(_)) => "failing",
                (false, _) => "down",
            }
            .to_owned(),
            fence: match &report.guard.fence {
                Some(Ok(())) => "on".to_owned(),
                Some(Err(why)) => why.clone(),
                None => "off".to_owned(),
            },
            lease: report.guard.lease.map(|(valid, left)| status::Lease {
                valid: valid.as_secs_f64(),
                left: left.as_secs_f64(),
            }),
            retrying: report.failure.as_ref().map(|one| failure(one, now)),
            retrying_paths: report.paths.as_ref().map(|one| failure(one, now)),
            last_transition: self.changes.get(number).cloned().flatten(),
            transitions: Vec::new(),
            changes: Vec::new(),
            peers: peers(report, now),
            refused: refused(report, now),
            counters: counters(report),
        }
    }

    /// Who sends adverts for virtual routers that are not here, those heard last first.
    pub(in crate::vrrp) fn strangers(
        &self,
        all: &[Stranger],
        now: Instant,
    ) -> Vec<status::Stranger> {
        let mut all = all.to_vec();
        all.sort_by_key(|one| Reverse(one.at));
        let shown = all.iter().map(|one| {
            let interface = self.interfaces.numbered(one.interface);
            status::Stranger {
                interface: interface.map_or("?", Interface::name).to_owned(),
                vrid: one.vrid,
                address: one.source.to_string(),
                age: now.since(one.at).as_secs_f64(),
                count: one.count,
            }
        });
        shown.collect()
    }

    fn held_by(&self, router: &RouterStatus, now: Instant) -> Option<String> {
        match (router.state, router.deadline) {
            (StateKind::Backup | StateKind::Active, _) => None,
            // The only timer before a router takes part.
            (StateKind::Initialize, Some(begins)) => {
                let left = begins.since(now).as_secs_f64();
                Some(format!("vrrp_startup_delay, {left:.1} s are left"))
            }
            (StateKind::Initialize | StateKind::Fault, _) => {
                Some(self.fault(router.id.index(), router.fault?))
            }
        }
    }

    fn track(&self, (track, health): (Track, Health)) -> status::Track {
        let (kind, name) = match (track.object, self.watched_name(track.object)) {
            (Object::Interface(index), _) => {
                let interface = self.interfaces.numbered(index);
                ("interface", interface.map(|i| i.name().to_owned()))
            }
            (_, Some(watched)) => (watched.kind.word(), Some(watched.name)),
            (_, None) => ("script", None),
        };
        status::Track {
            kind: kind.to_owned(),
            name: name.unwrap_or_else(|| "?".to_owned()),
            health: match health {
                Health::Up | Health::Value(_) => "up",
                Health::Down => "down",
                Health::Unknown => "unknown",
            }
            .to_owned(),
            value: match health {
                Health::Value(value) => Some(value),
                Health::Up | Health::Down | Health::Unknown => None,
            },
            weight: track.weight,
            reverse: track.reverse,
            contribution: track.contribution(health),
        }
    }
}

/// How adverts are authenticated, in words.
fn authentication(instance: &Instance) -> Option<String> {
    let word = match (instance.authentication, &instance.auth_hmac) {
        (_, Some(hmac)) => hmac.describe(),
        (None, None) => return None,
        (Some(Authentication::Password(_)), None) => "password".to_owned(),
        (Some(Authentication::Header(_)), None) => "AH".to_owned(),
    };
    Some(word)
}

fn virtual_macs(instance: &Instance, wanted: bool) -> Vec<status::VirtualMac> {
    let there = |name: &str| Interface::lookup(name).is_ok_and(|found| found.exists());
    let devices = instance.vmac.devices.iter();
    let shown = devices.map(|device| status::VirtualMac {
        device: device.name.clone(),
        mac: device.mac.map(|octet| format!("{octet:02x}")).join(":"),
        parent: device.parent.clone(),
        state: match (there(&device.name), wanted) {
            (false, _) => "missing",
            (true, true) => "up",
            (true, false) => "down",
        }
        .to_owned(),
        adverts: device.parent == instance.interface && instance.vmac.adverts == Some(device.mac),
    });
    shown.collect()
}

fn vips(instance: &Instance) -> Vec<String> {
    let all = instance
        .addresses
        .iter()
        .chain(&instance.excluded_addresses);
    all.map(|vip| format!("{}/{}", vip.address, vip.prefix))
        .collect()
}

fn routes(instance: &Instance) -> Vec<String> {
    instance.routes.iter().map(ToString::to_string).collect()
}

fn rules(instance: &Instance) -> Vec<String> {
    instance.rules.iter().map(ToString::to_string).collect()
}

pub(in crate::vrrp) fn failure(one: &Failure, now: Instant) -> status::Failure {
    status::Failure {
        operation: match one.command {
            Command::Install => "install",
            Command::Remove => "remove",
            Command::Announce { .. } => "announce",
        }
        .to_owned(),
        error: one.error.clone(),
        age: now.since(one.at).as_secs_f64(),
        count: one.count,
    }
}

/// Latest first.
fn peers(report: &Report, now: Instant) -> Vec<status::Peer> {
    let mut peers: Vec<_> = report.status.peers.iter().collect();
    peers.sort_by_key(|peer| Reverse(peer.heard_at));
    let peer = |peer: &vrrp_fsm::Peer| status::Peer {
        address: peer.source.to_string(),
        priority: peer.priority.value(),
        age: now.since(peer.heard_at).as_secs_f64(),
        interval: peer.interval.as_secs_f64(),
        adverts: peer.adverts,
    };
    peers.into_iter().map(peer).collect()
}

fn refused(report: &Report, now: Instant) -> Vec<status::Refused> {
    let mut refused: Vec<_> = report.status.refused.iter().collect();
    refused.sort_by_key(|one| Reverse(one.at));
    let one = |one: &vrrp_fsm::Refused| status::Refused {
        address: one.source.to_string(),
        cause: one.rejection.cause().to_owned(),
        reason: one.rejection.to_string(),
        age: now.since(one.at).as_secs_f64(),
        count: one.count,
    };
    refused.into_iter().map(one).collect()
}

fn counters(report: &Report) -> status::Counters {
    let counted = &report.status.statistics;
    status::Counters {
        sent: counted.adverts_sent,
        priority_zero_sent: counted.priority_zero_sent,
        received: counted.adverts_received,
        priority_zero_received: counted.priority_zero_received,
        received_while_active: counted.received_while_active,
        rivals: counted.rivals,
        unsigned_received: counted.unsigned_received,
        address_mismatches: counted.address_list_mismatches,
        send_errors: counted.send_errors,
        became_active: counted.became_active,
        released_active: counted.released_active,
        send_lateness_max: counted.latest_advert.as_secs_f64(),
        timer_lateness_max: counted.latest_timer.as_secs_f64(),
        rejected: rejected(&counted.rejections),
    }
}
