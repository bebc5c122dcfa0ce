//! From packet to event: find the router, check where the packet came from and how it is
//! authenticated, parse it, count it. A packet that is rejected never touches a timer.

use alloc::vec::Vec;

use core::{mem, net::IpAddr};

use vrrp_proto::{
    Addresses, Advertisement, Cause, ChecksumMode, Envelope, PROTOCOL, ParseError, Vrid,
};

#[cfg(feature = "auth")]
use super::Authentication;
use super::{Key, Member, RouterId, RouterSet, Stranger, Transport, doubt};
use crate::{Discard, Event, Instant, Peer, Received, StateKind};

/// Peers remembered for each router; a link with more routers forgets the one that was silent
/// longest.
const MAX_PEERS: usize = 16;

/// A packet as the sockets give it.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Interface that it came in on.
    pub interface: u32,
    /// IP protocol: 112 for VRRP, 51 for an Authentication Header.
    pub protocol: u8,
    /// The IP header's addresses and TTL.
    pub envelope: Envelope,
    /// What follows the IP header; with protocol 51, the whole packet from the IP header on.
    pub bytes: &'a [u8],
}

/// Why a packet did not reach a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// It is no acceptable advert.
    #[error("{0}")]
    Malformed(#[from] ParseError),
    /// Neither VRRP nor an Authentication Header.
    #[error("IP protocol {0}")]
    Protocol(u8),
    /// No router of the set has that VRID on that interface.
    #[error("no virtual router {vrid} here")]
    UnknownRouter {
        /// The VRID, 0 if the packet was too short to have one.
        vrid: u8,
    },
    /// Multicast to a unicast router, the other way round, or to another multicast group.
    #[error("it was sent to another kind of destination than ours, or to another group")]
    Transport,
    /// A unicast packet from a source that is not a peer.
    #[error("its source is not one of the peers")]
    NotAPeer,
    /// A unicast packet from a peer with a TTL or hop limit outside of the peer's bounds.
    #[error("its TTL {0} is not what that peer's should be")]
    HopLimit(u8),
    /// The other authentication type.
    #[error("its authentication type is not ours")]
    AuthType,
    /// Another password.
    #[error("its password is not ours")]
    Password,
    /// The Authentication Header is wrong.
    #[cfg(feature = "auth")]
    #[error("{0}")]
    Header(#[from] vrrp_proto::ah::OpenError),
    /// The `auth_hmac` trailer is missing or wrong.
    #[cfg(feature = "auth")]
    #[error("{0}")]
    Hmac(#[from] vrrp_proto::auth_hmac::VerifyError),
    /// The other protocol version.
    #[error("its version is not ours")]
    Version,
    /// v2 with another interval.
    #[error("its advertisement interval is not ours")]
    Interval,
    /// It was sent from our own address.
    #[error("it was sent from our own address")]
    OwnAddress,
    /// We own the addresses and ignore adverts, by policy.
    #[error("the owner of the addresses ignores adverts")]
    Owner,
}

/// A rejection with what is known of the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected {
    /// The router that it was meant for, if that is known.
    pub router: Option<RouterId>,
    /// Why.
    pub rejection: Rejection,
    /// How many of that cause there were, with this one; of those for no router here, how many of that sender and
    /// VRID. Telling an operator only at powers of two keeps a flood out of the log.
    pub count: u64,
}

/// A sender whose adverts were rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Who.
    pub source: IpAddr,
    /// Why the last one was.
    pub rejection: Rejection,
    /// When the last one came.
    pub at: Instant,
    /// How many.
    pub count: u64,
}

impl Rejection {
    /// Its cause as [`Rejections::iter`](crate::Rejections::iter) calls it.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::UnknownRouter { .. } => "unknown_router",
            Self::Transport => "transport",
            Self::NotAPeer => "not_a_peer",
            Self::OwnAddress => "own_address",
            Self::Owner => "owner",
            codec => codec.codec_cause().name(),
        }
    }

    /// The codec's cause that this is counted under, for those that have one.
    pub(crate) fn codec_cause(&self) -> Cause {
        match self {
            Self::Malformed(error) => error.cause(),
            #[cfg(feature = "auth")]
            Self::Header(error) => error.cause(),
            #[cfg(feature = "auth")]
            Self::Hmac(error) => error.cause(),
            Self::HopLimit(_) => Cause::HopLimit,
            Self::Version => Cause::Version,
            Self::Interval => Cause::Interval,
            Self::AuthType => Cause::AuthType,
            Self::Password => Cause::Authentication,
            Self::Protocol(_)
            | Self::UnknownRouter { .. }
            | Self::Transport
            | Self::NotAPeer
            | Self::OwnAddress
            | Self::Owner => Cause::Envelope,
        }
    }
}

