//! Words of HAProxy's dialect with their places.
//!
//! Configuration manual §2.2 (quoting and escaping) and §2.3 (environment variables), as HAProxy 2.6 does it: a
//! backslash protects the next character outside single quotes, `\r \n \t \xHH` are special bytes, `#` begins a
//! comment outside quotes, variables are expanded inside double quotes only. There is no line continuation: a
//! final backslash is an ordinary character. Lines of `.if` blocks that do not hold are left out here, those that
//! cannot be read are reported.

mod environment;
mod scanner;

use std::sync::Arc;

pub(super) use environment::{Environment, expanded};
use scanner::Scanner;

use super::directive::{Blocks, Handling};
use crate::config::diagnostic::{Diagnostic, Diagnostics, Span};

/// One word, unquoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Text after unquoting and expansion.
    pub(super) text: String,
    /// Column of its first character as written, from 1.
    pub(super) column: u32,
}

/// One line that has at least one word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// The file's name.
    pub(super) file: Arc<str>,
    /// Number, from 1.
    pub(super) number: u32,
    /// Words; never empty.
    pub(super) words: Vec<Word>,
}

impl Line {
    /// The word at `index`, empty when there is none.
    pub(super) fn text(&self, index: usize) -> &str {
        self.words.get(index).map_or("", |word| word.text.as_str())
    }

    /// Place of the word at `index`; behind the last word when there is none.
    pub(super) fn span(&self, index: usize) -> Span {
        let column = self.words.get(index).map_or_else(
            || {
                self.words.last().map_or(1, |word| {
                    let width = u32::try_from(word.text.chars().count()).unwrap_or(0);
                    word.column.saturating_add(width)
                })
            },
            |word| word.column,
        );
        Span::new(self.file.clone(), self.number, column)
    }

    /// `file:line`, for messages at run time.
    pub(super) fn origin(&self) -> Arc<str> {
        Arc::from(format!("{}:{}", self.file, self.number))
    }

    /// The same place with other words, all at the place of the word at `at`: what an obsolete line is read as.
    pub(super) fn rewritten(&self, at: usize, words: &[&str]) -> Self {
        let column = self.span(at).column;
        Self {
            file: self.file.clone(),
            number: self.number,
            words: words
                .iter()
                .map(|text| Word {
                    text: (*text).to_owned(),
                    column,
                })
                .collect(),
        }
    }
}

/// What a file gave.
pub(super) struct Lexed {
    /// Lines that have words and stand in no block that is left out.
    pub(super) lines: Vec<Line>,
    /// `.alert`, or an error in `.if` and its kind: nothing behind it may be read, in other files neither.
    pub(super) stopped: bool,
}

/// All lines of one file that count.
pub(super) fn lex(
    file: &Arc<str>,
    text: &str,
    environment: &mut Environment<'_>,
    diagnostics: &mut Diagnostics,
) -> Lexed {
    let mut lines = Vec::new();
    let mut blocks = Blocks::default();
    let mut number = 0;
    // A final line end begins no further line.
    for text in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        number += 1;
        match Scanner::new(text.strip_suffix('\r').unwrap_or(text), environment).words() {
            // An empty first word (an unset variable) makes the line a blank one.
            Ok(words) if words.first().is_none_or(|word| word.text.is_empty()) => {}
            Ok(words) => {
                let mut line = Line {
                    file: file.clone(),
                    number,
                    words,
                };
                match blocks.handle(&line, environment, diagnostics) {
                    Handling::Keep => {
                        check_text(&line, diagnostics);
                        environment.expand_address(&mut line, diagnostics);
                        environment.apply(&line);
                        lines.push(line);
                    }
                    Handling::Drop => {}
                    Handling::Stop => {
                        return Lexed {
                            lines,
                            stopped: true,
                        };
                    }
                }
            }
            Err(fault) => {
                let span = Span::new(file.clone(), number, fault.column);
                diagnostics.push(Diagnostic::error(span, fault.message).expected(fault.expected));
            }
        }
    }
    let stopped = !blocks.closed(&Span::new(file.clone(), number, 1), diagnostics);
    Lexed { lines, stopped }
}

/// Words are text: a byte that is none would become another without a word about it.
fn check_text(line: &Line, diagnostics: &mut Diagnostics) {
    let replaced = |word: &Word| word.text.contains(char::REPLACEMENT_CHARACTER);
    if let Some(index) = line.words.iter().position(replaced) {
        let finding = Diagnostic::warning(line.span(index), "bytes that are no UTF-8");
        diagnostics.push(finding.action("each is read as the character U+FFFD"));
    }
}

/// Somebody may still be writing a file whose last line has no end: HAProxy refuses it, in these words.
pub(super) fn check_end(file: &Arc<str>, text: &str, diagnostics: &mut Diagnostics) {
    if text.is_empty() || text.ends_with('\n') {
        return;
    }
    let (line, last) = (1..).zip(text.split('\n')).last().unwrap_or((1, text));
    let position = u32::try_from(last.len())
        .unwrap_or(u32::MAX)
        .saturating_add(1);
    let message =
        format!("Missing LF on last line, file might have been truncated at position {position}.");
    diagnostics.push(Diagnostic::error(
        Span::new(file.clone(), line, position),
        message,
    ));
}

#[cfg(test)]
mod tests;
