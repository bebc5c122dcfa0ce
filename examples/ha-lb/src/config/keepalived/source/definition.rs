//! `$NAME=value` and its use: `$NAME` before a blank, `${NAME}` anywhere, and what is defined beforehand.
//!
//! A value is substituted where it is used, and what comes out is looked through again: names in it may be defined
//! later, and anew between two uses.

use super::{Source, generator, is_name, trimmed};
use crate::config::{
    diagnostic::Diagnostic,
    keepalived::lexer::{Character, Line},
};

/// Characters of a line after substitution.
const MAX_LINE: usize = 65_536;
/// Values put into one line.
const MAX_SUBSTITUTIONS: usize = 10_000;

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) enum Definition {
    Text(Vec<Character>),
    /// Lines after a backslash each: they stand at the end of a line only.
    Lines(Vec<Vec<Character>>),
}

/// A line with its definitions put in.
pub(super) enum Expanded {
    Line(Vec<Character>),
    /// It begins with what was put in, and is a condition, a definition or a generator by that. The rest is as it was.
    Anew(Vec<Character>),
    /// It ends with a name for these lines.
    Lines {
        before: Vec<Character>,
        lines: Vec<Vec<Character>>,
    },
}

/// A name that is used: `NAME` or `{NAME ...}` after the `$`.
struct Reference {
    name: String,
    /// Words after the name, in braces only.
    arguments: String,
    braced: bool,
    /// Characters after the `$`.
    length: usize,
}

enum Value {
    Text(Vec<Character>),
    Lines(Vec<Vec<Character>>),
}

impl Source<'_> {
    /// Puts definitions in. `None` after an error.
    pub(super) fn expand(&mut self, text: &[Character], line: &Line) -> Option<Expanded> {
        // What is still to be read, the last character first.
        let mut rest: Vec<Character> = trimmed(text).iter().rev().copied().collect();
        let mut done: Vec<Character> = Vec::new();
        let mut substitutions = 0;
        while let Some(c) = rest.pop() {
            let reference = Some(&rest)
                .filter(|_| c.is('$'))
                .and_then(|rest| reference(rest));
            let Some(reference) = reference else {
                done.push(c);
                continue;
            };
            let behind = rest.len() - reference.length;
            let ends_line = rest.iter().take(behind).all(|c| c.value.is_whitespace());
            match self.value(&reference, c.column, line) {
                Some(Value::Lines(lines)) if ends_line => {
                    let column = c.column;
                    let lines = lines.into_iter().map(|line| moved(line, column));
                    return Some(Expanded::Lines {
                        before: done,
                        lines: lines.collect(),
                    });
                }
                Some(Value::Text(value)) => {
                    let begins = done.is_empty();
                    let is_special = value.first().is_some_and(|c| "@~$".contains(c.value));
                    rest.truncate(behind);
                    rest.extend(moved(value, c.column).into_iter().rev());
                    substitutions += 1;
                    if begins && is_special {
                        let text: Vec<Character> = rest.iter().rev().copied().collect();
                        let conditional = text.first().is_some_and(|c| c.is('@'));
                        if conditional || split(&text).is_some() || generator::read(&text).is_some()
                        {
                            return Some(Expanded::Anew(text));
                        }
                    }
                }
                // It stays as it is; its braces are part of the word.
                Some(Value::Lines(_)) | None => {
                    done.push(c);
                    let name = rest.split_off(behind);
                    let literal = |c: Character| Character { literal: true, ..c };
                    done.extend(name.into_iter().rev().map(literal));
                }
            }
            if done.len() + rest.len() > MAX_LINE || substitutions > MAX_SUBSTITUTIONS {
                self.diagnostics.push_once(
                    "definitions",
                    Diagnostic::error(line.span(c.column), "definitions make this line too long")
                        .expected(format!("at most {MAX_LINE} characters and {MAX_SUBSTITUTIONS} definitions in a line"))
                        .action("keepalived would go on for ever with definitions that use each other"),
                );
                return None;
            }
        }
        Some(Expanded::Line(done))
    }

    fn value(&mut self, reference: &Reference, column: u32, line: &Line) -> Option<Value> {
        let text = |text: &str| {
            let character = |value| Character {
                value,
                column,
                literal: false,
            };
            Some(Value::Text(text.chars().map(character).collect()))
        };
        let name = reference.name.as_str();
        if reference.arguments.is_empty() {
            match self.definitions.get(name) {
                Some(Definition::Text(value)) => return Some(Value::Text(value.clone())),
                Some(Definition::Lines(lines)) => return Some(Value::Lines(lines.clone())),
                None => {}
            }
        }
        let folder = || self.open.last().and_then(|path| path.parent());
        let mut words = reference.arguments.split_whitespace();
        match name {
            "_HASH" => text("#"),
            "_BANG" => text("!"),
            "_PWD" => text(&folder()?.to_string_lossy()),
            "_INSTANCE" => text(self.id.name()),
            "_RANDOM" if reference.braced => {
                let mut bound = |default| words.next().map_or(Some(default), |w| w.parse().ok());
                match (bound(0), bound(32_767)) {
                    (Some(least), Some(most)) => {
                        text(&self.random.between(least, most).to_string())
                    }
                    _ => self.unknown(reference, column, line),
                }
            }
            "_ENV" if reference.braced => {
                let value = words.next().and_then(|name| self.files.variable(name));
                text(&value.unwrap_or_default())
            }
            _ if reference.braced && name.starts_with('_') => self.unknown(reference, column, line),
            _ => None,
        }
    }

    fn unknown(&mut self, reference: &Reference, column: u32, line: &Line) -> Option<Value> {
        let found = format!("${{{} {}", reference.name, reference.arguments);
        self.diagnostics.push(
            Diagnostic::error(
                line.span(column),
                "this built-in definition is not supported",
            )
            .found(format!("{}}}", found.trim_end()))
            .expected(
                "${_PWD}, ${_INSTANCE}, ${_RANDOM [MIN [MAX]]}, ${_HASH}, ${_BANG}, ${_ENV NAME} or a name defined \
                 before",
            ),
        );
        None
    }
}

