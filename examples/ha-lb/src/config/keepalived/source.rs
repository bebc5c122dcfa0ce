//! Files to one stream of words: includes, `$NAME=value` definitions and their use, `~SEQ` and `~LST`, lines for a
//! configuration id. Compared with keepalived's in `tests/keepalived_language.rs`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::lexer::{self, Character, Line, Token};
use crate::config::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    files::Files,
};

mod definition;
mod generator;
mod include;
mod random;

use definition::{Definition, Expanded};
use include::Checks;
use random::Random;
pub(in crate::config) use random::SEED;

/// Includes within includes.
const MAX_INCLUDES: usize = 16;
/// Files of one configuration, for includes that multiply.
const MAX_FILES: usize = 10_000;
/// Lines that definitions and generators make of one configuration.
const MAX_LINES: usize = 100_000;
/// Lines that make lines.
const MAX_DEPTH: usize = 16;

/// Reads `path` and what it includes.
pub(super) fn read(
    path: &Path,
    choice: Choice<'_>,
    files: &dyn Files,
    diagnostics: &mut Diagnostics,
) -> Vec<Token> {
    let mut source = Source {
        id: choice.id,
        files,
        diagnostics,
        definitions: BTreeMap::new(),
        open: Vec::new(),
        read: 0,
        lines: 0,
        checks: match choice.every_file {
            true => Checks::ALL,
            false => Checks::default(),
        },
        random: Random::of(files),
        tokens: Vec::new(),
    };
    source.file(path, Span::whole_file(path));
    source.tokens
}

/// What the command line chooses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice<'a> {
    pub(super) id: ConfigId<'a>,
    /// `-e`: an include that finds nothing is a mistake.
    pub(super) every_file: bool,
}

/// Which lines that begin with `@` count.
#[derive(Debug, Clone, Copy)]
pub(super) enum ConfigId<'a> {
    /// keepalived's `--config-id`.
    Given(&'a str),
    /// This host's name up to its first dot, for want of another.
    HostName(&'a str),
}

impl<'a> ConfigId<'a> {
    pub(super) fn name(self) -> &'a str {
        let (Self::Given(own) | Self::HostName(own)) = self;
        own
    }
}

struct Source<'a> {
    id: ConfigId<'a>,
    files: &'a dyn Files,
    diagnostics: &'a mut Diagnostics,
    definitions: BTreeMap<String, Definition>,
    /// The files being read, outermost first.
    open: Vec<PathBuf>,
    /// Files read so far.
    read: usize,
    /// Lines made so far.
    lines: usize,
    checks: Checks,
    random: Random,
    tokens: Vec<Token>,
}

