//! Words of HAProxy's dialect with their places.
//!
//! Configuration manual §2.2 (quoting and escaping) and §2.3 (environment variables), as HAProxy 2.6 does it: a
//! backslash protects the next character outside single quotes, `\r \n \t \xHH` are special bytes, `#` begins a
//! comment outside quotes, variables are expanded inside double quotes only. There is no line continuation: a
//! final backslash is an ordinary character. Never fails as a whole: a line with an error is reported and left out.

use std::{collections::BTreeMap, sync::Arc};

use crate::config::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    files::Files,
};

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

/// Environment variables: those of the process, changed by `setenv` and its kind while the file is read.
pub(super) struct Environment<'f> {
    files: &'f dyn Files,
    changed: BTreeMap<String, Option<String>>,
    hide_process: bool,
}

impl<'f> Environment<'f> {
    /// The process's own variables.
    pub(super) fn new(files: &'f dyn Files) -> Self {
        Self {
            files,
            changed: BTreeMap::new(),
            hide_process: false,
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        match self.changed.get(name) {
            Some(value) => value.clone(),
            None if self.hide_process => None,
            None => self.files.variable(name),
        }
    }

    /// Variables in addresses are expanded outside quotes too (manual §11: "may contain environment variables").
    fn expand_address(&self, line: &mut Line, diagnostics: &mut Diagnostics) {
        let index = match (line.text(0), line.text(1)) {
            ("stats", "socket") => 2,
            ("bind" | "dispatch" | "log" | "source", _) => 1,
            ("server" | "peer" | "nameserver" | "frontend" | "listen", _) => 2,
            ("server-template", _) => 3,
            _ => return,
        };
        let span = line.span(index);
        let Some(word) = line.words.get_mut(index) else {
            return;
        };
        if !word.text.contains('$') {
            return;
        }
        let mut out = String::new();
        let mut rest = word.text.as_str();
        while let Some((before, behind)) = rest.split_once('$') {
            out.push_str(before);
            let (name, after) = variable_name(behind);
            match self.value(name) {
                Some(value) => out.push_str(&value),
                None if name.is_empty() => out.push('$'),
                None => diagnostics.push(
                    Diagnostic::warning(
                        span.clone(),
                        format!("environment variable '{name}' is not set"),
                    )
                    .action("nothing stands in its place"),
                ),
            }
            rest = after;
        }
        out.push_str(rest);
        word.text = out;
    }

    /// `setenv`, `presetenv`, `unsetenv`, `resetenv` (manual §3.1) take effect for the lines that follow.
    fn apply(&mut self, line: &Line) {
        let rest = || line.words.iter().skip(1).map(|word| word.text.clone());
        match line.text(0) {
            "setenv" => {
                let value = line.text(2).to_owned();
                self.changed.insert(line.text(1).to_owned(), Some(value));
            }
            "presetenv" if self.value(line.text(1)).is_none() => {
                let value = line.text(2).to_owned();
                self.changed.insert(line.text(1).to_owned(), Some(value));
            }
            "unsetenv" => self.changed.extend(rest().map(|name| (name, None))),
            "resetenv" => {
                let kept: Vec<_> = rest()
                    .map(|name| (name.clone(), self.value(&name)))
                    .collect();
                self.hide_process = true;
                self.changed = kept.into_iter().collect();
            }
            _ => {}
        }
    }
}

/// The name behind a `$`, in braces or not, and what follows it.
fn variable_name(text: &str) -> (&str, &str) {
    if let Some((name, after)) = text.strip_prefix('{').and_then(|t| t.split_once('}')) {
        return (name, after);
    }
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// All lines of one file that have words.
pub(super) fn lex(
    file: &Arc<str>,
    text: &str,
    environment: &mut Environment<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for (index, text) in text.split('\n').enumerate() {
        let number = u32::try_from(index).map_or(u32::MAX, |n| n.saturating_add(1));
        match Scanner::new(text.strip_suffix('\r').unwrap_or(text), environment).words() {
            Ok(words) => {
                // An empty first word (an unset variable) makes the line a blank one.
                if words.first().is_some_and(|word| !word.text.is_empty()) {
                    let mut line = Line {
                        file: file.clone(),
                        number,
                        words,
                    };
                    environment.expand_address(&mut line, diagnostics);
                    environment.apply(&line);
                    lines.push(line);
                }
            }
            Err(fault) => {
                let span = Span::new(file.clone(), number, fault.column);
                diagnostics.push(Diagnostic::error(span, fault.message).expected(fault.expected));
            }
        }
    }
    lines
}

/// Why a line has no words.
struct Fault {
    column: u32,
    message: &'static str,
    expected: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
}

struct Scanner<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    column: u32,
    environment: &'t Environment<'t>,
    words: Vec<Word>,
    /// The word being read: where it began and its bytes so far.
    open: Option<(u32, Vec<u8>)>,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str, environment: &'t Environment<'t>) -> Self {
        Self {
            rest: text.chars().peekable(),
            column: 1,
            environment,
            words: Vec::new(),
            open: None,
        }
    }

