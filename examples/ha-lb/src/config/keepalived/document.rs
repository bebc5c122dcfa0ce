//! Words and braces to statements and blocks: the whole file, before anything of it is understood.

use super::lexer::{Token, Word};
use crate::config::diagnostic::{Diagnostic, Diagnostics, Span};

/// A statement: its words, and its block if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// The keyword.
    pub(super) keyword: Word,
    /// What follows it.
    pub(super) arguments: Vec<Word>,
    /// What stands in braces after it, on the same line or the next.
    pub(super) block: Option<Block>,
}

/// Statements in braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// The opening brace.
    pub(super) span: Span,
    pub(super) nodes: Vec<Node>,
}

/// keepalived's deepest block is four braces down (`virtual_server`, `real_server`, `HTTP_GET`,
/// `url`); a limit keeps hostile input from using up the stack.
const MAX_DEPTH: usize = 16;

/// Builds the statements. Unbalanced braces are errors; a block that belongs to nothing is skipped
/// as a whole, so that its content does not fall into the block around it.
pub(super) fn build(tokens: Vec<Token>, diagnostics: &mut Diagnostics) -> Vec<Node> {
    let mut builder = Builder {
        open: Vec::new(),
        nodes: Vec::new(),
        statement: None,
        skipped: 0,
        diagnostics,
    };
    for token in tokens {
        builder.token(token);
    }
    builder.finish()
}

struct Builder<'d> {
    /// Opening brace of each open block, and the statements before it in the block around.
    open: Vec<(Span, Vec<Node>)>,
    /// Finished statements of the innermost open block.
    nodes: Vec<Node>,
    /// The statement of this line.
    statement: Option<Node>,
    /// Open braces of a block that is skipped.
    skipped: usize,
    diagnostics: &'d mut Diagnostics,
}

impl Builder<'_> {
    fn token(&mut self, token: Token) {
        if self.skipped > 0 {
            match token {
                Token::Open(_) => self.skipped += 1,
                Token::Close(_) => self.skipped -= 1,
                Token::Word(_) | Token::EndOfLine => {}
            }
            return;
        }
        match token {
            Token::Word(word) => match &mut self.statement {
                Some(statement) => statement.arguments.push(word),
                None => {
                    self.statement = Some(Node {
                        keyword: word,
                        arguments: Vec::new(),
                        block: None,
                    });
                }
            },
            Token::EndOfLine => self.end_statement(),
            Token::Open(span) => self.open(span),
            Token::Close(span) => self.close(span),
        }
    }

    fn end_statement(&mut self) {
        self.nodes.extend(self.statement.take());
    }

    fn open(&mut self, span: Span) {
        self.end_statement();
        let belongs = self.nodes.last().is_some_and(|node| node.block.is_none());
        if !belongs {
            self.skip(
                span,
                "a block that belongs to no keyword",
                "a keyword before `{`",
            );
        } else if self.open.len() == MAX_DEPTH {
            self.skip(span, "blocks are nested too deeply", "at most 16 levels");
        } else {
            self.open.push((span, std::mem::take(&mut self.nodes)));
        }
    }

    fn skip(&mut self, span: Span, message: &str, expected: &str) {
        self.skipped = 1;
        self.diagnostics.push(
            Diagnostic::error(span, message)
                .found("{")
                .expected(expected)
                .action("the block is skipped"),
        );
    }

    fn close(&mut self, span: Span) {
        self.end_statement();
        let Some((opened, around)) = self.open.pop() else {
            self.diagnostics.push(
                Diagnostic::error(span, "no block is open here")
                    .found("}")
                    .expected("a keyword or the end of the file"),
            );
            return;
        };
        let nodes = std::mem::replace(&mut self.nodes, around);
        if let Some(owner) = self.nodes.last_mut() {
            owner.block = Some(Block {
                span: opened,
                nodes,
            });
        }
    }

    fn finish(mut self) -> Vec<Node> {
        self.end_statement();
        while let Some((opened, _)) = self.open.last() {
            let opened = opened.clone();
            self.diagnostics.push(
                Diagnostic::error(opened.clone(), "this block is not closed")
                    .found("{")
                    .expected("`}` before the end of the file"),
            );
            self.close(opened);
        }
        self.nodes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::keepalived::lexer::{Line, characters, tokens};

    fn build_text(text: &str) -> (String, Vec<String>) {
        let mut diagnostics = Diagnostics::new();
        let mut all = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let place = Line {
                file: Arc::from("f"),
                number,
            };
            all.extend(tokens(&characters(line), &place, &mut diagnostics));
        }
        let nodes = build(all, &mut diagnostics);
        let said = diagnostics.iter().map(ToString::to_string).collect();
        (show(&nodes), said)
    }

    fn show(nodes: &[Node]) -> String {
        let shown: Vec<String> = nodes
            .iter()
            .map(|node| {
                let mut words = vec![node.keyword.text.clone()];
                words.extend(node.arguments.iter().map(|word| word.text.clone()));
                if let Some(block) = &node.block {
                    words.push(format!("{{{}}}", show(&block.nodes)));
                }
                words.join(" ")
            })
            .collect();
        shown.join("; ")
    }

    #[test]
    fn a_brace_may_stand_on_the_line_on_the_next_or_glued() {
        let expected = "a x {b 1}; c";
        for text in ["a x {\nb 1\n}\nc", "a x\n\n{\nb 1\n}\nc", "a x{b 1}c"] {
            assert_eq!(build_text(text), (expected.to_owned(), vec![]), "{text}");
        }
    }

    #[test]
    fn a_block_of_nothing_is_skipped_whole() {
        let (shown, said) = build_text("a {\n b\n}\n{ c { d }\n}\ne");
        assert_eq!(shown, "a {b}; e");
        assert_eq!(
            said,
            [
                "f:4:1: error: a block that belongs to no keyword: found `{`, expected a keyword \
                 before `{`; the block is skipped"
            ]
        );
    }

    #[test]
    fn a_missing_brace_is_reported_where_the_block_began() {
        let (shown, said) = build_text("a {\n b {\n c\n}");
        assert_eq!(shown, "a {b {c}}");
        assert_eq!(
            said,
            [
                "f:1:3: error: this block is not closed: found `{`, expected `}` before the end of \
                 the file"
            ]
        );
    }

    #[test]
    fn an_extra_brace_is_reported_where_it_stands() {
        let (shown, said) = build_text("a {\n}\n }\nb");
        assert_eq!(shown, "a {}; b");
        assert!(said[0].starts_with("f:3:2: error: no block is open here: found `}`"));
    }

    #[test]
    fn nesting_has_a_limit() {
        let text = "a {".repeat(100_000);
        let (_, said) = build_text(&text);
        assert!(said[0].contains("nested too deeply"), "{}", said[0]);
    }
}
