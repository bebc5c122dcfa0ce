//! `vrrp_track_process`.

use std::{sync::Arc, time::Duration};

use super::{
    KeywordInfo,
    config::{Parameters, TrackedProcess},
    document::Node,
    keyword::{Context, Keyword, Table, Takes, inside},
    lexer::Word,
};
use crate::config::diagnostic::Diagnostic;

/// A block while it is read.
#[derive(Default)]
struct Draft {
    process: Vec<Word>,
    matching: Option<Matching>,
    full_command: bool,
    weight: i16,
    reverse: bool,
    quorum: Option<u32>,
    quorum_max: Option<(u32, Word)>,
    fork_delay: Option<Duration>,
    terminate_delay: Option<Duration>,
}

/// `param_match`.
#[derive(Clone, Copy)]
enum Matching {
    Initial,
    Partial,
}

const MAX_DELAY: Duration = Duration::from_secs(3600);

const TABLE: Table<Draft> = Table {
    block: "vrrp_track_process",
    keywords: &[&[
        Keyword::read(
            "process",
            Takes::words(1, 1024, "a process name, perhaps its parameters"),
            |d, n, _| d.process.clone_from(&n.arguments),
            "Name of the program; with parameters the command line is compared.",
        ),
        Keyword::read(
            "param_match",
            Takes::one("initial or partial"),
            matching,
            "Whether more may follow the parameters, or the last one may go on.",
        ),
        Keyword::read(
            "full_command",
            Takes::FLAG,
            |d, n, c| d.full_command = c.flag(n),
            "The command line is compared instead of the process's name.",
        ),
        Keyword::read(
            "weight",
            Takes::words(1, 2, "-254 to 254, perhaps `reverse`"),
            weight,
            "Added to the priority; 0 makes a wrong number of them a fault.",
        ),
        Keyword::read(
            "quorum",
            Takes::one("a number"),
            |d, n, c| d.quorum = number(n, c).map(|(number, _)| number),
            "How many must run (1).",
        ),
        Keyword::read(
            "quorum_max",
            Takes::one("a number"),
            |d, n, c| d.quorum_max = number(n, c),
            "How many may run; 0 for none.",
        ),
        Keyword::read(
            "delay",
            Takes::one("seconds"),
            |d, n, c| (d.fork_delay, d.terminate_delay) = (time(n, c), time(n, c)),
            "fork_delay and terminate_delay.",
        ),
        Keyword::read(
            "fork_delay",
            Takes::one("seconds"),
            |d, n, c| d.fork_delay = time(n, c),
            "Time until it counts that there are more of them (0).",
        ),
        Keyword::read(
            "terminate_delay",
            Takes::one("seconds"),
            |d, n, c| d.terminate_delay = time(n, c),
            "Time until it counts that there are fewer of them (0).",
        ),
    ]],
};

/// The keywords of the block.
pub(super) fn keywords() -> impl Iterator<Item = KeywordInfo> {
    TABLE.list()
}

/// Reads `vrrp_track_process NAME { ... }`.
pub(super) fn read(node: &Node, context: &mut Context<'_>) -> Option<TrackedProcess> {
    let name = node.arguments.first()?;
    let mut draft = Draft::default();
    context.read(&mut draft, inside(node), &TABLE);
    let Some((program, parameters)) = draft.process.split_first() else {
        let given = inside(node).iter().any(|n| n.keyword.text == "process");
        if !given {
            context.diagnostics.push(
                Diagnostic::error(name.span.clone(), "no process to track")
                    .found(&name.text)
                    .expected("`process NAME` in its block"),
            );
        }
        return None;
    };
    let quorum = draft.quorum(context);
    let parameters: Vec<String> = parameters.iter().map(|word| word.text.clone()).collect();
    Some(TrackedProcess {
        name: Arc::from(name.text.as_str()),
        span: name.span.clone(),
        program: program.text.clone(),
        full_command: draft.full_command || draft.matching.is_some() || !parameters.is_empty(),
        parameters: match draft.matching {
            None if parameters.is_empty() => Parameters::Any,
            // keepalived: `param_match` alone asks for no parameters at all.
            Some(_) if parameters.is_empty() => Parameters::Exactly(parameters),
            None => Parameters::Exactly(parameters),
            Some(Matching::Partial) => Parameters::First(parameters),
            Some(Matching::Initial) => Parameters::Initial(parameters),
        },
        weight: draft.weight,
        reverse: draft.reverse,
        quorum,
        quorum_max: draft.quorum_max.map(|(most, _)| most),
        fork_delay: draft.fork_delay.unwrap_or_default(),
        terminate_delay: draft.terminate_delay.unwrap_or_default(),
    })
}

impl Draft {
    /// `quorum_max 0` alone asks for none.
    fn quorum(&self, context: &mut Context<'_>) -> u32 {
        let most = self.quorum_max.as_ref();
        match (self.quorum, most) {
            (Some(quorum), Some((most, word))) if quorum > *most => {
                context.refuse(word, "number", format!("at least the `quorum`, {quorum}"));
                quorum
            }
            (Some(quorum), _) => quorum,
            (None, Some((most, _))) => 1.min(*most),
            (None, None) => 1,
        }
    }
}

fn matching(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let choices = [
        ("initial", Matching::Initial),
        ("partial", Matching::Partial),
    ];
    let word = node.arguments.first();
    draft.matching = word.and_then(|word| context.choice(word, "kind of match", &choices));
}

fn weight(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    if let Some((weight, reverse)) = context.weight(&node.arguments, 254) {
        (draft.weight, draft.reverse) = (weight, reverse);
    }
}

fn number(node: &Node, context: &mut Context<'_>) -> Option<(u32, Word)> {
    let word = node.arguments.first()?;
    let number = context.number(word, 0..=65_535_u32)?;
    Some((number, word.clone()))
}

fn time(node: &Node, context: &mut Context<'_>) -> Option<Duration> {
    let word = node.arguments.first()?;
    context.seconds(word, Duration::ZERO..=MAX_DELAY)
}
