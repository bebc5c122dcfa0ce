//! From action to packets: one advert, to the group or to each peer in turn, in the caller's
//! buffer.

use core::net::IpAddr;

use vrrp_proto::{Addresses, Advertisement, Auth, Envelope, Interval, PROTOCOL, Priority};

use super::{Authentication, RouterId, RouterSet, Transport};
use crate::RouterConfig;

/// One advert on its way out; [`next`](Self::next) writes the packet for each destination.
#[derive(Debug)]
pub struct Outgoing<'a> {
    config: &'a RouterConfig,
    transport: &'a Transport,
    checksum: vrrp_proto::ChecksumMode,
    source: IpAddr,
    priority: Priority,
    sealing: Sealing,
    #[cfg(feature = "auth")]
    trailer: Option<vrrp_proto::auth_hmac::Sealer<'a>>,
    destination: usize,
}

#[derive(Debug)]
enum Sealing {
    Plain(Auth),
    #[cfg(feature = "auth")]
    Header {
        sealer: vrrp_proto::ah::Sealer,
        identification: u16,
    },
}

/// A packet that was written into the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// IP protocol. With 51 the packet begins with its IP header.
    pub protocol: u8,
    /// Source, destination and TTL to send with.
    pub envelope: Envelope,
    /// Bytes written.
    pub len: usize,
}

/// Why a packet cannot be written. None of these can happen with a checked configuration and a
/// buffer of an Ethernet frame's size or more, 1100 bytes for 255 IPv4 and 4100 for 255 IPv6
/// addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The advert cannot be put into bytes.
    #[error("{0}")]
    Emit(#[from] vrrp_proto::EmitError),
    /// The interval cannot be said in the version's units.
    #[error("the interval cannot be said in the version's units")]
    Interval,
    /// The Authentication Header cannot be made.
    #[cfg(feature = "auth")]
    #[error("{0}")]
    Seal(#[from] vrrp_proto::ah::SealError),
    /// The `auth_hmac` trailer cannot be appended.
    #[cfg(feature = "auth")]
    #[error("{0}")]
    Trailer(#[from] vrrp_proto::auth_hmac::SealError),
}

impl RouterSet {
    /// The advert that [`Action::Send`](crate::Action::Send) asks for. `None` for a router without
    /// an address to send from.
    pub fn advert(&mut self, id: RouterId, priority: Priority) -> Option<Outgoing<'_>> {
        #[cfg(feature = "auth")]
        let unix = self.unix;
        let member = self.member_mut(id)?;
        let source = member.router.config().primary?;
        member.statistics.adverts_sent += 1;
        member.statistics.priority_zero_sent += u64::from(priority == Priority::RESIGN);
        #[cfg(feature = "auth")]
        let mut trailer = None;
        let sealing = match &mut member.attachment.authentication {
            Authentication::None => Sealing::Plain(Auth::None),
            Authentication::Password(password) => Sealing::Plain(Auth::Password(*password)),
            #[cfg(feature = "auth")]
            Authentication::Hmac(authenticator) => {
                trailer = authenticator.sealer(unix);
                Sealing::Plain(Auth::None)
            }
            #[cfg(feature = "auth")]
            Authentication::Header(authenticator) => {
                let sealer = authenticator.sealer();
                // Different from packet to packet; the kernel replaces 0, which would spoil the
                // check value.
                let [.., high, low] = authenticator.sequence().to_be_bytes();
                let identification = u16::from_be_bytes([high, low]).max(1);
                Sealing::Header {
                    sealer,
                    identification,
                }
            }
        };
        Some(Outgoing {
            config: member.router.config(),
            transport: &member.attachment.transport,
            checksum: member.attachment.checksum,
            source,
            priority,
            sealing,
            #[cfg(feature = "auth")]
            trailer,
            destination: 0,
        })
    }
}

impl Outgoing<'_> {
    /// Writes the packet for the next destination to the start of `buffer`; `None` after the last.
    pub fn next(&mut self, buffer: &mut [u8]) -> Option<Result<Written, WriteError>> {
        let (destination, hop_limit) = match self.transport {
            Transport::Multicast(group) => ((self.destination == 0).then_some(*group)?, 255),
            Transport::Unicast {
                peers, hop_limit, ..
            } => (peers.get(self.destination)?.address, *hop_limit),
        };
        self.destination += 1;
        let envelope = Envelope {
            source: self.source,
            destination,
            hop_limit,
        };
        Some(self.write(&envelope, buffer))
    }

    fn write(&self, envelope: &Envelope, buffer: &mut [u8]) -> Result<Written, WriteError> {
        let (auth, protocol) = match &self.sealing {
            Sealing::Plain(auth) => (*auth, PROTOCOL),
            #[cfg(feature = "auth")]
            Sealing::Header { .. } => (Auth::Header, vrrp_proto::ah::AH_PROTOCOL),
        };
        let config = self.config;
        let advert = Advertisement {
            version: config.version,
            vrid: config.vrid,
            priority: self.priority,
            interval: Interval::from_duration(config.version, config.interval)
                .ok_or(WriteError::Interval)?,
            addresses: Addresses::from(config.addresses.as_slice()),
            auth,
        };
        let len = match &self.sealing {
            Sealing::Plain(_) => advert.emit(envelope, buffer, self.checksum)?,
            #[cfg(feature = "auth")]
            Sealing::Header {
                sealer,
                identification,
            } => {
                // 255 IPv4 addresses with authentication data.
                let mut message = [0; 8 + 255 * 4 + 8];
                let len = advert.emit(envelope, &mut message, self.checksum)?;
                let message = message.get(..len).unwrap_or_default();
                sealer.seal(message, envelope, *identification, buffer)?
            }
        };
        #[cfg(feature = "auth")]
        let len = match &self.trailer {
            Some(sealer) => sealer.seal(len, envelope, buffer)?,
            None => len,
        };
        Ok(Written {
            protocol,
            envelope: *envelope,
            len,
        })
    }
}
