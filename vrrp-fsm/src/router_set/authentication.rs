//! Which adverts are believed, by the kind of authentication that the router has; what of it a
//! router takes along when it is configured anew.

use vrrp_proto::{Advertisement, Auth};
#[cfg(feature = "auth")]
use {
    super::RouterSet,
    core::time::Duration,
    vrrp_proto::{Envelope, Parsed, auth_hmac::Verified},
};

use super::{Authentication, Rejection};

impl Authentication {
    /// Whether the message is authenticated as this router's are. An Authentication Header was opened
    /// before; a trailer is [verified](Self::verify) after.
    pub(super) fn check_message(&self, advert: &Advertisement<'_>) -> Result<(), Rejection> {
        match (self, advert.auth) {
            (Self::None, Auth::None) => Ok(()),
            (Self::Password(own), Auth::Password(theirs)) if *own == theirs => Ok(()),
            (Self::Password(_), Auth::Password(_)) => Err(Rejection::Password),
            #[cfg(feature = "auth")]
            (Self::Header(_), Auth::Header) | (Self::Hmac(_), Auth::None) => Ok(()),
            _ => Err(Rejection::AuthType),
        }
    }

    /// What the trailer proves; nothing without `auth_hmac`.
    #[cfg(feature = "auth")]
    pub(super) fn verify(
        &mut self,
        parsed: &Parsed<'_>,
        envelope: &Envelope,
        unix: Duration,
    ) -> Result<Option<Verified>, Rejection> {
        match self {
            Self::Hmac(authenticator) => Ok(Some(authenticator.verify(parsed, envelope, unix)?)),
            Self::None | Self::Password(_) | Self::Header(_) => Ok(None),
        }
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
            (Self::Hmac(new), Self::Hmac(old)) => new.succeed(old),
            _ => {}
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

    /// Whether a router's adverts are dated.
    pub fn is_dated(&self, router: crate::RouterId) -> bool {
        let member = self.member(router);
        member.is_some_and(|member| {
            matches!(member.attachment.authentication, Authentication::Hmac(_))
        })
    }
}
