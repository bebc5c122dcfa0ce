//! Another configuration for a router that runs, and its end.

use alloc::vec::Vec;

use super::{
    Attachment, RouterId, RouterSet,
    index::{Index, Key},
};
use crate::{
    ConfigError, Event, Instant, Object, RouterConfig,
    track::{Health, Tracks},
};

impl RouterSet {
    /// Another configuration for a router of the set, which goes on as it is ([`Router::reconfigure`](crate::Router::reconfigure)). Its
    /// interface and the kind of its transport stay. Keys and authentication may change, but not to or from an
    /// Authentication Header, which is another protocol; sequence numbers go on. `known` tells the health of tracked
    /// scripts, files and processes; one of which nothing is known yet counts as harmless until its first
    /// result, for being asked to watch it is no reason to step down. Interfaces keep the health that they have.
    pub fn reconfigure(
        &mut self,
        now: Instant,
        id: RouterId,
        attachment: Attachment,
        config: RouterConfig,
        known: impl Fn(Object) -> Option<Health>,
    ) -> Result<(), ConfigError> {
        self.assert_drained();
        let interfaces: Vec<(Object, Health)> = self
            .members
            .iter()
            .flatten()
            .flat_map(|member| member.tracks.iter())
            .map(|(track, health)| (track.object, health))
            .filter(|(object, _)| matches!(object, Object::Interface(_)))
            .collect();
        let Some(member) = self.member(id) else {
            return Ok(());
        };
        let before = &member.attachment;
        if attachment.interface != before.interface
            || !attachment
                .authentication
                .same_protocol(&before.authentication)
        {
            return Err(ConfigError::Identity);
        }
        self.act(now, id, |router| router.reconfigure(now, config))
            .transpose()?;
        let Some(Some(member)) = self.members.get_mut(id.index()) else {
            return Ok(());
        };
        let before = core::mem::replace(&mut member.attachment, attachment);
        member
            .attachment
            .authentication
            .succeed(&before.authentication);
        member.tracks = Tracks::new(member.attachment.tracks.iter().copied());
        for track in &member.attachment.tracks {
            let health = match track.object {
                Object::Interface(_) => {
                    let same = |(object, _): &&(Object, Health)| *object == track.object;
                    interfaces.iter().find(same).map(|(_, health)| *health)
                }
                Object::Script(_) | Object::File(_) | Object::Process(_) | Object::Neighbour(_) => {
                    known(track.object).or(Some(track.harmless()))
                }
            };
            if let Some(health) = health {
                member.tracks.set(track.object, health);
            }
        }
        let reach = member.attachment.transport.reach();
        self.step(now, id, reach);
        self.apply_verdict(now, id);
        Ok(())
    }

    /// Takes a router out of the set: an Active one resigns by priority 0 and lets its addresses go. Its interface,
    /// family and VRID may be used again; its number stays its own until it is [released](Self::release).
    pub fn retire(&mut self, now: Instant, id: RouterId) {
        self.handle(now, id, Event::Shutdown);
        if let Some(group) = self.member(id).and_then(|member| member.group) {
            let members = self.group(group).iter();
            let left = members.filter(|member| **member != id).copied().collect();
            self.regroup(now, group, left);
        }
        if let Some(Some(member)) = self.members.get_mut(id.index()) {
            member.retired = true;
            member.attachment.tracks.clear();
            member.tracks = Tracks::default();
        }
        self.index = Index::default();
        let members = (0..).zip(self.members.iter().map(Option::as_ref));
        let members = members.filter_map(|(number, member)| Some((number, member?)));
        for (number, member) in members.filter(|(_, member)| !member.retired) {
            let config = member.router.config();
            let key = Key {
                interface: member.attachment.interface,
                family: config.family,
                vrid: config.vrid,
            };
            self.index.insert(key, RouterId::new(number));
        }
    }

    /// Nothing more will be asked or told of a router that was [retired](Self::retire): it is forgotten, and its number
    /// is another's.
    pub fn release(&mut self, id: RouterId) {
        if !self.member(id).is_some_and(|member| member.retired) {
            return;
        }
        self.deadlines.set(id, None);
        if let Some(place) = self.members.get_mut(id.index()) {
            *place = None;
            self.vacant.push(id);
        }
    }
}
