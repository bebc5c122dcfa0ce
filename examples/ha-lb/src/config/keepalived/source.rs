//! Files to one stream of words: includes, `$NAME=value` definitions and their substitution, lines
//! for a configuration id.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::lexer::{self, Character, Line, Token, Word};
use crate::config::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    files::Files,
};

/// Includes within includes.
const MAX_INCLUDES: usize = 16;
/// Characters of a line after substitution, and of a definition: definitions that use each other
/// twice grow without bound.
const MAX_LINE: usize = 65_536;
/// Files of one configuration, for includes that multiply.
const MAX_FILES: usize = 10_000;

/// Reads `path` and what it includes; `id` chooses between lines for one configuration id.
pub(super) fn read(
    path: &Path,
    id: &ConfigId<'_>,
    files: &dyn Files,
    diagnostics: &mut Diagnostics,
) -> Vec<Token> {
    let mut source = Source {
        id,
        files,
        diagnostics,
        definitions: BTreeMap::new(),
        open: Vec::new(),
        read: 0,
        tokens: Vec::new(),
    };
    source.file(path, Span::whole_file(path));
    source.tokens
}

/// Which lines that begin with `@` count.
#[derive(Debug, Clone, Copy)]
pub(super) enum ConfigId<'a> {
    /// keepalived's `--config-id`.
    Given(&'a str),
    /// This host's name, for want of another.
    HostName(&'a str),
}

impl ConfigId<'_> {
    fn is(self, id: &str) -> bool {
        let (Self::Given(own) | Self::HostName(own)) = self;
        own == id
    }
}

