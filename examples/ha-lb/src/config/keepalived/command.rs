//! A program and its arguments in one word: split on blanks with quotes, without a shell.

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
        let arguments = split(&word.text);
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

/// The statement of a command in single quotes, which protect nothing elsewhere, with the quoted words as one:
/// `script 'killall -0 haproxy'`.
pub(super) fn single_quoted(node: &Node) -> Option<Node> {
    let name = node.keyword.text.as_str();
    let takes_command = name == "script" || name.starts_with("notify");
    let first = node.arguments.first().filter(|word| !word.quoted)?;
    let opened = first.text.strip_prefix('\'').filter(|_| takes_command)?;
    let mut text = String::new();
    let words = node.arguments.iter().map(|word| word.text.as_str());
    for (index, word) in std::iter::once(opened).chain(words.skip(1)).enumerate() {
        let (inner, closed) = match word.strip_suffix('\'') {
            Some(inner) => (inner, true),
            None => (word, false),
        };
        if index > 0 {
            text.push(' ');
        }
        text.push_str(inner);
        if closed {
            let mut joined = node.clone();
            let rest = joined.arguments.split_off(index + 1);
            joined.arguments.truncate(1);
            for word in &mut joined.arguments {
                word.text.clone_from(&text);
                word.quoted = true;
            }
            joined.arguments.extend(rest);
            return Some(joined);
        }
    }
    None
}

/// A user and perhaps a group.
pub(super) fn user_of(words: &[Word]) -> Option<User> {
    let (user, group) = words.split_first()?;
    Some(User {
        user: user.text.clone(),
        group: group.first().map(|word| word.text.clone()),
    })
}

/// Splits on blanks. Single and double quotes hold an argument together; a backslash makes the
/// next character stand for itself, except in single quotes.
fn split(text: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut argument: Option<String> = None;
    let mut quote = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => arguments.extend(argument.take()),
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                argument.get_or_insert_default();
            }
            (None | Some('"'), '\\') => argument
                .get_or_insert_default()
                .push(rest.next().unwrap_or('\\')),
            (_, c) => argument.get_or_insert_default().push(c),
        }
    }
    arguments.extend(argument);
    arguments
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn blanks_separate_and_quotes_hold_together() {
        assert_eq!(split("killall -0 haproxy"), ["killall", "-0", "haproxy"]);
        assert_eq!(
            split("/etc/check.sh  courier\tFAULT "),
            ["/etc/check.sh", "courier", "FAULT"]
        );
        assert_eq!(split("a 'b c' \"d 'e'\" ''"), ["a", "b c", "d 'e'", ""]);
        assert_eq!(split(r"a b\ c '\d' \"), ["a", "b c", r"\d", r"\"]);
        assert!(split("  ").is_empty());
    }
}
