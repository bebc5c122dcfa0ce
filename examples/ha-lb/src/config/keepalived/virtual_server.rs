//! `virtual_server` and what is in it: `real_server` and its checks.

use std::{net::SocketAddr, time::Duration};

use super::{
    config::{RealServer, Scheduler, VirtualServer},
    document::Node,
    keyword::{Context, inside},
    lexer::Word,
};
use crate::config::diagnostic::Diagnostic;

mod check;
pub(super) mod group;
mod table;

use check::CheckDraft;
use table::{REAL, TABLE};

/// A virtual server while it is read.
#[derive(Default)]
struct Draft {
    scheduler: Option<Scheduler>,
    forwarding: Option<String>,
    persistence: Option<Duration>,
    persistence_prefix: Option<u8>,
    delay_loop: Option<Duration>,
    retry: Option<u32>,
    retry_delay: Option<Duration>,
    connect_timeout: Option<Duration>,
    sorry_server: Option<SocketAddr>,
    quorum: Option<u32>,
    starts_down: bool,
    virtual_host: Option<String>,
    other_protocol: Option<Word>,
    real_servers: Vec<RealDraft>,
}

/// A real server while it is read.
struct RealDraft {
    name: Word,
    address: SocketAddr,
    weight: u16,
    upper_threshold: Option<u32>,
    check: Option<CheckDraft>,
    retry: Option<u32>,
    retry_delay: Option<Duration>,
    connect_timeout: Option<Duration>,
    delay_loop: Option<Duration>,
    virtual_host: Option<String>,
}

const MAX_TIME: Duration = Duration::from_secs(1_000_000);
/// keepalived: `persistence_timeout` without a value.
const DEFAULT_PERSISTENCE: Duration = Duration::from_secs(360);

const SCHEDULERS: &[(&str, Scheduler)] = &[
    ("rr", Scheduler::RoundRobin),
    ("wrr", Scheduler::WeightedRoundRobin),
    ("lc", Scheduler::LeastConnections),
    ("wlc", Scheduler::WeightedLeastConnections),
    ("sed", Scheduler::WeightedLeastConnections),
    ("nq", Scheduler::WeightedLeastConnections),
    ("lblc", Scheduler::WeightedLeastConnections),
    ("lblcr", Scheduler::WeightedLeastConnections),
    ("sh", Scheduler::SourceHash),
    ("dh", Scheduler::SourceHash),
    ("mh", Scheduler::MaglevHash),
];

/// The keywords of the block and of those in it.
pub(super) fn keywords() -> impl Iterator<Item = super::KeywordInfo> {
    TABLE.list().chain(REAL.list()).chain(check::keywords())
}

/// Reads `virtual_server ADDRESS PORT { ... }`, or `virtual_server group NAME { ... }` as one for each address of
/// the group. Empty if it was refused or is not served.
pub(super) fn read(
    node: &Node,
    groups: &[group::Group],
    context: &mut Context<'_>,
) -> Vec<VirtualServer> {
    let of_group = match node.arguments.as_slice() {
        [word, name] if word.text == "group" => Some(group::Group::find(groups, name, context)),
        _ => None,
    };
    let Some(server) = read_one(node, of_group, context) else {
        return Vec::new();
    };
    let Some(addresses) = of_group else {
        return vec![server];
    };
    let server_at = |address: &SocketAddr| VirtualServer {
        address: *address,
        ..server.clone()
    };
    addresses.iter().map(server_at).collect()
}

fn read_one(
    node: &Node,
    of_group: Option<&[SocketAddr]>,
    context: &mut Context<'_>,
) -> Option<VirtualServer> {
    let (name, port) = node.arguments.split_first()?;
    if name.text == "fwmark" {
        context.diagnostics.push(
            Diagnostic::error(name.span.clone(), "a virtual server without an address")
                .found(&name.text)
                .expected("an address and a port: a proxy has to listen somewhere"),
        );
        return None;
    }
    let address = match of_group {
        Some(addresses) => addresses.first().copied(),
        None => context.socket(name, port.first()),
    };
    let mut draft = Draft::default();
    context.read(&mut draft, inside(node), &TABLE);
    let address = address?;
    if let Some(protocol) = &draft.other_protocol {
        context.diagnostics.push(
            Diagnostic::warning(protocol.span.clone(), "only TCP is served")
                .found(&protocol.text)
                .action("this virtual server is left out"),
        );
        return None;
    }
    if draft.forwarding.is_none() {
        context.diagnostics.push(
            Diagnostic::note(name.span.clone(), "a virtual server without `lb_kind`")
                .found(&name.text)
                .action("none is needed here; keepalived takes NAT")
                .counted(),
        );
    }
    let delay_loop = draft.delay_loop.unwrap_or(Duration::from_secs(60));
    let real_servers = draft
        .real_servers
        .iter()
        .map(|real| real.finish(&draft))
        .collect();
    Some(VirtualServer {
        span: name.span.clone(),
        address,
        // keepalived refuses a virtual server without; IPVS's own default is wlc.
        scheduler: draft
            .scheduler
            .unwrap_or(Scheduler::WeightedLeastConnections),
        forwarding: draft.forwarding,
        persistence: draft.persistence,
        persistence_prefix: draft.persistence_prefix,
        delay_loop,
        sorry_server: draft.sorry_server,
        quorum: draft.quorum.unwrap_or(1),
        starts_down: draft.starts_down,
        real_servers,
    })
}

