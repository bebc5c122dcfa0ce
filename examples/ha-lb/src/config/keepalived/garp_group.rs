//! `garp_group`: interfaces on which announcements wait for each other, and for how long.

use std::time::Duration;

use super::{
    config::PacedInterfaces,
    document::Node,
    keyword::{Context, Keyword, Table, Takes, inside},
};
use crate::config::diagnostic::Diagnostic;

/// More than this between two announcements is none.
const LONGEST: Duration = Duration::from_secs(1);

const TABLE: Table<PacedInterfaces> = Table {
    block: "garp_group",
    keywords: &[&[
        Keyword::read(
            "garp_interval",
            Takes::one("seconds"),
            |d, n, c| d.arp = interval(n, c),
            "Time between gratuitous ARPs (0).",
        ),
        Keyword::read(
            "gna_interval",
            Takes::one("seconds"),
            |d, n, c| d.neighbour = interval(n, c),
            "Time between unsolicited neighbour advertisements (0).",
        ),
        Keyword::read(
            "interface",
            Takes::one("an interface"),
            |d, n, _| {
                d.interfaces
                    .extend(n.arguments.first().map(|word| word.text.clone()))
            },
            "The interface.",
        ),
        Keyword::read(
            "interfaces",
            Takes::BLOCK,
            interfaces,
            "The interfaces, which wait for each other.",
        ),
    ]],
};

/// The keywords of the block.
pub(super) fn keywords() -> impl Iterator<Item = super::KeywordInfo> {
    TABLE.list()
}

/// Reads `garp_group { ... }`; `known` are those before.
pub(super) fn read(
    known: &[PacedInterfaces],
    node: &Node,
    context: &mut Context<'_>,
) -> PacedInterfaces {
    let mut group = PacedInterfaces::default();
    context.read(&mut group, inside(node), &TABLE);
    let mut say = |what: &str, found: &str, action: &str| {
        context.diagnostics.push(
            Diagnostic::warning(node.keyword.span.clone(), what)
                .found(found)
                .action(action),
        );
    };
    if group.interfaces.is_empty() {
        say(
            "a group without interfaces",
            "garp_group",
            "it paces nothing",
        );
    }
    for name in &group.interfaces {
        if known.iter().any(|other| other.interfaces.contains(name)) {
            say("an interface in two groups", name, "the first group counts");
        }
    }
    group
}

/// A time between announcements, to the microsecond.
pub(super) fn interval(node: &Node, context: &mut Context<'_>) -> Duration {
    let word = node.arguments.first();
    let interval = word.and_then(|word| context.seconds(word, Duration::ZERO..=LONGEST));
    if let (Some(word), Some(Duration::ZERO)) = (word, interval) {
        context.diagnostics.push(
            Diagnostic::note(word.span.clone(), "no time between announcements")
                .found(&word.text)
                .action("they are not spaced, as without the line; keepalived calls it invalid")
                .counted(),
        );
    }
    interval.unwrap_or_default()
}

fn interfaces(group: &mut PacedInterfaces, node: &Node, _: &mut Context<'_>) {
    for line in inside(node) {
        let words = std::iter::once(&line.keyword).chain(&line.arguments);
        group.interfaces.extend(words.map(|word| word.text.clone()));
    }
}
