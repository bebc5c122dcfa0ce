//! After the change over: a reload is over when every child says that it runs the new configuration. Whoever is told so
//! then meets nothing of the old one any more. (Where the balancer itself is replaced the one before may take another
//! connection in the moment in which it is told to stop.)

use std::time::Instant;

use super::{Daemon, Fate, PATIENCE};
use crate::{config::plan::Plan, supervisor::child::Role};

/// A configuration that the children have been ordered to run.
#[derive(Debug)]
pub(in crate::supervisor::daemon) struct Adoption {
    pub(super) number: u64,
    pub(super) outcome: String,
    pub(super) plan: Plan,
    /// Has not said yet that it runs it.
    speaker: bool,
    /// Likewise.
    balancer: bool,
    /// When nobody waits for them any longer.
    until: Instant,
}

impl Adoption {
    pub(super) fn new(
        number: u64,
        outcome: String,
        plan: Plan,
        (speaker, balancer): (Fate, Fate),
        now: Instant,
    ) -> Self {
        Self {
            number,
            outcome,
            plan,
            speaker: speaker.changes_over(),
            balancer: balancer.changes_over(),
            until: now + PATIENCE,
        }
    }

    pub(in crate::supervisor::daemon) fn deadline(&self) -> Instant {
        self.until
    }
}

impl Daemon {
    /// A child runs the new configuration: as it says, or (no number) because it began with it, or is gone and the next one
    /// will.
    pub(in crate::supervisor::daemon) fn has_adopted(
        &mut self,
        role: Role,
        number: Option<u64>,
        now: Instant,
    ) {
        let this = |one: &&mut Adoption| number.is_none_or(|number| number == one.number);
        let Some(adoption) = self.adoption.as_mut().filter(this) else {
            return;
        };
        match role {
            Role::Speaker => adoption.speaker = false,
            Role::Balancer => adoption.balancer = false,
        }
        self.end_adoption_if_done(now);
    }

    pub(super) fn end_adoption_if_done(&mut self, now: Instant) {
        let done = |one: &mut Adoption| !one.speaker && !one.balancer;
        if let Some(adoption) = self.adoption.take_if(done) {
            self.note(adoption.number, true, adoption.outcome, &adoption.plan);
            self.next_reload(now);
        }
    }

    pub(super) fn adoption_timeout(&mut self, now: Instant) {
        let Some(late) = self.adoption.as_mut().filter(|one| one.until <= now) else {
            return;
        };
        for (_, role) in [
            (late.speaker, Role::Speaker),
            (late.balancer, Role::Balancer),
        ]
        .into_iter()
        .filter(|(waits, _)| *waits)
        {
            tracing::warn!(
                "reload: the {role} has not said within {} s that it runs the new configuration",
                PATIENCE.as_secs()
            );
        }
        (late.speaker, late.balancer) = (false, false);
        self.end_adoption_if_done(now);
    }
}
