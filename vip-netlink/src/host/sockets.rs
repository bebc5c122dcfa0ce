//! The raw sockets of one interface, opened and closed by the worker: the kernel joins groups and leaves them under the
//! lock for which changes of addresses wait too.

use std::net::IpAddr;

use vrrp_proto::Family;

use super::HostRouter;
use crate::Error;
use crate::advert_socket::{AdvertReceiver, AdvertSender, FrameSender, PROTOCOL_AH, PROTOCOL_VRRP};

/// Room for the adverts of a router: some from each of several others.
const ROOM: usize = 16 << 10;
const LEAST_ROOM: usize = 256 << 10;
const MOST_ROOM: usize = 4 << 20;

/// What the routers on one interface need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// The family and IP protocol of each receive socket.
    channels: Vec<(Family, u8)>,
    groups: Vec<IpAddr>,
    /// Whether a router's adverts come from a hardware address of its own.
    framed: bool,
    /// Routers, for each of which there is room.
    routers: usize,
}

/// What was opened for them.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// What they do for.
    pub(super) needs: Needs,
    pub(super) receivers: Vec<AdvertReceiver>,
    pub(super) senders: Vec<AdvertSender>,
    pub(super) frames: Option<FrameSender>,
    /// The least room that a receive socket has.
    pub(super) room: usize,
    /// Room that the kernel did not give: what was asked for, and what there is.
    pub(super) cramped: Option<(usize, usize)>,
}

impl Needs {
    pub(super) fn of<'a>(routers: impl Iterator<Item = &'a HostRouter>) -> Self {
        let mut needs = Self::default();
        for router in routers {
            needs.routers += 1;
            needs.framed |= router.mac.is_some();
            let protocol = match router.authenticated {
                true => PROTOCOL_AH,
                false => PROTOCOL_VRRP,
            };
            let channel = (router.family, protocol);
            if !needs.channels.contains(&channel) {
                needs.channels.push(channel);
            }
            let group = router.group;
            needs
                .groups
                .extend(group.filter(|group| !needs.groups.contains(group)));
        }
        needs
    }

    /// Whether sockets for this do for those others too.
    pub(super) fn cover(&self, others: &Self) -> bool {
        others
            .channels
            .iter()
            .all(|one| self.channels.contains(one))
            && others.groups.iter().all(|one| self.groups.contains(one))
            && (self.framed || !others.framed)
    }

    /// Opens them all, or none.
    pub(super) fn open(&self, name: &str, index: u32, least_room: usize) -> Result<Sockets, Error> {
        let mut sockets = Sockets {
            needs: self.clone(),
            ..Sockets::default()
        };
        if self.framed {
            sockets.frames = Some(FrameSender::new(index)?);
        }
        // For a burst of all routers on this interface, several times over.
        let wanted = (self.routers * ROOM).clamp(LEAST_ROOM, MOST_ROOM);
        let wanted = wanted.max(least_room);
        sockets.room = wanted;
        for &(family, protocol) in &self.channels {
            let receiver = AdvertReceiver::new(name, index, family, protocol, &self.groups)?;
            // A buffer of the size that sockets have by default is there in any case.
            let room = receiver.make_room(wanted).unwrap_or(0);
            if room < wanted {
                sockets.cramped = Some((wanted, room));
            }
            sockets.room = sockets.room.min(room);
            sockets.receivers.push(receiver);
            let there = |sender: &AdvertSender| sender.family() == family;
            if !sockets.senders.iter().any(there) {
                sockets
                    .senders
                    .push(AdvertSender::new(name, index, family)?);
            }
        }
        Ok(sockets)
    }
}
