//! Strict mode (`vrrp_strict`, `strict_mode`): what of keepalived's extensions an instance must do without. What it
//! refuses outright is in `rules`: no address, IPv6 in version 2, authentication.

use std::time::Duration;

use vrrp_proto::Version;

use super::{Draft, rules::Facts};
use crate::config::{
    diagnostic::Diagnostic,
    keepalived::{config::InitialState, global::Defaults, keyword::Context},
};

impl Draft {
    /// Takes away what does not comply, as keepalived does, before the other rules look at it.
    pub(super) fn enforce(
        &mut self,
        facts: &mut Facts,
        defaults: &Defaults,
        context: &mut Context<'_>,
    ) {
        if !facts.strict {
            return;
        }
        let span = self.name.span.clone();
        let mut taken = |what: &str, action: &str| {
            let diagnostic =
                Diagnostic::warning(span.clone(), format!("strict mode has no {what}"));
            context.diagnostics.push(diagnostic.action(action));
        };
        // The owner is the one of priority 255, and no other.
        let state = match facts.owner {
            true => InitialState::Master,
            false => InitialState::Backup,
        };
        if facts.state != state {
            let (what, action) = match facts.owner {
                true => (
                    "`state BACKUP` with priority 255",
                    "it is master, as by keepalived",
                ),
                false => (
                    "`state MASTER` without priority 255",
                    "it begins as backup, as by keepalived",
                ),
            };
            taken(what, action);
            facts.state = state;
        }
        const IGNORED: &str = "it is ignored, as by keepalived";
        if let Some((delay, _)) = self.preempt_delay.take()
            && !delay.is_zero()
        {
            taken("`preempt_delay`", IGNORED);
        }
        if self
            .down_timer_adverts
            .unwrap_or(defaults.down_timer_adverts)
            != 3
        {
            taken("`down_timer_adverts`", "it is 3, as by keepalived");
        }
        self.down_timer_adverts = Some(3);
        if self.vmac.from_interface.take().is_some() {
            taken(
                "`vmac_xmit_base`",
                "adverts come from the virtual MAC address, as by keepalived",
            );
        }
        if facts.version == Version::V2 && !facts.owner && self.accept == Some(true) {
            taken(
                "`accept` in version 2",
                "packets to the addresses are dropped, as by keepalived: nobody reaches a service on them",
            );
            self.accept = None;
        }
        let announcements = &mut self.announcements;
        if announcements
            .lower_priority_repeat
            .is_some_and(|repeat| repeat > 0)
        {
            taken("`garp_lower_prio_repeat`", IGNORED);
        }
        if announcements
            .lower_priority_delay
            .is_some_and(|delay| !delay.is_zero())
        {
            taken("`garp_lower_prio_delay`", IGNORED);
        }
        announcements.lower_priority_repeat = Some(0);
        announcements.lower_priority_delay = Some(Duration::ZERO);
        if self.lower_priority_no_advert == Some(false) {
            taken("`lower_prio_no_advert off`", "it is on, as by keepalived");
        }
        self.lower_priority_no_advert = Some(true);
        if self
            .higher_priority_send_advert
            .unwrap_or(defaults.higher_priority_send_advert)
        {
            taken("`higher_prio_send_advert`", IGNORED);
        }
        self.higher_priority_send_advert = Some(false);
    }
}
