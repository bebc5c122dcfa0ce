//! From what was written about an instance to what it is: the defaults, and the order in which the
//! rules of `rules` are applied.

use std::{net::IpAddr, sync::Arc, time::Duration};

use vrrp_proto::{ChecksumMode, Family, Version};

use super::{Draft, rules::Facts};
use crate::config::{
    diagnostic::Diagnostic,
    keepalived::{
        config::{InitialState, Instance},
        global::Defaults,
        keyword::Context,
        tracked::Definitions,
        vmac::{self, Vmac},
    },
};

/// Completes an instance. `None` if it was refused.
pub(in crate::config::keepalived) fn finish(
    mut draft: Draft,
    defaults: &Defaults,
    definitions: &Definitions,
    context: &mut Context<'_>,
) -> Option<(Instance, vmac::Draft)> {
    let family = draft.family(context)?;
    let owner = draft.priority == Some(255)
        || (draft.priority.is_none() && draft.state == Some(InitialState::Master));
    let mut facts = Facts {
        family,
        version: draft.version(defaults, family, context),
        owner,
        strict: draft.strict.unwrap_or(defaults.strict),
        state: match draft.state {
            Some(state) => state,
            None if owner => InitialState::Master,
            None => InitialState::Backup,
        },
    };
    draft.enforce(&mut facts, defaults, context);
    let vrid = draft.vrid;
    if vrid.is_none() {
        draft.missing(context, "virtual_router_id", "`virtual_router_id` 1 to 255");
    }
    let interface = draft.interface(defaults, context);
    let priority = draft.priority(context);
    let authentication = draft.authentication(&facts, context);
    draft.listen_first(authentication, &mut facts, context);
    let preempt = draft.preempt(&facts, context);
    let preempt_delay = draft.preempt_delay(&facts, preempt, context);
    let interval = draft.interval(&facts, context);
    let auth_hmac = draft.auth_hmac(interval, &facts, context);
    draft.check_first_address(&facts, context);
    let (addresses, excluded_addresses) =
        draft.split_addresses(auth_hmac.is_some(), &facts, context);
    let unicast = draft.unicast(&facts, context);
    let group = draft.group(&facts, defaults, context);
    draft.check_source(&facts, context);
    let tracked = draft.tracked(definitions, &facts, preempt, context);
    let track_interfaces = draft.track_interfaces(interface.as_deref(), context);
    if draft.refused {
        return None;
    }
    let accept = draft.accept(&facts, context);
    let checksum_as_v2 = draft.checksum_as_v2.unwrap_or(defaults.checksum_as_v2);
    let mut vmac = std::mem::take(&mut draft.vmac);
    vmac.reminders = vmac.reminders.or(defaults.reminders);
    let instance = Instance {
        name: Arc::from(draft.name.text.as_str()),
        span: draft.name.span.clone(),
        interface: interface?,
        vrid: vrid?,
        version: facts.version,
        family,
        state: facts.state,
        priority,
        interval: interval?,
        preempt,
        preempt_delay,
        authentication,
        auth_hmac,
        addresses,
        excluded_addresses,
        promote_secondaries: draft.promote_secondaries,
        strict: facts.strict,
        routes: std::mem::take(&mut draft.routes),
        rules: std::mem::take(&mut draft.rules),
        track_primary: !draft.dont_track_primary,
        track_interfaces,
        track_scripts: tracked.scripts,
        track_files: tracked.files,
        track_processes: tracked.processes,
        track_bfds: tracked.bfds,
        unicast,
        track_source: draft.track_source.is_some(),
        source: draft.source.map(|(source, _)| source),
        group: group?,
        accept,
        vmac: Vmac::default(),
        announcements: defaults.announced(draft.announcements),
        checksum: match checksum_as_v2 {
            true => ChecksumMode::MessageOnly,
            false => ChecksumMode::PseudoHeader,
        },
        lower_priority_no_advert: draft
            .lower_priority_no_advert
            .unwrap_or(defaults.lower_priority_no_advert),
        higher_priority_send_advert: draft
            .higher_priority_send_advert
            .unwrap_or(defaults.higher_priority_send_advert),
        resign_at_once: false,
        owner_ignore_adverts: draft
            .owner_ignore_adverts
            .unwrap_or(defaults.owner_ignore_adverts),
        down_timer_adverts: draft
            .down_timer_adverts
            .unwrap_or(defaults.down_timer_adverts),
        notify: draft.notify,
        notify_priority_changes: draft
            .notify_priority_changes
            .unwrap_or(defaults.notify_priority_changes),
        smtp_alert: draft.smtp_alert.unwrap_or(defaults.mails()),
    };
    Some((instance, vmac))
}

impl Draft {
    fn interface(&self, defaults: &Defaults, context: &mut Context<'_>) -> Option<String> {
        let interface = self.interface.as_ref().map(|word| word.text.clone());
        let interface = interface.or_else(|| defaults.interface.clone());
        if interface.is_none() {
            let expected = match self.unicast {
                true => {
                    "`interface`: the one on which the peers are, where adverts are sent and heard; keepalived does without"
                }
                false => "`interface`, or `default_interface` in global_defs",
            };
            self.missing(context, "interface", expected);
        }
        interface
    }

    /// A keyword without which the instance cannot be run. Not said when something else of the
    /// block was refused, which may have been just that.
    fn missing(&self, context: &mut Context<'_>, keyword: &str, expected: &str) {
        if self.refused {
            return;
        }
        context.diagnostics.push(
            Diagnostic::error(
                self.name.span.clone(),
                format!("an instance without {keyword}"),
            )
            .found(&self.name.text)
            .expected(expected),
        );
    }

