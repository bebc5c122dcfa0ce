//! `track_file`.

use std::{path::PathBuf, sync::Arc};

use super::{
    KeywordInfo,
    config::{InitFile, TrackedFile},
    document::Node,
    keyword::{Context, Keyword, Table, Takes, inside},
};
use crate::config::diagnostic::Diagnostic;

/// A block while it is read.
struct Draft {
    path: Option<PathBuf>,
    weight: i16,
    reverse: bool,
    init: Option<InitFile>,
}

/// Weights beyond this do the same.
const MOST: i32 = 254;

const TABLE: Table<Draft> = Table {
    block: "track_file",
    keywords: &[&[
        Keyword::read(
            "file",
            Takes::one("a path"),
            path,
            "The file, which holds a number.",
        ),
        Keyword::read(
            "weight",
            Takes::words(1, 2, "a number, perhaps `reverse`"),
            weight,
            "The file's number times this is added to the priority (1); with 0 every number but 0 is a fault.",
        ),
        Keyword::read(
            "init_file",
            Takes::words(0, 2, "a number, perhaps `overwrite`"),
            init,
            "Written to the file at the start if it is not there, or in any case.",
        ),
    ]],
};

/// The keywords of the block.
pub(super) fn keywords() -> impl Iterator<Item = KeywordInfo> {
    TABLE.list()
}

/// Reads `track_file NAME { ... }`.
pub(super) fn read(node: &Node, context: &mut Context<'_>) -> Option<TrackedFile> {
    let name = node.arguments.first()?;
    let mut draft = Draft {
        path: None,
        weight: 1,
        reverse: false,
        init: None,
    };
    context.read(&mut draft, inside(node), &TABLE);
    let Some(path) = draft.path else {
        let given = inside(node).iter().any(|n| n.keyword.text == "file");
        if !given {
            context.diagnostics.push(
                Diagnostic::error(name.span.clone(), "no file to track")
                    .found(&name.text)
                    .expected("`file PATH` in its block"),
            );
        }
        return None;
    };
    Some(TrackedFile {
        name: Arc::from(name.text.as_str()),
        span: name.span.clone(),
        path,
        weight: draft.weight,
        reverse: draft.reverse,
        init: draft.init,
    })
}

fn path(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some(word) = node.arguments.first() else {
        return;
    };
    if word.text.starts_with('/') {
        draft.path = Some(PathBuf::from(&word.text));
    } else {
        context.refuse(word, "path of a file", "a path from the root");
    }
}

fn weight(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let Some((number, rest)) = node.arguments.split_first() else {
        return;
    };
    let weight = context.number(number, -i32::MAX..=i32::MAX);
    if let Some(weight) = weight {
        draft.weight = i16::try_from(weight.clamp(-MOST, MOST)).unwrap_or(1);
    }
    match rest.first() {
        Some(word) if word.text == "reverse" => draft.reverse = true,
        Some(word) => context.refuse(word, "word for a weight", "`reverse` or nothing"),
        None => {}
    }
}

fn init(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    let mut init = InitFile {
        value: 0,
        overwrite: false,
    };
    for (index, word) in node.arguments.iter().enumerate() {
        if word.text == "overwrite" {
            init.overwrite = true;
        } else if index == 0 {
            init.value = context.number(word, i32::MIN..=i32::MAX).unwrap_or(0);
        } else {
            context.refuse(word, "word for a file", "`overwrite` or nothing");
        }
    }
    draft.init = Some(init);
}
