//! `option external-check` and `external-check` (configuration manual §4.2).

use std::sync::Arc;

use lb_core::config::ExternalCheck;

use super::args::{Args, Context, Parsed};
use crate::config::diagnostic::{Diagnostic, Span};

/// What the `global` section says of programs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Permission {
    /// `external-check`.
    pub(super) granted: bool,
    /// `insecure-fork-wanted`.
    pub(super) forks: bool,
}

/// What a section says of its program.
#[derive(Debug, Clone, Default)]
pub(super) struct ProgramCheck {
    /// Where `option external-check` was given.
    asked_at: Option<Span>,
    command: Option<(String, Span)>,
    path: Option<String>,
}

impl ProgramCheck {
    /// `option external-check`.
    pub(super) fn choose(&mut self, at: Span) {
        self.asked_at = Some(at);
    }

    /// Another kind of check is asked for.
    pub(super) fn choose_none(&mut self) {
        self.asked_at = None;
    }

    /// The words behind `external-check`.
    pub(super) fn line(&mut self, args: &mut Args<'_>) -> Parsed<()> {
        const WORDS: &str = "command <program> or path <directories>";
        let word = args.need("external-check", WORDS)?;
        if !matches!(word.text, "command" | "path") {
            let message = format!(
                "'external-check' only supports 'command' and 'path'. but got '{}'.",
                word.text
            );
            return Err(word.refuse(message, WORDS));
        }
        let value = args.need(word.text, WORDS)?;
        if value.text.is_empty() {
            let message = format!("missing argument after '{}'.", word.text);
            return Err(value.refuse(message, WORDS));
        }
        args.end("external-check")?;
        match word.text {
            "command" => self.command = Some((value.text.to_owned(), value.span)),
            _ => self.path = Some(value.text.to_owned()),
        }
        Ok(())
    }

    /// What is missing, in HAProxy's words; `title` is the proxy's.
    pub(super) fn check(&self, title: &str, permission: Permission, context: &mut Context<'_>) {
        let Some(asked_at) = &self.asked_at else {
            if let Some((_, at)) = &self.command {
                context.warn(
                    at.clone(),
                    format!(
                        "'external-check command' will be ignored for {title} (requires 'option external-check')."
                    ),
                    "servers are checked without it",
                );
            }
            return;
        };
        let mut refuse = |message: &str, expected: &str| {
            let message = format!("{title} : {message}");
            let finding = Diagnostic::error(asked_at.clone(), message).expected(expected);
            context.diagnostics.push(finding);
        };
        if !permission.granted {
            refuse(
                "'option external-check' unable to find required 'global.external-check'.",
                "`external-check` in the global section",
            );
        }
        match &self.command {
            None => refuse(
                "'option external-check' unable to find required 'external-check command'.",
                "`external-check command <program>`",
            ),
            Some((command, _)) if !command.starts_with('/') && self.path.is_none() => refuse(
                "'external-check command' does not have a leading '/' and 'external-check path' is not set.",
                "the program's whole path, or `external-check path <directories>`",
            ),
            Some(_) => {}
        }
        if !permission.forks {
            context.warn(
                asked_at.clone(),
                format!(
                    "{title} : 'insecure-fork-wanted' not enabled in the global section, 'option external-check' will likely fail."
                ),
                "HAProxy's checks fail without it; here they are run by the supervisor, and do not",
            );
        }
    }

    /// The check of a finished backend, if it has one.
    pub(super) fn finish(self) -> Option<Arc<ExternalCheck>> {
        self.asked_at?;
        let (command, _) = self.command?;
        let path = self.path;
        Some(Arc::new(ExternalCheck { command, path }))
    }
}
