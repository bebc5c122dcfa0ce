//! What the routers do, in words and in the status document: names instead of numbers, and keepalived's
//! distinction between a fault and not having been started.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{SystemTime, UNIX_EPOCH},
};

use vip_netlink::link::Interface;
use vrrp_fsm::{
    FaultReason, Object, Reason, Rejections, RouterId, StateKind, Transition, driver::Snapshot,
};

mod groups;
mod observed;
mod report;
mod watched;

pub(super) use report::failure;

use super::build::Interfaces;
use crate::{
    admin::status::{self, LastTransition},
    config::keepalived::{Config, Instance},
    ipc::message,
};
use watched::Names;

/// Names of what the machine knows by number, and the last change of each router.
#[derive(Debug)]
pub(super) struct Words {
    instances: Vec<Instance>,
    watched: Names,
    interfaces: Interfaces,
    changes: Vec<Option<LastTransition>>,
    /// The last effective priorities that are known, for those who can no longer be asked.
    priorities: BTreeMap<usize, u8>,
    /// Numbers of instances that a reload has ended.
    gone: BTreeSet<usize>,
    /// Sync groups by number, with the names of their members; one that a reload has ended has none.
    groups: Vec<(String, Vec<String>)>,
    /// Adverts for none of the instances are told of.
    tells_unknown: bool,
}

impl Words {
    pub(super) fn new(config: &Config, interfaces: Interfaces) -> Self {
        Self {
            priorities: BTreeMap::new(),
            gone: BTreeSet::new(),
            groups: groups::of(config),
            changes: vec![None; config.instances.len()],
            instances: config.instances.clone(),
            watched: Names::of(config),
            interfaces,
            tells_unknown: config.global.log_unknown_vrids,
        }
    }

    /// Goes over to another configuration: instances that are `kept` keep their numbers, whatever their order in the
    /// file, and perhaps get another name; the others end, and those that are new get the next `numbers`, in the order of
    /// the file. Returns the states that names stand for now, where that is not what they stood for, and the numbers of
    /// the new ones.
    pub(super) fn adopt(
        &mut self,
        config: &Config,
        interfaces: Interfaces,
        kept: &[(usize, &Instance)],
        mut numbers: impl Iterator<Item = RouterId>,
    ) -> (Vec<message::Transition>, Vec<usize>) {
        let last = |number: usize| self.last_change(number).map(|last| last.to);
        let before: Vec<_> = self.running().map(|(n, i)| (i.name.clone(), n)).collect();
        let renamed = kept.iter().filter_map(|(number, new)| {
            let old = self
                .instances
                .get(*number)
                .filter(|old| old.name != new.name)?;
            let bearer = before.iter().find(|(name, _)| *name == new.name);
            let from = bearer.and_then(|(_, n)| last(*n));
            let (from, to) = (from.unwrap_or(status::State::Initialize), last(*number)?);
            (from != to).then(|| message::Transition {
                instance: new.name.to_string(),
                from,
                to,
                reason: format!("a reload gave it the VRID of {}", old.name),
                priority: new.priority.value(),
            })
        });
        let renamed = renamed.collect();
        let ended = (0..self.instances.len()).filter(|n| kept.iter().all(|(kept, _)| kept != n));
        self.gone.extend(ended);
        for (number, new) in kept {
            if let Some(known) = self.instances.get_mut(*number) {
                if new.priority != known.priority {
                    self.priorities.remove(number);
                }
                *known = (*new).clone();
            }
        }
        let mut comers = Vec::new();
        for new in &config.instances {
            if self.router(&new.name).is_none()
                && let Some(number) = numbers.next().map(RouterId::index)
            {
                self.take_in(number, new);
                comers.push(number);
            }
        }
        self.watched = Names::of(config);
        self.interfaces = interfaces;
        self.tells_unknown = config.global.log_unknown_vrids;
        (renamed, comers)
    }

    /// A new instance, perhaps under the number of one that has ended.
    fn take_in(&mut self, number: usize, new: &Instance) {
        self.gone.remove(&number);
        self.priorities.remove(&number);
        match (self.instances.get_mut(number), self.changes.get_mut(number)) {
            (Some(instance), Some(change)) => {
                *instance = new.clone();
                *change = None;
            }
            _ => {
                self.instances.push(new.clone());
                self.changes.push(None);
            }
        }
    }