impl From<Discard> for Rejection {
    fn from(discard: Discard) -> Self {
        match discard {
            Discard::Version => Self::Version,
            Discard::Interval => Self::Interval,
            Discard::OwnAddress => Self::OwnAddress,
            Discard::Owner => Self::Owner,
            Discard::Family => Self::Transport,
        }
    }
}

impl RouterSet {
    /// Takes one packet in. Actions may wait afterwards, even after a rejection (warnings).
    pub fn receive(&mut self, now: Instant, packet: &Packet<'_>) -> Result<RouterId, Rejected> {
        self.assert_drained();
        let Some(id) = self.find(packet) else {
            return Err(self.reject_stray(now, packet));
        };
        let Some(Some(member)) = self.members.get_mut(id.index()) else {
            return Err(self.reject_stray(now, packet));
        };
        let accepted = member.accept(
            packet,
            #[cfg(feature = "auth")]
            self.unix,
        );
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(rejection) => return Err(self.reject(now, id, packet, rejection)),
        };
        self.doubt(id, &accepted);
        let received = accepted.received;
        let Some(member) = self.member_mut(id) else {
            return Err(self.reject_stray(now, packet));
        };
        let verdict = member.router.check(&received);
        let was_active = member.router.state().kind() == StateKind::Active;
        if verdict.is_ok() {
            self.learned |= member.remember(now, &received);
            self.note_rivals(now, id, &received);
        }
        // The machine warns of some adverts that it discards.
        self.step(now, id, Event::Advertisement(received));
        if let Some(member) = self
            .member_mut(id)
            .filter(|_| was_active && verdict.is_ok())
        {
            let is_active = member.router.state().kind() == StateKind::Active;
            member.statistics.rivals += u64::from(is_active && received.priority.value() > 0);
        }
        match verdict {
            Ok(()) => Ok(id),
            Err(discard) => Err(self.reject(now, id, packet, discard.into())),
        }
    }

    /// Whether a peer has told an interval that was not known since this was asked last. A host that plans by the
    /// intervals of many routers asks this instead of each of them.
    pub fn has_learned(&mut self) -> bool {
        mem::take(&mut self.learned)
    }

    fn find(&self, packet: &Packet<'_>) -> Option<RouterId> {
        let key = Key {
            interface: packet.interface,
            family: packet.envelope.family()?,
            vrid: Vrid::new(vrid_of(packet)?)?,
        };
        // Among namesakes the peer or the group decides; one that is meant by neither says why.
        let carries = |id: &RouterId| {
            let transport = self.member(*id).map(|member| &member.attachment.transport);
            transport.is_some_and(|transport| transport.carries(&packet.envelope))
        };
        let meant = self.index.candidates(key).find(carries);
        meant.or_else(|| self.index.candidates(key).next())
    }

    fn reject(
        &mut self,
        now: Instant,
        id: RouterId,
        packet: &Packet<'_>,
        rejection: Rejection,
    ) -> Rejected {
        let counted = self.member_mut(id).map(|member| {
            member.refuse(now, packet.envelope.source, rejection);
            member.statistics.rejections.count(&rejection)
        });
        Rejected {
            router: Some(id),
            rejection,
            count: counted.unwrap_or(0),
        }
    }

    fn reject_stray(&mut self, now: Instant, packet: &Packet<'_>) -> Rejected {
        let vrid = vrid_of(packet).unwrap_or(0);
        let rejection = Rejection::UnknownRouter { vrid };
        self.stray.count(&rejection);
        let count = self.strangers.note(Stranger {
            interface: packet.interface,
            vrid,
            source: packet.envelope.source,
            at: now,
            count: 1,
        });
        Rejected {
            router: None,
            rejection,
            count,
        }
    }
}

/// An advert that the attachment lets pass.
pub(super) struct Accepted {
    pub(super) received: Received,
    /// Whether its addresses are ours.
    pub(super) same_addresses: bool,
    /// What its checksum covers, where there is a choice.
    pub(super) checksum: Option<ChecksumMode>,
    /// What its trailer proves.
    #[cfg(feature = "auth")]
    pub(super) proof: Option<vrrp_proto::auth_hmac::Verified>,
}

