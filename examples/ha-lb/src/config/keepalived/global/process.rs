//! Where and how the processes run: namespace, instance, pid files, umask; priorities and processors of the speaker.

use std::path::{Path, PathBuf};

use super::Draft;
use crate::config::keepalived::{Global, document::Node, keyword::Context};

/// Bits of a umask by name, as in stat(2) without the `S_`.
const BITS: [(&str, u32); 12] = [
    ("IRUSR", 0o400),
    ("IWUSR", 0o200),
    ("IXUSR", 0o100),
    ("IRWXU", 0o700),
    ("IRGRP", 0o040),
    ("IWGRP", 0o020),
    ("IXGRP", 0o010),
    ("IRWXG", 0o070),
    ("IROTH", 0o004),
    ("IWOTH", 0o002),
    ("IXOTH", 0o001),
    ("IRWXO", 0o007),
];
/// Its usual name.
const RELOAD_FILE: &str = "keepalived.reload";
/// Processors that a set of them can name.
const MAX_PROCESSOR: usize = 1023;

pub(in crate::config::keepalived) fn namespace(
    draft: &mut Draft,
    node: &Node,
    context: &mut Context<'_>,
) {
    draft.global.process.namespace = file_name(node, context);
}

pub(in crate::config::keepalived) fn instance(
    draft: &mut Draft,
    node: &Node,
    context: &mut Context<'_>,
) {
    draft.global.process.instance = file_name(node, context);
}

/// A name that becomes part of a path.
fn file_name(node: &Node, context: &mut Context<'_>) -> Option<String> {
    let word = node.arguments.first()?;
    let name = &word.text;
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        context.refuse(
            word,
            "name",
            "a name without `/` that does not begin with `.`",
        );
        return None;
    }
    Some(name.clone())
}

pub(in crate::config::keepalived) fn pid_folder(
    draft: &mut Draft,
    node: &Node,
    context: &mut Context<'_>,
) {
    draft.global.process.pid_folder = context.flag(node);
}

pub(super) fn reload_time_file(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.global.reloads.time_file = absolute(node, context);
}

pub(super) fn saved(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.global.reloads.saved = absolute(node, context);
}

pub(super) fn reload_file(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let named = !node.arguments.is_empty();
    draft.global.reloads.mark = match named {
        true => absolute(node, context),
        // In the folder of pid files, which is known at the end.
        false => Some(PathBuf::from(RELOAD_FILE)),
    };
}

/// Where keepalived's own `reload_file` is, once it is known whether pid files have a folder of their own.
pub(in crate::config::keepalived) fn place(global: &mut Global) {
    let mark = &mut global.reloads.mark;
    if let Some(name) = mark.take_if(|mark| !mark.is_absolute()) {
        let folder = match global.process.pid_folder || global.process.instance.is_some() {
            true => "/run/keepalived",
            false => "/run",
        };
        *mark = Some(Path::new(folder).join(name));
    }
}

fn absolute(node: &Node, context: &mut Context<'_>) -> Option<PathBuf> {
    let word = node.arguments.first()?;
    let path = PathBuf::from(&word.text);
    if !path.is_absolute() {
        context.refuse(word, "path", "a path that begins with `/`");
        return None;
    }
    Some(path)
}

/// A number in hex, octal or decimal, or names of bits with `|` between them.
pub(super) fn umask(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some(word) = node.arguments.first() else {
        return;
    };
    let text: String = node
        .arguments
        .iter()
        .map(|word| word.text.as_str())
        .collect();
    let number = match (text.strip_prefix("0x"), text.strip_prefix('0')) {
        (Some(digits), _) => u32::from_str_radix(digits, 16).ok(),
        (None, Some(digits)) if !digits.is_empty() => u32::from_str_radix(digits, 8).ok(),
        _ => text.parse().ok(),
    };
    let named = |name: &str| {
        BITS.iter()
            .find(|(bit, _)| *bit == name.trim())
            .map(|(_, bits)| *bits)
    };
    let bits = || {
        text.split('|')
            .map(named)
            .try_fold(0, |mask, bit| Some(mask | bit?))
    };
    match number.or_else(bits).filter(|mask| *mask <= 0o777) {
        Some(mask) => draft.global.process.umask = Some(mask),
        None => context.refuse(word, "umask", "0 to 0777, or bits as in IWGRP|IWOTH"),
    }
}

pub(super) fn nice(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    draft.global.process.nice = word.and_then(|word| context.number(word, -20..=19));
}

pub(super) fn real_time(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    draft.global.process.real_time = word.and_then(|word| context.number(word, 1..=99));
}

pub(super) fn real_time_limit(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    let limit = word.and_then(|word| context.number(word, 2..=i64::MAX));
    draft.global.process.real_time_limit = limit.and_then(|limit| u64::try_from(limit).ok());
}

pub(super) fn automatic(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let word = node.arguments.first();
    // Without a number: the highest there is.
    let most: Option<i32> = word.and_then(|word| context.number(word, -1..=99));
    draft.global.process.never_in_advance = most.is_some_and(|most| most < 1);
}

pub(super) fn processors(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let words = node.arguments.iter();
    let numbers = words.filter_map(|word| context.number(word, 0..=MAX_PROCESSOR));
    draft.global.process.processors = numbers.collect();
}
