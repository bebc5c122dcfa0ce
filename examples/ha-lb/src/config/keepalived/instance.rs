//! `vrrp_instance`: what is read of it. Its keywords are in `table`; what they mean together is in
//! `finish` and `rules`.

use std::{net::IpAddr, time::Duration};

use vip_netlink::route::{Route, Rule};
use vrrp_proto::Version;

use super::{
    announcements, auth_hmac,
    config::{Announcements, InitialState, Notify, Peer, VirtualAddress},
    document::Node,
    keyword::{Context, inside},
    lexer::Word,
    tracked::{Counts, TrackLine, TrackLines},
    vmac,
};
use crate::config::diagnostic::{Diagnostic, Severity, Span};

mod finish;
mod rules;
mod strict;
mod table;

pub(super) use finish::finish;
use table::{AUTHENTICATION, TABLE};

/// An instance while it is read: what was written, nothing filled in.
pub(super) struct Draft {
    pub(super) name: Word,
    /// What was defined before the instance.
    before: Counts,
    /// Something in the block was refused: what is missing may be what was refused.
    refused: bool,
    state: Option<InitialState>,
    interface: Option<Word>,
    vrid: Option<vrrp_proto::Vrid>,
    version: Option<(Version, Span)>,
    priority: Option<u8>,
    interval: Option<(Duration, Word)>,
    nopreempt: Option<Span>,
    preempt_delay: Option<(Duration, Span)>,
    authentication: Option<AuthenticationDraft>,
    auth_hmac: Option<auth_hmac::Draft>,
    addresses: Vec<VirtualAddress>,
    excluded_addresses: Vec<VirtualAddress>,
    promote_secondaries: bool,
    routes: Vec<Route>,
    rules: Vec<Rule>,
    no_addresses: bool,
    native_ipv6: Option<Span>,
    dont_track_primary: bool,
    track_interfaces: Vec<TrackLine>,
    tracks: TrackLines,
    unicast: bool,
    peers: Vec<(Peer, Span)>,
    /// `unicast_fault_no_peer`.
    demands_peers: Option<Span>,
    unicast_ttl: Option<(u8, Span)>,
    check_unicast_source: Option<(bool, Span)>,
    source: Option<(IpAddr, Span)>,
    unicast_source: Option<Span>,
    track_source: Option<Span>,
    group: Option<(IpAddr, Span)>,
    accept: Option<bool>,
    strict: Option<bool>,
    announcements: Announcements,
    vmac: vmac::Draft,
    checksum_as_v2: Option<bool>,
    lower_priority_no_advert: Option<bool>,
    higher_priority_send_advert: Option<bool>,
    owner_ignore_adverts: Option<bool>,
    down_timer_adverts: Option<u8>,
    notify: Notify,
    notify_priority_changes: Option<bool>,
    smtp_alert: Option<bool>,
}

/// `authentication { ... }` while it is read.
struct AuthenticationDraft {
    span: Span,
    header: Option<bool>,
    password: Option<Word>,
}

impl announcements::Holder for Draft {
    fn announcements(&mut self) -> &mut Announcements {
        &mut self.announcements
    }
}

/// The keywords of the block and of `authentication` in it.
pub(super) fn keywords() -> impl Iterator<Item = super::KeywordInfo> {
    TABLE
        .list()
        .chain(AUTHENTICATION.list())
        .chain(auth_hmac::TABLE.list())
}

/// Reads `vrrp_instance NAME { ... }`. `announcements` are the defaults of `global_defs`;
/// `before` is how much was defined before.
pub(super) fn read(
    node: &Node,
    announcements: Announcements,
    before: Counts,
    context: &mut Context<'_>,
) -> Option<Draft> {
    let name = node.arguments.first()?.clone();
    let mut draft = Draft {
        name,
        before,
        refused: false,
        state: None,
        interface: None,
        vrid: None,
        version: None,
        priority: None,
        interval: None,
        nopreempt: None,
        preempt_delay: None,
        authentication: None,
        auth_hmac: None,
        addresses: Vec::new(),
        excluded_addresses: Vec::new(),
        promote_secondaries: false,
        routes: Vec::new(),
        rules: Vec::new(),
        no_addresses: false,
        native_ipv6: None,
        dont_track_primary: false,
        track_interfaces: Vec::new(),
        tracks: TrackLines::default(),
        unicast: false,
        peers: Vec::new(),
        demands_peers: None,
        unicast_ttl: None,
        check_unicast_source: None,
        source: None,
        unicast_source: None,
        track_source: None,
        group: None,
        accept: None,
        strict: None,
        announcements,
        vmac: vmac::Draft::default(),
        checksum_as_v2: None,
        lower_priority_no_advert: None,
        higher_priority_send_advert: None,
        owner_ignore_adverts: None,
        down_timer_adverts: None,
        notify: Notify::default(),
        notify_priority_changes: None,
        smtp_alert: None,
    };
    let errors = context.diagnostics.count(Severity::Error);
    context.read(&mut draft, inside(node), &TABLE);
    draft.refused = context.diagnostics.count(Severity::Error) > errors;
    Some(draft)
}

