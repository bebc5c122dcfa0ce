//! Two owners on one link, each with priority 255: a mistake of configuration for which the RFCs have
//! no cure beside the tie of RFC 9568 §6.4.3. keepalived's cure for the case that the one that loses
//! the tie does not hear, by [`Policy::contested_owner_yields`](crate::Policy::contested_owner_yields).

use vrrp_proto::Priority;

use super::Router;
use crate::{Instant, Received, Warning};

/// What an owner that gives way for once makes of its priority.
const YIELDING: Priority = Priority::new(254);

/// What an Active owner remembers while another owner talks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contest {
    /// The other was heard last.
    heard_at: Instant,
    /// Own adverts since the other was heard first, two at most.
    sent: u8,
    /// When the second of them was sent.
    second_at: Instant,
}

impl Router {
    /// An Active owner hears an advert. If it is another owner's, who has had two adverts to hear and
    /// time to say nothing more, the own priority falls to 254: it gives way.
    pub(super) fn contest(&mut self, now: Instant, advert: &Received) {
        let both = self.config.is_owner() && advert.priority == Priority::OWNER;
        if !both || !self.config.policy.contested_owner_yields {
            return;
        }
        let longer = self.config.interval.max(advert.interval);
        let recent = self
            .contest
            .filter(|contest| now.since(contest.heard_at) <= longer * 3);
        let contest = recent.unwrap_or(Contest {
            heard_at: now,
            sent: 0,
            second_at: now,
        });
        self.contest = Some(Contest {
            heard_at: now,
            ..contest
        });
        if contest.sent < 2 || now < contest.second_at + longer * 6 / 5 {
            return;
        }
        let source = advert.source;
        self.warn(Warning::OwnerYields { source });
        self.priority = YIELDING;
    }

    /// An Active owner has sent an advert.
    pub(super) fn count_for_contest(&mut self, now: Instant) {
        if let Some(contest) = &mut self.contest
            && contest.sent < 2
        {
            contest.sent += 1;
            contest.second_at = now;
        }
    }

    /// An owner that gave way is one again: the other is gone, or is no owner any more.
    pub(super) fn own_again(&mut self) {
        if self.config.is_owner() {
            self.priority = Priority::OWNER;
        }
    }
}