/// As if all of them stood in this column.
fn moved(mut characters: Vec<Character>, column: u32) -> Vec<Character> {
    for character in &mut characters {
        character.column = column;
    }
    characters
}

/// The name that comes next in `rest`, whose last character comes first.
fn reference(rest: &[Character]) -> Option<Reference> {
    let ahead = || rest.iter().rev();
    let braced = ahead().next().is_some_and(|c| c.is('{'));
    if braced {
        let length = ahead().take(MAX_LINE).position(|c| c.is('}'))? + 1;
        let inside: String = ahead().take(length - 1).skip(1).map(|c| c.value).collect();
        let (name, arguments) = inside
            .split_once(char::is_whitespace)
            .unwrap_or((&inside, ""));
        return is_defined_name(name).then(|| Reference {
            name: name.to_owned(),
            arguments: arguments.trim().to_owned(),
            braced,
            length,
        });
    }
    let name: String = ahead()
        .map(|c| c.value)
        .take_while(|c| is_name(*c))
        .collect();
    let length = name.len();
    let ends = ahead().nth(length).is_none_or(|c| c.value.is_whitespace());
    (ends && is_defined_name(&name)).then(|| Reference {
        name,
        arguments: String::new(),
        braced,
        length,
    })
}

/// Letters, digits and `_`, and no digit first.
fn is_defined_name(name: &str) -> bool {
    let digit_first = name.starts_with(|c: char| c.is_ascii_digit());
    !name.is_empty() && !digit_first && name.chars().all(is_name)
}

/// `$NAME=value`, without blanks before the `=`: the name and the value.
pub(super) fn split(characters: &[Character]) -> Option<(String, &[Character])> {
    let (dollar, rest) = trimmed(characters).split_first()?;
    let length = rest.iter().take_while(|c| is_name(c.value)).count();
    let (name, rest) = rest.split_at_checked(length)?;
    let (equals, value) = rest.split_first()?;
    let name: String = name.iter().map(|c| c.value).collect();
    let wanted = dollar.is('$') && equals.is('=') && is_defined_name(&name);
    wanted.then(|| (name, trimmed(value)))
}
