//! `global_defs`: the process, mail, and the defaults of the instances.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use vrrp_proto::Version;

use super::{
    announcements,
    config::{Announcements, Global},
    document::Node,
    keyword::{Context, inside},
    lexer::Word,
    vmac::{self, Reminders},
};

use crate::{config::diagnostic::Diagnostic, mail::courier};

mod fifo;
mod instead;
pub(super) mod process;
mod table;

pub(super) use instead::{NAMESPACE, STOPPING};
use table::TABLE;

/// `global_defs` while it is read: what stays, and the defaults of the instances.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) global: Global,
    pub(super) defaults: Defaults,
    pub(super) fifos: fifo::Fifos,
}

/// What an instance takes over unless it says otherwise.
#[derive(Debug)]
pub(super) struct Defaults {
    pub(super) version: Option<Version>,
    pub(super) strict: bool,
    pub(super) interface: Option<String>,
    pub(super) group_v4: Ipv4Addr,
    pub(super) group_v6: Ipv6Addr,
    pub(super) announcements: Announcements,
    pub(super) checksum_as_v2: bool,
    pub(super) lower_priority_no_advert: bool,
    pub(super) higher_priority_send_advert: bool,
    pub(super) owner_ignore_adverts: bool,
    pub(super) down_timer_adverts: u8,
    pub(super) smtp_alert: Option<bool>,
    pub(super) smtp_alert_vrrp: Option<bool>,
    pub(super) notify_priority_changes: bool,
    pub(super) vmac: vmac::Prefixes,
    pub(super) reminders: Option<Reminders>,
}

impl Defaults {
    /// `smtp_alert_vrrp`, else `smtp_alert`, else off.
    pub(super) fn mails(&self) -> bool {
        self.smtp_alert_vrrp.or(self.smtp_alert).unwrap_or(false)
    }

    /// An answer to a lower priority is by default as `global_defs` announces, not as the instance does.
    pub(super) fn announced(&self, own: Announcements) -> Announcements {
        let usual = &self.announcements;
        let (repeat, delay) = (own.lower_priority_repeat, own.lower_priority_delay);
        Announcements {
            lower_priority_repeat: repeat
                .or(usual.lower_priority_repeat)
                .or(Some(usual.repeat)),
            lower_priority_delay: delay.or(usual.lower_priority_delay).or(Some(usual.delay)),
            ..own
        }
    }
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            version: None,
            strict: false,
            interface: None,
            group_v4: vrrp_proto::MULTICAST_V4,
            group_v6: vrrp_proto::MULTICAST_V6,
            announcements: Announcements::default(),
            checksum_as_v2: false,
            lower_priority_no_advert: false,
            higher_priority_send_advert: false,
            owner_ignore_adverts: false,
            down_timer_adverts: 3,
            smtp_alert: None,
            smtp_alert_vrrp: None,
            notify_priority_changes: false,
            vmac: vmac::Prefixes::default(),
            reminders: None,
        }
    }
}

impl announcements::Holder for Draft {
    fn announcements(&mut self) -> &mut Announcements {
        &mut self.defaults.announcements
    }
}

/// The keywords of the block.
pub(super) fn keywords() -> impl Iterator<Item = super::KeywordInfo> {
    TABLE.list()
}

/// Reads `global_defs { ... }`.
pub(super) fn read(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    context.read(draft, inside(node), &TABLE);
}

fn first(node: &Node) -> Option<String> {
    node.arguments.first().map(|word| word.text.clone())
}

fn version(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.defaults.version = context.version(node);
}

fn group_v4(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some(word) = node.arguments.first() else {
        return;
    };
    match word.text.parse() {
        Ok(IpAddr::V4(group)) if group.is_multicast() => draft.defaults.group_v4 = group,
        _ => context.refuse(word, "group", "an IPv4 multicast address"),
    }
}

fn group_v6(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some(word) = node.arguments.first() else {
        return;
    };
    match word.text.parse() {
        Ok(IpAddr::V6(group)) if group.is_multicast() => draft.defaults.group_v6 = group,
        _ => context.refuse(word, "group", "an IPv6 multicast address"),
    }
}

fn startup_delay(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.global.startup_delay = delay(node, context);
}

fn delay_after_boot(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.global.delay_after_boot = delay(node, context);
}

fn delay(node: &Node, context: &mut Context<'_>) -> Duration {
    let range = Duration::ZERO..=Duration::from_secs(86_400);
    let word = node.arguments.first();
    let delay = word.and_then(|word| context.seconds(word, range));
    delay.unwrap_or_default()
}

fn min_garp(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    if context.flag(node) {
        // What was set before stays.
        let usual = Announcements::default();
        let set = &mut draft.defaults.announcements;
        if set.repeat == usual.repeat {
            set.repeat = 1;
        }
        if set.delay == usual.delay {
            set.delay = Duration::ZERO;
        }
    }
}

fn down_timer_adverts(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    if let Some(count) = node
        .arguments
        .first()
        .and_then(|word| context.number(word, 1..=100))
    {
        draft.defaults.down_timer_adverts = count;
    }
}

fn edge_limit(node: &Node, context: &mut Context<'_>) -> Option<Duration> {
    let word = node.arguments.first()?;
    context.number(word, 1..=1000).map(Duration::from_secs)
}

/// Carried out while the files are read; only its words are looked at here.
fn include_check(_: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let known = ["readable", "match", "wildcard_match", "brace_match"];
    for word in &node.arguments {
        if !known.contains(&word.text.trim_start_matches(['+', '-'])) {
            context.refuse(
                word,
                "check of includes",
                "readable, match, wildcard_match or brace_match, with or without `+` or `-` before it",
            );
        }
    }
}

fn recipients(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    if inside(node).is_empty() {
        context.diagnostics.push(
            Diagnostic::note(
                node.keyword.span.clone(),
                "`notification_email` without an address",
            )
            .action("no mail is sent")
            .counted(),
        );
    }
    for line in inside(node) {
        for word in std::iter::once(&line.keyword).chain(&line.arguments) {
            let address = mail_address(word, context);
            draft.global.mail.to.extend(address);
        }
    }
}

/// What stands in an SMTP command must not end it.
fn mail_address(word: &Word, context: &mut Context<'_>) -> Option<String> {
    match courier::address(&word.text) {
        Ok(_) if word.text.is_ascii() => Some(word.text.clone()),
        _ => {
            context.refuse(word, "mail address", "`name@host`");
            None
        }
    }
}

fn sender(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    draft.global.mail.from = word.and_then(|word| mail_address(word, context));
}

fn smtp_server(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some((host, port)) = node.arguments.split_first() else {
        return;
    };
    let port = match port.first() {
        Some(word) => context.number(word, 1..=u16::MAX),
        None => Some(25),
    };
    draft.global.mail.server = port.map(|port| (host.text.clone(), port));
}

fn smtp_connect_timeout(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let range = Duration::from_millis(1)..=Duration::from_secs(86_400);
    let timeout = node.arguments.first();
    let timeout = timeout.and_then(|word| context.seconds(word, range));
    draft.global.mail.timeout = timeout.unwrap_or(draft.global.mail.timeout);
}

impl Context<'_> {
    /// `2` or `3`.
    pub(super) fn version(&mut self, node: &Node) -> Option<Version> {
        let word = node.arguments.first()?;
        self.choice(
            word,
            "version of VRRP",
            &[("2", Version::V2), ("3", Version::V3)],
        )
    }
}