impl RealDraft {
    fn finish(&self, around: &Draft) -> RealServer {
        RealServer {
            span: self.name.span.clone(),
            address: self.address,
            weight: self.weight,
            upper_threshold: self.upper_threshold,
            check: self.check.as_ref().map(|check| check.finish(self, around)),
        }
    }
}

fn first(node: &Node) -> Option<String> {
    node.arguments.first().map(|word| word.text.clone())
}

fn time(node: &Node, context: &mut Context<'_>) -> Option<Duration> {
    let word = node.arguments.first()?;
    context.seconds(word, Duration::from_millis(1)..=MAX_TIME)
}

fn count(node: &Node, context: &mut Context<'_>) -> Option<u32> {
    let word = node.arguments.first()?;
    context.number(word, 0..=i32::MAX.unsigned_abs())
}

fn scheduler(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some(word) = node.arguments.first() else {
        return;
    };
    let nearest = match word.text.as_str() {
        "lblc" | "lblcr" | "dh" => "it is for caches in front of many destinations",
        "sed" | "nq" => "a proxy counts connections the same way in all three",
        "fo" | "ovf" | "twos" => {
            context.diagnostics.push(
                Diagnostic::warning(word.span.clone(), "this scheduler is not known here")
                    .found(&word.text)
                    .action("`wlc` is used"),
            );
            draft.scheduler = Some(Scheduler::WeightedLeastConnections);
            return;
        }
        _ => {
            draft.scheduler = context.choice(word, "scheduler", SCHEDULERS);
            return;
        }
    };
    draft.scheduler = context.choice(word, "scheduler", SCHEDULERS);
    let used = match draft.scheduler {
        Some(Scheduler::SourceHash) => "sh",
        _ => "wlc",
    };
    context.diagnostics.push(
        Diagnostic::warning(word.span.clone(), nearest)
            .found(&word.text)
            .action(format!("`{used}` is used")),
    );
}

fn forwarding(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let kinds = [("NAT", "NAT"), ("DR", "DR"), ("TUN", "TUN")];
    let word = node.arguments.first();
    let kind = word.and_then(|word| context.choice(word, "kind of forwarding", &kinds));
    draft.forwarding = kind.map(str::to_owned);
}

fn persistence(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.persistence = match node.arguments.first() {
        Some(word) if word.text == "0" => {
            context.diagnostics.push(
                Diagnostic::warning(word.span.clone(), "no time to persist for")
                    .found(&word.text)
                    .action(
                        "clients are not kept with a server, as by keepalived; leave the line out",
                    )
                    .counted(),
            );
            None
        }
        Some(_) => time(node, context),
        None => Some(DEFAULT_PERSISTENCE),
    };
}

/// An IPv4 netmask or the length of an IPv6 prefix.
fn granularity(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some(word) = node.arguments.first() else {
        return;
    };
    let mask = word
        .text
        .parse::<std::net::Ipv4Addr>()
        .ok()
        .map(std::net::Ipv4Addr::to_bits);
    let of_mask = mask.filter(|mask| mask.leading_ones() + mask.trailing_zeros() >= 32);
    let length = match of_mask {
        Some(mask) => u8::try_from(mask.leading_ones()).ok(),
        None => word.text.parse::<u8>().ok().filter(|length| *length <= 128),
    };
    if length.is_none() {
        context.refuse(word, "netmask", "an IPv4 netmask or a prefix length");
    }
    draft.persistence_prefix = length;
}

fn protocol(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let protocols = [("TCP", true), ("UDP", false), ("SCTP", false)];
    let Some(word) = node.arguments.first() else {
        return;
    };
    if context.choice(word, "protocol", &protocols) == Some(false) {
        draft.other_protocol = Some(word.clone());
    }
}

fn sorry_server(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    if let Some((address, port)) = node.arguments.split_first() {
        draft.sorry_server = context.socket(address, port.first());
    }
}

fn real_server(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some((name, port)) = node.arguments.split_first() else {
        return;
    };
    let address = context.socket(name, port.first());
    let mut real = RealDraft {
        name: name.clone(),
        address: address.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0))),
        weight: 1,
        upper_threshold: None,
        check: None,
        retry: None,
        retry_delay: None,
        connect_timeout: None,
        delay_loop: None,
        virtual_host: None,
    };
    context.read(&mut real, inside(node), &REAL);
    if address.is_some() {
        draft.real_servers.push(real);
    }
}

fn weight(draft: &mut RealDraft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    if let Some(weight) = word.and_then(|word| context.number(word, 0..=256)) {
        draft.weight = weight;
    }
}