fn state(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let states = [
        ("MASTER", InitialState::Master),
        ("BACKUP", InitialState::Backup),
    ];
    let Some(word) = node.arguments.first() else {
        return;
    };
    draft.state = context.choice(word, "state", &states);
    if draft.state.is_some() && !states.iter().any(|(name, _)| *name == word.text) {
        draft.state = Some(InitialState::Backup);
        context.diagnostics.push(
            Diagnostic::warning(word.span.clone(), "a state is written in capitals")
                .found(&word.text)
                .action("it is BACKUP, as for keepalived")
                .counted(),
        );
    }
}

fn vrid(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    let number = word.and_then(|word| context.number(word, 1..=u8::MAX));
    draft.vrid = number.and_then(vrrp_proto::Vrid::new);
}

fn priority(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    draft.priority = word.and_then(|word| context.number(word, 1..=u8::MAX));
}

fn interval(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some(word) = node.arguments.first() else {
        return;
    };
    // What the version can say is checked when the version is known.
    let range = Duration::from_millis(1)..=Duration::from_secs(255);
    draft.interval = context
        .seconds(word, range)
        .map(|interval| (interval, word.clone()));
}

fn preempt_delay(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let range = Duration::ZERO..=Duration::from_secs(1000);
    let delay = node
        .arguments
        .first()
        .and_then(|word| context.seconds(word, range));
    draft.preempt_delay = delay.map(|delay| (delay, node.keyword.span.clone()));
}

fn authentication(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    // A second block adds to the first.
    let mut authentication = draft.authentication.take().unwrap_or(AuthenticationDraft {
        span: node.keyword.span.clone(),
        header: None,
        password: None,
    });
    context.read(&mut authentication, inside(node), &AUTHENTICATION);
    draft.authentication = Some(authentication);
}

fn addresses(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    for line in inside(node) {
        let read = draft.address(line, context);
        draft.addresses.extend(read);
    }
}

fn excluded_addresses(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    for line in inside(node) {
        let read = draft.address(line, context);
        draft.excluded_addresses.extend(read);
    }
}

impl Draft {
    /// Reads a line of addresses. One that is there already stays in the adverts, as keepalived's peers expect, and goes
    /// up once.
    fn address(&self, line: &Node, context: &mut Context<'_>) -> Option<VirtualAddress> {
        let read = context.virtual_address(line)?;
        let key = |it: &VirtualAddress| (it.address, it.prefix, it.peer, it.device.clone());
        let mut known = self.addresses.iter().chain(&self.excluded_addresses);
        if known.any(|known| key(known) == key(&read)) {
            context.diagnostics.push(
                Diagnostic::warning(line.keyword.span.clone(), "an address for the second time")
                    .found(line.keyword.text.as_str())
                    .action("it goes up once, as the first line has it; adverts name it as often as `virtual_ipaddress` does, as keepalived's"),
            );
        }
        Some(read)
    }
}

fn routes(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    for line in inside(node) {
        let route = context.route(line);
        draft.routes.extend(context.without_group(route));
    }
}

fn rules(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    for line in inside(node) {
        let rule = context.rule(line);
        draft.rules.extend(context.without_group(rule));
    }
}

fn source(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let address = node
        .arguments
        .first()
        .and_then(|word| context.address(word));
    draft.source = address.map(|address| (address, node.keyword.span.clone()));
    if node.keyword.text == "unicast_src_ip" {
        draft.unicast_source = Some(node.keyword.span.clone());
    }
}

fn group(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some(word) = node.arguments.first() else {
        return;
    };
    match word.text.parse::<IpAddr>() {
        Ok(group) if group.is_multicast() => draft.group = Some((group, word.span.clone())),
        _ => context.refuse(word, "group", "a multicast address"),
    }
}

fn unicast_ttl(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    let ttl = word.and_then(|word| context.number(word, 1..=u8::MAX));
    draft.unicast_ttl = ttl.map(|ttl| (ttl, node.keyword.span.clone()));
}

fn down_timer_adverts(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    draft.down_timer_adverts = word.and_then(|word| context.number(word, 1..=100));
}

/// Lines `ADDRESS [min_ttl N] [max_ttl N]`.
fn peers(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.unicast = true;
    for line in inside(node) {
        let Some(address) = context.address(&line.keyword) else {
            continue;
        };
        let mut peer = Peer {
            address,
            min_ttl: None,
            max_ttl: None,
        };
        for pair in line.arguments.chunks(2) {
            match pair {
                [word, value] if word.text == "min_ttl" => {
                    peer.min_ttl = context.number(value, 0..=u8::MAX);
                }
                [word, value] if word.text == "max_ttl" => {
                    peer.max_ttl = context.number(value, 0..=u8::MAX);
                }
                [word, ..] => {
                    context.refuse(word, "option of a peer", "`min_ttl N` or `max_ttl N`")
                }
                [] => {}
            }
        }
        if let (Some(min), Some(max)) = (peer.min_ttl, peer.max_ttl)
            && min > max
        {
            context.diagnostics.push(
                Diagnostic::error(line.keyword.span.clone(), "no TTL is in these bounds")
                    .found(format!("min_ttl {min} max_ttl {max}"))
                    .expected("a `max_ttl` that is not less than `min_ttl`"),
            );
        }
        draft.peers.push((peer, line.keyword.span.clone()));
    }
}
