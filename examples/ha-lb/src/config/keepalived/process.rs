//! `vrrp_track_process`: read as a script that asks for the process once a second.
//!
//! keepalived counts the processes by the kernel's events; `pidof` says whether there is one, and is answered by
//! the supervisor itself where it runs that program.

use std::{sync::Arc, time::Duration};

use super::{
    KeywordInfo,
    config::{Command, Script},
    document::Node,
    keyword::{Context, Keyword, Table, Takes, inside},
    lexer::Word,
};
use crate::config::diagnostic::Diagnostic;

/// A block while it is read.
#[derive(Default)]
struct Draft {
    process: Option<Word>,
    weight: i16,
    reverse: bool,
    appear: Option<Duration>,
    vanish: Option<Duration>,
}

const EVERY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(3600);
const NAME_ONLY: &str = "processes are compared by name only";

const TABLE: Table<Draft> = Table {
    block: "vrrp_track_process",
    keywords: &[
        Keyword::read(
            "process",
            Takes::words(1, usize::MAX - 1, "a process name"),
            process,
            "Name of the program.",
        ),
        Keyword::read(
            "weight",
            Takes::words(1, 2, "-253 to 253, perhaps `reverse`"),
            weight,
            "Added to the priority; 0 makes its absence a fault.",
        ),
        Keyword::read(
            "quorum",
            Takes::one("a number"),
            quorum,
            "How many must run; one is looked for.",
        ),
        Keyword::read(
            "delay",
            Takes::one("seconds"),
            |d, n, c| (d.appear, d.vanish) = (time(n, c), time(n, c)),
            "Time until a change counts.",
        ),
        Keyword::read(
            "fork_delay",
            Takes::one("seconds"),
            |d, n, c| d.appear = time(n, c),
            "Time until an appearance counts.",
        ),
        Keyword::read(
            "terminate_delay",
            Takes::one("seconds"),
            |d, n, c| d.vanish = time(n, c),
            "Time until a disappearance counts.",
        ),
        Keyword::ignored(
            "quorum_max",
            "one process is enough, and any number is not too many",
        ),
        Keyword::ignored("full_command", NAME_ONLY),
        Keyword::ignored("param_match", NAME_ONLY),
    ],
};

/// The keywords of the block.
pub(super) fn keywords() -> impl Iterator<Item = KeywordInfo> {
    TABLE.list()
}

/// Under this name a process stands among the scripts; no script can be called so.
pub(super) fn script_name(process: &str) -> String {
    format!("process {process}")
}

/// Reads `vrrp_track_process NAME { ... }`.
pub(super) fn read(node: &Node, context: &mut Context<'_>) -> Option<Script> {
    let name = node.arguments.first()?;
    let mut draft = Draft::default();
    context.read(&mut draft, inside(node), &TABLE);
    let Some(process) = draft.process else {
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
    context.diagnostics.push_once(
        "track_process",
        Diagnostic::warning(node.keyword.span.clone(), "a tracked process")
            .found(&process.text)
            .action("`pidof` is asked for it once a second"),
    );
    let times = |delay: Option<Duration>| {
        let seconds = delay.unwrap_or_default().as_secs_f64().ceil();
        (1..=3601).find(|n| f64::from(*n) > seconds).unwrap_or(1)
    };
    Some(Script {
        name: Arc::from(script_name(&name.text)),
        span: name.span.clone(),
        command: Command {
            arguments: vec!["pidof".to_owned(), process.text.clone()],
            user: None,
            span: process.span,
        },
        interval: EVERY,
        timeout: EVERY,
        weight: draft.weight,
        reverse: draft.reverse,
        rise: times(draft.appear),
        fall: times(draft.vanish),
        init_fail: false,
    })
}

fn process(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some((name, rest)) = node.arguments.split_first() else {
        return;
    };
    if let Some(word) = rest.first() {
        context.diagnostics.push(
            Diagnostic::warning(word.span.clone(), "parameters of a process")
                .found(&word.text)
                .action(NAME_ONLY),
        );
    }
    draft.process = Some(name.clone());
}

fn weight(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    if let Some((weight, reverse)) = context.weight(&node.arguments, 253) {
        (draft.weight, draft.reverse) = (weight, reverse);
    }
}

fn quorum(_: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    let number = word.and_then(|word| context.number(word, 1..=65_535_u32));
    if let (Some(word), Some(2..)) = (word, number) {
        context.diagnostics.push(
            Diagnostic::warning(word.span.clone(), "a number of processes")
                .found(&word.text)
                .action("one process is enough"),
        );
    }
}

fn time(node: &Node, context: &mut Context<'_>) -> Option<Duration> {
    let word = node.arguments.first()?;
    context.seconds(word, Duration::ZERO..=MAX_DELAY)
}
