//! `bfd_instance`: a neighbour that is watched by Bidirectional Forwarding Detection.

use std::{net::IpAddr, sync::Arc, time::Duration};

use super::{
    KeywordInfo,
    config::Bfd,
    document::Node,
    keyword::{Context, Keyword, Table, Takes, inside},
    value::decimal_seconds,
};
use crate::config::diagnostic::Diagnostic;

/// A block while it is read.
#[derive(Default)]
struct Draft {
    neighbour: Option<IpAddr>,
    source: Option<IpAddr>,
    min_rx: Option<Duration>,
    min_tx: Option<Duration>,
    idle_tx: Option<Duration>,
    multiplier: Option<u8>,
    passive: bool,
    hop_limit: Option<u8>,
    max_hops: Option<i16>,
    weight: i16,
    reverse: bool,
}

/// The most that a packet can say, in milliseconds.
const MOST: u32 = 4_294_967;
/// RFC 5880 §6.8.3: the least while a session is not Up.
const LEAST_IDLE: u32 = 1000;

const EVERYBODY: &str = "the virtual routers that track the session hear of it, and nobody else";

const TABLE: Table<Draft> = Table {
    block: "bfd_instance",
    keywords: &[&[
        Keyword::read(
            "neighbor_ip",
            Takes::one("an address"),
            neighbour,
            "The neighbour.",
        ),
        Keyword::read(
            "neighbour_ip",
            Takes::one("an address"),
            neighbour,
            "As neighbor_ip.",
        ),
        Keyword::read(
            "source_ip",
            Takes::one("an address"),
            |d, n, c| d.source = n.arguments.first().and_then(|word| c.address(word)),
            "Where packets come from (what the route says).",
        ),
        Keyword::read(
            "min_rx",
            Takes::one("milliseconds"),
            |d, n, c| d.min_rx = milliseconds(n, c, 1),
            "Least time between packets that can be taken (10 ms).",
        ),
        Keyword::read(
            "min_tx",
            Takes::one("milliseconds"),
            |d, n, c| d.min_tx = milliseconds(n, c, 1),
            "Time between packets, if the neighbour can take them (10 ms).",
        ),
        Keyword::read(
            "idle_tx",
            Takes::one("milliseconds"),
            |d, n, c| d.idle_tx = milliseconds(n, c, LEAST_IDLE),
            "Time between packets while the neighbour is not reached (1000 ms).",
        ),
        Keyword::read(
            "multiplier",
            Takes::one("1 to 255"),
            |d, n, c| {
                d.multiplier = n
                    .arguments
                    .first()
                    .and_then(|word| c.number(word, 1..=u8::MAX))
            },
            "After how many missing packets the neighbour takes us for lost (5).",
        ),
        Keyword::read(
            "passive",
            Takes::FLAG,
            |d, n, c| d.passive = c.flag(n),
            "Nothing is sent before the neighbour is heard.",
        ),
        Keyword::read(
            "ttl",
            Takes::one("1 to 255"),
            hop_limit,
            "TTL of packets over IPv4 (255).",
        ),
        Keyword::read(
            "hoplimit",
            Takes::one("1 to 255"),
            hop_limit,
            "Hop limit of packets over IPv6 (64).",
        ),
        Keyword::read(
            "max_hops",
            Takes::one("-1 to 255"),
            |d, n, c| {
                d.max_hops = n
                    .arguments
                    .first()
                    .and_then(|word| c.number(word, -1..=255_i16))
            },
            "How many routers a packet may have crossed (0); -1 or 255 for any.",
        ),
        Keyword::read(
            "weight",
            Takes::words(1, 2, "-253 to 253, perhaps `reverse`"),
            weight,
            "Added to the priority while the neighbour is reached, or if negative while it is not; 0 makes a lost one a fault.",
        ),
        Keyword::ignored("vrrp", EVERYBODY),
        Keyword::ignored("checker", EVERYBODY),
    ]],
};

/// The keywords of the block.
pub(super) fn keywords() -> impl Iterator<Item = KeywordInfo> {
    TABLE.list()
}