impl Source<'_> {
    fn file(&mut self, path: &Path, asked_at: Span) {
        let again = self.open.iter().any(|open| open == path);
        if again || self.open.len() >= MAX_INCLUDES || self.read >= MAX_FILES {
            self.diagnostics.push_once(
                "includes",
                Diagnostic::error(asked_at, "files include each other without end")
                    .found(path.display().to_string()),
            );
            return;
        }
        let bytes = match self.files.read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let what = format!("cannot read {}: {error}", path.display());
                let mut diagnostic = Diagnostic::error(asked_at, what);
                if !self.open.is_empty() {
                    diagnostic = diagnostic.action(
                        "keepalived would go on without it; a file that may be missing is named by a pattern, as in \
                         `local.con[f]`",
                    );
                }
                self.diagnostics.push(diagnostic);
                return;
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        let file: Arc<str> = Arc::from(path.to_string_lossy());
        let checks = self.checks;
        self.open.push(path.to_path_buf());
        self.read += 1;
        let mut lines = (1..).zip(text.lines());
        while let Some((number, text)) = lines.next() {
            let line = Line {
                file: file.clone(),
                number,
            };
            let characters = lexer::uncomment(lexer::characters(text), &line, self.diagnostics);
            let Some(rest) = self.conditional(trimmed(&characters), &line) else {
                continue;
            };
            match definition::split(rest) {
                Some((name, value)) if goes_on(text) => {
                    let mut values = vec![without_backslash(value)];
                    for (number, text) in lines.by_ref() {
                        let line = Line {
                            file: file.clone(),
                            number,
                        };
                        let next =
                            lexer::uncomment(lexer::characters(text), &line, self.diagnostics);
                        values.push(without_backslash(&next));
                        if !goes_on(text) {
                            break;
                        }
                    }
                    values.retain(|line| !line.is_empty());
                    self.definitions.insert(name, Definition::Lines(values));
                }
                _ => self.unconditional(rest, &line, 0),
            }
        }
        self.open.pop();
        self.checks = checks;
    }

    /// A line that another one made.
    fn line(&mut self, text: &[Character], line: &Line, depth: usize) {
        self.lines += 1;
        if depth > MAX_DEPTH || self.lines > MAX_LINES {
            let column = text.first().map_or(1, |c| c.column);
            self.diagnostics.push_once(
                "lines",
                Diagnostic::error(line.span(column), "definitions make too many lines").expected(
                    format!(
                        "at most {MAX_LINES} lines, and {MAX_DEPTH} definitions within each other"
                    ),
                ),
            );
            return;
        }
        if let Some(text) = self.conditional(trimmed(text), line) {
            self.unconditional(text, line, depth);
        }
    }

    fn unconditional(&mut self, text: &[Character], line: &Line, depth: usize) {
        if let Some((name, value)) = definition::split(text) {
            self.definitions
                .insert(name, Definition::Text(value.to_vec()));
            return;
        }
        match generator::read(text) {
            Some(Ok(generator)) => {
                for values in generator.turns {
                    for (name, value) in generator.names.iter().zip(values) {
                        let value = lexer::characters(&value);
                        self.definitions
                            .insert(name.clone(), Definition::Text(value));
                    }
                    self.line(generator.rest, line, depth + 1);
                    if self.lines > MAX_LINES {
                        break;
                    }
                }
                return;
            }
            Some(Err(expected)) => {
                let column = text.first().map_or(1, |c| c.column);
                let found: String = text.iter().map(|c| c.value).collect();
                self.diagnostics.push(
                    Diagnostic::error(line.span(column), "this makes no lines")
                        .found(found)
                        .expected(expected),
                );
                return;
            }
            None => {}
        }
        match self.expand(text, line) {
            Some(Expanded::Line(text)) => self.finished(text, line),
            Some(Expanded::Anew(text)) => self.line(&text, line, depth + 1),
            Some(Expanded::Lines { before, mut lines }) => {
                if let Some(first) = lines.first_mut()
                    && !trimmed(&before).is_empty()
                {
                    first.splice(0..0, before);
                }
                for made in lines {
                    self.line(&made, line, depth + 1);
                    if self.lines > MAX_LINES {
                        break;
                    }
                }
            }
            None => {}
        }
    }

    /// A line in which nothing is to be replaced any more. What was put in may begin a comment.
    fn finished(&mut self, text: Vec<Character>, line: &Line) {
        let text = lexer::uncomment(text, line, self.diagnostics);
        if self.included(&text, line) {
            return;
        }
        let tokens = lexer::tokens(&text, line, self.diagnostics);
        if let [Token::Word(keyword), Token::Word(seed), ..] = tokens.as_slice()
            && keyword.text == "random_seed"
            && let Ok(seed) = seed.text.parse()
        {
            self.random = Random::seeded(seed);
        }
        self.tokens.extend(tokens);
    }

    /// `@ID line` counts only with that configuration id, `@^ID line` only without it.
    fn conditional<'c>(&mut self, text: &'c [Character], line: &Line) -> Option<&'c [Character]> {
        let Some((at, rest)) = text.split_first().filter(|(at, _)| at.is('@')) else {
            return Some(text);
        };
        let end = rest.iter().position(|c| c.value.is_whitespace());
        let Some((id, conditioned)) = end.and_then(|end| rest.split_at_checked(end)) else {
            return Some(text);
        };
        let conditioned = trimmed(conditioned);
        let id: String = id.iter().map(|c| c.value).collect();
        if let Some(id) = id.strip_prefix('^') {
            return (self.id.name() != id).then_some(conditioned);
        }
        if self.id.name() == id {
            return Some(conditioned);
        }
        if let ConfigId::HostName(name) = self.id {
            let action = format!(
                "lines for it are skipped: the configuration id is this host's name, {name}, unless -i gives another"
            );
            self.diagnostics.push_once(
                &format!("@{id}"),
                Diagnostic::warning(line.span(at.column), "a line for one configuration id only")
                    .found(format!("@{id}"))
                    .action(action),
            );
        }
        None
    }
}

/// Whether a definition goes on in the next line: a backslash ends it, be it in a comment.
fn goes_on(text: &str) -> bool {
    text.trim_end().ends_with('\\')
}

fn without_backslash(characters: &[Character]) -> Vec<Character> {
    let text = trimmed(characters);
    let bare = match text.split_last() {
        Some((last, bare)) if last.is('\\') => trimmed(bare),
        _ => text,
    };
    bare.to_vec()
}

/// Without blanks at both ends.
fn trimmed(characters: &[Character]) -> &[Character] {
    let blank = |c: &Character| c.value.is_whitespace();
    let start = characters.iter().take_while(|c| blank(c)).count();
    let rest = characters.get(start..).unwrap_or_default();
    let end = rest.iter().rev().take_while(|c| blank(c)).count();
    rest.get(..rest.len() - end).unwrap_or_default()
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests;