    fn words(mut self) -> Result<Vec<Word>, Fault> {
        let mut quote = Quote::None;
        let mut quoted_at = 0;
        while let Some(c) = self.rest.peek().copied() {
            let at = self.column;
            match (c, quote) {
                ('"', Quote::None) => (quote, quoted_at) = (Quote::Double, at),
                ('\'', Quote::None) => (quote, quoted_at) = (Quote::Single, at),
                ('"', Quote::Double) | ('\'', Quote::Single) => quote = Quote::None,
                ('\\', Quote::None | Quote::Double) => {
                    self.advance();
                    self.escape(at)?;
                    continue;
                }
                ('$', Quote::Double) => {
                    self.advance();
                    self.variable(at)?;
                    continue;
                }
                ('#', Quote::None) => break,
                (c, Quote::None) if c.is_ascii_whitespace() => {
                    self.close();
                    self.advance();
                    continue;
                }
                (c, _) => self.put(at, c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
            // A quote opens a word even if nothing stands in it.
            self.put(at, b"");
            self.advance();
        }
        if quote != Quote::None {
            return Err(Fault {
                column: quoted_at,
                message: "a quote is not closed on its line",
                expected: "the same quote again before the end of the line",
            });
        }
        self.close();
        Ok(self.words)
    }

    fn advance(&mut self) -> Option<char> {
        self.column = self.column.saturating_add(1);
        self.rest.next()
    }

    fn put(&mut self, at: u32, bytes: &[u8]) {
        self.open
            .get_or_insert_with(|| (at, Vec::new()))
            .1
            .extend_from_slice(bytes);
    }

    fn close(&mut self) {
        if let Some((column, bytes)) = self.open.take() {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            self.words.push(Word { text, column });
        }
    }

    /// Behind a backslash that stood at `at`.
    fn escape(&mut self, at: u32) -> Result<(), Fault> {
        let byte = match self.rest.peek() {
            Some(c @ (' ' | '\\' | '#' | '"' | '\'' | '$')) => *c as u8,
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('x') => {
                self.advance();
                let mut value = 0;
                for _ in 0..2 {
                    let digit = self.rest.peek().and_then(|c| c.to_digit(16));
                    let Some(digit) = digit.and_then(|d| u8::try_from(d).ok()) else {
                        return Err(Fault {
                            column: at,
                            message: "a hexadecimal character is cut short",
                            expected: "two hexadecimal digits after `\\x`",
                        });
                    };
                    value = value * 16 + digit;
                    self.advance();
                }
                self.put(at, &[value]);
                return Ok(());
            }
            // Any other character keeps its backslash.
            _ => {
                self.put(at, b"\\");
                return Ok(());
            }
        };
        self.put(at, &[byte]);
        self.advance();
        Ok(())
    }

    /// Behind a `$` inside double quotes that stood at `at`: `NAME`, `{NAME}`, `{NAME-default}`, `{NAME[*]}`.
    fn variable(&mut self, at: u32) -> Result<(), Fault> {
        let braced = self.rest.peek() == Some(&'{');
        if braced {
            self.advance();
        }
        let mut name = String::new();
        while let Some(c) = self.rest.peek().copied() {
            if !(c.is_ascii_alphanumeric() || c == '_' || (c == '.' && name.is_empty())) {
                break;
            }
            name.push(c);
            self.advance();
        }
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Fault {
                column: at,
                message: "a variable has no valid name",
                expected: "a letter or `_` after `$` (write `\\$` for the character itself)",
            });
        }
        let mut split = false;
        let mut fallback = None;
        if braced {
            if self.rest.peek() == Some(&'[') {
                split = true;
                for expected in ['[', '*', ']'] {
                    if self.rest.peek() != Some(&expected) {
                        return Err(unclosed(at));
                    }
                    self.advance();
                }
            }
            if self.rest.peek() == Some(&'-') {
                self.advance();
                let mut text = String::new();
                while let Some(c) = self.rest.peek().copied().filter(|c| *c != '}' && *c != '"') {
                    text.push(c);
                    self.advance();
                }
                fallback = Some(text);
            }
            if self.rest.peek() != Some(&'}') {
                return Err(unclosed(at));
            }
            self.advance();
        }
        let value = self
            .environment
            .value(&name)
            .or(fallback)
            .unwrap_or_default();
        if split {
            let mut first = true;
            for part in value.split_ascii_whitespace() {
                if !first {
                    self.close();
                }
                first = false;
                self.put(at, part.as_bytes());
            }
        } else {
            self.put(at, value.as_bytes());
        }
        Ok(())
    }
}

fn unclosed(column: u32) -> Fault {
    Fault {
        column,
        message: "the brace of a variable is not closed",
        expected: "`${NAME}`, `${NAME-default}` or `${NAME[*]}`",
    }
}

#[cfg(test)]
mod tests;