/// Reads `bfd_instance NAME { ... }`.
pub(super) fn read(node: &Node, context: &mut Context<'_>) -> Option<Bfd> {
    let name = node.arguments.first()?;
    let mut draft = Draft::default();
    context.read(&mut draft, inside(node), &TABLE);
    let named = |keyword: &super::lexer::Word| keyword.text.starts_with("neigh");
    let Some(neighbour) = draft.neighbour else {
        if !inside(node).iter().any(|line| named(&line.keyword)) {
            context.diagnostics.push(
                Diagnostic::error(name.span.clone(), "a session without a neighbour")
                    .found(&name.text)
                    .expected("`neighbor_ip ADDRESS` in its block"),
            );
        }
        return None;
    };
    if draft
        .source
        .is_some_and(|source| source.is_ipv4() != neighbour.is_ipv4())
    {
        context.diagnostics.push(
            Diagnostic::error(
                name.span.clone(),
                "`source_ip` and `neighbor_ip` of different families",
            )
            .found(&name.text)
            .expected("both of IPv4, or both of IPv6"),
        );
        return None;
    }
    let usual = Duration::from_millis(10);
    // keepalived's, of which that of IPv6 is not what RFC 5881 asks for.
    let most_hops = if neighbour.is_ipv4() { 255 } else { 64 };
    Some(Bfd {
        name: Arc::from(name.text.as_str()),
        span: name.span.clone(),
        neighbour,
        source: draft.source,
        min_rx: draft.min_rx.unwrap_or(usual),
        min_tx: draft.min_tx.unwrap_or(usual),
        idle_tx: draft.idle_tx.unwrap_or(Duration::from_secs(1)),
        multiplier: draft.multiplier.unwrap_or(5),
        passive: draft.passive,
        hop_limit: draft.hop_limit.unwrap_or(most_hops),
        max_hops: u8::try_from(draft.max_hops.unwrap_or(0))
            .ok()
            .filter(|hops| *hops < u8::MAX),
        weight: draft.weight,
        reverse: draft.reverse,
    })
}

/// A neighbour has one session with each of our addresses: packets of a new one name nobody else.
pub(super) fn is_new(all: &[Bfd], bfd: &Bfd, context: &mut Context<'_>) -> bool {
    let same_way = |other: &&Bfd| match (other.source, bfd.source) {
        (Some(theirs), Some(ours)) => theirs == ours,
        // What the route says may be the other one's.
        _ => true,
    };
    let mut others = all
        .iter()
        .filter(|other| other.neighbour == bfd.neighbour && other.name != bfd.name);
    let other = others.find(same_way);
    if let Some(other) = other {
        context.diagnostics.push(
            Diagnostic::error(bfd.span.clone(), "a second session with the same neighbour")
                .found(bfd.neighbour.to_string())
                .expected(format!(
                    "another neighbour than that of `{}`, or different `source_ip` in both",
                    other.name
                )),
        );
    }
    other.is_none()
}

impl Bfd {
    /// Packets with fewer hops left are discarded.
    pub(crate) fn least_hops(&self) -> Option<u8> {
        // As with keepalived: the neighbour is taken to send with as many as are sent here.
        self.max_hops
            .map(|hops| self.hop_limit.saturating_sub(hops))
    }
}

fn neighbour(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.neighbour = node
        .arguments
        .first()
        .and_then(|word| context.address(word));
}

fn hop_limit(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    draft.hop_limit = word.and_then(|word| context.number(word, 1..=u8::MAX));
}

/// Milliseconds with or without decimals.
fn milliseconds(node: &Node, context: &mut Context<'_>, least: u32) -> Option<Duration> {
    let word = node.arguments.first()?;
    let range = f64::from(least)..=f64::from(MOST);
    let time = decimal_seconds(&word.text).map(|thousandfold| thousandfold / 1000);
    let time = time.filter(|time| range.contains(&(time.as_secs_f64() * 1000.0)));
    if time.is_none() {
        let expected = format!("milliseconds from {least} to {MOST}, with or without decimals");
        context.refuse(word, "time in range", expected);
    }
    time
}

fn weight(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    if let Some((weight, reverse)) = context.weight(&node.arguments, 253) {
        (draft.weight, draft.reverse) = (weight, reverse);
    }
}
