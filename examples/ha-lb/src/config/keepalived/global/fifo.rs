//! `notify_fifo` and `vrrp_notify_fifo`, and the scripts that read them.

use std::path::PathBuf;

use super::Draft;
use crate::config::{
    diagnostic::{Diagnostic, Span},
    keepalived::{
        command::user_of,
        config::{Command, NotifyFifo, User},
        document::Node,
        keyword::Context,
    },
};

/// One kind of fifo while `global_defs` is read: its script may come first.
#[derive(Debug, Default)]
pub(in crate::config::keepalived) struct FifoDraft {
    fifo: Option<(PathBuf, Option<User>, Span)>,
    reader: Option<Command>,
}

/// Both kinds.
#[derive(Debug, Default)]
pub(in crate::config::keepalived) struct Fifos {
    every: FifoDraft,
    vrrp: FifoDraft,
}

pub(super) fn every(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.fifos.every.fifo = fifo(node, context);
}

pub(super) fn vrrp(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.fifos.vrrp.fifo = fifo(node, context);
}

pub(super) fn every_reader(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.fifos.every.reader = context.notify_command(node);
}

pub(super) fn vrrp_reader(draft: &mut Draft, node: &Node, context: &mut Context<'_>) {
    draft.fifos.vrrp.reader = context.notify_command(node);
}

fn fifo(node: &Node, context: &mut Context<'_>) -> Option<(PathBuf, Option<User>, Span)> {
    let (word, owner) = node.arguments.split_first()?;
    if !word.text.starts_with('/') {
        context.refuse(word, "path of a fifo", "a path from the root");
        return None;
    }
    Some((PathBuf::from(&word.text), user_of(owner), word.span.clone()))
}

impl Fifos {
    /// What there is to be: each has its own path, and a script has a fifo to read.
    pub(in crate::config::keepalived) fn finish(
        self,
        context: &mut Context<'_>,
    ) -> Vec<NotifyFifo> {
        let mut all: Vec<NotifyFifo> = Vec::new();
        for (keyword, draft) in [("notify_fifo", self.every), ("vrrp_notify_fifo", self.vrrp)] {
            match draft.fifo {
                Some((path, _, span)) if all.iter().any(|known| known.path == path) => {
                    context.diagnostics.push(
                        Diagnostic::error(span, "both fifos have this path")
                            .found(path.display().to_string())
                            .expected("a path of its own for each"),
                    );
                }
                Some((path, owner, _)) => all.push(NotifyFifo {
                    path,
                    owner,
                    reader: draft.reader,
                }),
                None => {
                    if let Some(reader) = draft.reader {
                        context.diagnostics.push(
                            Diagnostic::warning(
                                reader.span,
                                format!("`{keyword}_script` without `{keyword}`"),
                            )
                            .action(
                                "there is nothing to read: it is not started, as by keepalived",
                            ),
                        );
                    }
                }
            }
        }
        all
    }
}
