//! One line of text to words and braces, with keepalived's habits.
//!
//! - `#` and `!` begin a comment anywhere outside double quotes, inside a word too. A backslash before them does not
//!   help: keepalived 2.2 takes it away when it first reads the file, and begins the comment when it reads it again.
//! - `"` makes blanks, braces and comment signs part of a word, which ends with the next `"`: what is glued to it is
//!   another word. A backslash and a single quote protect nothing, but in commands (`command`).
//! - `{` and `}` are words of their own wherever they stand.

use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Diagnostics, Span};

/// A character and the column it came from; all characters of a substituted `$NAME` have the
/// column of the `$`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Character {
    pub(super) value: char,
    pub(super) column: u32,
    /// Stands for itself: no comment sign, quote, brace or `$`.
    pub(super) literal: bool,
}

impl Character {
    pub(super) fn is(self, value: char) -> bool {
        !self.literal && self.value == value
    }
}

/// A word and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) span: Span,
    /// It stood in quotes.
    pub(super) quoted: bool,
    /// It follows what is in front of it without a blank.
    pub(super) glued: bool,
    /// The characters of its line, and which of them is its first.
    pub(super) line: Arc<[Character]>,
    pub(super) start: usize,
}

/// What a line is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    Open(Span),
    Close(Span),
    EndOfLine,
}

/// A line of a file.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) file: Arc<str>,
    pub(super) number: u32,
}

impl Line {
    pub(super) fn span(&self, column: u32) -> Span {
        Span::new(self.file.clone(), self.number, column)
    }
}

/// The characters of a line's text.
pub(super) fn characters(text: &str) -> Vec<Character> {
    text.chars()
        .zip(1..)
        .map(|(value, column)| Character {
            value,
            column,
            literal: false,
        })
        .collect()
}

/// Cuts the comment off. A comment sign that cuts a word is warned of: keepalived says nothing,
/// and passwords get shorter by it.
pub(super) fn uncomment(
    mut characters: Vec<Character>,
    line: &Line,
    diagnostics: &mut Diagnostics,
) -> Vec<Character> {
    let mut quoted = false;
    let mut escaped = false;
    let mut previous = ' ';
    let comment = characters.iter().position(|c| {
        let starts = !quoted && (c.is('#') || c.is('!'));
        if starts {
            return true;
        }
        if c.is('"') && !escaped {
            quoted = !quoted;
        }
        escaped = c.is('\\') && !escaped;
        previous = c.value;
        false
    });
    let Some(position) = comment else {
        return characters;
    };
    if let Some(sign) = characters.get(position) {
        let inside = !previous.is_whitespace() && !matches!(previous, '{' | '}' | '"');
        let (message, action) = match (inside, escaped) {
            (_, true) => (
                format!("`\\{}` begins a comment all the same", sign.value),
                "the word ends here, as for keepalived 2.2, whose first reading takes the backslash away and whose \
                 second sees the comment; to mean the sign itself, put the word in double quotes",
            ),
            (true, false) => (
                format!("`{}` begins a comment inside a word", sign.value),
                "the word ends here, as for keepalived; to mean the sign itself, put the word in double quotes",
            ),
            (false, false) => Default::default(),
        };
        if inside {
            let warning = Diagnostic::warning(line.span(sign.column), message).action(action);
            diagnostics.push(warning);
        }
    }
    characters.truncate(position - usize::from(escaped));
    characters
}

/// Splits a line without its comment. Always ends with [`Token::EndOfLine`].
pub(super) fn tokens(
    characters: &[Character],
    line: &Line,
    diagnostics: &mut Diagnostics,
) -> Vec<Token> {
    let whole: Arc<[Character]> = Arc::from(characters);
    let mut tokens = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote: Option<u32> = None;
    let mut glued = false;
    let mut rest = characters.iter().copied().enumerate().peekable();
    while let Some((start, c)) = rest.next() {
        let begin = |glued: bool, quoted: bool| Word {
            text: String::new(),
            span: line.span(c.column),
            quoted,
            glued,
            line: whole.clone(),
            start,
        };
        if quote.is_some() {
            if c.is('"') {
                quote = None;
                tokens.extend(word.take().map(Token::Word));
                glued = true;
            } else if let Some(word) = &mut word {
                word.text.push(c.value);
            }
            continue;
        }
        if word.is_none()
            && c.is('{')
            && let Some(text) = placeholder(c, &mut rest)
        {
            tokens.push(Token::Word(Word {
                text,
                ..begin(glued, false)
            }));
            continue;
        }
        let brace = c.is('{') || c.is('}');
        if brace || c.value.is_whitespace() {
            tokens.extend(word.take().map(Token::Word));
            glued = false;
            if c.is('{') {
                tokens.push(Token::Open(line.span(c.column)));
            } else if c.is('}') {
                tokens.push(Token::Close(line.span(c.column)));
            }
        } else if c.is('"') {
            let follows = word.is_some() || glued;
            tokens.extend(word.take().map(Token::Word));
            word = Some(begin(follows, true));
            quote = Some(c.column);
        } else {
            word.get_or_insert_with(|| begin(glued, false))
                .text
                .push(c.value);
        }
    }
    tokens.extend(word.map(Token::Word));
    tokens.push(Token::EndOfLine);
    if let Some(column) = quote {
        diagnostics.push(
            Diagnostic::error(line.span(column), "the quotation is not closed")
                .expected("`\"` on the same line"),
        );
    }
    tokens
}