    /// The instances that run, with their numbers.
    pub(super) fn running(&self) -> impl Iterator<Item = (usize, &Instance)> {
        let all = self.instances.iter().enumerate();
        all.filter(|(number, _)| !self.gone.contains(number))
    }

    /// The interfaces that there are.
    pub(super) fn interfaces(&self) -> &Interfaces {
        &self.interfaces
    }

    pub(super) fn instance(&self, number: usize) -> &str {
        self.instances.get(number).map_or("?", |i| &i.name)
    }

    /// The last change of an instance.
    pub(super) fn last_change(&self, number: usize) -> Option<LastTransition> {
        self.changes.get(number).cloned().flatten()
    }

    /// What a predecessor knew as the last change of an instance.
    pub(super) fn remember(&mut self, name: &str, change: Option<LastTransition>) {
        let number = self.router(name).map(RouterId::index);
        if let Some(place) = number.and_then(|number| self.changes.get_mut(number)) {
            *place = change;
        }
    }

    /// Changes that a predecessor made when nobody listened any more: the supervisor knows these as `active`.
    pub(super) fn changed_since(&self, active: &[String]) -> Vec<message::Transition> {
        let known = |number: usize| Some((number, self.changes.get(number)?.as_ref()?));
        let changes = (0..self.changes.len()).filter_map(known);
        let missed = changes.filter(|(number, change)| {
            let was = active.iter().any(|name| name == self.instance(*number));
            was != (change.to == status::State::Active)
        });
        missed
            .map(|(number, change)| message::Transition {
                instance: self.instance(number).to_owned(),
                from: change.from,
                to: change.to,
                reason: change.reason.clone(),
                priority: self.priority(number),
            })
            .collect()
    }

    /// Takes note of an effective priority.
    pub(super) fn note_priority(&mut self, number: usize, priority: u8) {
        self.priorities.insert(number, priority);
    }

    /// The effective priority as far as it is known, else that of the file.
    fn priority(&self, number: usize) -> u8 {
        let base = || self.instances.get(number).map(|i| i.priority.value());
        let known = self.priorities.get(&number).copied();
        known.or_else(base).unwrap_or_default()
    }

    /// The router of an instance.
    pub(super) fn router(&self, name: &str) -> Option<RouterId> {
        let (number, _) = self.running().find(|(_, i)| *i.name == *name)?;
        Some(RouterId::new(u32::try_from(number).ok()?))
    }

    fn object(&self, object: Object) -> String {
        match object {
            Object::Interface(index) => {
                let interface = self.interfaces.numbered(index);
                interface.map_or_else(|| object.to_string(), |i| format!("interface {}", i.name()))
            }
            Object::Script(_) | Object::File(_) | Object::Process(_) | Object::Neighbour(_) => {
                match self.watched_name(object) {
                    Some(watched) => format!("{} {}", watched.kind.word(), watched.name),
                    None => object.to_string(),
                }
            }
        }
    }

