//! The words of one line, taken one after another, and how a parser of them fails.

use super::{
    keywords::{self, Entry, Status, TABLES},
    lexer::Line,
};
use crate::config::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    files::Files,
};

/// A value or the finding that refuses it.
pub(super) type Parsed<T> = Result<T, Box<Diagnostic>>;

/// What every parser needs beside its words.
pub(super) struct Context<'a> {
    /// Where files, host names and variables come from.
    pub(super) files: &'a dyn Files,
    /// Where findings go.
    pub(super) diagnostics: &'a mut Diagnostics,
}

impl Context<'_> {
    /// The same findings, beside other files.
    pub(super) fn beside<'b>(&'b mut self, files: &'b dyn Files) -> Context<'b> {
        Context {
            files,
            diagnostics: self.diagnostics,
        }
    }

    /// Says that `what` is accepted and what is done instead.
    pub(super) fn warn(&mut self, span: Span, what: impl Into<String>, done: impl Into<String>) {
        self.diagnostics
            .push(Diagnostic::warning(span, what).action(done));
    }

    /// Adds the finding of a failed parser and goes on with the next line.
    pub(super) fn collect<T>(&mut self, result: Parsed<T>) -> Option<T> {
        result
            .map_err(|finding| self.diagnostics.push(*finding))
            .ok()
    }
}

/// One word and its place.
#[derive(Clone)]
pub(super) struct Arg<'l> {
    /// The text.
    pub(super) text: &'l str,
    /// The place.
    pub(super) span: Span,
}

impl Arg<'_> {
    /// This word is not what was `expected`.
    pub(super) fn refuse(
        &self,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) -> Box<Diagnostic> {
        Box::new(
            Diagnostic::error(self.span.clone(), message)
                .found(self.text)
                .expected(expected),
        )
    }
}

/// The words of a line that are still to be read.
#[derive(Clone)]
pub(super) struct Args<'l> {
    line: &'l Line,
    at: usize,
}

impl<'l> Args<'l> {
    /// The words from `at` on.
    pub(super) fn new(line: &'l Line, at: usize) -> Self {
        Self { line, at }
    }

    /// The line they stand on.
    pub(super) fn line(&self) -> &'l Line {
        self.line
    }

    /// Index of the next word in its line.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next word without taking it; empty at the end.
    pub(super) fn peek(&self) -> &'l str {
        self.line.text(self.at)
    }

    /// How many words are left.
    pub(super) fn left(&self) -> usize {
        self.line.words.len().saturating_sub(self.at)
    }

    /// The first word that is one too many for `entry`.
    pub(super) fn beyond(&self, entry: &Entry) -> Option<Arg<'l>> {
        let (_, high) = entry.arity;
        let mut rest = Self::new(self.line, self.at + usize::from(high));
        (high < u8::MAX).then(|| rest.take()).flatten()
    }

    /// The next word.
    pub(super) fn take(&mut self) -> Option<Arg<'l>> {
        let word = self.line.words.get(self.at)?;
        let span = self.line.span(self.at);
        self.at += 1;
        Some(Arg {
            text: &word.text,
            span,
        })
    }

    /// The next word, which must be there. `of` names the keyword, `expected` says what is missing.
    pub(super) fn need(&mut self, of: &str, expected: &str) -> Parsed<Arg<'l>> {
        let end = self.line.span(self.at);
        self.take().ok_or_else(|| {
            Box::new(Diagnostic::error(end, format!("'{of}' lacks an argument")).expected(expected))
        })
    }

    /// Takes the next word if it is `word`.
    pub(super) fn skip(&mut self, word: &str) -> bool {
        let hit = self.left() > 0 && self.peek() == word;
        if hit {
            self.at += 1;
        }
        hit
    }

    /// Nothing may be left.
    pub(super) fn end(&mut self, of: &str) -> Parsed<()> {
        self.take()
            .map_or(Ok(()), |extra| Err(too_many(&extra, of)))
    }
}

fn too_many(extra: &Arg<'_>, of: &str) -> Box<Diagnostic> {
    extra.refuse(
        format!("'{of}' takes no further argument"),
        "the end of the line",
    )
}

/// What becomes of a known word.
pub(super) enum Admitted {
    /// It has its effect.
    Use(&'static Entry),
    /// It was warned about and has none.
    Skip(&'static Entry),
}

/// Looks a word up in its table: warns about those without effect and those that are obsolete, refuses unknown
/// ones and those that are not built. `language` says what the table holds, as in "keyword '{}' in 'global' section", with `{}` in place of the
/// word.
pub(super) fn admit(
    context: &mut Context<'_>,
    table: &'static [Entry],
    word: &Arg<'_>,
    language: &str,
) -> Parsed<Admitted> {
    let Some(entry) = keywords::find(table, word.text) else {
        let finding = Diagnostic::error(
            word.span.clone(),
            format!("unknown {}", language.replace("{}", word.text)),
        );
        let elsewhere = TABLES
            .iter()
            .find(|(_, entries)| keywords::find(entries, word.text).is_some())
            .filter(|(title, _)| !title.contains("server") && *title != "userlist");
        let expected = elsewhere.map_or_else(
            || keywords::choices(table),
            |(title, _)| format!("it under `{title}` only"),
        );
        return Err(Box::new(
            finding
                .found(word.text)
                .expected(expected)
                .suggestion(keywords::resembling(table, word.text)),
        ));
    };
    let what = |state: &str| format!("'{}' {state}", word.text);
    match entry.status {
        Status::Supported => Ok(Admitted::Use(entry)),
        Status::Needless => Ok(Admitted::Skip(entry)),
        Status::Ignored => {
            context.warn(word.span.clone(), what("is ignored"), entry.text);
            Ok(Admitted::Skip(entry))
        }
        Status::Obsolete => {
            context.warn(word.span.clone(), what("is obsolete"), entry.text);
            Ok(Admitted::Use(entry))
        }
        Status::Refused => Err(Box::new(
            Diagnostic::error(word.span.clone(), what("is not supported")).action(entry.text),
        )),
    }
}

/// Checks the number of words behind a keyword that ends with its line.
pub(super) fn arity(args: &Args<'_>, name: &str, entry: &Entry) -> Parsed<()> {
    let (low, _) = entry.arity;
    let usage = || format!("{name} {}", entry.usage);
    if args.left() < usize::from(low) {
        let end = args.line().span(args.line().words.len());
        let finding = Diagnostic::error(end, format!("'{name}' lacks an argument"));
        return Err(Box::new(match entry.usage {
            "" => finding,
            _ => finding.expected(usage()),
        }));
    }
    args.beyond(entry)
        .map_or(Ok(()), |extra| Err(too_many(&extra, name)))
}