impl Member {
    /// The checks that need the attachment: protocol and authentication type, destination, source,
    /// structure, password, Authentication Header or trailer.
    fn accept(
        &mut self,
        packet: &Packet<'_>,
        #[cfg(feature = "auth")] unix: core::time::Duration,
    ) -> Result<Accepted, Rejection> {
        let destination = packet.envelope.destination;
        let ours = match self.attachment.transport {
            Transport::Multicast(group) => destination == group,
            Transport::Unicast { .. } => !destination.is_multicast(),
        };
        if !ours {
            return Err(Rejection::Transport);
        }
        if let Transport::Unicast {
            peers,
            check_source,
            ..
        } = &self.attachment.transport
        {
            let Envelope {
                source, hop_limit, ..
            } = packet.envelope;
            match peers.iter().find(|peer| peer.address == source) {
                Some(peer) if !(peer.min_hop_limit..=peer.max_hop_limit).contains(&hop_limit) => {
                    return Err(Rejection::HopLimit(hop_limit));
                }
                None if *check_source || self.attachment.authentication.demands_peers() => {
                    return Err(Rejection::NotAPeer);
                }
                Some(_) | None => {}
            }
        }
        let (bytes, envelope) = match (packet.protocol, &mut self.attachment.authentication) {
            #[cfg(feature = "auth")]
            (vrrp_proto::ah::AH_PROTOCOL, Authentication::Header(authenticator)) => {
                let opened = authenticator.open(packet.bytes)?;
                (opened.payload, opened.envelope)
            }
            #[cfg(feature = "auth")]
            (PROTOCOL, Authentication::Header(_)) => return Err(Rejection::AuthType),
            (PROTOCOL, _) => (packet.bytes, packet.envelope),
            (AH, _) => return Err(Rejection::AuthType),
            (other, _) => return Err(Rejection::Protocol(other)),
        };
        let parsed = Advertisement::parse_packet(bytes, &envelope)?;
        // RFC 9568 §7.1 looks at the version early: that of another version has another authentication by nature.
        if parsed.advertisement.version != self.router.config().version {
            return Err(Rejection::Version);
        }
        self.attachment
            .authentication
            .check_message(&parsed.advertisement)?;
        #[cfg(feature = "auth")]
        let proof = self
            .attachment
            .authentication
            .verify(&parsed, &envelope, unix)?;
        let advert = parsed.advertisement;
        let own = Addresses::from(self.router.config().addresses.as_slice());
        let received = Received {
            source: envelope.source,
            priority: advert.priority,
            interval: advert.interval.duration(),
            version: advert.version,
        };
        Ok(Accepted {
            received,
            same_addresses: own.same_set(advert.addresses),
            checksum: doubt::reading(&parsed, envelope.source),
            #[cfg(feature = "auth")]
            proof,
        })
    }

    fn refuse(&mut self, now: Instant, source: IpAddr, rejection: Rejection) {
        let known = self.refused.iter_mut().find(|one| one.source == source);
        if let Some(known) = known {
            known.count += 1;
            (known.rejection, known.at) = (rejection, now);
            return;
        }
        // Sources can be forged: only so many are remembered, those heard last.
        if self.refused.len() >= MAX_PEERS {
            let oldest = self.refused.iter().map(|one| one.at).min();
            self.refused.retain(|one| Some(one.at) != oldest);
        }
        self.refused.push(Refused {
            source,
            rejection,
            at: now,
            count: 1,
        });
    }

    /// Keeps what a peer says; whether its interval is another than it was.
    fn remember(&mut self, now: Instant, received: &Received) -> bool {
        self.statistics.adverts_received += 1;
        self.statistics.priority_zero_received += u64::from(received.priority.value() == 0);
        self.statistics.received_while_active +=
            u64::from(self.router.state().kind() == StateKind::Active);
        let fresh = Peer {
            source: received.source,
            priority: received.priority,
            interval: received.interval,
            heard_at: now,
            adverts: 1,
        };
        if let Some(peer) = self
            .peers
            .iter_mut()
            .find(|peer| peer.source == received.source)
        {
            let other = peer.interval != fresh.interval;
            *peer = Peer {
                adverts: peer.adverts + 1,
                ..fresh
            };
            return other;
        }
        forget_oldest(&mut self.peers);
        // Most routers have one or two.
        self.peers.reserve_exact(1);
        self.peers.push(fresh);
        true
    }
}

/// IP protocol number of the Authentication Header, whether or not the feature is there to open it.
const AH: u8 = 51;

/// The VRID's byte: dispatch comes before any check, because the checks are the router's.
fn vrid_of(packet: &Packet<'_>) -> Option<u8> {
    const IPV4_HEADER: usize = 20;
    const AH_HEADER: usize = 24;
    let at = match packet.protocol {
        AH => IPV4_HEADER + AH_HEADER + 1,
        _ => 1,
    };
    packet.bytes.get(at).copied()
}

fn forget_oldest(peers: &mut Vec<Peer>) {
    if peers.len() >= MAX_PEERS {
        let oldest = peers.iter().map(|peer| peer.heard_at).min();
        if let Some(at) = peers.iter().position(|peer| Some(peer.heard_at) == oldest) {
            peers.swap_remove(at);
        }
    }
}