    /// The family of the addresses, which must all be of one; without any, that of the source or
    /// of the peers.
    fn family(&self, context: &mut Context<'_>) -> Option<Family> {
        let first = self.addresses.first().map(|line| line.address);
        let other = self.source.as_ref().map(|(source, _)| *source);
        let peer = self.peers.first().map(|(peer, _)| peer.address);
        let family = match first.or(other).or(peer).map(Family::of) {
            Some(family) => family,
            None if self.native_ipv6.is_some() => Family::Ipv6,
            None => Family::Ipv4,
        };
        let stranger = self
            .addresses
            .iter()
            .find(|line| Family::of(line.address) != family);
        if let Some(line) = stranger {
            context.diagnostics.push(
                Diagnostic::error(
                    line.span.clone(),
                    "addresses of two families in one instance",
                )
                .found(line.address.to_string())
                .expected(format!(
                    "{family}, as the first address; another instance or \
                         `virtual_ipaddress_excluded` for the rest"
                )),
            );
            return None;
        }
        if let (Family::Ipv4, Some(span)) = (family, &self.native_ipv6) {
            context.diagnostics.push(
                Diagnostic::warning(span.clone(), "`native_ipv6` with IPv4 addresses")
                    .action("it is ignored: the addresses decide")
                    .counted(),
            );
        }
        Some(family)
    }

    fn version(&self, defaults: &Defaults, family: Family, context: &mut Context<'_>) -> Version {
        match (&self.version, family) {
            (Some((Version::V2, span)), Family::Ipv6) => {
                // keepalived 2.2 sends a version 2 that no RFC describes. Another version than its
                // would make two masters; a file that says so is for all hosts to be changed.
                context.diagnostics.push(
                    Diagnostic::error(span.clone(), "version 2 is for IPv4 only")
                        .found("2")
                        .expected("`version 3`, on all hosts of this virtual router"),
                );
                Version::V3
            }
            (_, Family::Ipv6) => Version::V3,
            (Some((version, _)), Family::Ipv4) => *version,
            (None, Family::Ipv4) => defaults.version.unwrap_or(Version::V2),
        }
    }

    /// Where adverts go.
    fn group(
        &self,
        facts: &Facts,
        defaults: &Defaults,
        context: &mut Context<'_>,
    ) -> Option<IpAddr> {
        match &self.group {
            Some((group, span)) if Family::of(*group) != facts.family => {
                context.other_family(span, *group, facts.family);
                None
            }
            Some((group, _)) => Some(*group),
            None => Some(match facts.family {
                Family::Ipv4 => defaults.group_v4.into(),
                Family::Ipv6 => defaults.group_v6.into(),
            }),
        }
    }

    /// RFC 9568 §5.2.9: over IPv6 the first address is the link-local one of the virtual router.
    /// keepalived asks for it in strict mode only.
    fn check_first_address(&self, facts: &Facts, context: &mut Context<'_>) {
        let Some(line) = self.addresses.first() else {
            return;
        };
        let IpAddr::V6(address) = line.address else {
            return;
        };
        if address.is_unicast_link_local() {
            return;
        }
        let what = "the first IPv6 address of an instance is to be link-local";
        let diagnostic = if facts.strict {
            Diagnostic::error(line.span.clone(), what).expected("an address of fe80::/10 before it")
        } else {
            Diagnostic::warning(line.span.clone(), what)
                .action("it is advertised as written, as by keepalived")
        };
        context
            .diagnostics
            .push(diagnostic.found(address.to_string()));
    }

    /// keepalived: strict mode drops packets to the addresses unless the router owns them.
    fn accept(&self, facts: &Facts, context: &mut Context<'_>) -> bool {
        let accept = self.accept.unwrap_or(!facts.strict || facts.owner);
        if !accept {
            context.diagnostics.push_once(
                "packets are dropped",
                Diagnostic::warning(
                    self.name.span.clone(),
                    "packets to the addresses of this instance are dropped",
                )
                .found(&self.name.text)
                .action(match (facts.strict, facts.version) {
                    (true, Version::V2) => {
                        "as by keepalived: nobody reaches a service on them, and they do not answer a ping; strict \
                         mode has `accept` in version 3 only"
                    }
                    _ => {
                        "as by keepalived: nobody reaches a service on them, and they do not answer a ping; write \
                         `accept`, also in strict mode, to change that"
                    }
                }),
            );
        }
        accept
    }

    fn check_source(&self, facts: &Facts, context: &mut Context<'_>) {
        if let Some((source, span)) = &self.source
            && Family::of(*source) != facts.family
        {
            context.other_family(span, *source, facts.family);
        }
        if let (None, Some(span)) = (&self.source, &self.track_source) {
            context.diagnostics.push(
                Diagnostic::warning(span.clone(), "`track_src_ip` without a source address")
                    .action("the instance waits for an address of the interface in any case"),
            );
        }
    }

    /// keepalived: `state MASTER` clears the delay, which is for routers that begin as backups.
    fn preempt_delay(&self, facts: &Facts, preempt: bool, context: &mut Context<'_>) -> Duration {
        let Some((delay, span)) = &self.preempt_delay else {
            return Duration::ZERO;
        };
        let what = match (facts.state, preempt) {
            _ if delay.is_zero() => return Duration::ZERO,
            (InitialState::Master, _) => "`preempt_delay` needs `state BACKUP`",
            (InitialState::Backup, false) => "`preempt_delay` with `nopreempt`",
            (InitialState::Backup, true) => return *delay,
        };
        context.diagnostics.push(
            Diagnostic::warning(span.clone(), what)
                .action("it is ignored, as by keepalived")
                .counted(),
        );
        Duration::ZERO
    }
}
