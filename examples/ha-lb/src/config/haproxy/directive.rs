//! Lines that speak to the reader (configuration manual §2.4): `.if`, `.elif`, `.else`, `.endif`, `.notice`,
//! `.warning`, `.alert`, `.diag`.
//!
//! As HAProxy 2.6 does: a condition is not looked at where the block is left out anyway, a mistake in a block's own
//! lines ends the reading, and quoting mistakes count in lines that are left out too.

use super::{
    condition,
    lexer::{Environment, Line},
};
use crate::config::diagnostic::{Diagnostic, Diagnostics, Span};

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handling {
    /// It belongs to the configuration.
    Keep,
    /// It was carried out, or stands in a block that is left out.
    Drop,
    /// Reading ends here.
    Stop,
}

/// The part of a block that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Branch {
    /// It holds.
    Taken,
    /// None has held so far.
    Awaited,
    /// One before has held, or the block stands in one that is left out.
    Over,
}

#[derive(Debug)]
struct Block {
    branch: Branch,
    in_else: bool,
    /// Line of its `.if`.
    opened: u32,
}

/// The blocks that are open, the outermost first.
#[derive(Debug, Default)]
pub(super) struct Blocks(Vec<Block>);

impl Blocks {
    /// Carries out a directive, or tells whether the line counts.
    pub(super) fn handle(
        &mut self,
        line: &Line,
        environment: &Environment<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Handling {
        let result = match line.text(0) {
            ".if" => self.begin(line, environment),
            ".elif" => self.otherwise_if(line, environment),
            ".else" => self.otherwise(line),
            ".endif" => self.end(line),
            _ if !self.counts() => return Handling::Drop,
            directive if directive.starts_with('.') => return say(line, diagnostics),
            _ => return Handling::Keep,
        };
        match result {
            Ok(()) => Handling::Drop,
            Err(finding) => {
                diagnostics.push(*finding);
                Handling::Stop
            }
        }
    }

    /// Whether every block is closed at the end of the file, `last`.
    pub(super) fn closed(&self, last: &Span, diagnostics: &mut Diagnostics) -> bool {
        if let Some(block) = self.0.last() {
            let finding = Diagnostic::error(last.clone(), "non-terminated '.if' block.");
            let expected = format!(".endif for the '.if' at line {}", block.opened);
            diagnostics.push(finding.expected(expected));
        }
        self.0.is_empty()
    }

    fn counts(&self) -> bool {
        self.0.iter().all(|block| block.branch == Branch::Taken)
    }

    fn begin(&mut self, line: &Line, environment: &Environment<'_>) -> Result<(), Box<Diagnostic>> {
        let branch = if self.counts() {
            branch(line, environment)?
        } else {
            Branch::Over
        };
        self.0.push(Block {
            branch,
            in_else: false,
            opened: line.number,
        });
        Ok(())
    }

    fn otherwise_if(
        &mut self,
        line: &Line,
        environment: &Environment<'_>,
    ) -> Result<(), Box<Diagnostic>> {
        let block = self.open(line)?;
        block.branch = match block.branch {
            Branch::Awaited => branch(line, environment)?,
            Branch::Taken | Branch::Over => Branch::Over,
        };
        Ok(())
    }

    fn otherwise(&mut self, line: &Line) -> Result<(), Box<Diagnostic>> {
        alone(line)?;
        let block = self.open(line)?;
        block.in_else = true;
        block.branch = match block.branch {
            Branch::Awaited => Branch::Taken,
            Branch::Taken | Branch::Over => Branch::Over,
        };
        Ok(())
    }

    fn end(&mut self, line: &Line) -> Result<(), Box<Diagnostic>> {
        alone(line)?;
        self.0.pop().map(drop).ok_or_else(|| lone(line))
    }

    /// The innermost block, whose `.else` must not have come yet.
    fn open(&mut self, line: &Line) -> Result<&mut Block, Box<Diagnostic>> {
        let block = self.0.last_mut().ok_or_else(|| lone(line))?;
        if block.in_else {
            let message = format!("'{}' after '.else' is not permitted.", line.text(0));
            return Err(Box::new(Diagnostic::error(line.span(0), message)));
        }
        Ok(block)
    }
}

fn lone(line: &Line) -> Box<Diagnostic> {
    let message = format!("lone '{}' with no matching '.if'.", line.text(0));
    Box::new(Diagnostic::error(line.span(0), message))
}

fn alone(line: &Line) -> Result<(), Box<Diagnostic>> {
    if line.words.len() < 2 {
        return Ok(());
    }
    let (extra, directive) = (line.text(1), line.text(0));
    let message = format!("Unexpected argument '{extra}' for '{directive}'.");
    Err(Box::new(Diagnostic::error(line.span(1), message)))
}

/// Whether the line's condition holds. Its words make one text, as HAProxy joins them.
fn branch(line: &Line, environment: &Environment<'_>) -> Result<Branch, Box<Diagnostic>> {
    let words: Vec<&str> = line.words.iter().skip(1).map(|w| w.text.as_str()).collect();
    match condition::holds(&words.join(" "), &|name| environment.value(name)) {
        Ok(true) => Ok(Branch::Taken),
        Ok(false) => Ok(Branch::Awaited),
        Err(fault) => {
            let directive = line.text(0);
            let position = fault.position + 1;
            let message = format!("{fault} in '{directive}' at position {position}");
            Err(Box::new(Diagnostic::error(line.span(1), message)))
        }
    }
}

/// `.notice` and its kind: one word, which is said.
fn say(line: &Line, diagnostics: &mut Diagnostics) -> Handling {
    let directive = line.text(0);
    let make = match directive {
        ".notice" => Diagnostic::note,
        // Without `-dD`, haproxy keeps diagnostics to itself.
        ".diag" => return Handling::Drop,
        ".warning" => Diagnostic::warning,
        ".alert" => Diagnostic::error,
        _ => {
            let message = format!("unknown directive '{directive}'.");
            let finding = Diagnostic::error(line.span(0), message);
            let expected = ".if, .elif, .else, .endif, .notice, .warning, .alert or .diag";
            diagnostics.push(finding.expected(expected));
            return Handling::Drop;
        }
    };
    if line.words.len() > 2 {
        let message = format!(
            "Unexpected argument '{}' for '{directive}'. Use quotes if the message should contain spaces.",
            line.text(2)
        );
        diagnostics.push(Diagnostic::error(line.span(2), message));
        return Handling::Drop;
    }
    diagnostics.push(make(line.span(0), format!("'{}'.", line.text(1))));
    match directive {
        ".alert" => Handling::Stop,
        _ => Handling::Drop,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::{files::Bundle, haproxy::lexer};

    /// The words of the lines that count, and the first finding with its line.
    fn read(text: &str) -> (Vec<String>, Option<(u32, String)>, bool) {
        let files = Bundle::default();
        let mut diagnostics = Diagnostics::new();
        let mut environment = Environment::new(&files);
        let lexed = lexer::lex(
            &Arc::from("h.cfg"),
            text,
            &mut environment,
            &mut diagnostics,
        );
        let words = lexed.lines.iter().map(|line| line.text(0).to_owned());
        let first = diagnostics
            .iter()
            .next()
            .map(|d| (d.span.line, d.message.clone()));
        (words.collect(), first, lexed.stopped)
    }

    #[test]
    fn one_branch_of_each_block_counts() {
        for (text, expected) in [
            (".if 1\na\n.endif\nb", "a b"),
            (".if 0\na\n.endif\nb", "b"),
            (".if 0\na\n.else\nb\n.endif", "b"),
            (".if 0\na\n.elif 1\nb\n.elif 1\nc\n.else\nd\n.endif\n", "b"),
            (".if 0\n.if 1\na\n.else\nb\n.endif\n.else\nc\n.endif", "c"),
            (".if 1\n.if 0\na\n.elif 1\nb\n.endif\nc\n.endif", "b c"),
            // Conditions that do not matter are not looked at.
            (".if 0\n.if bad(2)\n.endif\n.endif\na", "a"),
            (".if 1\na\n.elif bad(2)\n.endif", "a"),
            (".if 0\n.foo\n.alert no\n.endif\na", "a"),
            (".if streq(a, a) && ! 0\na\n.endif", ""),
            (".if streq(a,a) && ! 0\na\n.endif", "a"),
            (".if\na\n.endif", ""),
        ] {
            let (words, finding, stopped) = read(text);
            assert_eq!(
                (words.join(" ").as_str(), finding, stopped),
                (expected, None, false),
                "{text}"
            );
        }
    }

    #[test]
    fn variables_set_by_the_file_decide_and_those_of_left_out_lines_do_not() {
        let text = "setenv A 1\n.if defined(A)\na\n.endif\n.if 0\nsetenv B 1\n.endif\n.if defined(B)\nb\n.endif\n";
        assert_eq!(read(text).0, ["setenv", "a"]);
    }

    #[test]
    fn mistakes_are_told_as_haproxy_2_6_tells_them() {
        for (text, line, message, stops) in [
            (".if 1\na\n", 2, "non-terminated '.if' block.", true),
            (".endif", 1, "lone '.endif' with no matching '.if'.", true),
            (".else", 1, "lone '.else' with no matching '.if'.", true),
            (".elif 1", 1, "lone '.elif' with no matching '.if'.", true),
            (
                ".if 1\n.else\n.else\n.endif",
                3,
                "'.else' after '.else' is not permitted.",
                true,
            ),
            (
                ".if 1\n.else\n.elif 1\n.endif",
                3,
                "'.elif' after '.else' is not permitted.",
                true,
            ),
            (
                ".if foo\n.endif",
                1,
                "unparsable conditional expression 'foo' in '.if' at position 1",
                true,
            ),
            (
                ".if 0\n.elif 1 1\n.endif",
                2,
                "unexpected character '1' at the end of conditional expression '1 1' in '.elif' at position 3",
                true,
            ),
            (
                ".if 1\n.endif foo",
                2,
                "Unexpected argument 'foo' for '.endif'.",
                true,
            ),
            (".foo", 1, "unknown directive '.foo'.", false),
            (
                ".notice a b",
                1,
                "Unexpected argument 'b' for '.notice'. Use quotes if the message should contain spaces.",
                false,
            ),
            (".if 0\n\"open\n.endif", 2, "unmatched quote", false),
            (".alert \"that's it\"\nfoo", 1, "'that's it'.", true),
            (".warning w", 1, "'w'.", false),
        ] {
            let (_, finding, stopped) = read(text);
            assert_eq!(finding, Some((line, message.to_owned())), "{text}");
            assert_eq!(stopped, stops, "{text}");
        }
    }
}
