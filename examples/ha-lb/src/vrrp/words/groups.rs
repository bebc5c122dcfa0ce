//! Sync groups by name and number.

use vrrp_fsm::{GroupId, GroupTransition, RouterId, Warning};

use super::{Words, state};
use crate::{admin::status::State, config::keepalived::Config};

/// The groups of a configuration, in the order of their numbers.
pub(super) fn of(config: &Config) -> Vec<(String, Vec<String>)> {
    let groups = config.sync_groups.iter();
    let named = groups.map(|group| {
        let members = group.members.iter().map(ToString::to_string);
        (group.name.to_string(), members.collect())
    });
    named.collect()
}

/// What a reload makes of the sync groups.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::vrrp) struct Regrouping {
    /// Groups that are known, with their members from now on.
    pub(in crate::vrrp) known: Vec<(GroupId, Vec<RouterId>)>,
    /// Those that are new, in the order of their numbers.
    pub(in crate::vrrp) new: Vec<Vec<RouterId>>,
}

impl Words {
    /// Goes over to the sync groups of another configuration, whose instances have been adopted. A group goes on
    /// under its name.
    pub(in crate::vrrp) fn regroup(&mut self, config: &Config) -> Regrouping {
        let mut wanted = of(config);
        for (name, members) in &mut self.groups {
            let place = wanted.iter().position(|(other, _)| other == name);
            *members = place.map_or_else(Vec::new, |place| wanted.remove(place).1);
        }
        let known = self.groups.len();
        let mut new = Vec::new();
        for group in wanted {
            // As the set of routers chooses their numbers.
            let vacant = self
                .groups
                .iter()
                .position(|(_, members)| members.is_empty());
            let place = vacant.unwrap_or(self.groups.len());
            match self.groups.get_mut(place) {
                Some(vacant) => *vacant = group,
                None => self.groups.push(group),
            }
            new.push(place);
        }
        let routers = |(_, members): &(String, Vec<String>)| -> Vec<RouterId> {
            members
                .iter()
                .filter_map(|name| self.router(name))
                .collect()
        };
        let known = (0..)
            .zip(self.groups.iter().take(known))
            .map(|(place, group)| {
                let stays = !new.contains(&place);
                let number = GroupId::new(u32::try_from(place).unwrap_or(u32::MAX));
                (number, if stays { routers(group) } else { Vec::new() })
            });
        let mut known: Vec<_> = known.collect();
        // Who leaves one group may join another.
        known.sort_by_key(|(_, members)| members.len());
        Regrouping {
            known,
            new: new
                .iter()
                .filter_map(|place| self.groups.get(*place))
                .map(routers)
                .collect(),
        }
    }

    /// The name of a group.
    pub(super) fn group(&self, group: GroupId) -> &str {
        self.groups.get(group.index()).map_or("?", |(name, _)| name)
    }

    /// The group of an instance.
    pub(super) fn group_of(&self, instance: &str) -> Option<&str> {
        let mut groups = self.groups.iter();
        let found = groups.find(|(_, members)| members.iter().any(|member| member == instance));
        found.map(|(name, _)| name.as_str())
    }

    /// A change of a group: its name, and its state before and after.
    pub(in crate::vrrp) fn group_changed(&self, change: GroupTransition) -> (String, State, State) {
        let name = self.group(change.group).to_owned();
        let to = state(change.to, change.fault);
        (name, state(change.from, None), to)
    }

    /// How a warning reads, with names.
    pub(in crate::vrrp) fn warning(&self, warning: Warning) -> String {
        match warning {
            Warning::CrossedPriorities {
                source,
                priority,
                own,
                member,
                members,
                beaten,
            } => format!(
                "the sync group cannot agree: priority {priority} of {source} beats own {own}, but {} with {members} \
                 beats {beaten}: one host is to have the higher priority in all members",
                self.instance(member.index())
            ),
            other => other.to_string(),
        }
    }
}
