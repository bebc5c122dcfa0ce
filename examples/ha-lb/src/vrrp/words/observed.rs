//! What the driver observes, in the log and for the supervisor.

use vrrp_fsm::{StateKind, Transition, Warning, driver::Observation};

use super::Words;
use crate::{
    admin::status::State,
    ipc::message::{self, FromSpeaker},
};

impl Words {
    /// Logs it; what the supervisor hears.
    pub(in crate::vrrp) fn observed(
        &mut self,
        number: usize,
        seen: Observation,
    ) -> Option<FromSpeaker> {
        match seen {
            Observation::Transition(transition) => self.transition(number, transition),
            Observation::Priority(change) => {
                self.note_priority(number, change.to.value());
                let instance = self.instance(number);
                tracing::info!(vrrp_instance = %instance, "{instance}: {change}");
                Some(FromSpeaker::Priority {
                    instance: instance.to_owned(),
                    active: change.state == StateKind::Active,
                    priority: change.to.value(),
                })
            }
            Observation::Group(change) => {
                let (group, from, state) = self.group_changed(change);
                tracing::info!(sync_group = %group, %state, "sync group {group}: {from} -> {state}");
                Some(FromSpeaker::Group { group, state })
            }
            other @ (Observation::FixturesFailed { .. } | Observation::FixtureGone { .. }) => {
                tracing::warn!("static addresses, routes and rules: {other}");
                None
            }
            other @ Observation::Stray { interface, .. } => {
                if self.tells_unknown {
                    let on = self.interfaces.numbered(interface);
                    tracing::warn!("{}: {other}", on.map_or("?", |on| on.name()));
                }
                None
            }
            other @ (Observation::NotificationsLost { .. } | Observation::Overflowed { .. }) => {
                tracing::warn!("{other}");
                None
            }
            other => {
                let instance = self.instance(number).to_owned();
                let told_of = match &other {
                    Observation::Warning(warning) => self.warning(*warning),
                    other => other.to_string(),
                };
                tracing::warn!(vrrp_instance = %instance, "{instance}: {told_of}");
                let two = matches!(other, Observation::Warning(Warning::TwoActives { .. }));
                let priority = self.priority(number);
                two.then_some(FromSpeaker::LowerPriority { instance, priority })
            }
        }
    }

    fn transition(&mut self, number: usize, transition: Transition) -> Option<FromSpeaker> {
        self.note_priority(number, transition.priority.value());
        let changed = self.changed(number, transition);
        if changed.from == changed.to {
            let how = match changed.to {
                State::Fault => "still in Fault",
                _ => "waiting",
            };
            let (instance, state, reason) = (&changed.instance, changed.to, &changed.reason);
            tracing::info!(
                vrrp_instance = %instance, %state, %reason,
                "{instance}: {how}: {reason}"
            );
            return None;
        }
        let message::Transition {
            instance,
            from,
            to,
            reason,
            ..
        } = &changed;
        tracing::info!(
            vrrp_instance = %instance, previous_state = %from, state = %to, %reason,
            "{instance}: {from} -> {to}: {reason}"
        );
        Some(FromSpeaker::Transition(changed))
    }
}
