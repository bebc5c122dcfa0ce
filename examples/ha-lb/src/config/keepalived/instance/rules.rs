//! The rules between an instance's keywords (keepalived's own, and what differs from them is
//! said): who owns the addresses, what preempts, what is authenticated, what is tracked.

use std::{net::IpAddr, time::Duration};

use vrrp_proto::{Family, Interval, Password, Priority, Trailer, Version};

use super::Draft;
use crate::config::{
    diagnostic::{Diagnostic, Span},
    keepalived::{
        AuthHmac,
        config::{Authentication, InitialState, TrackInterface, Unicast, VirtualAddress},
        keyword::Context,
        tracked::{AllTracked, Definitions},
    },
};

/// More addresses than these do not fit one packet: the count is a byte, a frame has 1500.
const MAX_ADDRESSES_V4: usize = 255;
const MAX_ADDRESSES_V6: usize = (1500 - 40 - 8) / 16;
const MAX_ADDRESSES_V6_HMAC: usize = (1500 - 40 - 8 - Trailer::LEN) / 16;
/// A password has this many bytes in the packet.
const PASSWORD_LEN: usize = 8;

/// What the other rules depend on.
pub(super) struct Facts {
    pub(super) family: Family,
    pub(super) version: Version,
    pub(super) owner: bool,
    pub(super) strict: bool,
    pub(super) state: InitialState,
}

impl Context<'_> {
    pub(super) fn other_family(&mut self, span: &Span, address: IpAddr, family: Family) {
        self.diagnostics.push(
            Diagnostic::error(span.clone(), "an address of the other family")
                .found(address.to_string())
                .expected(format!("{family}, as the instance's addresses")),
        );
    }
}

impl Draft {
    /// keepalived: without `priority`, `state MASTER` makes the owner.
    pub(super) fn priority(&self, context: &mut Context<'_>) -> Priority {
        match (self.priority, self.state) {
            (Some(priority), _) => Priority::new(priority),
            (None, Some(InitialState::Master)) if !self.refused => {
                context.diagnostics.push(
                    Diagnostic::warning(
                        self.name.span.clone(),
                        "`state MASTER` without `priority` makes the owner of the addresses",
                    )
                    .action("priority is 255, as for keepalived; write it to be sure"),
                );
                Priority::OWNER
            }
            (None, _) => Priority::DEFAULT,
        }
    }

    /// keepalived: `state MASTER` clears `nopreempt`.
    pub(super) fn preempt(&self, facts: &Facts, context: &mut Context<'_>) -> bool {
        let Some(span) = &self.nopreempt else {
            return true;
        };
        if facts.state == InitialState::Master || facts.owner {
            context.diagnostics.push(
                Diagnostic::warning(span.clone(), "`nopreempt` needs `state BACKUP`")
                    .action("it is ignored, as by keepalived: the instance preempts")
                    .counted(),
            );
            return true;
        }
        false
    }

    /// Rounds to what the version can say, as keepalived does, but not silently.
    pub(super) fn interval(&self, facts: &Facts, context: &mut Context<'_>) -> Option<Duration> {
        let Some((wanted, word)) = &self.interval else {
            return Some(Interval::DEFAULT.duration());
        };
        let (least, range) = match facts.version {
            Version::V2 => (Duration::from_secs(1), "whole seconds from 1 to 255"),
            Version::V3 => (Duration::from_millis(10), "seconds from 0.01 to 40.95"),
        };
        let Some(interval) = Interval::from_duration(facts.version, (*wanted).max(least)) else {
            context.refuse(
                word,
                "interval",
                format!("{range} (version {})", facts.version),
            );
            return None;
        };
        if interval.duration() != *wanted {
            context.diagnostics.push(
                Diagnostic::warning(
                    word.span.clone(),
                    format!("version {} cannot say this interval", facts.version),
                )
                .found(&word.text)
                .expected(range)
                .action(format!(
                    "it is rounded to {} s",
                    interval.duration().as_secs_f64()
                ))
                .counted(),
            );
        }
        Some(interval.duration())
    }

