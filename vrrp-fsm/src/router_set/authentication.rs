//! Which adverts are believed, by the kind of authentication that the router has; what of it a
//! router takes along when it is configured anew.

use vrrp_proto::{Auth, Envelope, Parsed};
#[cfg(feature = "auth")]
use {
    super::{Member, RouterId, RouterSet},
    crate::{Action, Warning},
    core::{net::IpAddr, time::Duration},
    vrrp_proto::auth_hmac::{AntiReplay, Mode, Verified},
};

use super::{Authentication, Rejection};

/// What was warned of since the last transition.
#[cfg(feature = "auth")]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Warned {
    unsigned: bool,
    clock: bool,
}

impl Authentication {
    /// Checks what the message itself proves. An Authentication Header was opened before.
    pub(super) fn verify(
        &mut self,
        parsed: &Parsed<'_>,
        envelope: &Envelope,
        #[cfg(feature = "auth")] unix: Duration,
    ) -> Result<Proof, Rejection> {
        match (self, parsed.advertisement.auth) {
            (Self::None, Auth::None) => {}
            (Self::Password(own), Auth::Password(theirs)) => {
                if *own != theirs {
                    return Err(Rejection::Password);
                }
            }
            #[cfg(feature = "auth")]
            (Self::Header(_), Auth::Header) => {}
            #[cfg(feature = "auth")]
            (Self::Hmac(authenticator), Auth::None) => {
                return Ok(Proof(Some(authenticator.verify(parsed, envelope, unix)?)));
            }
            _ => return Err(Rejection::AuthType),
        }
        let _ = envelope;
        Ok(Proof::default())
    }

    /// keepalived: with a trailer, a unicast sender is one of the peers in any case.
    pub(super) const fn demands_peers(&self) -> bool {
        #[cfg(feature = "auth")]
        let demands = matches!(self, Self::Hmac(_));
        #[cfg(not(feature = "auth"))]
        let demands = false;
        demands
    }

    /// Whether packets are of the same protocol, so that the same sockets serve for both.
    pub(super) const fn same_protocol(&self, other: &Self) -> bool {
        self.is_header() == other.is_header()
    }

    const fn is_header(&self) -> bool {
        match self {
            #[cfg(feature = "auth")]
            Self::Header(_) => true,
            #[cfg(feature = "auth")]
            Self::Hmac(_) => false,
            Self::None | Self::Password(_) => false,
        }
    }

    /// Goes on with the sequence numbers of the one before: nobody else notices the change, and
    /// what was heard before it is not heard again.
    pub(super) fn succeed(&mut self, before: &Self) {
        match (self, before) {
            #[cfg(feature = "auth")]
            (Self::Header(new), Self::Header(old)) => new.continue_after(old.sequence()),
            #[cfg(feature = "auth")]
            (Self::Hmac(new), Self::Hmac(old)) => new.resume(old.memory()),
            _ => {}
        }
    }
}

/// What was found of an advert that is believed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Proof(#[cfg(feature = "auth")] Option<Verified>);

#[cfg(feature = "auth")]
impl Member {
    /// What an operator should hear of an advert that is believed, once until the next transition.
    fn doubt(&mut self, source: IpAddr, proof: Proof) -> Option<Warning> {
        let Authentication::Hmac(authenticator) = &self.attachment.authentication else {
            return None;
        };
        match proof.0? {
            Verified::Unsigned => {
                self.statistics.unsigned_received += 1;
                // Before a host signs itself, nobody needs to.
                let matters = authenticator.settings().mode == Mode::Permissive;
                let told = &mut self.warned_of_trailers.unsigned;
                (matters && !core::mem::replace(told, true)).then_some(Warning::Unsigned { source })
            }
            Verified::Signed { behind, .. } => {
                let AntiReplay::Time(window) = authenticator.settings().anti_replay else {
                    return None;
                };
                let behind = behind.filter(|apart| apart.unsigned_abs() > window.as_secs() / 2)?;
                let told = core::mem::replace(&mut self.warned_of_trailers.clock, true);
                (!told).then_some(Warning::ClocksApart {
                    source,
                    behind,
                    window,
                })
            }
        }
    }
}

#[cfg(feature = "auth")]
impl RouterSet {
    /// Tells the time of day, since 1970. With [`Authentication::Hmac`] adverts are dated with it and
    /// those of others are judged by it: it is to be told again before packets are given and adverts
    /// fetched. Nothing else depends on it.
    pub const fn time_of_day(&mut self, unix: Duration) {
        self.unix = unix;
    }

    pub(super) fn note_proof(&mut self, id: RouterId, source: IpAddr, proof: Proof) {
        let doubt = self.member_mut(id).and_then(|m| m.doubt(source, proof));
        if let Some(warning) = doubt {
            self.actions.push_back((id, Action::Warn(warning)));
        }
    }
}