    /// Takes note of a change of state; how it reads in the log, and what the supervisor hears.
    fn changed(&mut self, number: usize, transition: Transition) -> message::Transition {
        let last = self.changes.get(number).and_then(Option::as_ref);
        let from = last.map_or(status::State::Initialize, |last| last.to);
        let fault = match transition.reason {
            Reason::Fault(fault) => Some(fault),
            _ => None,
        };
        let to = match state(transition.to, fault) {
            // What is not known yet keeps a fault up, and is no stop.
            status::State::Initialize if from == status::State::Fault && fault.is_some() => from,
            to => to,
        };
        let change = LastTransition {
            from,
            to,
            reason: self.reason(number, transition.reason, from),
            at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |since| since.as_secs_f64()),
        };
        if let Some(place) = self.changes.get_mut(number) {
            *place = Some(change.clone());
        }
        message::Transition {
            instance: self.instance(number).to_owned(),
            from,
            to: change.to,
            reason: change.reason,
            priority: self.priority(number),
        }
    }

    fn reason(&self, number: usize, reason: Reason, from: status::State) -> String {
        match reason {
            Reason::Fault(fault) => self.fault(number, fault),
            Reason::Sibling(member) => format!(
                "{} of its sync group is no longer Active",
                self.instance(member.index())
            ),
            // Held back until the first results, which is no fault.
            Reason::Recovered if from == status::State::Initialize => "started".to_owned(),
            other => other.to_string(),
        }
    }

    /// What holds a router, with names.
    fn fault(&self, number: usize, fault: FaultReason) -> String {
        let instance = self.instances.get(number);
        let interface = instance.map_or("?", |i| i.interface.as_str());
        match fault {
            FaultReason::Tracked(Object::Interface(index)) => match self.interfaces.numbered(index)
            {
                Some(tracked) => self.link_lost(tracked.name()),
                None => format!("interface {index} is down"),
            },
            FaultReason::Tracked(object) => format!("{} failed", self.object(object)),
            FaultReason::Waiting(object) => format!("no result of {} yet", self.object(object)),
            FaultReason::InterfaceDown => self.link_lost(interface),
            FaultReason::InterfaceGone => self.gone_link(interface),
            FaultReason::NoPrimaryAddress => {
                let tracked = instance.filter(|i| i.track_source);
                match tracked.and_then(|i| i.source) {
                    Some(source) => format!("{source} is not on interface {interface}"),
                    None => match self.lacking_device(number) {
                        Some(device) => format!("device {device} cannot be made"),
                        None => format!("interface {interface} has no address to send from"),
                    },
                }
            }
            FaultReason::Sibling { member, waiting } => {
                let does = if waiting { "waits" } else { "is in fault" };
                let member = self.instance(member.index());
                format!("{member} of its sync group {does}")
            }
            other => other.to_string(),
        }
    }

    /// A device of an instance that should be there, and is not.
    fn lacking_device(&self, number: usize) -> Option<&str> {
        let devices = &self.instances.get(number)?.vmac.devices;
        let there = |name: &str| Interface::lookup(name).is_ok_and(|found| found.exists());
        let mut lacking = devices
            .iter()
            .filter(|one| there(&one.parent) && !there(&one.name));
        lacking.next().map(|one| one.name.as_str())
    }

    /// Why nothing can be sent on an interface, as the kernel has it at this moment.
    fn link_lost(&self, interface: &str) -> String {
        match Interface::lookup(interface) {
            Ok(found) if !found.exists() => self.gone_link(interface),
            _ => format!("interface {interface} is down"),
        }
    }

    /// An interface that was there when this process started has gone.
    fn gone_link(&self, interface: &str) -> String {
        if self.interfaces.existed(interface) {
            format!("interface {interface} is gone")
        } else {
            format!("interface {interface} does not exist")
        }
    }

    /// Whether a reload has ended it.
    pub(super) fn is_gone(&self, number: usize) -> bool {
        self.gone.contains(&number)
    }
}

/// keepalived's FAULT; waiting for a first result is not one, but not having begun.
pub(super) fn state(state: StateKind, fault: Option<FaultReason>) -> status::State {
    match state {
        StateKind::Active => status::State::Active,
        StateKind::Backup => status::State::Backup,
        StateKind::Fault if fault.is_some_and(FaultReason::is_waiting) => status::State::Initialize,
        StateKind::Fault => status::State::Fault,
        StateKind::Initialize => status::State::Initialize,
    }
}

/// Every cause with its count.
pub(super) fn rejected(rejections: &Rejections) -> Vec<status::Rejected> {
    let rejected = |(cause, count): (&str, u64)| status::Rejected {
        cause: cause.to_owned(),
        count,
    };
    rejections.iter().map(rejected).collect()
}

/// What was not even rejected: packets without room in a socket, and how often those of strangers were passed over.
pub(super) fn unheard(snapshot: &Snapshot) -> impl Iterator<Item = status::Rejected> + use<> {
    let all = [
        ("receive_buffer_full", snapshot.overflows),
        ("kernel_notifications_lost", snapshot.lost_notifications),
        ("unknown_router_hidden_10s", snapshot.narrowed),
    ];
    let some = all.into_iter().filter(|(_, count)| *count > 0);
    some.map(|(cause, count)| status::Rejected {
        cause: cause.to_owned(),
        count,
    })
}