struct Source<'a> {
    id: &'a ConfigId<'a>,
    files: &'a dyn Files,
    diagnostics: &'a mut Diagnostics,
    definitions: BTreeMap<String, Vec<Character>>,
    /// The files being read, outermost first.
    open: Vec<PathBuf>,
    /// Files read so far.
    read: usize,
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
                self.diagnostics.push(Diagnostic::error(
                    asked_at,
                    format!("cannot read {}: {error}", path.display()),
                ));
                return;
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        let file: Arc<str> = Arc::from(path.to_string_lossy());
        self.open.push(path.to_path_buf());
        self.read += 1;
        let mut lines = (1..).zip(text.lines());
        while let Some((number, text)) = lines.next() {
            let line = Line {
                file: file.clone(),
                number,
            };
            let characters = lexer::uncomment(lexer::characters(text), &line, self.diagnostics);
            match definition_name(&characters) {
                Some((name, value)) => {
                    let mut value = value.to_vec();
                    // A definition goes on in the next line after a backslash.
                    while value.last().is_some_and(|c| c.is('\\')) {
                        value.pop();
                        let Some((number, text)) = lines.next() else {
                            break;
                        };
                        let line = Line {
                            file: file.clone(),
                            number,
                        };
                        value.push(newline());
                        value.extend(lexer::uncomment(
                            lexer::characters(text),
                            &line,
                            self.diagnostics,
                        ));
                    }
                    let value = self.substitute(trimmed(&value), &line);
                    self.definitions.insert(name, value);
                }
                None => self.line(&characters, &line),
            }
        }
        self.open.pop();
    }

    fn line(&mut self, characters: &[Character], line: &Line) {
        let Some(characters) = self.conditional(characters, line) else {
            return;
        };
        let substituted = self.substitute(characters, line);
        for part in substituted.split(|c| c.value == '\n') {
            let tokens = lexer::tokens(part, line, self.diagnostics);
            match tokens.as_slice() {
                [Token::Word(word), rest @ ..] if !word.quoted && is_include(&word.text) => {
                    let (word, rest) = (word.clone(), rest.to_vec());
                    self.include(&word, &rest);
                }
                _ => self.tokens.extend(tokens),
            }
        }
    }

    /// `@ID line` counts only with that configuration id, `@^ID line` only without it.
    fn conditional<'c>(
        &mut self,
        characters: &'c [Character],
        line: &Line,
    ) -> Option<&'c [Character]> {
        let start = characters.iter().position(|c| !c.value.is_whitespace())?;
        let text = characters.get(start..)?;
        let (at, rest) = text.split_first()?;
        if !at.is('@') {
            return Some(characters);
        }
        let end = rest.iter().position(|c| c.value.is_whitespace());
        let Some((id, conditioned)) = end.and_then(|end| rest.split_at_checked(end)) else {
            return Some(characters);
        };
        if conditioned.iter().all(|c| c.value.is_whitespace()) {
            return Some(characters);
        }
        let id: String = id.iter().map(|c| c.value).collect();
        if let Some(id) = id.strip_prefix('^') {
            return (!self.id.is(id)).then_some(conditioned);
        }
        if self.id.is(&id) {
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

    /// Replaces `$NAME` and `${NAME}`; names that are not defined stay as they are, as they do for
    /// keepalived.
    fn substitute(&mut self, characters: &[Character], line: &Line) -> Vec<Character> {
        let mut result = Vec::with_capacity(characters.len());
        let mut rest = characters;
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            if !first.is('$') {
                result.push(*first);
                continue;
            }
            match self.value(after, first.column, line) {
                Some((value, length)) => {
                    result.extend(value);
                    rest = after.get(length..).unwrap_or_default();
                }
                // The braces of a name that is not defined are part of the word.
                None => {
                    let length = braced_length(after);
                    let (name, after) = after.split_at_checked(length).unwrap_or((&[], after));
                    let literal = |c: &Character| Character {
                        literal: true,
                        ..*c
                    };
                    result.push(literal(first));
                    result.extend(name.iter().map(literal));
                    rest = after;
                }
            }
            if result.len() > MAX_LINE {
                self.diagnostics.push(
                    Diagnostic::error(
                        line.span(first.column),
                        "definitions make this line too long",
                    )
                    .expected(format!("at most {MAX_LINE} characters")),
                );
                return Vec::new();
            }
        }
        result
    }

    /// The value of the name that begins `text`, and how many characters the name takes.
    fn value(
        &mut self,
        text: &[Character],
        column: u32,
        line: &Line,
    ) -> Option<(Vec<Character>, usize)> {
        let braced = text.first().is_some_and(|c| c.is('{'));
        let start = usize::from(braced);
        let inner = text.get(start..)?;
        let length = if braced {
            inner.iter().position(|c| c.is('}'))?
        } else {
            inner.iter().take_while(|c| is_name(c.value)).count()
        };
        let name: String = inner.get(..length)?.iter().map(|c| c.value).collect();
        let taken = length + 2 * start;
        let literal = |text: &str| -> Vec<Character> {
            let character = |value| Character {
                value,
                column,
                literal: true,
            };
            text.chars().map(character).collect()
        };
        match name.as_str() {
            "_HASH" => return Some((literal("#"), taken)),
            "_BANG" => return Some((literal("!"), taken)),
            "_PWD" => {
                let folder = self.open.last().and_then(|path| path.parent())?;
                return Some((literal(&folder.to_string_lossy()), taken));
            }
            _ => {}
        }
        if let Some(value) = self.definitions.get(&name) {
            let moved = value.iter().map(|c| Character { column, ..*c });
            return Some((moved.collect(), taken));
        }
        if braced && name.starts_with('_') {
            self.diagnostics.push(
                Diagnostic::error(
                    line.span(column),
                    "this built-in definition is not supported",
                )
                .found(format!("${{{name}}}"))
                .expected("${_PWD}, ${_HASH}, ${_BANG} or a name defined before"),
            );
        }
        None
    }

    fn include(&mut self, keyword: &Word, rest: &[Token]) {
        let [Token::Word(pattern), Token::EndOfLine] = rest else {
            self.diagnostics.push(
                Diagnostic::error(keyword.span.clone(), "this cannot be included")
                    .found(&keyword.text)
                    .expected("one file name or pattern"),
            );
            return;
        };
        // Relative to the folder of the including file.
        let folder = self.open.last().and_then(|path| path.parent());
        let wanted = folder.unwrap_or(Path::new("")).join(&pattern.text);
        if !pattern.text.contains(['*', '?', '[']) {
            self.file(&wanted, pattern.span.clone());
            return;
        }
        let matching = self.matching(&wanted);
        if matching.is_empty() {
            self.diagnostics.push(
                Diagnostic::warning(pattern.span.clone(), "no file matches")
                    .found(&pattern.text)
                    .action("nothing is included"),
            );
        }
        for path in matching {
            self.file(&path, pattern.span.clone());
        }
    }

    /// Files whose name matches the last part of `wanted`, sorted.
    fn matching(&self, wanted: &Path) -> Vec<PathBuf> {
        let (Some(folder), Some(pattern)) = (wanted.parent(), wanted.file_name()) else {
            return Vec::new();
        };
        let pattern: Vec<char> = pattern.to_string_lossy().chars().collect();
        let mut paths = self.files.list(folder).unwrap_or_default();
        paths.retain(|path| {
            path.file_name().is_some_and(|name| {
                let name: Vec<char> = name.to_string_lossy().chars().collect();
                let hidden = name.first() == Some(&'.') && pattern.first() != Some(&'.');
                !hidden && glob(&pattern, &name)
            })
        });
        paths.sort();
        paths
    }
}