    pub(super) fn authentication(
        &self,
        facts: &Facts,
        context: &mut Context<'_>,
    ) -> Option<Authentication> {
        let draft = self.authentication.as_ref()?;
        if self.auth_hmac.is_some() {
            context.diagnostics.push(
                Diagnostic::warning(draft.span.clone(), "`authentication` beside `auth_hmac`")
                    .action("it is ignored, as by keepalived: `auth_hmac` authenticates"),
            );
            return None;
        }
        let mut ignored = |why: &str| {
            let finding =
                Diagnostic::warning(draft.span.clone(), why).action("nothing is authenticated");
            // Without a type keepalived does not look at the rest.
            context.diagnostics.push(match draft.header {
                Some(_) => finding.counted(),
                None => finding,
            });
        };
        if facts.version == Version::V3 {
            ignored("version 3 has no authentication but `auth_hmac`");
            return None;
        }
        if facts.strict {
            ignored("strict mode has no authentication");
            return None;
        }
        let (Some(header), Some(word)) = (draft.header, &draft.password) else {
            if !self.refused {
                ignored("`authentication` needs `auth_type` and `auth_pass`");
            }
            return None;
        };
        if word.text.is_empty() {
            ignored("`auth_pass` is empty");
            return None;
        }
        if word.text.len() > PASSWORD_LEN {
            context.diagnostics.push(
                Diagnostic::warning(word.span.clone(), "`auth_pass` is longer than 8 bytes")
                    .action("only the first 8 count, as for keepalived")
                    .counted(),
            );
        }
        let password = Password::truncated(word.text.as_bytes());
        Some(match header {
            true => Authentication::Header(password),
            false => Authentication::Password(password),
        })
    }

    /// Before a router with AH sends it is to have heard what number the others have come to.
    pub(super) fn listen_first(
        &self,
        authentication: Option<Authentication>,
        facts: &mut Facts,
        context: &mut Context<'_>,
    ) {
        let is_header = matches!(authentication, Some(Authentication::Header(_)));
        let Some(draft) = self.authentication.as_ref().filter(|_| is_header) else {
            return;
        };
        if facts.state == InitialState::Master && !facts.owner {
            facts.state = InitialState::Backup;
            context.diagnostics.push(
                Diagnostic::warning(
                    draft.span.clone(),
                    "`state MASTER` is incompatible with AH authentication",
                )
                .action("the instance begins as BACKUP, as with keepalived")
                .counted(),
            );
        }
    }

    pub(super) fn auth_hmac(
        &mut self,
        interval: Option<Duration>,
        facts: &Facts,
        context: &mut Context<'_>,
    ) -> Option<AuthHmac> {
        let draft = self.auth_hmac.take()?;
        if self.refused {
            return None;
        }
        let interval = interval.unwrap_or(Interval::DEFAULT.duration());
        draft.finish(interval, facts.strict, context)
    }

    /// What is advertised, and what is only installed: `virtual_ipaddress_excluded` and what does
    /// not fit the packet.
    pub(super) fn split_addresses(
        &mut self,
        auth_hmac: bool,
        facts: &Facts,
        context: &mut Context<'_>,
    ) -> (Vec<VirtualAddress>, Vec<VirtualAddress>) {
        let mut addresses = std::mem::take(&mut self.addresses);
        let mut excluded = std::mem::take(&mut self.excluded_addresses);
        if addresses.is_empty() && !self.refused {
            let span = self.name.span.clone();
            if facts.version == Version::V3 || facts.strict {
                context.diagnostics.push(
                    Diagnostic::error(span, "an instance without addresses")
                        .found(&self.name.text)
                        .expected("`virtual_ipaddress` with at least one address"),
                );
            } else if !self.no_addresses {
                context.diagnostics.push(
                    Diagnostic::warning(span, "an instance without addresses")
                        .found(&self.name.text)
                        .action("it elects a master and runs notify scripts, and does no more")
                        .counted(),
                );
            }
        }
        let max = match facts.family {
            Family::Ipv4 => MAX_ADDRESSES_V4,
            // Room for a trailer, whether it is sent yet or not.
            Family::Ipv6 if auth_hmac => MAX_ADDRESSES_V6_HMAC,
            Family::Ipv6 => MAX_ADDRESSES_V6,
        };
        if addresses.len() > max {
            let surplus = addresses.split_off(max);
            if let Some(first) = surplus.first() {
                context.diagnostics.push(
                    Diagnostic::warning(
                        first.span.clone(),
                        format!("more than {max} addresses do not fit an advert"),
                    )
                    .found(first.address.to_string())
                    .action("from here on they are installed but not advertised"),
                );
            }
            excluded.splice(0..0, surplus);
        }
        (addresses, excluded)
    }

