//! `vrrp_script`.

use std::{sync::Arc, time::Duration};

use super::{
    command::user_of,
    config::{Command, Script, User},
    document::Node,
    keyword::{Context, Keyword, Table, Takes, inside},
    lexer::Word,
};
use crate::config::diagnostic::Diagnostic;

/// A script while it is read.
#[derive(Default)]
struct Draft {
    command: Option<Command>,
    user: Option<User>,
    interval: Option<Duration>,
    timeout: Option<Duration>,
    weight: i16,
    reverse: bool,
    rise: Option<u32>,
    fall: Option<u32>,
    init_fail: bool,
}

const MAX_TIME: Duration = Duration::from_secs(1_000_000);
const MIN_TIME: Duration = Duration::from_millis(1);

const TABLE: Table<Draft> = Table {
    block: "vrrp_script",
    keywords: &[&[
        Keyword::read(
            "script",
            Takes::one("a command"),
            command,
            "The command, split without a shell.",
        ),
        Keyword::read(
            "interval",
            Takes::one("seconds"),
            interval,
            "Time between runs (1 s).",
        ),
        Keyword::read(
            "timeout",
            Takes::one("seconds"),
            timeout,
            "Longest run; the interval by default.",
        ),
        Keyword::read(
            "weight",
            Takes::words(1, 2, "-253 to 253, perhaps `reverse`"),
            weight,
            "Added to the priority; 0 makes failure a fault.",
        ),
        Keyword::read(
            "rise",
            Takes::one("a number"),
            rise,
            "Successes in a row until it counts as passed (1).",
        ),
        Keyword::read(
            "fall",
            Takes::one("a number"),
            fall,
            "Failures in a row until it counts as failed (1).",
        ),
        Keyword::read(
            "user",
            Takes::words(1, 2, "a user, perhaps a group"),
            user,
            "Who runs it.",
        ),
        Keyword::read(
            "init_fail",
            Takes::FLAG,
            init_fail,
            "It counts as failed until it first succeeds.",
        ),
        Keyword::ignored("description", "it is a comment"),
    ]],
};

/// The keywords of the block.
pub(super) fn keywords() -> impl Iterator<Item = super::KeywordInfo> {
    TABLE.list()
}

/// Reads `vrrp_script NAME { ... }`.
pub(super) fn read(node: &Node, context: &mut Context<'_>) -> Option<Script> {
    let name = node.arguments.first()?;
    let mut draft = Draft::default();
    context.read(&mut draft, inside(node), &TABLE);
    let Some(mut command) = draft.command else {
        let script_given = inside(node).iter().any(|n| n.keyword.text == "script");
        if !script_given {
            context.diagnostics.push(
                Diagnostic::error(name.span.clone(), "a script without a command")
                    .found(&name.text)
                    .expected("`script \"...\"` in its block"),
            );
        }
        return None;
    };
    command.user = draft.user;
    let interval = draft.interval.unwrap_or(Duration::from_secs(1));
    Some(Script {
        name: Arc::from(name.text.as_str()),
        span: name.span.clone(),
        command,
        interval,
        timeout: draft.timeout.unwrap_or(interval),
        weight: draft.weight,
        reverse: draft.reverse,
        rise: draft.rise.unwrap_or(1),
        fall: draft.fall.unwrap_or(1),
        init_fail: draft.init_fail,
    })
}

fn command(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.command = node
        .arguments
        .first()
        .and_then(|word| context.command(word));
}

fn interval(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.interval = time(node, context);
}

fn timeout(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.timeout = time(node, context);
}

fn time(node: &Node, context: &mut Context<'_>) -> Option<Duration> {
    let word = node.arguments.first()?;
    context.seconds(word, MIN_TIME..=MAX_TIME)
}

fn weight(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    if let Some((weight, reverse)) = context.weight(&node.arguments, 253) {
        (draft.weight, draft.reverse) = (weight, reverse);
    }
}

fn rise(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.rise = count(node, context);
}

fn fall(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.fall = count(node, context);
}

fn count(node: &Node, context: &mut Context<'_>) -> Option<u32> {
    let word = node.arguments.first()?;
    context.number(word, 1..=i32::MAX.unsigned_abs())
}

fn user(draft: &mut Draft, node: &Node, _: &mut Context<'_>) {
    draft.user = user_of(&node.arguments);
}

fn init_fail(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.init_fail = context.flag(node);
}

impl Context<'_> {
    /// `N [reverse]`, with N from `-max` to `max`.
    pub(super) fn weight(&mut self, words: &[Word], max: i16) -> Option<(i16, bool)> {
        let (number, rest) = words.split_first()?;
        let weight = self.number(number, -max..=max)?;
        match rest {
            [] => Some((weight, false)),
            [word, ..] if word.text == "reverse" => Some((weight, true)),
            [word, ..] => {
                self.refuse(word, "word for a weight", "`reverse` or nothing");
                None
            }
        }
    }
}