/// Without blanks at both ends.
fn trimmed(characters: &[Character]) -> &[Character] {
    let blank = |c: &Character| c.value.is_whitespace();
    let start = characters.iter().take_while(|c| blank(c)).count();
    let rest = characters.get(start..).unwrap_or_default();
    let end = rest.iter().rev().take_while(|c| blank(c)).count();
    rest.get(..rest.len() - end).unwrap_or_default()
}

/// Length of `{NAME}` at the beginning of `text`, or 0.
fn braced_length(text: &[Character]) -> usize {
    let Some(inner) = text.split_first().filter(|(open, _)| open.is('{')) else {
        return 0;
    };
    let name = inner.1.iter().take_while(|c| is_name(c.value)).count();
    match inner.1.get(name) {
        Some(close) if close.is('}') => name + 2,
        _ => 0,
    }
}

fn newline() -> Character {
    Character {
        value: '\n',
        column: 1,
        literal: false,
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// keepalived's variants differ in what of a missing file is an error; here any is.
fn is_include(word: &str) -> bool {
    matches!(
        word,
        "include" | "includer" | "includem" | "includew" | "includeb" | "includea"
    )
}

/// `$NAME=value`, without blanks before the `=`: the name and the value.
fn definition_name(characters: &[Character]) -> Option<(String, &[Character])> {
    let start = characters.iter().position(|c| !c.value.is_whitespace())?;
    let (dollar, rest) = characters.get(start..)?.split_first()?;
    let length = rest.iter().take_while(|c| is_name(c.value)).count();
    let (name, rest) = rest.split_at_checked(length)?;
    let (equals, value) = rest.split_first()?;
    let wanted = dollar.is('$') && equals.is('=') && !name.is_empty();
    wanted.then(|| (name.iter().map(|c| c.value).collect(), value))
}

/// File name patterns: `*`, `?`, `[a-z]`, `[!a-z]`. In time proportional to pattern times name.
fn glob(pattern: &[char], name: &[char]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    let mut retry: Option<(&[char], &[char])> = None;
    loop {
        let advanced = match (pattern.split_first(), name.split_first()) {
            (Some(('*', rest)), _) => {
                retry = Some((rest, name));
                Some((rest, name))
            }
            (None, None) => return true,
            (Some(_), Some((c, after))) => {
                one_matches(pattern, *c).map(|pattern_rest| (pattern_rest, after))
            }
            _ => None,
        };
        match (advanced, retry) {
            (Some(next), _) => (pattern, name) = next,
            // Give the last `*` one character more.
            (None, Some((rest, [_, after @ ..]))) => {
                retry = Some((rest, after));
                (pattern, name) = (rest, after);
            }
            (None, _) => return false,
        }
    }
}

/// Matches one character; what of the pattern is left if it does.
fn one_matches(pattern: &[char], c: char) -> Option<&[char]> {
    let (first, rest) = pattern.split_first()?;
    let close = rest.iter().skip(1).position(|c| *c == ']');
    match (first, close) {
        ('?', _) => Some(rest),
        ('[', Some(position)) => {
            let (set, after) = rest.split_at_checked(position + 1)?;
            let (negated, set) = match set {
                ['!' | '^', set @ ..] => (true, set),
                set => (false, set),
            };
            let ranges = set
                .windows(3)
                .any(|w| matches!(w, [from, '-', to] if (*from..=*to).contains(&c)));
            (negated != (ranges || set.contains(&c))).then_some(after.get(1..).unwrap_or_default())
        }
        _ => (*first == c).then_some(rest),
    }
}

#[cfg(test)]
mod tests;