    pub(super) fn unicast(&self, facts: &Facts, context: &mut Context<'_>) -> Option<Unicast> {
        let ttl = self.unicast_ttl.as_ref();
        let check_source = self.check_unicast_source.as_ref();
        if let (false, Some(span)) = (self.unicast, &self.unicast_source) {
            context.diagnostics.push(
                Diagnostic::note(span.clone(), "`unicast_src_ip` without `unicast_peer`")
                    .action("adverts go to the group, from this address, as by keepalived")
                    .counted(),
            );
        }
        let wanted = self.unicast || self.demands_peers.is_some();
        if wanted && self.peers.is_empty() && !self.refused {
            self.without_peers(context);
            self.demands_peers.as_ref()?;
        }
        let mut idle = |span: &Span, what: &str| {
            context.diagnostics.push(
                Diagnostic::warning(span.clone(), what).action("it is ignored, as by keepalived"),
            );
        };
        if !wanted {
            if let Some((_, span)) = ttl {
                idle(span, "`unicast_ttl` without `unicast_peer`");
            }
            if let Some((_, span)) = check_source {
                idle(span, "`check_unicast_src` without `unicast_peer`");
            }
            return None;
        }
        if let Some((_, span)) = &self.group {
            idle(span, "`mcast_dst_ip` with `unicast_peer`");
        }
        if facts.strict {
            context.diagnostics.push(
                Diagnostic::warning(
                    self.name.span.clone(),
                    "strict mode and unicast peers: the RFC knows no such adverts",
                )
                .action("they are sent to the peers, as by keepalived"),
            );
        }
        for (peer, span) in &self.peers {
            if Family::of(peer.address) != facts.family {
                context.other_family(span, peer.address, facts.family);
            }
        }
        Some(Unicast {
            peers: self.peers.iter().map(|(peer, _)| *peer).collect(),
            ttl: ttl.map_or(255, |(ttl, _)| *ttl),
            check_source: check_source.is_none_or(|(is_on, _)| *is_on),
        })
    }

    /// keepalived: a list without peers is as good as none, unless `unicast_fault_no_peer` makes it a fault.
    fn without_peers(&self, context: &mut Context<'_>) {
        let what = "`unicast_peer` without a peer";
        context.diagnostics.push(match &self.demands_peers {
            Some(span) => Diagnostic::warning(span.clone(), what)
                .found(&self.name.text)
                .action("the instance is in fault until it has one, as by keepalived"),
            None => Diagnostic::warning(self.name.span.clone(), what)
                .found(&self.name.text)
                .action("adverts go to the group, as by keepalived")
                .counted(),
        });
    }

    /// The instance's own interface is tracked in any case.
    pub(super) fn track_interfaces(
        &self,
        own: Option<&str>,
        context: &mut Context<'_>,
    ) -> Vec<TrackInterface> {
        let mut tracked = Vec::new();
        for line in &self.track_interfaces {
            if Some(line.name.text.as_str()) == own && !self.dont_track_primary {
                context.diagnostics.push(
                    Diagnostic::note(
                        line.name.span.clone(),
                        "the instance's own interface is tracked in any case",
                    )
                    .found(&line.name.text)
                    .action("the line changes nothing")
                    .counted(),
                );
                continue;
            }
            tracked.push(TrackInterface {
                name: line.name.text.clone(),
                weight: line.weight.unwrap_or(0),
                reverse: line.reverse.unwrap_or(false),
                implied: false,
            });
        }
        tracked
    }

    /// Scripts, files and processes. An owner's priority does not change: a weight has no effect.
    pub(super) fn tracked(
        &self,
        definitions: &Definitions,
        facts: &Facts,
        preempt: bool,
        context: &mut Context<'_>,
    ) -> AllTracked {
        let mut found = definitions.find(&self.tracks, self.before, preempt, context);
        if !facts.owner {
            return found;
        }
        for (line, track) in self.tracks.files.iter().zip(&mut found.files) {
            if std::mem::take(&mut track.weight) != 0 {
                context.diagnostics.push(
                    Diagnostic::warning(
                        line.name.span.clone(),
                        "an owner of the addresses tracks a file with a weight",
                    )
                    .found(&line.name.text)
                    .action("every number but 0 in it is a fault, as for keepalived")
                    .counted(),
                );
            }
        }
        let scripts = self.tracks.scripts.iter().zip(&found.scripts);
        let processes = self.tracks.processes.iter().zip(&found.processes);
        for (line, _) in scripts
            .chain(processes)
            .filter(|(_, track)| track.weight != 0)
        {
            context.diagnostics.push(
                Diagnostic::warning(
                    line.name.span.clone(),
                    "a weight in an instance that owns the addresses",
                )
                .found(&line.name.text)
                .action("it has no effect, as for keepalived: an owner keeps its priority")
                .counted(),
            );
        }
        found
    }
}
