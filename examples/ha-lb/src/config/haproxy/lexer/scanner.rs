//! One line into words: quotes, escapes, comments, variables (configuration manual §2.2 and §2.3).

use super::{Environment, Word};

/// Why a line has no words.
pub(super) struct Fault {
    pub(super) column: u32,
    pub(super) message: &'static str,
    pub(super) expected: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
}

pub(super) struct Scanner<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    column: u32,
    environment: &'t Environment<'t>,
    words: Vec<Word>,
    /// The word being read: where it began and its bytes so far.
    open: Option<(u32, Vec<u8>)>,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str, environment: &'t Environment<'t>) -> Self {
        Self {
            rest: text.chars().peekable(),
            column: 1,
            environment,
            words: Vec::new(),
            open: None,
        }
    }

    pub(super) fn words(mut self) -> Result<Vec<Word>, Fault> {
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
                message: "unmatched quote",
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
                            message: "truncated or invalid hexadecimal sequence",
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
                message: "forbidden first char in environment variable name",
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
        message: "unmatched brace in environment variable name",
        expected: "`${NAME}`, `${NAME-default}` or `${NAME[*]}`",
    }
}