/// `{{ NAME }}` and `{% WORDS %}`, which template engines replace: one word, so that its braces open no block.
fn placeholder(
    first: Character,
    rest: &mut std::iter::Peekable<impl Iterator<Item = (usize, Character)> + Clone>,
) -> Option<String> {
    let mut ahead = rest.clone();
    let (_, second) = ahead.next().filter(|(_, c)| c.is('{') || c.is('%'))?;
    let end = if second.is('{') { '}' } else { '%' };
    let mut text = String::from_iter([first.value, second.value]);
    loop {
        let (_, c) = ahead.next()?;
        text.push(c.value);
        if c.is(end) && ahead.peek().is_some_and(|(_, next)| next.is('}')) {
            ahead.next();
            text.push('}');
            break;
        }
    }
    *rest = ahead;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(text: &str) -> (String, Diagnostics) {
        let line = Line {
            file: Arc::from("f"),
            number: 1,
        };
        let mut diagnostics = Diagnostics::new();
        let bare = uncomment(characters(text), &line, &mut diagnostics);
        let shown: Vec<String> = tokens(&bare, &line, &mut diagnostics)
            .into_iter()
            .filter_map(|token| match token {
                Token::Word(word) => Some(format!("{}@{}", word.text, word.span.column)),
                Token::Open(_) => Some("{".to_owned()),
                Token::Close(_) => Some("}".to_owned()),
                Token::EndOfLine => None,
            })
            .collect();
        (shown.join(" "), diagnostics)
    }

    #[test]
    fn words_have_columns() {
        let (words, diagnostics) = lex("  priority\t100 # higher wins");
        assert_eq!(words, "priority@3 100@12");
        assert!(diagnostics.is_empty());
    }

    #[test]
    fn columns_count_characters_not_bytes() {
        assert_eq!(lex("Đường x").0, "Đường@1 x@7");
    }

    #[test]
    fn braces_are_words_wherever_they_stand() {
        assert_eq!(
            lex("vrrp_instance VI_A{state MASTER}").0,
            "vrrp_instance@1 VI_A@15 { state@20 MASTER@26 }"
        );
    }

    #[test]
    fn what_a_template_engine_replaces_is_one_word() {
        assert_eq!(lex("state {{ STATE }}").0, "state@1 {{ STATE }}@7");
        assert_eq!(lex("priority {{P}} x").0, "priority@1 {{P}}@10 x@16");
        assert_eq!(lex("{% if a %}").0, "{% if a %}@1");
        // Blocks that open twice, or stand in a word, are blocks.
        assert_eq!(lex("a { { b } }").0, "a@1 { { b@7 } }");
        assert_eq!(lex("a{{ b").0, "a@1 { { b@5");
    }

    #[test]
    fn a_comment_sign_cuts_a_word_and_says_so() {
        let (words, diagnostics) = lex("auth_pass P@ss!word#1");
        assert_eq!(words, "auth_pass@1 P@ss@11");
        let said: Vec<_> = diagnostics.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "f:1:15: warning: `!` begins a comment inside a word; the word ends here, as for \
                 keepalived; to mean the sign itself, put the word in double quotes"
            ]
        );
    }

    #[test]
    fn quotes_protect_a_comment_sign_and_a_backslash_does_not() {
        assert_eq!(
            lex(r#"auth_pass "a#b {c}" d"#).0,
            "auth_pass@1 a#b {c}@11 d@21"
        );
        assert!(lex(r#"auth_pass "a#b""#).1.is_empty());
        let (words, said) = lex(r"auth_pass a\!b");
        assert_eq!(words, "auth_pass@1 a@11");
        assert_eq!(said.len(), 1);
        assert!(
            said.to_string()
                .contains(r"`\!` begins a comment all the same"),
            "{said}"
        );
    }

    #[test]
    fn a_word_ends_where_a_quotation_does() {
        assert_eq!(
            lex(r#"auth_pass a"b c"d"#).0,
            "auth_pass@1 a@11 b c@12 d@17"
        );
        assert_eq!(lex(r#"a "" b"#).0, "a@1 @3 b@6");
    }

    #[test]
    fn single_quotes_protect_nothing() {
        assert_eq!(lex("auth_pass 'a b'").0, "auth_pass@1 'a@11 b'@14");
    }

    #[test]
    fn an_open_quotation_is_an_error_at_its_beginning() {
        let (words, diagnostics) = lex(r#"script "check it"#);
        assert_eq!(words, "script@1 check it@8");
        assert_eq!(
            diagnostics.iter().next().unwrap().to_string(),
            "f:1:8: error: the quotation is not closed: expected `\"` on the same line"
        );
    }
}
