//! What an operator should hear of adverts that are accepted all the same, once until the next
//! transition: other addresses, another reading of the checksum, no signature, a clock that drifts.

use core::net::IpAddr;

#[cfg(feature = "auth")]
use vrrp_proto::auth_hmac::{AntiReplay, Mode, Verified};
use vrrp_proto::{ChecksumMode, Parsed, Version};

#[cfg(feature = "auth")]
use super::Authentication;
use super::{Member, RouterId, RouterSet, receive::Accepted};
use crate::{Action, Warning};

/// What was warned of since the last transition.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Warned {
    addresses: bool,
    checksum: bool,
    #[cfg(feature = "auth")]
    unsigned: bool,
    #[cfg(feature = "auth")]
    clock: bool,
}

/// True once.
fn first(told: &mut bool) -> bool {
    !core::mem::replace(told, true)
}

impl RouterSet {
    /// Counts and tells what is odd about an advert.
    pub(super) fn doubt(&mut self, id: RouterId, accepted: &Accepted) {
        let Some(Some(member)) = self.members.get_mut(id.index()) else {
            return;
        };
        let source = accepted.received.source;
        let doubts = [
            member.doubt_addresses(source, accepted.same_addresses),
            member.doubt_checksum(source, accepted.checksum),
            #[cfg(feature = "auth")]
            member.doubt_sender(source, accepted),
        ];
        let warnings = doubts.into_iter().flatten();
        self.actions
            .extend(warnings.map(|warning| (id, Action::Warn(warning))));
    }
}

impl Member {
    /// RFC 9568 §7.1: other addresses should be logged; they are no reason to discard.
    fn doubt_addresses(&mut self, source: IpAddr, same: bool) -> Option<Warning> {
        if same {
            return None;
        }
        self.statistics.address_list_mismatches += 1;
        first(&mut self.warned.addresses).then_some(Warning::OtherAddresses { source })
    }

    /// We hear both readings of v3 over IPv4; others may not.
    fn doubt_checksum(&mut self, source: IpAddr, theirs: Option<ChecksumMode>) -> Option<Warning> {
        let theirs = theirs.filter(|theirs| *theirs != self.attachment.checksum)?;
        let warning = Warning::OtherChecksum { source, theirs };
        first(&mut self.warned.checksum).then_some(warning)
    }

    #[cfg(feature = "auth")]
    fn doubt_sender(&mut self, source: IpAddr, accepted: &Accepted) -> Option<Warning> {
        let Authentication::Hmac(authenticator) = &self.attachment.authentication else {
            return None;
        };
        match accepted.proof? {
            Verified::Unsigned => {
                self.statistics.unsigned_received += 1;
                // Before a host signs itself, nobody needs to.
                let matters = authenticator.settings().mode == Mode::Permissive;
                (matters && first(&mut self.warned.unsigned))
                    .then_some(Warning::Unsigned { source })
            }
            Verified::Signed { behind, .. } => {
                let AntiReplay::Time(window) = authenticator.settings().anti_replay else {
                    return None;
                };
                let behind = behind.filter(|apart| apart.unsigned_abs() > window.as_secs() / 2)?;
                let warning = Warning::ClocksApart {
                    source,
                    behind,
                    window,
                };
                first(&mut self.warned.clock).then_some(warning)
            }
        }
    }
}

/// The reading of the checksum, where there is more than one.
pub(super) fn reading(parsed: &Parsed<'_>, source: IpAddr) -> Option<ChecksumMode> {
    let has_two = parsed.advertisement.version == Version::V3 && source.is_ipv4();
    has_two.then_some(parsed.checksum)
}
