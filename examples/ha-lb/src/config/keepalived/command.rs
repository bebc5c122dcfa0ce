//! A program and its arguments: keepalived takes the quotes and backslashes of such a value off twice, once to find
//! where it ends, once to split it, and runs it without a shell.

use super::{
    config::{Command, User},
    document::Node,
    keyword::Context,
    lexer::Word,
};
use crate::config::diagnostic::Diagnostic;

impl Context<'_> {
    /// The command of `script "program arguments"`.
    pub(super) fn command(&mut self, word: &Word) -> Option<Command> {
        let Some(arguments) = split(&word.text) else {
            self.diagnostics.push(
                Diagnostic::error(
                    word.span.clone(),
                    "a quotation in the command is not closed",
                )
                .found(&word.text)
                .expected("`'` or `\"` at the end of the argument"),
            );
            return None;
        };
        if arguments.is_empty() {
            self.refuse(
                word,
                "command",
                "a program and its arguments in double quotes",
            );
            return None;
        }
        Some(Command {
            arguments,
            user: None,
            span: word.span.clone(),
        })
    }

    /// The command of `notify_master "program arguments" [user [group]]`.
    pub(super) fn notify_command(&mut self, node: &Node) -> Option<Command> {
        let (word, user) = node.arguments.split_first()?;
        let mut command = self.command(word)?;
        command.user = user_of(user);
        if let (false, Some(user)) = (word.quoted, user.first()) {
            self.diagnostics.push(
                Diagnostic::warning(user.span.clone(), "a word after the program")
                    .found(&user.text)
                    .action(
                        "it is the user who runs it, as for keepalived; put a program with \
                         arguments in double quotes",
                    ),
            );
        }
        Some(command)
    }
}

/// Keywords whose value is a command.
fn takes_command(keyword: &str) -> bool {
    matches!(
        keyword,
        "script" | "startup_script" | "shutdown_script" | "misc_path"
    ) || keyword.ends_with("_fifo_script")
        || (keyword.starts_with("notify") && !keyword.starts_with("notify_fifo"))
}

/// The statement of a command with its words as they are for commands: single quotes hold together too, and backslashes
/// are escapes. `None` if it reads the same.
pub(super) fn reread(node: &Node) -> Option<Node> {
    let first = node
        .arguments
        .first()
        .filter(|_| takes_command(&node.keyword.text))?;
    let last = node.arguments.last().map_or(first.start, |last| last.start);
    let text = first.line.get(first.start..)?;
    if !text.iter().any(|c| matches!(c.value, '\'' | '"' | '\\')) {
        return None;
    }
    let strings = Strings::new(text.iter().map(|c| c.value));
    // Braces of a block on the same line are behind the last word.
    let arguments = strings.take_while(|string| first.start + string.start <= last);
    let arguments = arguments.map(|string| {
        let mut span = first.span.clone();
        span.column = text.get(string.start).map_or(span.column, |c| c.column);
        Word {
            text: string.text,
            span,
            quoted: string.quoted,
            glued: false,
            line: first.line.clone(),
            start: first.start + string.start,
        }
    });
    Some(Node {
        arguments: arguments.collect(),
        ..node.clone()
    })
}

/// A user and perhaps a group.
pub(super) fn user_of(words: &[Word]) -> Option<User> {
    let (user, group) = words.split_first()?;
    Some(User {
        user: user.text.clone(),
        group: group.first().map(|word| word.text.clone()),
        span: user.span.clone(),
    })
}

/// Splits on blanks. `None` if a quotation is open at the end.
fn split(text: &str) -> Option<Vec<String>> {
    let strings: Vec<_> = Strings::new(text.chars()).collect();
    let closed = strings.iter().all(|string| string.closed);
    closed.then(|| strings.into_iter().map(|string| string.text).collect())
}

/// keepalived.conf(5), "Quoted strings": `"` and `'` hold together and vanish, also within a word; a backslash escapes,
/// everywhere.
struct Strings<I: Iterator<Item = char>> {
    rest: std::iter::Peekable<std::iter::Enumerate<I>>,
}

struct Text {
    text: String,
    /// Position of its first character.
    start: usize,
    quoted: bool,
    closed: bool,
}

impl<I: Iterator<Item = char>> Strings<I> {
    fn new(text: I) -> Self {
        Self {
            rest: text.enumerate().peekable(),
        }
    }

    /// What the characters after a backslash stand for.
    fn escaped(&mut self) -> Option<char> {
        let (_, c) = self.rest.next()?;
        Some(match c {
            'a' => '\x07',
            'b' => '\x08',
            'E' => '\x1b',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'c' => {
                let (_, c) = self.rest.next()?;
                char::from(u8::try_from(c).ok()? & 0x1f)
            }
            'x' => self.number(16, usize::MAX, 0)?,
            '0'..='7' => self.number(8, 2, c.to_digit(8)?)?,
            c => c,
        })
    }

    /// Digits to a byte, whose upper bits are lost.
    fn number(&mut self, radix: u32, most: usize, first: u32) -> Option<char> {
        let mut value = first;
        for _ in 0..most {
            let Some(digit) = self.rest.peek().and_then(|(_, c)| c.to_digit(radix)) else {
                break;
            };
            self.rest.next();
            value = (value * radix + digit) & 0xff;
        }
        char::from_u32(value)
    }
}

impl<I: Iterator<Item = char>> Iterator for Strings<I> {
    type Item = Text;

    fn next(&mut self) -> Option<Text> {
        while self.rest.next_if(|(_, c)| c.is_whitespace()).is_some() {}
        let start = self.rest.peek()?.0;
        let mut text = Text {
            text: String::new(),
            start,
            quoted: false,
            closed: true,
        };
        let mut quote = None;
        while let Some((_, c)) = self.rest.next() {
            match (quote, c) {
                (None, c) if c.is_whitespace() => break,
                (Some(open), c) if c == open => quote = None,
                (None, '\'' | '"') => {
                    quote = Some(c);
                    text.quoted = true;
                }
                (_, '\\') => text.text.extend(self.escaped()),
                (_, c) => text.text.push(c),
            }
        }
        text.closed = quote.is_none();
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn blanks_separate_and_quotes_hold_together() {
        let split = |text: &str| super::split(text).unwrap();
        assert_eq!(split("killall -0 haproxy"), ["killall", "-0", "haproxy"]);
        assert_eq!(
            split("/etc/check.sh  courier\tFAULT "),
            ["/etc/check.sh", "courier", "FAULT"]
        );
        assert_eq!(split("a 'b c' \"d 'e'\" ''"), ["a", "b c", "d 'e'", ""]);
        assert_eq!(split(r"a b\ c \'d"), ["a", "b c", "'d"]);
        assert!(split("  ").is_empty());
    }

    #[test]
    fn escapes_are_those_of_the_manual() {
        let split = |text: &str| super::split(text).unwrap();
        assert_eq!(
            split(r"\101z \x4142 a\tb \cA \q"),
            ["Az", "B", "a\tb", "\u{1}", "q"]
        );
        assert_eq!(split(r"'a\'b'"), ["a'b"]);
    }

    #[test]
    fn an_open_quotation_is_no_command() {
        assert_eq!(super::split("a 'b"), None);
    }
}
